"""Addresses are found again by value; a listener says what stands in Via; both may be used from Python."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.net.address import P_TCP, P_UDP, PROTO_IDS, PROTO_NAMES, Address, Listener, is_ip


def test_ipv4() -> None:
    a = Address.of("192.0.2.1", 5060)
    assert (a.ip, a.ip_bytes, a.host, a.port, a.family) == (
        "192.0.2.1", b"192.0.2.1", b"192.0.2.1", 5060, 4,
    )  # fmt: skip
    assert str(a) == "192.0.2.1:5060"
    assert repr(a) == "Address('192.0.2.1', 5060)"


def test_ipv6_is_written_in_brackets_where_a_port_may_follow() -> None:
    a = Address.of("2001:DB8:0::1", 5060)
    assert (a.ip, a.host, a.family) == ("2001:db8::1", b"[2001:db8::1]", 6)
    assert str(a) == "[2001:db8::1]:5060"
    assert a == Address.of(b"[2001:db8::1]", 5060)


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4.5", "[1.2.3.4]", "::1]", "[::1", "host", "1.2.3.4\0", "é", "x" * 100]
)
def test_what_is_no_ip_address(text: str) -> None:
    assert is_ip(text) == 0
    with pytest.raises(ValueError):
        Address.of(text, 5060)


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port(port: int) -> None:
    with pytest.raises(ValueError):
        Address.of("127.0.0.1", port)


def test_an_address_is_not_made_otherwise() -> None:
    with pytest.raises(TypeError):
        Address()


addresses = st.builds(lambda ip, port: (str(ip), port), st.ip_addresses(), st.integers(min_value=0, max_value=65535))


@given(addresses, addresses)
def test_equal_by_value(one: tuple[str, int], other: tuple[str, int]) -> None:
    a, b = Address.of(*one), Address.of(*other)
    same = ipaddress.ip_address(one[0]) == ipaddress.ip_address(other[0]) and one[1] == other[1]
    assert (a == b) is same
    assert (a != b) is not same
    if same:
        assert hash(a) == hash(b)
    again = Address.of(*one)
    assert again == a
    assert hash(again) == hash(a)


@given(st.ip_addresses(v=6))
def test_ipv6_text_reads_back(ip: ipaddress.IPv6Address) -> None:
    a = Address.of(str(ip), 1)
    assert ipaddress.ip_address(a.ip) == ip
    assert is_ip(a.host) == is_ip(a.ip) == 6


def test_the_cache_is_bounded_and_forgetting_changes_nothing() -> None:
    first = Address.of("10.0.0.1", 1)
    made = {Address.of(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 1) for i in range(30_000)}
    assert len(made) == 30_000
    assert first in made


def listener(ip: str = "192.0.2.1", proto: int = P_UDP) -> Listener:
    return Listener(proto, Address.of(ip, 5060))


def test_a_listener_says_what_stands_in_via() -> None:
    one = listener()
    assert (one.via_host, one.uri, one.proto_name) == (b"192.0.2.1", "udp:192.0.2.1:5060", "udp")
    one.advertised_host = b"sip.example.com"
    assert one.via_host == b"sip.example.com"
    one.advertised_port = 5060
    assert one.via_host == b"sip.example.com:5060"
    one.advertised_port = 5080
    assert one.via_host == b"sip.example.com:5080"
    one.advertised_host = b""
    assert one.via_host == b"192.0.2.1:5080"
    one.address = Address.of("192.0.2.2", 5070)
    assert one.uri == "udp:192.0.2.2:5070"
    assert listener("::1", P_TCP).uri == "tcp:[::1]:5060"
    assert listener("::1").via_host == b"[::1]"


def test_a_listener_needs_a_transport() -> None:
    with pytest.raises(NotImplementedError):
        listener().send(b"x", Address.of("127.0.0.1", 1))
    with pytest.raises(ValueError, match="transport"):
        listener(proto=99)


def test_python_may_subclass_it() -> None:
    sent = []

    class Virtual(Listener):
        def send(self, data: bytes, to: Address, connection_id: int = 0) -> bool:
            sent.append((data, to, connection_id))
            return True

    one = Virtual(P_UDP, Address.of("10.0.0.1", 5060), name="virtual")
    assert one.send(b"data", one.address, 7)
    assert sent == [(b"data", one.address, 7)]
    one.flush()
    assert one.name == "virtual"


def test_protocols_have_one_name_each() -> None:
    assert {number: name for name, number in PROTO_IDS.items()} == PROTO_NAMES
