"""Making and binding sockets: the options that Kamailio's global parameters name, set in one place."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

import ifaddr

from kahea.net.address import Address

# Linux values that the socket module does not name.
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_DONT = 0
_IP_PMTUDISC_WANT = 1
_IP_PMTUDISC_DO = 2
_IP_FREEBIND = 15
_IP_BIND_ADDRESS_NO_PORT = 24
_IPV6_MTU_DISCOVER = 23
_SO_RCVBUFFORCE = 33
_SO_SNDBUFFORCE = 32

LOW_DELAY = 0x10


class BindError(Exception):
    """An address that can't be listened on; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """How sockets are made; the names are those of Kamailio's global parameters where it has one.

    `tos`: the IP type of service (traffic class for IPv6), 0..255. `pmtu_discovery`: 1 sets "don't
    fragment" on datagrams, which then fail when larger than the path's MTU; 0 lets routers fragment, and 2 this
    host, by what it knows of the path.
    `ip_free_bind`: bind addresses that the host does not have (yet). `reuse_port`: several processes share
    the port, and the kernel spreads peers over them (`tcp_reuse_port`). `receive_buffer` and `send_buffer`:
    bytes asked of the kernel per datagram socket; it may grant less (`net.core.rmem_max`). `vrf`: the
    device of a Linux VRF that the socket belongs to, "" for none. `mcast`: the interface on which a datagram socket
    whose address is a multicast group joins it, "" for what the host's routes choose. `mcast_loopback`: what is sent
    to a group comes back to this host's members. `mcast_ttl`: how many hops such datagrams may take, -1 for the
    system's default. `bind_ipv6_link_local`: find the interface of a link-local address to bind.
    `gather`: under load, seconds that a datagram may wait for others before it is read (`net.gathering`), 0 for none.
    """

    tos: int = LOW_DELAY
    pmtu_discovery: int = 0
    ip_free_bind: int = 0
    reuse_port: bool = False
    receive_buffer: int = 4 << 20
    send_buffer: int = 4 << 20
    vrf: str = ""
    mcast: str = ""
    mcast_loopback: bool = False
    mcast_ttl: int = -1
    bind_ipv6_link_local: bool = False
    gather: float = 0.0


def datagram_socket(address: Address, options: SocketOptions) -> socket.socket:
    """A bound, non-blocking UDP socket; raises BindError.

    SO_REUSEADDR is left off: on UDP it would let a second server take the port without anyone noticing.
    """
    sock = _make(address, socket.SOCK_DGRAM, options)
    try:
        _enlarge(sock, socket.SO_RCVBUF, _SO_RCVBUFFORCE, options.receive_buffer)
        _enlarge(sock, socket.SO_SNDBUF, _SO_SNDBUFFORCE, options.send_buffer)
        mode = (_IP_PMTUDISC_DONT, _IP_PMTUDISC_DO, _IP_PMTUDISC_WANT)[options.pmtu_discovery]
        if address.family == 4:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, mode)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, mode)
        _prepare_multicast(sock, address, options)
        _bind(sock, address, "udp", options)
    except BaseException:
        sock.close()
        raise
    return sock


def _prepare_multicast(sock: socket.socket, address: Address, options: SocketOptions) -> None:
    """Say where what is sent to groups goes; join the group that the address is. Raises BindError."""
    four = address.family == 4
    level = socket.IPPROTO_IP if four else socket.IPPROTO_IPV6
    sock.setsockopt(
        level, socket.IP_MULTICAST_LOOP if four else socket.IPV6_MULTICAST_LOOP, int(options.mcast_loopback)
    )
    if options.mcast_ttl >= 0:
        sock.setsockopt(level, socket.IP_MULTICAST_TTL if four else socket.IPV6_MULTICAST_HOPS, options.mcast_ttl)
    if not ip_address(address.ip).is_multicast:
        return
    try:
        interface = socket.if_nametoindex(options.mcast) if options.mcast else 0
        group = socket.inet_pton(sock.family, address.ip)
        if four:
            # struct ip_mreqn: the group, no address of an interface, the interface.
            sock.setsockopt(level, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", group, bytes(4), interface))
        else:
            sock.setsockopt(level, socket.IPV6_JOIN_GROUP, struct.pack("=16si", group, interface))
    except OSError as error:
        where = f" on {options.mcast}" if options.mcast else ""
        hint = "; name an interface by `mcast`" if error.errno == errno.ENODEV and not options.mcast else ""
        raise BindError(f"cannot join the group {address.ip}{where}: {error.strerror}{hint}") from error


def stream_server_socket(address: Address, options: SocketOptions, proto: str = "tcp") -> socket.socket:
    """A bound TCP socket, not yet listening; raises BindError, whose text names `proto`."""
    sock = _make(address, socket.SOCK_STREAM, options)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(sock, address, proto, options)
    except BaseException:
        sock.close()
        raise
    return sock


def stream_client_socket(
    family: int, options: SocketOptions, source: Address, share_port: bool = False
) -> socket.socket:
    """A non-blocking TCP socket to connect from `source`, whose port 0 leaves the port to the kernel.

    `share_port` lets the port be one that a listener has (SO_REUSEPORT on both). Raises OSError.
    """
    sock = socket.socket(_family(family), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _common(sock, family, options)
        if share_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if source.port == 0:
            # The port is chosen on connecting, by the whole 4-tuple, so that they last longer.
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source.ip, source.port))
    except BaseException:
        sock.close()
        raise
    return sock


def local_address(sock: socket.socket) -> Address:
    """Where a socket is bound, with the real port."""
    name = sock.getsockname()
    return Address.of(name[0].partition("%")[0], name[1])


def route_source(address: Address) -> str:
    """The address of this host from which its routes lead to another; "" if none do. Nothing is sent."""
    with socket.socket(_family(address.family), socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address.ip, address.port or 1))
        except OSError:
            return ""
        return local_address(sock).ip


def _family(family: int) -> socket.AddressFamily:
    return socket.AF_INET if family == 4 else socket.AF_INET6


def _make(address: Address, kind: socket.SocketKind, options: SocketOptions) -> socket.socket:
    sock = socket.socket(_family(address.family), kind)
    try:
        sock.setblocking(False)
        _common(sock, address.family, options)
        if options.ip_free_bind:
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        if options.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        sock.close()
        raise BindError(f"cannot prepare a socket for {address}: {error.strerror}") from error
    return sock


def _common(sock: socket.socket, family: int, options: SocketOptions) -> None:
    if family == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, options.tos)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, options.tos)
    if options.vrf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options.vrf.encode())


def _bind(sock: socket.socket, address: Address, proto: str, options: SocketOptions) -> None:
    link_local = address.family == 6 and ip_address(address.ip).is_link_local
    try:
        if link_local and options.bind_ipv6_link_local:
            sock.bind((address.ip, address.port, 0, _interface_of(address)))
        elif options.mcast and address.family == 6 and ip_address(address.ip).is_multicast:
            sock.bind((address.ip, address.port, 0, socket.if_nametoindex(options.mcast)))
        else:
            sock.bind((address.ip, address.port))
    except OSError as error:
        why = {
            errno.EADDRINUSE: "the port is in use",
            errno.EADDRNOTAVAIL: "this host has no such address",
            errno.EACCES: "not permitted",
        }.get(error.errno or 0, os.strerror(error.errno or 0))
        if link_local and error.errno == errno.EINVAL:
            why = "a link-local address needs its interface: set `bind_ipv6_link_local`"
        raise BindError(f"cannot listen on {proto}:{address}: {why}") from error


def _interface_of(address: Address) -> int:
    """The number of the interface that has an IPv6 address, 0 if none has."""
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            if isinstance(one.ip, tuple) and Address.of(one.ip[0], 0).ip == address.ip:
                return one.ip[2]
    return 0


def _enlarge(sock: socket.socket, option: int, forced: int, size: int) -> None:
    """Ask for a large buffer: beyond the system's limit where we may, else up to it."""
    if size <= 0:
        return
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, size)
    except OSError:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, size)
