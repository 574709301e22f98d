"""How Kamailio writes what concerns contacts: listeners, hashes of AORs, numbers in ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kahea.net.address import Listener


def socket_text(sock: Listener | None, advertised: bool = False) -> str:
    """A listener as `udp:192.0.2.1:5060`, or as it is advertised; "" for none."""
    if sock is None:
        return ""
    if not advertised or not sock.advertised_host:
        return sock.uri
    port = sock.advertised_port or sock.address.port
    return f"{sock.proto_name}:{sock.advertised_host.decode('ascii', 'replace')}:{port}"


def aor_hash(aor: bytes) -> int:
    """Kamailio's hash of an AOR (32 bits): seen in temporary GRUUs, `ul.dump` and keepalives."""
    total = 0
    whole = len(aor) & ~3
    for at in range(0, whole, 4):
        value = int.from_bytes(aor[at : at + 4], "big")
        total += value ^ (value >> 3)
    rest = int.from_bytes(aor[whole:], "big")
    total += rest ^ (rest >> 3)
    total &= 0xFFFFFFFF
    return (total + (total >> 11) + (total >> 13) + (total >> 23)) & 0xFFFFFFFF


def reverse_hex(number: int) -> bytes:
    """A number in hexadecimal, lowest digit first, as Kamailio writes those in ruids and GRUUs."""
    return b"%x" % number if number < 16 else (b"%x" % number)[::-1]
