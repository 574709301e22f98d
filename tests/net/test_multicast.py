"""Multicast groups and link-local addresses, on the loopback interface."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kahea.cli.listening import binds
from kahea.engines.native.load import load
from kahea.engines.native.parser import parse_text
from kahea.net.address import P_UDP, Address
from kahea.net.sockets import BindError, SocketOptions, datagram_socket, local_address
from kahea.routing.global_parameters import Settings
from kahea.routing.settings import parse_listen

GROUP = "239.255.77.1"
SIX = "ff01::7777"  # interface-local: it leaves no interface


def test_a_group_is_joined_on_the_interface() -> None:
    with datagram_socket(Address.of(GROUP, 0), SocketOptions(mcast="lo")) as member:
        member.settimeout(5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            sender.sendto(b"hello", (GROUP, local_address(member).port))
            assert member.recv(100) == b"hello"


def test_an_ipv6_group() -> None:
    joined = f" {socket.inet_pton(socket.AF_INET6, SIX).hex()} "
    members = Path("/proc/net/igmp6")
    if not members.exists():
        pytest.skip("needs Linux with IPv6")
    with datagram_socket(Address.of(SIX, 0), SocketOptions(mcast="lo")) as member:
        assert local_address(member).ip == SIX
        assert [line.split()[1] for line in members.read_text().splitlines() if joined in line] == ["lo"]
    assert joined not in members.read_text()


@pytest.mark.parametrize(("loopback", "ttl", "found"), [(False, -1, (0, 1)), (True, 0, (1, 0)), (True, 7, (1, 7))])
def test_what_is_sent_to_groups(loopback: bool, ttl: int, found: tuple[int, int]) -> None:
    options = SocketOptions(mcast_loopback=loopback, mcast_ttl=ttl)
    with (
        datagram_socket(Address.of("127.0.0.1", 0), options) as four,
        datagram_socket(Address.of("::1", 0), options) as six,
    ):
        level = socket.IPPROTO_IP
        assert (
            four.getsockopt(level, socket.IP_MULTICAST_LOOP),
            four.getsockopt(level, socket.IP_MULTICAST_TTL),
        ) == found
        level = socket.IPPROTO_IPV6
        hops = six.getsockopt(level, socket.IPV6_MULTICAST_HOPS)
        assert (six.getsockopt(level, socket.IPV6_MULTICAST_LOOP), hops) == found


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(BindError, match=r"cannot join the group 239\.255\.77\.1 on nothing0"):
        datagram_socket(Address.of(GROUP, 0), SocketOptions(mcast="nothing0"))


def test_a_listener_has_its_own_interface_or_the_general_one() -> None:
    assert parse_listen(f'udp:{GROUP}:5060 mcast "eth7"').mcast == "eth7"
    settings = Settings()
    settings.listen = [f"{GROUP}:5060 mcast eth7", f"udp:{GROUP}:5061", "127.0.0.1:5062"]
    settings.mcast = "lo"
    found = [(one.proto, one.address.port, one.mcast) for one in binds(settings)]
    assert found[:2] == [(P_UDP, 5060, "eth7"), (P_UDP, 5061, "lo")]  # a group is for datagrams
    assert len(found) == 4


def test_link_local_addresses_may_be_left_out(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings()
    settings.listen = ["udp:[fe80::7]:5060", 'udp:[2001:db8::7]:5060 vrf "red"', "udp:[2001:db8::7]:5060"]
    settings.bind_ipv6_link_local = 2
    assert [(one.address.ip, one.vrf) for one in binds(settings)] == [("2001:db8::7", "red"), ("2001:db8::7", "")]
    assert "nothing listens on fe80::7" in caplog.text


def test_in_a_cfg_it_is_for_the_next_listener_only() -> None:
    text = 'mcast="lo"\nlisten=udp:239.1.1.1:5060\nlisten=udp:239.1.1.2:5060\nmcast=d0\nrequest_route { exit; }'
    settings = load(parse_text(text, "kamailio.cfg"), Path("kamailio.cfg")).settings
    assert settings.listen == ['udp:239.1.1.1:5060 mcast "lo"', "udp:239.1.1.2:5060"]
    assert settings.mcast == ""


LINK_LOCAL = """
from kahea.net.address import Address
from kahea.net.sockets import BindError, SocketOptions, datagram_socket, local_address
from kahea.net.sockets import stream_server_socket
at = Address.of("fe80::7", 0)
try:
    datagram_socket(at, SocketOptions())
except BindError as error:
    print(error)
options = SocketOptions(bind_ipv6_link_local=True)
sock, other = datagram_socket(at, options), datagram_socket(at, options)
other.sendto(b"hello", (local_address(sock).ip, local_address(sock).port))
sock.setblocking(True)
print(sock.recv(100), local_address(sock).ip)
stream_server_socket(at, options).close()
try:
    datagram_socket(Address.of("fe80::8", 0), options)
except BindError as error:
    print(error)
"""


def test_link_local_addresses() -> None:
    # In a network of its own, whose loopback interface gets such an address.
    script = 'ip link set lo up && ip -6 addr add fe80::7/64 dev lo nodad && exec "$0" -c "$1"'
    command = ["unshare", "-n", "sh", "-c", script, sys.executable, LINK_LOCAL]
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("needs unshare and ip")
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("may not make a network namespace")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "cannot listen on udp:[fe80::7]:0: a link-local address needs its interface: set `bind_ipv6_link_local`",
        "b'hello' fe80::7",
        "cannot listen on udp:[fe80::8]:0: a link-local address needs its interface: set `bind_ipv6_link_local`",
    ]
