"""Locating SIP servers (RFC 3263) without I/O: which questions to ask, and what their answers mean.

`locate` is a generator. It yields questions, all of which may be asked at once, is sent the answers in the
same order, and returns the destinations. So one and the same logic serves a caller who may wait, one who may
not, and a test. Where the RFC leaves room, or Kamailio does otherwise, this does as Kamailio was seen to do:

- without NAPTR, or where it leads nowhere, SRV is asked for one transport after the other, by preference, and
  the first that has any is taken; with none, A and AAAA lead to UDP (TLS for sips), whatever the preferences;
- the records of one SRV priority stand by weight, the heaviest first, unless `dns_srv_lb` is set;
- a host's IPv4 addresses come before its IPv6 ones.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeAlias

from kahea.net.address import P_SCTP, P_TCP, P_TLS, P_UDP, P_WS, P_WSS, PROTO_IDS, Address, is_ip
from kahea.net.dns_records import Answer, Naptr, Query, ResolveError, Srv, dns_name
from kahea.net.dns_settings import IPV4_ONLY, IPV6_ONLY, PREFER_IPV6, DnsSettings

MAX_RECORDS = 64  # SRV records looked at
MAX_HOSTS = 16  # SRV records followed
MAX_RULES = 8  # NAPTR records followed
MAX_DESTINATIONS = 32

_SRV_NAMES = {P_UDP: "_sip._udp", P_TCP: "_sip._tcp", P_TLS: "_sips._tcp", P_SCTP: "_sip._sctp"}
_SERVICES = {"sip+d2u": P_UDP, "sip+d2t": P_TCP, "sips+d2t": P_TLS, "sip+d2s": P_SCTP}
_PREFERENCES = {
    P_UDP: ("dns_udp_pref", 30),
    P_TCP: ("dns_tcp_pref", 20),
    P_SCTP: ("dns_sctp_pref", 20),
    P_TLS: ("dns_tls_pref", 10),
}
_PORTS = {P_TLS: 5061, P_WS: 80, P_WSS: 443}
_SECURE = {P_TCP: P_TLS, P_TLS: P_TLS, P_WS: P_WSS, P_WSS: P_WSS}


class Destination(NamedTuple):
    """Where to send: the protocol, the address, and the host name it came from (for TLS)."""

    proto: int
    address: Address
    host: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A host as it stands in a URI, and what the URI says besides; `proto` 0 leaves the choice to DNS."""

    host: str
    port: int
    proto: int
    secure: bool


@dataclass(frozen=True, slots=True)
class Means:
    """What this node can do: the protocols and IP families that it has listeners for."""

    protos: Collection[int] = (P_UDP, P_TCP)
    families: Collection[int] = (4, 6)


Plan: TypeAlias = Generator[Sequence[Query], Sequence[Answer], list[Destination]]


def protocol(transport: str | None, secure: bool) -> int:
    """The protocol that a transport parameter names, 0 for none given; raises ResolveError."""
    if not transport:
        return P_TLS if secure else 0
    proto = PROTO_IDS.get(transport.lower(), 0)
    if secure:
        proto = _SECURE.get(proto, 0)
    if proto == 0:
        raise ResolveError(f"transport {transport!r} is unknown{' to sips' if secure else ''}")
    return proto


def default_port(proto: int) -> int:
    """The port of a protocol where neither URI nor DNS gives one (RFC 3261 §19.1.2, RFC 7118 §7)."""
    return _PORTS.get(proto, 5060)


def literal(target: Target) -> Destination | None:
    """The destination of an IP literal, None for a name: no question is needed."""
    if not is_ip(target.host):
        return None
    proto = target.proto or P_UDP
    return Destination(proto, Address.of(target.host, target.port or default_port(proto)), target.host)


def locate(target: Target, settings: DnsSettings, means: Means, rng: random.Random) -> Plan:
    """The destinations of a target in the order to try them (RFC 3263 §4); none if DNS leads nowhere."""
    known = literal(target)
    if known is not None:
        return [known]
    host = dns_name(target.host)
    way = _Way(settings, means, rng)
    if target.port:
        return (yield from way.hosts([(target.proto or P_UDP, host, target.port)]))
    if target.proto:
        found = yield from way.services([(target.proto, _srv_name(target.proto, host))])
        if found is None:
            found = yield from way.hosts([(target.proto, host, default_port(target.proto))])
        return found
    return (yield from way.any_transport(host))


def _srv_name(proto: int, host: str) -> str:
    service = _SRV_NAMES.get(proto)
    return f"{service}.{host}" if service else ""


