"""The virtual network: what may befall packets, the same for the same seed, and connections."""

from __future__ import annotations

from collections import Counter

import pytest

from kahea.testing import Simulation, Unexpected
from kahea.testing.network import split_address


def pair(sim: Simulation, proto: str = "udp"):  # type: ignore[no-untyped-def]
    """Two user agents that talk directly."""
    bob = sim.ua("bob", f"{proto}:10.0.0.2:5060", proxy=f"{proto}:10.0.0.1:5060")
    alice = sim.ua("alice", f"{proto}:10.0.0.1:5060", proxy=f"{proto}:10.0.0.2:5060")
    alice.retransmits = bob.retransmits = False
    return alice, bob


def flood(seed: int, **conditions: float) -> tuple[list[str], Counter[str]]:
    """200 numbered datagrams: what arrived, in order, and the fates."""
    with Simulation(seed) as sim:
        alice, bob = pair(sim)
        for name, value in conditions.items():
            setattr(sim.network.conditions, name, value)
        for number in range(200):
            alice.send(
                f"N{number} sip:bob@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch={number}\r\nCall-ID: {number}\r\n\r\n"
            )
        sim.run(10)
        return [m.start.split()[0][1:] for m in bob.received], Counter(p.fate for p in sim.trace)


def test_a_good_line_keeps_all_in_order() -> None:
    arrived, fates = flood(1)
    assert arrived == [str(n) for n in range(200)]
    assert fates == {"delivered": 200}


def test_loss_and_copies() -> None:
    arrived, fates = flood(1, loss=0.3, duplicate=0.2)
    assert 30 < fates["lost"] < 90
    assert len(arrived) > len(set(arrived)) > 110


def test_jitter_reorders() -> None:
    arrived, _ = flood(1, jitter=0.1)
    assert sorted(arrived, key=int) != arrived
    assert len(arrived) == 200


def test_the_seed_decides() -> None:
    chances = {"loss": 0.3, "duplicate": 0.2, "jitter": 0.1}
    assert flood(5, **chances) == flood(5, **chances)
    assert flood(5, **chances) != flood(6, **chances)


def test_lose_by_kind() -> None:
    with Simulation() as sim:
        alice, bob = pair(sim)
        left = sim.network.lose("MESSAGE", times=2)
        for _ in range(3):
            alice.request("MESSAGE", bob.contact)
        alice.request("OPTIONS", bob.contact)
        sim.run(1)
        assert [m.method for m in bob.received] == ["MESSAGE", "OPTIONS"]
        assert left() == 0


def test_conditions_between_two_hosts() -> None:
    with Simulation() as sim:
        alice, bob = pair(sim)
        carol = sim.ua("carol", "udp:10.0.0.3:5060", proxy=bob.hostport)
        sim.network.cut("10.0.0.1", "10.0.0.2")
        sim.network.between("10.0.0.3", "10.0.0.2", delay=2.0)
        alice.request("OPTIONS", bob.contact)
        carol.request("OPTIONS", bob.contact)
        arrived = bob.expect("OPTIONS")
        assert arrived.source == "udp:10.0.0.3:5060"
        assert sim.elapsed == pytest.approx(2.0)
        bob.expect_nothing(within=5)


def test_an_address_is_taken_once() -> None:
    with Simulation() as sim:
        sim.ua("alice", "udp:10.0.0.1:5060")
        with pytest.raises(ValueError, match=r"10\.0\.0\.1:5060 is taken by alice"):
            sim.ua("mallory", "udp:10.0.0.1:5060")


def test_a_connection_keeps_order_and_goes_both_ways() -> None:
    with Simulation(3) as sim:
        alice, bob = pair(sim, "tcp")
        sim.network.conditions.loss = 1.0
        sim.network.conditions.jitter = 0.5
        exchanges = [alice.request("MESSAGE", bob.contact, body=str(n)) for n in range(20)]
        for number, exchange in enumerate(exchanges):
            request = bob.expect("MESSAGE")
            assert request.body == str(number)
            bob.reply(request, 200)
            assert exchange.wait().status == 200
        sources = {m.source for m in bob.received}
        assert len(sources) == 1
        assert sources != {"tcp:10.0.0.1:5060"}, "a connection comes from a port of its own"


def test_nobody_listens() -> None:
    with Simulation() as sim:
        alice = sim.ua("alice", "tcp:10.0.0.1:5060", proxy="tcp:10.0.0.7:5060")
        alice.request("OPTIONS", "sip:10.0.0.7")
        sim.run(1)
        assert [p.fate for p in sim.trace] == ["refused"]


def test_too_large_for_a_datagram() -> None:
    with Simulation() as sim:
        alice, bob = pair(sim)
        alice.request("MESSAGE", bob.contact, body="x" * 70_000)
        sim.run(1)
        assert [p.fate for p in sim.trace] == ["too large"]
        assert bob.received == []


def test_expectations_say_what_came_instead() -> None:
    with Simulation() as sim:
        alice, bob = pair(sim)
        alice.request("OPTIONS", bob.contact)
        with pytest.raises(Unexpected, match="bob waited 3 s for INVITE: it got OPTIONS"):
            bob.expect("INVITE", within=3)
        with pytest.raises(Unexpected, match="bob got OPTIONS and should not have"):
            bob.expect_nothing()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("udp", "10.0.0.1", 5060)),
        ("tcp:10.0.0.1", ("tcp", "10.0.0.1", 5060)),
        ("tls:[2001:db8::1]", ("tls", "2001:db8::1", 5061)),
        ("10.0.0.1:70", ("udp", "10.0.0.1", 70)),
        ("udp:[2001:db8::1]:5070", ("udp", "2001:db8::1", 5070)),
        ("[2001:db8::1]", ("udp", "2001:db8::1", 5060)),
    ],
)
def test_addresses(text: str, expected: tuple[str, str, int]) -> None:
    proto, address = split_address(text)
    assert (proto, address.ip, address.port) == expected
