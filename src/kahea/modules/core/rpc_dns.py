"""Management commands about the DNS cache: `dns.*`, with Kamailio's field names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from kahea.net.address import is_ip
from kahea.net.dns_cache import Kept
from kahea.net.dns_records import KINDS, Answer, Mx, Naptr, Record, ResolveError, Srv, dns_name
from kahea.routing.module import Module, RpcError, rpc
from kahea.routing.run import wait

if TYPE_CHECKING:
    from kahea.net.resolver import Resolver

NEGATIVE: Final = 1
PERMANENT: Final = 2

#: Numbers of the record types (RFC 1035 §3.2.2, RFC 3596, RFC 2782, RFC 3403).
NUMBERS: Final = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35}


class DnsCommands(Module):
    """About the DNS cache."""

    def _resolver(self) -> Resolver:
        if self.node.resolver is None:
            raise RpcError(500, "this node has no resolver")
        return self.node.resolver

    def _kept(self) -> Iterator[Kept]:
        return self._resolver().cache.kept()

    @rpc("dns.view")
    def rpc_dns_view(self) -> list[dict[str, object]]:
        """What is kept, with the seconds for which it still is."""
        return [_entry(kept) for kept in self._kept()]

    @rpc("dns.lookup")
    def rpc_dns_lookup(self, kind: str, name: str) -> dict[str, object]:
        """Look a name up, as for a destination, and show what is kept then."""
        kind = kind.upper()
        if kind not in KINDS:
            raise RpcError(400, "Invalid type")
        try:
            asked = dns_name(name)
            records = wait(self._resolver().query(asked, kind))
        except ResolveError as error:
            raise RpcError(400, "Not found") from error
        if not records:
            raise RpcError(400, "Not found")
        for kept in self._kept():
            if kept.query == (asked, kind):
                return _entry(kept)
        return _entry(Kept((asked, kind), Answer(records), None, 0.0))  # from the hosts file

    @rpc("dns.debug")
    def rpc_dns_debug(self) -> list[int | str]:
        """What is kept, as a flat list: name, type, bytes, references, seconds left, seconds unused, flags."""
        found: list[int | str] = []
        for kept in self._kept():
            found += [kept.query[0], NUMBERS[kept.query[1]], *_numbers(kept)]
        return found

    @rpc("dns.debug_all")
    def rpc_dns_debug_all(self) -> list[int | str]:
        """What is kept, as a flat list of records."""
        found: list[int | str] = []
        for kept in self._kept():
            for i, record in enumerate(kept.answer.records):
                kind = "srv" if isinstance(record, Srv) else "ip" if kept.query[1] in ("A", "AAAA") else "unknown"
                text = record.target if isinstance(record, Srv) else str(record)
                found += [kept.query[0], NUMBERS[kept.query[1]], i, *_numbers(kept), kind, text, _left(kept)]
        return found

    @rpc("dns.mem_info")
    def rpc_dns_mem_info(self) -> None:
        """Bytes of the cache, which is bounded otherwise."""
        cache = self._resolver().cache
        raise RpcError(500, f"the DNS cache is bounded by entries, not by bytes: {len(cache)} of {cache.room}")

    @rpc("dns.add_a")
    def rpc_dns_add_a(self, name: str, ttl: int, ip: str, flags: int = 0) -> None:
        """Add an address; flags: 1 the name has none, 2 it stays for ever."""
        self._add(name, "A", ttl, ip if is_ip(ip) == 4 else None, flags)

    @rpc("dns.add_aaaa")
    def rpc_dns_add_aaaa(self, name: str, ttl: int, ip: str, flags: int = 0) -> None:
        """Add an IPv6 address; flags as for dns.add_a."""
        self._add(name, "AAAA", ttl, ip if is_ip(ip) == 6 else None, flags)

    @rpc("dns.add_srv")
    def rpc_dns_add_srv(
        self, name: str, ttl: int, priority: int, weight: int, port: int, target: str, flags: int = 0
    ) -> None:
        """Add a service's host; flags as for dns.add_a."""
        try:
            record = Srv(priority, weight, port, dns_name(target))
        except ResolveError:
            record = None
        self._add(name, "SRV", ttl, record, flags)

    def _add(self, name: str, kind: str, ttl: int, record: Record | None, flags: int) -> None:
        """Add a record to those that are kept for a name."""
        resolver = self._resolver()
        try:
            query = dns_name(name), kind
        except ResolveError:
            record = None
        if (record is None and not flags & NEGATIVE) or ttl < 0:
            raise RpcError(400, "Failed to add the entry to the cache")
        known = next((kept.answer.records for kept in self._kept() if kept.query == query), ())
        records = () if flags & NEGATIVE or record is None else (*known, record)
        if flags & PERMANENT:
            resolver.pin(*query, records)
        elif not resolver.cache.add(query, Answer(records, ttl), ttl):
            raise RpcError(500, "the DNS cache is full")
        resolver.forget_destinations()

    @rpc("dns.delete_a")
    def rpc_dns_delete_a(self, name: str) -> None:
        """Forget a name's IPv4 addresses."""
        self._delete(name, "A")

    @rpc("dns.delete_aaaa")
    def rpc_dns_delete_aaaa(self, name: str) -> None:
        """Forget a name's IPv6 addresses."""
        self._delete(name, "AAAA")

    @rpc("dns.delete_srv")
    def rpc_dns_delete_srv(self, name: str) -> None:
        """Forget the hosts of a service."""
        self._delete(name, "SRV")

    @rpc("dns.delete_naptr")
    def rpc_dns_delete_naptr(self, name: str) -> None:
        """Forget a name's NAPTR records."""
        self._delete(name, "NAPTR")

    @rpc("dns.delete_cname")
    def rpc_dns_delete_cname(self, name: str) -> None:
        """Forget what a name stands for."""
        self._delete(name, "CNAME")

    @rpc("dns.delete_txt")
    def rpc_dns_delete_txt(self, name: str) -> None:
        """Forget a name's texts."""
        self._delete(name, "TXT")

    @rpc("dns.delete_ptr")
    def rpc_dns_delete_ptr(self, name: str) -> None:
        """Forget the name of an address."""
        self._delete(name, "PTR")

    @rpc("dns.delete_ebl")
    def rpc_dns_delete_ebl(self, name: str) -> None:
        """Forget a name's EBL record: none is ever asked for."""
        raise RpcError(400, "Not found")

    def _delete(self, name: str, kind: str) -> None:
        resolver = self._resolver()
        query = name.lower().removesuffix("."), kind
        if not resolver.cache.drop(query):
            raise RpcError(400, "Not found")
        resolver.forget_destinations()

    @rpc("dns.delete_all")
    def rpc_dns_delete_all(self) -> dict[str, str]:
        """Forget all but what stays for ever."""
        self._resolver().clear()
        return {"status": "ok"}

    @rpc("dns.delete_all_force")
    def rpc_dns_delete_all_force(self) -> dict[str, str]:
        """Forget all."""
        resolver = self._resolver()
        for kept in list(self._kept()):
            resolver.cache.drop(kept.query)
        resolver.forget_destinations()
        return {"status": "ok"}