class _Way:
    """The steps of one search."""

    def __init__(self, settings: DnsSettings, means: Means, rng: random.Random) -> None:
        self.settings = settings
        self.means = means
        self.rng = rng
        self.kinds = ["A" if family == 4 else "AAAA" for family in _families(settings, means.families)]

    def any_transport(self, host: str) -> Plan:
        """Neither port nor transport is given: NAPTR, else SRV by preference, else the host (§4.1)."""
        if self.settings.dns_try_naptr:
            answers = yield [(host, "NAPTR")]
            rules = self._rules(r for r in answers[0].records if isinstance(r, Naptr))
            found = yield from self.services(rules)
            if found:
                return found
        for proto in self._preferred():
            found = yield from self.services([(proto, _srv_name(proto, host))])
            if found is not None:
                return found
        return (yield from self.hosts([(P_UDP, host, default_port(P_UDP))]))

    def services(
        self, names: Sequence[tuple[int, str]]
    ) -> Generator[Sequence[Query], Sequence[Answer], list[Destination] | None]:
        """Follow SRV names; None if none of them has a record (§4.2)."""
        names = [(proto, name) for proto, name in names if name]
        if not names:
            return None
        answers = yield [(name, "SRV") for _, name in names]
        hosts: list[tuple[int, str, int]] = []
        exists = False
        for (proto, _), answer in zip(names, answers, strict=True):
            records = [r for r in answer.records if isinstance(r, Srv)]
            exists = exists or bool(records)
            for record in self._in_order(records):
                # The root as target says that there is no such service here (RFC 2782).
                if record.target.rstrip(".") and record.port:
                    hosts.append((proto, record.target, record.port))
        if not exists:
            return None
        return (yield from self.hosts(hosts[:MAX_HOSTS]))

    def hosts(self, hosts: Sequence[tuple[int, str, int]]) -> Plan:
        """The addresses of (protocol, host, port)s, in order: all for failover, else the first there is."""
        if self.settings.use_dns_failover:
            return (yield from self._addresses(hosts))
        for host in hosts:
            found = yield from self._addresses([host])
            if found:
                return found[:1]
        return []

    def _addresses(self, hosts: Sequence[tuple[int, str, int]]) -> Plan:
        questions = [(host.lower().rstrip("."), kind) for _, host, _ in hosts if not is_ip(host) for kind in self.kinds]
        answers = dict(zip(questions, (yield questions) if questions else (), strict=True))
        found: dict[tuple[int, Address], Destination] = {}
        for proto, host, port in hosts:
            name = host.lower().rstrip(".")
            for ip in [host] if is_ip(host) else self._ips(name, answers):
                address = Address.of(ip, port)
                found.setdefault((proto, address), Destination(proto, address, name))
                if len(found) == MAX_DESTINATIONS:
                    return list(found.values())
        return list(found.values())

    def _ips(self, name: str, answers: Mapping[Query, Answer]) -> Iterator[str]:
        for kind in self.kinds:
            for ip in answers[name, kind].records:
                if isinstance(ip, str):
                    yield ip

    def _preferred(self) -> list[int]:
        """The protocols that we have, the most preferred first."""
        known = [proto for proto in _PREFERENCES if proto in self.means.protos]
        known.sort(key=lambda proto: -self._preference(proto))
        return [proto for proto in known if self._preference(proto) >= 0]

    def _preference(self, proto: int) -> int:
        name, default = _PREFERENCES[proto]
        value: int = getattr(self.settings, name, default)
        return value

    def _rules(self, records: Iterable[Naptr]) -> list[tuple[int, str]]:
        """The SRV names that NAPTR records lead to, of protocols that we have."""
        found = []
        for record in records:
            proto = _SERVICES.get(record.service.lower(), 0)
            if proto not in self.means.protos or record.flags.lower() != "s" or record.regexp:
                continue
            preference = self._preference(proto)
            if preference < 0:
                continue
            first = -preference if self.settings.dns_naptr_ignore_rfc else 0
            found.append((first, record.order, record.preference, proto, record.replacement.lower()))
        found.sort(key=lambda rule: rule[:3])
        return [(proto, name.rstrip(".")) for *_, proto, name in found[:MAX_RULES]]

    def _in_order(self, records: Sequence[Srv]) -> list[Srv]:
        """SRV records in the order to try them."""
        records = sorted(records, key=lambda r: (r.priority, -r.weight))[:MAX_RECORDS]
        if not self.settings.dns_srv_lb:
            return records
        ordered: list[Srv] = []
        for _, group in groupby(records, key=lambda r: r.priority):
            ordered += self._by_chance(list(group))
        return ordered

    def _by_chance(self, group: list[Srv]) -> list[Srv]:
        """Weighted selection without replacement (RFC 2782, "Weight")."""
        group.sort(key=lambda r: r.weight)  # those of weight 0 stand first, so that they have a small chance
        ordered = []
        while group:
            at = self.rng.randint(0, sum(r.weight for r in group))
            for record in group:
                at -= record.weight
                if at <= 0:
                    break
            group.remove(record)
            ordered.append(record)
        return ordered


def _families(settings: DnsSettings, available: Collection[int]) -> list[int]:
    """The IP families to ask for, in order."""
    flags = settings.dns_cache_flags
    order = (6, 4) if flags & PREFER_IPV6 else (4, 6)
    refused = {6} if flags & IPV4_ONLY or not settings.dns_try_ipv6 else {4} if flags & IPV6_ONLY else set()
    return [family for family in order if family in available and family not in refused]
