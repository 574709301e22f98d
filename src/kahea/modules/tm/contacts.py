"""Serial forking by q: `t_load_contacts` puts the destination set aside, `t_next_contacts` takes it back.

The set waits in `$xavp(contacts_avp)`, one entry a contact, in the order in which they are to be tried, where a script
may look and change. What `xavp_contact` names are attributes of contacts, as lookup() gives them: they go with their
contact, and come back with it, at the index of its branch.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kahea.net.address import Listener
from kahea.routing.lists import Xavps, Xitem, XValue, lists_of
from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.run import BRANCH_FAILURE_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.message import Message, Target

log = logging.getLogger("kahea.tm")

#: In the field `q_flag`: the contacts behind this one have another q.
_LAST_OF_Q: Final = 4


class Contact(NamedTuple):
    """A destination, and the attributes that belong to it (None for none)."""

    target: Target
    attributes: XValue


class Contacts(Module):
    """The destination set in groups of equal q."""

    contacts_avp = Param(
        "", "The XAVP in which t_load_contacts() puts contacts aside; without it these functions are turned off."
    )
    contact_flows_avp = Param("", "The XAVP of contacts whose instance is tried by another one (RFC 5626).")
    xavp_contact = Param("", "The XAVP with attributes of contacts, as for usrloc.")

    def check_names(self) -> None:
        """Raises ConfigError for contacts without flows."""
        if self.contacts_avp and not self.contact_flows_avp:
            raise ConfigError("parameter tm.contacts_avp needs the parameter tm.contact_flows_avp")

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
        """As t_load_contacts; mode 1 makes each contact a group of its own, in an order that chance makes: q is a
        contact's weight, and those without one come last."""
        msg = run.msg
        if not self._allowed(run, REQUEST_ROUTE | FAILURE_ROUTE):
            return -1
        xavps = lists_of(msg).xavps
        contacts = self._destinations(msg, xavps)
        if len(contacts) < 2:
            return 1
        each_alone = bool(mode & 1)
        if each_alone:
            contacts = _by_chance(contacts)
        else:
            # Of contacts with one q, that which was added last is the first.
            contacts = sorted(contacts, key=lambda contact: contact.target.q)[::-1]
        following = [contact.target.q for contact in contacts[1:]]
        entries = []
        for contact, next_q in zip(contacts, [*following, contacts[-1].target.q], strict=True):
            last = each_alone or next_q != contact.target.q
            entries.append(self._entry(contact, {"flags": contact.target.flags, "q_flag": _LAST_OF_Q if last else 0}))
        if self.xavp_contact:
            xavps.remove_all(self.xavp_contact)
        for entry in reversed(entries):
            xavps.push(self.contacts_avp, entry)
        msg.branches.clear()
        msg.bflags = 0
        msg.uri_fresh = False
        return 1

    def _destinations(self, msg: Message, xavps: Xavps) -> list[Contact]:
        """The destination set with its attributes: those at index 0 are the Request-URI's."""
        attributes = [item.value for item in xavps.all(self.xavp_contact)] if self.xavp_contact else []
        first = Target(
            msg.uri, msg.dst_uri, msg.path, msg.q, msg.bflags, msg.send_sock, msg.ruid, msg.instance, msg.location_ua
        )
        attributes += [None] * (1 + len(msg.branches) - len(attributes))
        found = list(map(Contact, [first, *msg.branches], attributes))
        return found if msg.uri_fresh else found[1:]

    def _entry(self, contact: Contact, numbers: dict[str, int]) -> Xavps:
        target = contact.target
        values: dict[str, XValue] = {
            "uri": text(target.uri),
            "dst_uri": text(target.dst_uri or b""),
            "path": text(target.path or b""),
            "sock": target.sock.uri if isinstance(target.sock, Listener) else "",
            **numbers,
            "instance": text(target.instance),
            "ruid": text(target.ruid),
            "ua": text(target.location_ua),
        }
        fields = Xavps()
        for name, value in values.items():
            if value != "":
                fields.push(name, value)
        if contact.attributes is not None:
            fields.push(self.xavp_contact, contact.attributes)
        return fields

    @native(routes=REQUEST_ROUTE | FAILURE_ROUTE)
    @function
    def t_next_contacts(self, run: Run) -> int:
        """Make the next group the destination set: 1 if there was one, -2 if none is left, -1 on an error.

        Of contacts with one instance the first counts; the others wait for t_next_contact_flow().
        """
        if not self._allowed(run, REQUEST_ROUTE | FAILURE_ROUTE):
            return -1
        msg = run.msg
        instances: set[bytes] = set()
        code = -2
        try:
            for contact, fields in self._group(run):
                target = contact.target
                if code < 0:
                    lists_of(msg).xavps.remove_all(self.contact_flows_avp)
                if target.instance and target.instance in instances:
                    self._keep_flow(msg, fields)
                    continue
                instances.add(target.instance)
                if code < 0:
                    self._use(msg, contact)
                else:
                    self._add(msg, contact)
                code = 1
        except ValueError as error:
            log.error("t_next_contacts: %s", error)
            return -1
        return code

    def _group(self, run: Run) -> Iterator[tuple[Contact, Xavps]]:
        """Take the next contacts out, up to the last of their q. Raises ValueError for one that can't be used."""
        xavps = lists_of(run.msg).xavps
        for item in xavps.all(self.contacts_avp):
            xavps.items.remove(item)
            fields = item.fields
            if fields is None or not isinstance(fields.get("uri"), str):
                continue
            last = fields.get("q_flag") == _LAST_OF_Q
            yield self._contact(run, fields), fields
            if last:
                return

    def _contact(self, run: Run, fields: Xavps) -> Contact:
        """A contact as `_entry()` wrote it, or a script changed it. Raises ValueError."""

        def value(name: str) -> bytes:
            found = fields.get(name)
            return wire(found) if isinstance(found, str) else b""

        sock, flags = fields.get("sock"), fields.get("flags")
        listener = run.node.find_listener(sock) if isinstance(sock, str) else None
        if sock is not None and listener is None:
            raise ValueError(f"there is no listener {sock!r}")
        target = Target(
            value("uri"), value("dst_uri") or None, value("path") or None, 0, flags if isinstance(flags, int) else 0,
            listener, value("ruid"), value("instance"), value("ua"),
        )  # fmt: skip
        return Contact(target, fields.get(self.xavp_contact) if self.xavp_contact else None)

    def _keep_flow(self, msg: Message, fields: Xavps) -> None:
        fields.remove("q_flag")
        lists_of(msg).xavps.push(self.contact_flows_avp, fields)

    @native(routes=REQUEST_ROUTE)
    @function
    def t_next_contact_flow(self, run: Run) -> int:
        """When a branch has failed: add the next contact of the same instance (RFC 5626).

        1 if there was one, -2 if there is none of any instance, -1 otherwise, and on an error.
        """
        if not self._allowed(run, REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_FAILURE_ROUTE):
            return -1
        xavps = lists_of(run.msg).xavps
        flows = xavps.all(self.contact_flows_avp)
        if not flows:
            return -2
        instance = run.branch.instance if run.branch is not None else b""
        found = next((item for item in flows if instance and _instance(item) == instance), None)
        if found is None or found.fields is None:
            return -1
        xavps.items.remove(found)
        try:
            self._add(run.msg, self._contact(run, found.fields))
        except ValueError as error:
            log.error("t_next_contact_flow: %s", error)
            return -1
        return 1

    def _allowed(self, run: Run, routes: int) -> bool:
        if not self.contacts_avp:
            log.error("give the parameter tm.contacts_avp to use this function")
        elif not run.kind & routes:
            log.error("this function can't be used in %s", run.where())
        else:
            return True
        return False

    # ---- destinations

    def _use(self, msg: Message, contact: Contact) -> None:
        """Make a contact the Request-URI and what belongs to it."""
        target = contact.target
        msg.set_uri(target.uri)
        msg.dst_uri = target.dst_uri
        msg.path = target.path
        msg.send_sock = target.sock
        msg.bflags = target.flags
        msg.q = -1
        msg.ruid = target.ruid
        msg.instance = target.instance
        msg.location_ua = target.location_ua
        msg.reg_id = 0
        self._give_back(msg, contact.attributes, 0)

    def _add(self, msg: Message, contact: Contact) -> None:
        """Make a contact a further branch. Raises ValueError where there are as many as may be."""
        limit = self.node.settings.max_branches
        if len(msg.branches) >= limit - 1:
            raise ValueError(f"no more than {limit} branches")
        msg.branches.append(contact.target)
        self._give_back(msg, contact.attributes, len(msg.branches))

    def _give_back(self, msg: Message, attributes: XValue, at: int) -> None:
        if attributes is not None:
            lists_of(msg).xavps.insert_at(self.xavp_contact, attributes, at)


def _instance(flow: Xitem) -> bytes | None:
    found = flow.fields.get("instance") if flow.fields is not None else None
    return wire(found) if isinstance(found, str) else None


def _by_chance(contacts: Sequence[Contact]) -> list[Contact]:
    """In an order that chance makes, q being the weight; those without a q stay last, as they stand."""
    weighed = [contact for contact in contacts if contact.target.q > 0]
    out = []
    while weighed:
        place = random.choices(range(len(weighed)), [contact.target.q for contact in weighed])[0]
        out.append(weighed.pop(place))
    return out + [contact for contact in contacts if contact.target.q <= 0]
