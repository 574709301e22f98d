"""From what `listen` says to addresses that can be bound: names, interfaces and defaults resolved."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import ifaddr

from kahea.net.address import P_TCP, P_TLS, P_UDP, PROTO_IDS, Address, is_ip
from kahea.routing.settings import ConfigError, ListenSpec, Settings, parse_listen

log = logging.getLogger("kahea.server")

#: Of `bind_ipv6_link_local`.
_SKIP_LINK_LOCAL: Final = 2


@dataclass(frozen=True, slots=True)
class Bind:
    """One socket to be made: its address, and what a script and the other side see of it."""

    proto: int
    address: Address
    name: str
    agname: str
    advertised_host: bytes
    advertised_port: int
    mcast: str = ""
    virtual: bool = False
    vrf: str = ""


def binds(settings: Settings) -> list[Bind]:
    """The sockets that the settings ask for, in order and each once. Raises ConfigError.

    Without `listen`: UDP, TCP and, with `enable_tls`, TLS on every IPv4 address of this host, the loopback last, so
    that the first listener is one that others can reach; with `auto_bind_ipv6` on the global IPv6 addresses, too.
    """
    specs = [parse_listen(text) for text in settings.listen] or list(_everywhere(settings))
    found: dict[tuple[int, Address, str], Bind] = {}
    for spec in specs:
        for one in _binds_of(spec, settings):
            found.setdefault((one.proto, one.address, one.vrf), one)
    if not found:
        raise ConfigError("there is nothing to listen on: give an address by -l or `listen`")
    return list(found.values())


def _everywhere(settings: Settings) -> Iterator[ListenSpec]:
    addresses = [ipaddress.ip_address(text) for text in _host_addresses()]
    for address in sorted(addresses, key=lambda a: (a.version, a.is_loopback)):
        if address.version == 4 or (settings.auto_bind_ipv6 and address.is_global):
            yield ListenSpec("", str(address))


def _binds_of(spec: ListenSpec, settings: Settings) -> Iterator[Bind]:
    advertised = spec.advertise or settings.advertised_address
    host = f"[{advertised}]" if ":" in advertised else advertised
    for proto in (PROTO_IDS[spec.proto],) if spec.proto else (P_UDP, P_TCP, P_TLS):
        if proto == P_TCP and settings.disable_tcp:
            continue
        if proto == P_TLS and (settings.disable_tcp or not settings.enable_tls):
            if spec.proto:
                why = "disable_tcp is set" if settings.disable_tcp else "enable_tls is not set"
                log.warning("nothing listens on tls:%s: %s", spec.host, why)
            continue
        for ip in addresses_of(spec.host):
            if proto != P_UDP and not spec.proto and ipaddress.ip_address(ip.strip("[]")).is_multicast:
                continue  # a group is for datagrams
            if settings.bind_ipv6_link_local == _SKIP_LINK_LOCAL and ipaddress.ip_address(ip.strip("[]")).is_link_local:
                log.warning("nothing listens on %s: bind_ipv6_link_local leaves link-local addresses out", ip)
                continue
            address = Address.of(ip, _port(spec, proto, settings))
            port = spec.advertise_port or settings.advertised_port
            mcast = spec.mcast or settings.mcast
            yield Bind(proto, address, spec.name, spec.agname, host.encode(), port, mcast, spec.virtual, spec.vrf)


def _port(spec: ListenSpec, proto: int, settings: Settings) -> int:
    """The port of a listener; TLS beside UDP and TCP has the one after theirs."""
    if spec.any_port:
        return 0
    if proto == P_TLS:
        return (spec.port or settings.tls_port_no) + bool(spec.port and not spec.proto)
    return spec.port or settings.port


def addresses_of(host: str) -> list[str]:
    """The addresses of a host in `listen`: a literal, an interface or a name. Raises ConfigError."""
    if is_ip(host):
        return [host]
    of_interface = _host_addresses(host)
    if of_interface:
        return of_interface
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ConfigError(f"can't listen on {host!r}: no interface of this host, and {error.strerror}") from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _host_addresses(interface: str | None = None) -> list[str]:
    """All addresses of this host, or those of one interface; link-local IPv6 ones left out."""
    found = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            if interface in (None, adapter.name, ip.nice_name) and not ipaddress.ip_address(text).is_link_local:
                found.append(text)
    return found


def reverse_names(binds_: list[Bind]) -> list[str]:
    """The names of the listeners' addresses by the hosts file or DNS, for `auto_aliases`."""
    found = []
    for one in binds_:
        try:
            name = socket.gethostbyaddr(one.address.ip)[0]
        except OSError:
            continue
        found.append(f"{name}:{one.address.port}")
    return list(dict.fromkeys(found))


__all__ = ["Bind", "addresses_of", "binds", "reverse_names"]
