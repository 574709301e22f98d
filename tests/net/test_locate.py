"""RFC 3263 as a plan: which questions are asked, in which order, and where they lead.

Expectations marked "as seen" are what Kamailio 5.6.3 did with the same records, watched on its own network.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.net.address import P_SCTP, P_TCP, P_TLS, P_UDP, P_WS, P_WSS, PROTO_NAMES
from kahea.net.dns_records import Answer, Naptr, Query, Record, ResolveError, Srv, dns_name
from kahea.net.dns_settings import DnsDefaults
from kahea.net.locate import (
    MAX_DESTINATIONS,
    MAX_HOSTS,
    Destination,
    Means,
    Target,
    default_port,
    literal,
    locate,
    protocol,
)

Zone = Mapping[Query, Sequence[Record]]

ZONE: Zone = {
    ("a.t", "A"): ["127.0.1.1", "127.0.1.2"],
    ("six.t", "A"): ["127.0.1.1"],
    ("six.t", "AAAA"): ["fd00::1"],
    ("srv.t", "A"): ["127.0.2.9"],
    ("_sip._udp.srv.t", "SRV"): [
        Srv(10, 10, 5071, "h1.t"), Srv(10, 60, 5072, "h2.t"),
        Srv(5, 0, 5073, "h3.t"), Srv(20, 0, 5074, "h4.t"),
    ],
    ("h1.t", "A"): ["127.0.2.1"],
    ("h2.t", "A"): ["127.0.2.2", "127.0.2.22"],
    ("h3.t", "A"): ["127.0.2.3"],
    ("h4.t", "A"): ["127.0.2.4"],
    ("_sip._tcp.tcponly.t", "SRV"): [Srv(10, 10, 5081, "h1.t")],
    ("tcponly.t", "A"): ["127.0.2.9"],
    ("_sip._udp.both.t", "SRV"): [Srv(10, 10, 5071, "h1.t")],
    ("_sip._tcp.both.t", "SRV"): [Srv(10, 10, 5081, "h2.t")],
    ("_sips._tcp.both.t", "SRV"): [Srv(10, 10, 5091, "h3.t")],
    ("np.t", "NAPTR"): [
        Naptr(5, 50, "s", "SIPS+D2T", "", "_sips._tcp.both.t"),
        Naptr(10, 50, "s", "SIP+D2T", "", "_sip._tcp.both.t"),
        Naptr(20, 50, "S", "sip+d2u", "", "_sip._udp.both.t."),
    ],
    ("np.t", "A"): ["127.0.2.9"],
    ("npbad.t", "NAPTR"): [Naptr(10, 50, "s", "SIP+D2U", "", "_sip._udp.nosuch.t")],
    ("npbad.t", "A"): ["127.0.2.9"],
    ("npodd.t", "NAPTR"): [
        Naptr(10, 50, "u", "SIP+D2U", "", "_sip._udp.both.t"),
        Naptr(10, 50, "s", "E2U+sip", "!^.*$!sip:x@y!", ""),
        Naptr(10, 50, "s", "SIP+D2U", "!a!b!", "_sip._udp.both.t"),
        Naptr(10, 50, "s", "SIP+D2X", "", "_sip._udp.both.t"),
    ],
    ("npodd.t", "A"): ["127.0.2.9"],
    ("_sip._udp.dot.t", "SRV"): [Srv(0, 0, 0, ".")],
    ("dot.t", "A"): ["127.0.2.9"],
    ("_sip._udp.ip.t", "SRV"): [Srv(0, 0, 5075, "192.0.2.7")],
}  # fmt: skip


class Walk:
    """A plan followed to its end by a table."""

    def __init__(
        self,
        host: str,
        *,
        port: int = 0,
        proto: int = 0,
        zone: Zone = ZONE,
        protos: Sequence[int] = (P_UDP, P_TCP),
        families: Sequence[int] = (4,),
        rng: random.Random | None = None,
        **settings: object,
    ) -> None:
        self.asked: list[str] = []
        defaults = DnsDefaults(use_dns_failover=True)
        for name, value in settings.items():
            setattr(defaults, name, value)
        plan = locate(Target(host, port, proto, False), defaults, Means(protos, families), rng or random.Random(1))
        try:
            questions = next(plan)
            while True:
                self.asked += [f"{name}/{kind}" for name, kind in questions]
                questions = plan.send([Answer(tuple(zone.get(question, ()))) for question in questions])
        except StopIteration as done:
            self.found: list[Destination] = done.value

    @property
    def sent(self) -> list[str]:
        """Where it leads, as `udp:ip:port`."""
        return [f"{PROTO_NAMES[d.proto]}:{d.address}" for d in self.found]


def test_an_ip_literal_asks_nothing() -> None:
    assert Walk("192.0.2.1").sent == ["udp:192.0.2.1:5060"]
    assert Walk("[2001:db8::1]", port=5070, proto=P_TCP).sent == ["tcp:[2001:db8::1]:5070"]
    assert Walk("192.0.2.1", proto=P_TLS).sent == ["tls:192.0.2.1:5061"]
    assert Walk("192.0.2.1").asked == []
    assert literal(Target("host", 5060, 0, False)) is None


def test_a_port_asks_for_addresses_only() -> None:
    walk = Walk("srv.t", port=5090)
    assert walk.asked == ["srv.t/A"]
    assert walk.sent == ["udp:127.0.2.9:5090"]
    assert Walk("srv.t", port=5090, proto=P_TCP).sent == ["tcp:127.0.2.9:5090"]


def test_srv_by_priority_then_weight() -> None:
    """As seen."""
    walk = Walk("srv.t")
    assert walk.asked[0] == "_sip._udp.srv.t/SRV"
    assert walk.sent == [
        "udp:127.0.2.3:5073", "udp:127.0.2.2:5072", "udp:127.0.2.22:5072", "udp:127.0.2.1:5071",
        "udp:127.0.2.4:5074",
    ]  # fmt: skip
    assert [d.host for d in walk.found] == ["h3.t", "h2.t", "h2.t", "h1.t", "h4.t"]


def test_without_srv_the_host_itself() -> None:
    """As seen: UDP in the end, whatever the preferences."""
    walk = Walk("a.t", dns_tcp_pref=50)
    assert walk.asked == ["_sip._tcp.a.t/SRV", "_sip._udp.a.t/SRV", "a.t/A"]
    assert walk.sent == ["udp:127.0.1.1:5060", "udp:127.0.1.2:5060"]


def test_the_first_transport_that_has_srv() -> None:
    """As seen."""
    walk = Walk("tcponly.t")
    assert walk.asked[:2] == ["_sip._udp.tcponly.t/SRV", "_sip._tcp.tcponly.t/SRV"]
    assert walk.sent == ["tcp:127.0.2.1:5081"]
    assert Walk("both.t").sent == ["udp:127.0.2.1:5071"]
    assert Walk("both.t", dns_tcp_pref=50).sent == ["tcp:127.0.2.2:5081", "tcp:127.0.2.22:5081"]
    assert Walk("both.t", dns_udp_pref=-1).sent == ["tcp:127.0.2.2:5081", "tcp:127.0.2.22:5081"]


def test_a_given_transport_asks_for_its_srv_alone() -> None:
    """As seen."""
    walk = Walk("both.t", proto=P_TCP, dns_try_naptr=True)
    assert walk.asked == ["_sip._tcp.both.t/SRV", "h2.t/A"]
    assert Walk("a.t", proto=P_TCP).sent == ["tcp:127.0.1.1:5060", "tcp:127.0.1.2:5060"]
    assert Walk("both.t", proto=P_TLS).sent == ["tls:127.0.2.3:5091"]
    assert Walk("a.t", proto=P_TLS).sent == ["tls:127.0.1.1:5061", "tls:127.0.1.2:5061"]


def test_websocket_has_no_srv() -> None:
    walk = Walk("a.t", proto=P_WSS)
    assert walk.asked == ["a.t/A"]
    assert walk.sent == ["wss:127.0.1.1:443", "wss:127.0.1.2:443"]


def test_naptr_by_our_preference() -> None:
    """As seen: and what we have no listener for is left out."""
    walk = Walk("np.t", dns_try_naptr=True)
    assert walk.asked[0] == "np.t/NAPTR"
    assert walk.sent == ["udp:127.0.2.1:5071", "tcp:127.0.2.2:5081", "tcp:127.0.2.22:5081"]
    assert Walk("np.t", dns_try_naptr=True, dns_tcp_pref=-1).sent == ["udp:127.0.2.1:5071"]


def test_naptr_by_their_order() -> None:
    """As seen."""
    walk = Walk("np.t", dns_try_naptr=True, dns_naptr_ignore_rfc=False)
    assert walk.sent == ["tcp:127.0.2.2:5081", "tcp:127.0.2.22:5081", "udp:127.0.2.1:5071"]
    secure = Walk("np.t", dns_try_naptr=True, dns_naptr_ignore_rfc=False, protos=(P_UDP, P_TCP, P_TLS))
    assert secure.sent[0] == "tls:127.0.2.3:5091"


def test_naptr_is_not_asked_for_unless_set() -> None:
    """As seen."""
    assert Walk("np.t").asked == ["_sip._udp.np.t/SRV", "_sip._tcp.np.t/SRV", "np.t/A"]


@pytest.mark.parametrize("host", ["npbad.t", "npodd.t"])
def test_naptr_that_leads_nowhere_is_as_none(host: str) -> None:
    """As seen."""
    walk = Walk(host, dns_try_naptr=True)
    assert walk.asked[-3:] == [f"_sip._udp.{host}/SRV", f"_sip._tcp.{host}/SRV", f"{host}/A"]
    assert walk.sent == ["udp:127.0.2.9:5060"]


def test_a_service_that_is_said_not_to_exist() -> None:
    assert Walk("dot.t").sent == []
    assert Walk("dot.t", proto=P_TCP).sent == ["tcp:127.0.2.9:5060"]


def test_an_address_where_srv_should_have_a_name() -> None:
    assert Walk("ip.t").sent == ["udp:192.0.2.7:5075"]


def test_ip_families() -> None:
    """As seen: IPv4 first, AAAA asked only with an IPv6 listener."""
    assert Walk("six.t", port=5060).asked == ["six.t/A"]
    both = Walk("six.t", port=5060, families=(4, 6))
    assert both.asked == ["six.t/A", "six.t/AAAA"]
    assert both.sent == ["udp:127.0.1.1:5060", "udp:[fd00::1]:5060"]
    assert Walk("six.t", port=5060, families=(4, 6), dns_cache_flags=4).sent[0] == "udp:[fd00::1]:5060"
    assert Walk("six.t", port=5060, families=(4, 6), dns_cache_flags=1).asked == ["six.t/A"]
    assert Walk("six.t", port=5060, families=(4, 6), dns_cache_flags=2).asked == ["six.t/AAAA"]
    assert Walk("six.t", port=5060, families=(4, 6), dns_try_ipv6=False).asked == ["six.t/A"]
    assert Walk("six.t", port=5060, families=(6,)).sent == ["udp:[fd00::1]:5060"]


def test_without_failover_the_first_and_no_more_questions_than_it_takes() -> None:
    """As seen."""
    walk = Walk("srv.t", use_dns_failover=False)
    assert walk.asked == ["_sip._udp.srv.t/SRV", "h3.t/A"]
    assert walk.sent == ["udp:127.0.2.3:5073"]
    gone = {**ZONE, ("h3.t", "A"): []}
    assert Walk("srv.t", use_dns_failover=False, zone=gone).sent == ["udp:127.0.2.2:5072"]


def test_bounds() -> None:
    many: dict[Query, Sequence[Record]] = {
        ("_sip._udp.many.t", "SRV"): [Srv(i, 0, 5060, f"h{i}.many.t") for i in range(200)],
    }
    for i in range(200):
        many[f"h{i}.many.t", "A"] = [f"10.0.{i}.{j}" for j in range(200)]
    walk = Walk("many.t", zone=many)
    assert len(walk.asked) == 1 + MAX_HOSTS
    assert len(walk.sent) == MAX_DESTINATIONS


def test_one_address_by_two_names_is_one_destination() -> None:
    zone: Zone = {
        ("_sip._udp.t", "SRV"): [Srv(1, 0, 5060, "x.t"), Srv(2, 0, 5060, "y.t"), Srv(3, 0, 0, "z.t")],
        ("x.t", "A"): ["192.0.2.1"],
        ("y.t", "A"): ["192.0.2.1"],
        ("z.t", "A"): ["192.0.2.3"],
    }
    assert Walk("t", zone=zone).sent == ["udp:192.0.2.1:5060"]


def test_weights_draw_by_chance() -> None:
    """RFC 2782: of one priority, each first with a probability of its weight; 0 hardly ever."""
    zone: Zone = {
        ("_sip._udp.w.t", "SRV"): [
            Srv(1, 0, 5060, "10.0.0.1"), Srv(1, 25, 5060, "10.0.0.2"), Srv(1, 75, 5060, "10.0.0.3"),
            Srv(0, 1, 5060, "10.0.0.4"),
        ],
    }  # fmt: skip
    rng = random.Random(7)
    second: Counter[str] = Counter()
    for _ in range(4000):
        walk = Walk("w.t", zone=zone, dns_srv_lb=True, rng=rng)
        assert walk.sent[0] == "udp:10.0.0.4:5060"  # priority still rules
        assert len(walk.sent) == 4
        second[walk.sent[1]] += 1
    assert 0 < second["udp:10.0.0.1:5060"] < 120
    assert 850 < second["udp:10.0.0.2:5060"] < 1150
    assert 2800 < second["udp:10.0.0.3:5060"] < 3150


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65535)), max_size=12), st.booleans(), st.integers())
def test_srv_order_keeps_all_and_never_crosses_priorities(
    records: list[tuple[int, int]], chance: bool, seed: int
) -> None:
    zone: Zone = {("_sip._udp.s.t", "SRV"): [Srv(p, w, 1000 + i, f"10.0.{p}.{i}") for i, (p, w) in enumerate(records)]}
    walk = Walk("s.t", zone=zone, dns_srv_lb=chance, rng=random.Random(seed))
    assert len(walk.sent) == len(records)
    priorities = [int(d.address.ip.split(".")[2]) for d in walk.found]
    assert priorities == sorted(priorities)


def test_protocols_by_name() -> None:
    assert [protocol(t, False) for t in (None, "", "udp", "TCP", "tls", "sctp", "ws")] == [
        0, 0, P_UDP, P_TCP, P_TLS, P_SCTP, P_WS,
    ]  # fmt: skip
    assert [protocol(t, True) for t in (None, "tcp", "tls", "ws", "wss")] == [
        P_TLS, P_TLS, P_TLS, P_WSS, P_WSS,
    ]  # fmt: skip
    with pytest.raises(ResolveError, match="unknown to sips"):
        protocol("udp", True)
    with pytest.raises(ResolveError, match="unknown"):
        protocol("carrier-pigeon", False)
    assert [default_port(p) for p in (P_UDP, P_TCP, P_TLS, P_WS, P_WSS)] == [5060, 5060, 5061, 80, 443]


@pytest.mark.parametrize("name", ["Example.COM", "a", "_sip._udp.x-y.example", "4.3.2.1.e164.arpa", "x" * 63])
def test_host_names(name: str) -> None:
    assert dns_name(name) == dns_name(name.encode() + b".") == name.lower()


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", "a b", "a\0b", "é", "-a", "a-", "x" * 64, ".".join(["x" * 60] * 5), "a/b", "\r\n"],
)
def test_what_is_no_host_name(name: str) -> None:
    with pytest.raises(ResolveError, match="no host name"):
        dns_name(name)
    with pytest.raises(ResolveError):
        Walk(name)
