"""The module `presence_xml`: its parameters, and what scripts ask of a user's presence."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.modules.presence.events import RulesError, WatcherInfo
from kahea.modules.presence.publications import Presentity
from kahea.modules.presence.subscription import split_uri
from kahea.modules.presence_xml.documents import local_name, read
from kahea.modules.presence_xml.packages import PresenceEvent, SingleBody, XcapDiff
from kahea.modules.presence_xml.rules import XcapRules
from kahea.routing.checks import between, unless
from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.run import NoRun, Run, wait
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.modules.presence_xml.xcap import Documents
    from kahea.routing.node import Node

log = logging.getLogger("kahea.presence")

_ON_OFF = between(0, 1)


def _no_server(value: str) -> str:
    raise ValueError(f"{value!r}: rules of an XCAP server need the module xcap_client, which is not supported yet")


def _element(value: str) -> str:
    if re.fullmatch(r"[A-Za-z_][\w.-]*", value) is None:
        raise ValueError(f"{value!r} is no name of an element")
    return value


class PresenceXml(Module):
    """The event packages `presence`, `presence.winfo` and `xcap-diff`, and the rules of users."""

    name = "presence_xml"
    needs = ("presence",)

    db_url = Param("mysql://kamailio:kamailiorw@localhost/kamailio", "The database with the users' rules.")
    xcap_table = Param("xcap", "The table of the users' documents.")
    disable_presence = Param(0, "1: no event package presence.", check=_ON_OFF)
    disable_winfo = Param(0, "1: no event package presence.winfo.", check=_ON_OFF)
    disable_bla = Param(1, "", check=unless(1, "there is no event package dialog;sla"))
    disable_xcapdiff = Param(0, "1: no event package xcap-diff.", check=_ON_OFF)
    force_active = Param(0, "1: every watcher may see everything, and no rules are asked.", check=_ON_OFF)
    integrated_xcap_server = Param(
        0, "1: rules are in the database. 0, where they are asked of an XCAP server, needs force_active.", check=_ON_OFF
    )
    xcapauth_userdel_reason = Param("probation", "Why a watcher is sent away whom the rules name no more.")
    xcap_server: Param[list[str]] = Param([], "An XCAP server that rules are asked of.", many=True, check=_no_server)
    passive_mode = Param(0, "1: nothing is done; neither event packages nor rules.", check=_ON_OFF)
    force_dummy_presence = Param(0, "1: a user who has published nothing is shown as available.", check=_ON_OFF)
    force_presence_single_body = Param(
        0, "1: of several documents of a user one is chosen; else they are merged.", check=_ON_OFF
    )
    presence_single_body_priorities = Param(
        "Available|Ringing|On the Phone", "What decides of it, with bars between, the important last."
    )
    presence_single_body_lookup_element = Param("note", "The element of a document that says it.", check=_element)
    default_expires = Param(3600, "Seconds of a request that says none.", check=between(1, 2**31 - 1))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._documents: Documents | None = None

    def start(self) -> None:
        """Hand the event packages to module presence."""
        if self.passive_mode:
            return
        presence: Any = self.node.module("presence")
        # Where nobody is served (no `db_url`), nobody's rules are asked.
        with_rules = presence.store is not None and not self.force_active and not self.disable_presence
        if with_rules:
            self._open_rules()
        priorities = tuple(part.strip() for part in self.presence_single_body_priorities.split("|"))
        single = SingleBody(self.presence_single_body_lookup_element, priorities)
        package = PresenceEvent(
            self.default_expires,
            self._rules_of if with_rules else None,
            single=single if self.force_presence_single_body else None,
            dummy=bool(self.force_dummy_presence),
        )
        if not self.disable_presence:
            presence.add_event(package)
        if not self.disable_winfo:
            presence.add_event(WatcherInfo(package))
        if not self.disable_xcapdiff:
            presence.add_event(XcapDiff(self.default_expires))

    def _open_rules(self) -> None:
        if not self.integrated_xcap_server:
            raise ConfigError(
                "presence_xml: rules of an XCAP server need the module xcap_client, which is not supported yet; "
                "set integrated_xcap_server or force_active to 1"
            )
        from kahea.modules.presence_xml.xcap import Documents

        try:
            self._documents = Documents(self.db_url, self.xcap_table, self.node.settings.version_table)
        except BadUrl as error:
            raise ConfigError(f"parameter presence_xml.db_url: {error}") from error

    async def open(self) -> None:
        """Check the table."""
        if self._documents is None:
            return
        try:
            await self._documents.prepare()
        except DatabaseError as error:
            raise ConfigError(f"presence_xml: the database can't be used: {error}") from error

    async def stop(self) -> None:
        """Let go of the database."""
        if self._documents is not None:
            await self._documents.close()

    def _rules_of(self, presentity: str) -> XcapRules | None:
        """A user's rules. Raises DatabaseError, RulesError."""
        assert self._documents is not None
        try:
            document = wait(self._documents.rules(*split_uri(presentity)))
            if document is None:
                return None
            return XcapRules(document, self.xcapauth_userdel_reason, self.node.wall(), self._sphere(presentity))
        except (ParseError, ValueError) as error:
            raise RulesError(f"the rules of {presentity} can't be read: {error}") from error

    def _sphere(self, presentity: str) -> str | None:
        """The sphere that a user has published (RFC 4480 §3.9), None where nobody asks for it. Raises DatabaseError."""
        presence: Any = self.node.module("presence")
        if not presence.enable_sphere_check:
            return None
        state = presence.state_of(presence.packages["presence"], Presentity(*split_uri(presentity), "presence"))
        spheres = read(state).iter("{*}sphere") if state else iter(())
        return next(((each.text or "").strip() for each in spheres), "")

    # ---- what is published

    @function
    @native("str", "str")
    def pres_check_basic(self, run: Run, presentity_uri: str, status: str) -> int:
        """Whether a tuple of a user's presence has this basic status (`open`, `closed`); -1 if none has."""
        root = self._published(presentity_uri)
        if root is None:
            return -1
        found = (
            (basic.text or "").strip()
            for each in root
            if local_name(each) == "tuple"
            for basic in each.iter("{*}basic")
        )
        return 1 if status in found else -1

    @function
    @native("str", "str")
    def pres_check_activities(self, run: Run, presentity_uri: str, activity: str) -> int:
        """Whether the person of a user's presence has this activity; -1 if not, -2 if none at all."""
        root = self._published(presentity_uri)
        persons = [] if root is None else [each for each in root if local_name(each) == "person"]
        activities = [each for person in persons for each in person if local_name(each) == "activities"]
        if not activities:
            return -2 if root is not None else -1
        return 1 if any(local_name(each) == activity for some in activities for each in some) else -1

    def _published(self, presentity_uri: str) -> Any | None:
        """The root of what a user has published; None for nothing, and for what can't be told."""
        presence: Any = self.node.module("presence")
        package = presence.packages.get("presence")
        if package is None:
            log.error("there is no event package presence")
            return None
        try:
            state = presence.state_of(package, Presentity(*split_uri(presentity_uri), package.name))
            return read(state) if state else None
        except (ParseError, DatabaseError, ValueError, NoRun) as error:
            log.error("the presence of %s can't be read: %s", presentity_uri, error)
            return None


__all__ = ["PresenceXml"]