def _left(kept: Kept) -> int:
    return 0 if kept.left is None else int(kept.left)


def _numbers(kept: Kept) -> list[int]:
    """The size, references, time left, time unused and flags of an entry."""
    flags = (PERMANENT if kept.left is None else 0) | (0 if kept.answer.records else NEGATIVE)
    return [_size(kept), 1, _left(kept), int(kept.unused), flags]


def _size(kept: Kept) -> int:
    """About the bytes that an entry holds: its texts."""
    return len(kept.query[0]) + sum(len(str(record)) for record in kept.answer.records)


def _entry(kept: Kept) -> dict[str, Any]:
    """An entry as `dns.view` shows it."""
    permanent = "yes" if kept.left is None else "no"
    shown: dict[str, Any] = {
        "name": kept.query[0],
        "type": kept.query[1],
        "size_bytes": _size(kept),
        "reference_counter": 1,
        "permanent": permanent,
        "expires": _left(kept),
        "last_used": int(kept.unused),
        "negative_entry": "no" if kept.answer.records else "yes",
    }
    if kept.answer.records:
        shown["records"] = [
            {"rr_idx": i, **_record(kept.query[1], record), "rr_permanent": permanent, "rr_expires": _left(kept)}
            for i, record in enumerate(kept.answer.records)
        ]
    return shown


def _record(kind: str, record: Record) -> dict[str, object]:
    """A record's own fields."""
    if isinstance(record, Srv):
        return {
            "rr_name": record.target,
            "rr_port": record.port,
            "rr_priority": record.priority,
            "rr_weight": record.weight,
        }
    if isinstance(record, Naptr):
        return {
            "rr_order": record.order,
            "rr_preference": record.preference,
            "rr_flags": record.flags,
            "rr_service": record.service,
            "rr_regexp": record.regexp,
            "rr_replacement": record.replacement,
        }
    if isinstance(record, Mx):
        return {"rr_preference": record.preference, "rr_name": record.exchange}
    text = record.decode("utf-8", "replace") if isinstance(record, bytes) else record
    if kind in ("A", "AAAA"):
        return {"rr_ip": text}
    return {"rr_txt" if kind == "TXT" else "rr_name": text}
