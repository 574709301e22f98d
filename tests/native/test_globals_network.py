"""Global parameters of the network whose effect shows on the wire, beside Kamailio's."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from .wire import KAMAILIO, PING, Stage, both, lines

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed")
MODULES = "\n".join(f'loadmodule "{name}.so"' for name in ("tm", "sl", "pv", "textops", "corex", "rr", "xlog"))

HOMES = f"""
listen=udp:@SECOND
listen=udp:@THIRD
listen=udp:@SERVER
mhomed=MHOMED
{MODULES}
request_route {{{PING}
    record_route();
    $du = "sip:@CALLEE";
    if ($rU == "forced") $fs = "udp:@THIRD";
    if ($rU == "third") $du = "sip:127.0.0.4:9";
    if ($rU == "forward") {{ forward(); exit; }}
    t_relay();
}}
"""


def homes(s: Stage) -> list[object]:
    """From which address requests leave that came in at another."""
    found: list[object] = []
    for user in ("relay", "forward", "forced"):
        for to in ("@SECOND", "@SERVER"):
            s.send(s.request("MESSAGE", f"sip:{user}@example.com"), to=to)
            data, source = s.callee.recvfrom(65535)
            request, sender = data.decode(), "{}:{}".format(*source)
            found.append((user, to, s.blank(sender), lines(s.blank(request), "Via", "Record-Route")))
            s.answer(request, "200 OK")
            found.append(lines(s.receive(), "Via"))
    return found


@pytest.mark.parametrize("mhomed", [0, 1])
def test_mhomed(tmp_path: Path, mhomed: int) -> None:
    both(HOMES.replace("MHOMED", str(mhomed)), tmp_path, homes)


BALANCED = f"""
listen=udp:@SERVER
listen=tcp:@SERVER
tcp_accept_haproxy=yes
{MODULES}
request_route {{{PING}
    append_to_reply("X: $si $Ri:$Rp $pr $su $siz\\r\\n");
    sl_send_reply("200", "$si");
}}
"""


def balanced(s: Stage) -> list[object]:
    """Whose a connection is, by its PROXY header. (Of version 2, Kamailio swaps the bytes of the port.)"""
    found: list[object] = []
    address = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.9")
    same = address + struct.pack("!HH", 0x1313, 5060)
    for header in (
        b"",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 40000 5060\r\n",
        b"PROXY TCP6 2001:db8::1 2001:db8::9 40000 5060\r\n",
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 40000\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 400000 5060\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(same)) + same,
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x12" + struct.pack("!H", len(same)) + same,
        b"\r\n\r\n\0\r\nQUIT\n\x25\x11" + struct.pack("!H", len(same)) + same,
    ):
        with s.connected() as c:
            request = s.fill(s.request("OPTIONS", proto="TCP")).encode()
            own = f":{c.getsockname()[1]};"
            try:
                c.sendall(header + request)
                got = c.recv(65535).decode()
            except OSError:
                got = ""
            found.append((header, lines(s.blank(got).replace(own, ":OWN;"), "X", "Via")))
            found.append(s.over(c, request) if got else "")
    return found


def test_proxy_protocol(tmp_path: Path) -> None:
    both(BALANCED, tmp_path, balanced)


HEP3 = f"""
listen=udp:@SERVER
listen=tcp:@SERVER
tcp_accept_hep3=yes
{MODULES}
request_route {{{PING}
    sl_send_reply("200", "OK");
}}
"""


def hep3(s: Stage) -> list[object]:
    """Packets of HEP3, which no module takes, and messages beside them."""
    found: list[object] = []
    request = s.fill(s.request("OPTIONS", proto="TCP")).encode()
    packet = b"HEP3" + struct.pack("!H", 6 + 6 + len(request)) + struct.pack("!HHH", 0, 15, 6 + len(request)) + request
    for data in (packet, packet + request, b"HEP3\0\6", b"HEP3\0\3" + request, b"HEP3\0\x14" + bytes(14), request):
        with s.connected() as c:
            found.append(s.over(c, data))
    with s.connected() as c:
        c.sendall(packet[:40])
        found.append(s.over(c, packet[40:]))
    with s.connected() as c:
        found += [s.over(c, request), s.over(c, packet)]
    return found


def test_hep3(tmp_path: Path) -> None:
    both(HEP3, tmp_path, hep3)


SIX = f"""
listen=udp:@SERVER
listen=udp:@SIX
ipv6_hex_style="STYLE"
{MODULES}
request_route {{{PING}
    force_rport();
    append_to_reply("X: $si $Ri $siz $RAi $su $fu\\r\\n");
    if (src_ip == ::1) append_to_reply("Y: loop $Rut $Ru\\r\\n");
    if ($rU == "relay") {{ record_route(); $du = "sip:@CALLEE"; add_local_rport(); forward(); exit; }}
    sl_send_reply("200", "OK");
}}
"""


def six(s: Stage) -> list[object]:
    """How an IPv6 address is written."""
    found: list[object] = []
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
        one.bind(("::1", 0))
        one.settimeout(5)
        own = str(one.getsockname()[1])
        for user in ("bob", "relay"):
            request = s.fill(s.request("OPTIONS", f"sip:{user}@example.com", via="[0:0::2]"))
            one.sendto(request.encode(), ("::1", s.port))
            got = one.recv(65535).decode() if user == "bob" else s.raw(s.callee)
            found.append(
                lines(s.blank(got).replace(own, "OWN").replace(str(s.port), "PORT"), "X", "Y", "Via", "Record-Route")
            )
    return found


@pytest.mark.parametrize("style", ["A", "a", "c"])
def test_ipv6_hex_style(tmp_path: Path, style: str) -> None:
    both(SIX.replace("STYLE", style), tmp_path, six)
