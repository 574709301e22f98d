"""Serial forking by q: `t_load_contacts` puts the destination set aside, `t_next_contacts` takes it back."""

from __future__ import annotations

import logging

from kahea.routing.module import Module, function, native
from kahea.routing.run import FAILURE_ROUTE, REQUEST_ROUTE, Run
from kahea.sip.message import Message, Target

log = logging.getLogger("kahea.tm")

_GROUPS = "tm.contacts"


class Contacts(Module):
    """The destination set in groups of equal q."""

    contacts_avp: str
    contact_flows_avp: str
    xavp_contact: str

    @native("int", name="t_load_contacts", least=0, routes=REQUEST_ROUTE | FAILURE_ROUTE)
    def t_load_contacts_native(self, run: Run, mode: int = 0) -> int:
        """As ki_t_load_contacts_mode(), the mode optional."""
        return self.ki_t_load_contacts_mode(run, mode)

    @function
    def t_load_contacts(self, run: Run) -> int:
        """Put the destination set aside in groups of equal q, highest first."""
        return self.ki_t_load_contacts_mode(run, 0)

    @function
    def ki_t_load_contacts_mode(self, run: Run, mode: int) -> int:
        """As t_load_contacts; mode 1 makes each contact a group of its own, in the order of q."""
        msg = run.msg
        if run.kind not in (REQUEST_ROUTE, FAILURE_ROUTE) or not self._enabled(self.contacts_avp, "contacts_avp"):
            return -1
        first = Target(
            msg.uri, msg.dst_uri, msg.path, msg.q, msg.bflags, msg.send_sock, msg.ruid, msg.instance,
            msg.location_ua, msg.reg_id,
        )  # fmt: skip
        targets = ([first] if msg.uri_fresh else []) + list(msg.branches)
        if len(targets) < 2:
            return 1
        order = sorted(targets, key=lambda target: -target.q)
        groups: list[list[Target]] = []
        for target in order:
            if not groups or mode & 1 or groups[-1][0].q != target.q:
                groups.append([])
            groups[-1].append(target)
        msg.facets[_GROUPS] = groups
        msg.branches.clear()
        return 1

    @native(routes=REQUEST_ROUTE | FAILURE_ROUTE)
    @function
    def t_next_contacts(self, run: Run) -> int:
        """Make the next group the destination set: 1 if there was one, -2 if none is left, -1 on an error."""
        groups = self._groups(run.msg)
        if run.kind not in (REQUEST_ROUTE, FAILURE_ROUTE) or not self._enabled(self.contacts_avp, "contacts_avp"):
            return -1
        if not groups:
            return -2
        return self._take(run.msg, groups.pop(0))

    @native(routes=REQUEST_ROUTE)
    @function
    def t_next_contact_flow(self, run: Run) -> int:
        """In a failure route: the next contact of the same instance (RFC 5626); -2 if there is none."""
        if not self._enabled(self.contact_flows_avp, "contact_flows_avp"):
            return -1
        groups = self._groups(run.msg)
        branch = run.branch
        if run.kind != FAILURE_ROUTE or branch is None or not branch.instance or not groups:
            return -2
        for group in groups:
            for target in group:
                if target.instance == branch.instance and target.ruid != branch.ruid:
                    group.remove(target)
                    groups[:] = [g for g in groups if g]
                    return self._take(run.msg, [target])
        return -2

    @staticmethod
    def _enabled(value: str, name: str) -> bool:
        if not value:
            log.error("give the parameter tm.%s to use this function", name)
        return bool(value)

    @staticmethod
    def _groups(msg: Message) -> list[list[Target]] | None:
        found = msg.facets.get(_GROUPS)
        return found if isinstance(found, list) else None

    @staticmethod
    def _take(msg: Message, group: list[Target]) -> int:
        first, *rest = group
        msg.set_uri(first.uri)
        msg.dst_uri = first.dst_uri
        msg.path = first.path
        msg.send_sock = first.sock
        msg.bflags = first.flags
        msg.q = first.q
        msg.ruid = first.ruid
        msg.instance = first.instance
        msg.location_ua = first.location_ua
        msg.reg_id = first.reg_id
        msg.branches.extend(rest)
        return 1
