"""Listeners declared `virtual`, whose addresses come to this host and go, in Kamailio and here.

Addresses are given and taken in a network namespace of its own, in which this file is run once more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kahea.net.address import P_UDP
from kahea.routing.settings import parse_listen
from kahea.testing import Simulation

from .wire import KAMAILIO, PING, Stage, both, first_line

#: Set in the run within the namespace.
INSIDE = "KAHEA_TEST_OWN_NETWORK"
CFG = f"""
ip_free_bind=1
disable_tcp=yes
listen=udp:@SERVER
listen=udp:198.51.100.7:5060 virtual
listen=udp:198.51.100.8:5070 advertise 203.0.113.5:5080 name "moving" virtual
listen=udp:198.51.100.9:5060 name "fixed"
listen=udp:@SECOND virtual
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "corex.so"
loadmodule "siputils.so"
loadmodule "jsonrpcs.so"
modparam("jsonrpcs", "transport", 0)
request_route {{{PING}
    $var(out) = "";
    if (uri == myself) $var(out) = $var(out) + " uri";
    if (dst_ip == myself) $var(out) = $var(out) + " dst";
    if (is_present_hf("Route")) {{ loose_route(); $var(out) = $var(out) + " route=" + $rc; }}
    if (is_present_hf("Socket")) {{ $fs = $hdr(Socket); $var(out) = $var(out) + " fs=" + $fs; }}
    if (is_present_hf("Send")) {{ set_send_socket($hdr(Send)); $var(out) = $var(out) + " send=" + $fs; }}
    if (is_present_hf("Recv")) {{ set_recv_socket("$hdr(Recv)"); $var(out) = $var(out) + " recv=" + $Ri; }}
    if (is_present_hf("Name")) {{ $fsn = $hdr(Name); $var(out) = $var(out) + " fsn=" + $fs; }}
    if (is_present_hf("Fixed")) {{
        force_send_socket(udp:198.51.100.7:5060);
        $var(out) = $var(out) + " fixed=" + $fs;
    }}
    if (is_present_hf("Command")) {{
        jsonrpc_exec('{{"jsonrpc":"2.0","id":1,"method":"$hdr(Command)"}}');
        $var(out) = $(jsonrpl(body){{s.encode.hexa}});
    }}
    append_to_reply("Out: $var(out)\\r\\n");
    send_reply("200", "OK");
}}
"""
PLACES = (
    "198.51.100.7",
    "198.51.100.7:5060",
    "198.51.100.8:5070",
    "203.0.113.5:5080",
    "198.51.100.9:5060",
    "@SECOND",
    "@SERVER",
)


def ip(*arguments: str) -> None:
    """The command `ip`."""
    subprocess.run(["ip", *arguments], check=True)


def ask(s: Stage, uri: str = "sip:bob@example.com", headers: str = "", to: str = "@SERVER") -> str:
    """What the script finds out."""
    s.send(s.request("OPTIONS", uri, headers), to=to)
    got = s.receive()
    out = next((line for line in got.split("\r\n") if line.startswith("Out:")), "")
    return f"{first_line(got)} {out}"


def coming_and_going(s: Stage) -> list[object]:
    """What is this node's, and what is found, while the addresses are elsewhere, here, and elsewhere again."""
    found: list[object] = []
    for change in ("", "add", "del"):
        if change:
            ip("addr", change, "198.51.100.7/32", "dev", "lo")
            ip("addr", change, "198.51.100.8/32", "dev", "lo")
        for place in PLACES:
            found.append((change, place, ask(s, f"sip:{place}"), ask(s, headers=f"Route: <sip:{place};lr>\r\n")))
        for header in ("Socket", "Send", "Recv"):
            for place in ("198.51.100.7:5060", "198.51.100.8:5070", "203.0.113.5:5080", "198.51.100.9:5060"):
                if header == "Recv" and ("9:" in place or ("5:" in place and change != "add")):
                    continue  # no reply leaves from there
                found.append((change, header, place, ask(s, headers=f"{header}: udp:{place}\r\n")))
        for name in ("moving", "fixed"):
            found.append((change, name, ask(s, headers=f"Name: {name}\r\n")))
        found.append((change, ask(s, headers="Fixed: 1\r\n")))
        found.append((change, ask(s, to="@SECOND")))
        if change == "add":
            found.append(ask(s, to="198.51.100.7:5060"))
        for command in ("corex.list_sockets", "core.sockets_list"):
            answer = ask(s, headers=f"Command: {command}\r\n").rpartition(" ")[2]
            found.append((change, json.loads(bytes.fromhex(answer).decode().replace(str(s.port), "PORT"))["result"]))
    return found


@pytest.mark.skipif(INSIDE not in os.environ, reason="run by the test below, in a network of its own")
@pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed")
def test_inside(tmp_path: Path) -> None:
    both(CFG, tmp_path, coming_and_going)


@pytest.mark.skipif(INSIDE in os.environ, reason="runs the test above")
@pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed")
def test_as_in_kamailio() -> None:
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("needs unshare and ip")
    script = 'ip link set lo up && exec "$0" -m pytest -q -p no:cacheprovider "$1::test_inside"'
    command = ["unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", script, sys.executable, __file__]
    environment = os.environ | {INSIDE: "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    if "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("may not make a network namespace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_without_free_bind_it_can_not_be_bound(tmp_path: Path) -> None:
    cfg = tmp_path / "a.cfg"
    cfg.write_text('#!KAMAILIO\nlisten=udp:198.51.100.7:5060 virtual\nloadmodule "sl.so"\nrequest_route { exit; }\n')
    command = [sys.executable, "-m", "kahea", "run", str(cfg), "-Y", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "198.51.100.7:5060: this host has no such address" in done.stderr


def test_it_stands_in_listen() -> None:
    assert parse_listen('udp:198.51.100.7:5060 name "a" virtual').virtual
    assert not parse_listen('udp:198.51.100.7:5060 name "virtual"').virtual


def test_in_a_simulation() -> None:
    script = "#!KAMAILIO\nrequest_route { exit; }\n"
    with Simulation() as sim:
        node = sim.node(script, "udp:10.0.0.9:5060", "udp:10.0.0.10:5060 advertise 10.0.0.11 virtual")
        there = node.node.find_listener("udp:10.0.0.9:5060")
        assert there is node.listeners[0]
        for addresses in ((), ("10.0.0.10",), ("10.0.0.99",)):
            node.has_addresses(*addresses)
            has = "10.0.0.10" in addresses
            assert node.node.is_myself("10.0.0.10", 5060, P_UDP) is has
            assert (node.node.find_listener("udp:10.0.0.10:5060") is not None) is has
            assert node.node.is_myself("10.0.0.11", 5060)
            assert node.node.is_myself("10.0.0.9", 5060)
