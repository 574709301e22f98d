"""The management commands of the location tables (`ul.*`), with the answers that Kamailio gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kahea.modules.usrloc.contact import ALL_METHODS, STATE_NAMES, Contact, Registration
from kahea.modules.usrloc.locations import Locations
from kahea.modules.usrloc.notation import aor_hash, socket_text
from kahea.routing.module import RpcError, rpc
from kahea.routing.run import can_wait, wait
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from kahea.modules.usrloc.domain import Domain
    from kahea.modules.usrloc.store import Store

NOT_SET: Final = "[not set]"
RPC_CALLID: Final = b"dfjrewr12386fd6-343@kamailio.rpc"


class Usrloc(Locations):
    """Where users are: the location tables, in memory and in a database."""

    @rpc("ul.dump")
    def dump(self, mode: str = "") -> dict[str, Any]:
        """Every AOR of every table with its contacts; with "brief", the AORs alone."""
        brief = mode == "brief"
        return {"Domains": [{"Domain": self._dump_domain(d, brief)} for d in self.domains.values()]}

    def _dump_domain(self, domain: Domain, brief: bool) -> dict[str, Any]:
        slots = 1 << self.hash_size
        per_slot: dict[int, int] = {}
        hashed = sorted(((aor_hash(aor), aor) for aor in domain.records), key=lambda pair: pair[0] % slots)
        aors: list[dict[str, Any]] = []
        for number, aor in hashed:
            per_slot[number % slots] = per_slot.get(number % slots, 0) + 1
            if brief:
                aors.append({"AoR": text(aor)})
            else:
                contacts = [{"Contact": self.describe(c)} for c in domain.records[aor]]
                aors.append({"Info": {"AoR": text(aor), "HashID": number, "Contacts": contacts}})
        stats = {"Records": len(hashed), "Max-Slots": max(per_slot.values(), default=0)}
        return {"Domain": domain.name, "Size": slots, "AoRs": aors, "Stats": stats}

    def describe(self, contact: Contact) -> dict[str, Any]:
        """A contact as `ul.dump` shows it."""
        now = int(self.node.wall())
        expires: int | str = contact.expires - now
        if contact.expires == 0:
            expires = "permanent"
        elif contact.expires <= now:
            expires = "expired"
        return {
            "Address": text(contact.uri),
            "Expires": expires,
            "Q": contact.q / 1000 if contact.q > 0 else contact.q,
            "Call-ID": text(contact.callid),
            "CSeq": contact.cseq,
            "User-Agent": text(contact.user_agent) or NOT_SET,
            "Received": text(contact.received) or NOT_SET,
            "Path": text(contact.path) or NOT_SET,
            "State": STATE_NAMES[contact.state],
            "Flags": contact.flags,
            "CFlags": contact.cflags,
            "Socket": socket_text(contact.sock, self.advertised) or NOT_SET,
            "Methods": contact.methods,
            "Ruid": text(contact.ruid),
            "Instance": text(contact.instance) or NOT_SET,
            "Reg-Id": contact.reg_id,
            "Server-Id": contact.server_id,
            "Tcpconn-Id": contact.connection_id,
            "Keepalive": 1 if contact.cflags & self.nat_flag else 0,
            "Last-Keepalive": contact.last_keepalive,
            "KA-Roundtrip": contact.roundtrip,
            "Last-Modified": contact.modified,
        }

    @rpc("ul.lookup")
    def lookup(self, table: str, aor: str) -> dict[str, Any]:
        """The contacts of one AOR (`user`, or `user@domain` with use_domain)."""
        contacts = self._contacts(self._table(table), aor)
        return {"AoR": self.canonical(aor), "Contacts": [{"Contact": self.describe(c)} for c in contacts]}

    def _contacts(self, domain: Domain, aor: str) -> list[Contact]:
        self._may_read()
        now = int(self.node.wall())
        contacts = domain.get(wire(self.canonical(aor))) or []
        valid = [c for c in contacts if c.is_valid(now)]
        if not valid:
            raise RpcError(500, "AOR not found in location table" if not contacts else "AOR has no contacts")
        return valid

    def _table(self, name: str) -> Domain:
        domain = self.domains.get(name)
        if domain is None:
            raise RpcError(500, "Domain table not found")
        return domain

    def _may_read(self) -> None:
        if self.remote and not can_wait():
            raise RpcError(500, "the table lives in the database: the command must run where it may wait")

    def canonical(self, aor: str) -> str:
        """An AOR as it is kept: without the domain, and in lower case unless the registrar minds case."""
        if not self.use_domain:
            aor = aor.partition("@")[0]
        registrar = self.node.module("registrar")
        return aor if registrar is not None and registrar.case_sensitive else aor.lower()

    @rpc("ul.rm")
    def remove(self, table: str, aor: str) -> dict[str, Any]:
        """Remove an AOR with all its contacts."""
        self._may_read()
        self._table(table).delete_record(wire(self.canonical(aor)))
        return {}

    @rpc("ul.rm_contact")
    def remove_contact(self, table: str, aor: str, contact: str) -> dict[str, Any]:
        """Remove one contact, by its URI."""
        domain = self._table(table)
        self._may_read()
        contacts = domain.get(wire(self.canonical(aor)))
        if not contacts:
            raise RpcError(404, "AOR not found")
        wanted = wire(contact)
        for each in contacts:
            if each.uri == wanted:
                domain.delete(each)
                return {}
        raise RpcError(404, "Contact not found")

    @rpc("ul.flush")
    def flush(self) -> dict[str, Any]:
        """Write to the database what is yet to be written; does not wait for it."""
        self.spawn(self.synchronize())
        return {}

    @rpc("ul.add")
    def add(
        self,
        table: str,
        aor: str,
        contact: str,
        expires: int,
        q: float,
        path: str,
        flags: int,
        cflags: int,
        methods: int,
        received: str = "0",
        socket: str = "0",
    ) -> dict[str, Any]:
        """Add a contact, or refresh it. `expires` in seconds, 0 for ever; "0" or "." stands for no value."""
        domain = self._table(table)
        self._may_read()
        now = int(self.node.wall())
        try:
            seconds, thousandths = int(expires), round(float(q) * 1000)
            bits = (int(flags), int(cflags), int(methods) & ALL_METHODS)
        except ValueError as error:
            raise RpcError(400, str(error)) from error
        sock = self.node.find_listener(socket) if socket not in ("0", ".", "") else None
        registration = Registration(RPC_CALLID, 1, now, b"Kahea RPC")
        registration.received = _given(received)
        registration.path = _given(path)
        registration.sock = sock
        registration.flags, registration.cflags = bits[0], bits[1]
        registration.server_id = self.server_id
        key = wire(self.canonical(aor))
        until = now + seconds if seconds else 0
        uri = wire(contact)
        for each in domain.get(key) or ():
            if each.uri == uri:
                domain.update(each, registration, uri, until, thousandths, methods=bits[2])
                return {}
        domain.insert(key, registration, uri, until, thousandths, methods=bits[2])
        return {}

    @rpc("ul.db_users")
    def db_users(self, table: str) -> int:
        """How many AORs the table has in the database that have not expired."""
        return self._ask(self._store(table).count(users=True, now=int(self.node.wall())))

    @rpc("ul.db_contacts")
    def db_contacts(self, table: str) -> int:
        """How many contacts the table has in the database that have not expired."""
        return self._ask(self._store(table).count(now=int(self.node.wall())))

    @rpc("ul.db_expired_contacts")
    def db_expired_contacts(self, table: str) -> int:
        """How many contacts the table has in the database that have expired."""
        return self._ask(self._store(table).count(expired_at=int(self.node.wall())))

    def _store(self, table: str) -> Store:
        if self.db_mode == 0:
            raise RpcError(500, "Command is not supported in db_mode=0")
        store = self.stores.get(table)
        if store is None:
            raise RpcError(500, "Domain table not found")
        return store

    def _ask(self, answer: Awaitable[int]) -> int:
        if not can_wait():
            raise RpcError(500, "the command must run where it may wait")
        try:
            return wait(answer)
        except Exception as error:
            raise RpcError(500, str(error)) from error


def _given(value: str) -> bytes:
    return b"" if value in ("0", ".", "") else wire(value)
