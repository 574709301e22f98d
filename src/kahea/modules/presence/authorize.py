"""What scripts and commands can ask and change of who may watch: statuses, and their change as rules change."""

from __future__ import annotations

import logging
from typing import Final

from kahea.modules.presence.events import EventPackage, WatcherInfo
from kahea.modules.presence.publications import Presentity
from kahea.modules.presence.requests import FAILURES
from kahea.modules.presence.subscription import POLITE_BLOCK, TERMINATED, split_uri, uri_of
from kahea.modules.presence.upkeep import Upkeep
from kahea.routing.module import function, native
from kahea.routing.run import REQUEST_ROUTE, Run, wait
from kahea.sip.errors import ParseError

log = logging.getLogger("kahea.presence")

#: What `pres_auth_status` says of a watcher who is shown nothing and doesn't know.
POLITELY_BLOCKED: Final = 5

#: What `pres_refresh_watchers` is told of, other than another state: other rules, another document of the user's own.
RULES_CHANGED, DOCUMENT_CHANGED = 0, 2


class Failed(Exception):
    """Something asked of a presentity's watchers can't be done; why is for the operator."""


class Authorizing(Upkeep):
    """Functions about watchers."""

    @function
    @native("str", "str", routes=REQUEST_ROUTE)
    def pres_auth_status(self, run: Run, watcher_uri: str, presentity_uri: str) -> int:
        """Whether a presentity's rules let a watcher see its `presence`: 1 yes, 2 not decided, 3 no, 5 it is to see
        nothing and not to know; -1 if that can't be told."""
        try:
            watcher, presentity = uri_of(*split_uri(watcher_uri)), uri_of(*split_uri(presentity_uri))
            package = self.packages.get("presence")
            if package is None:
                log.error("pres_auth_status: there is no event package presence")
                return -1
            rules = package.rules_of(presentity)
            decision = package.without_rules if rules is None else rules.decide(watcher, 0)
        except (ParseError, *FAILURES) as error:
            log.error("pres_auth_status: %s", error)
            return -1
        return POLITELY_BLOCKED if decision.reason == POLITE_BLOCK else decision.status

    @function
    @native("str", "str")
    def pres_has_subscribers(self, run: Run, presentity_uri: str, event: str) -> int:
        """Whether anybody watches a presentity's state of an event package; -1 if not."""
        if event not in self.packages:
            log.error("pres_has_subscribers: there is no event package %r", event)
            return -1
        try:
            return 1 if self.watchers_of(presentity_uri, event) else -1
        except FAILURES as error:
            log.error("pres_has_subscribers: %s", error)
            return -1

    @function
    @native("str", "str")
    def pres_update_watchers(self, run: Run, uri: str, event: str) -> int:
        """As the rules of `uri` have changed, decide anew of its watchers, and tell those of whom it is another; -1 if
        that fails."""
        return self._tried("pres_update_watchers", uri, event, RULES_CHANGED)

    @function
    @native("str", "str", "int")
    def pres_refresh_watchers(self, run: Run, uri: str, event: str, type: int) -> int:
        """Something of `uri` has changed by another hand: `type` 0 its rules, others its state. Its watchers are told.

        -1 if that fails. 2, a document of the user's own, needs its name.
        """
        return self._tried("pres_refresh_watchers", uri, event, type)

    @function
    @native("str", "str", "int", "str", "str", name="pres_refresh_watchers")
    def pres_refresh_watchers_file(
        self, run: Run, uri: str, event: str, type: int, file_uri: str, filename: str
    ) -> int:
        """As `pres_refresh_watchers`; `type` 2 with the document, which is not added to the state, as in Kamailio."""
        return self._tried("pres_refresh_watchers", uri, event, type, file_uri, filename)

    def _tried(self, what: str, uri: str, event: str, kind: int, file_uri: str = "", filename: str = "") -> int:
        try:
            self.refresh(uri, event, kind, file_uri, filename)
        except Failed as error:
            log.error("%s: %s", what, error)
            return -1
        return 1

    def refresh(self, uri: str, event: str, kind: int, file_uri: str = "", filename: str = "") -> None:
        """Tell the watchers of a presentity what has changed. May wait; raises Failed."""
        package = self.packages.get(event)
        if package is None:
            raise Failed(f"there is no event package {event!r}")
        if kind == DOCUMENT_CHANGED and not (file_uri and filename):
            raise Failed("No file uri or name parameters")
        try:
            presentity = Presentity(*split_uri(uri), package.name)
            with self.turn(presentity.uri):
                if kind == RULES_CHANGED:
                    self._decide_anew(presentity, package)
                elif isinstance(package, WatcherInfo):
                    self.tell_of_watchers(presentity.uri, package.watched.name)
                else:
                    self.tell_watchers(presentity.uri, package, self.state_of(package, presentity))
        except (ParseError, *FAILURES) as error:
            raise Failed(str(error)) from error

    def _decide_anew(self, presentity: Presentity, package: EventPackage) -> None:
        rules = package.rules_of(presentity.uri)
        if rules is None or self.store is None:
            raise Failed(f"{presentity.uri} has no rules")
        state: bytes | None = None
        for user, domain, before in wait(self.store.decisions(presentity.uri, package.name)):
            watcher = uri_of(user, domain)
            decision = rules.decide(watcher, before.status)
            if decision == before:
                continue
            wait(self.store.change_decision(presentity.uri, package.name, user, domain, decision))
            for subscription in self.watchers_of(presentity.uri, package.name):
                if (subscription.watcher_user, subscription.watcher_domain) != (user, domain):
                    continue
                subscription.status, subscription.reason = decision
                if state is None:
                    state = self.state_of(package, presentity)
                if decision.status == TERMINATED:
                    self.subscriptions.remove(subscription)
                else:
                    self.subscriptions.changed(subscription)
                self.notify(subscription, rules.view(state, watcher) if subscription.is_shown else b"")


__all__ = ["Authorizing", "Failed"]
