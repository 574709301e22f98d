"""Settings changed while the node runs do what they say, from then on."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from kahea.routing.module import RpcError
from kahea.routing.rpc import calls
from kahea.routing.runtime import MAX_INSTANCES
from kahea.testing import Simulation
from kahea.testing.simulation import VirtualNode

from .clients import HOST, PATIENCE
from .servers import Kahea

PROXY = """
import KSR

def ksr_request_route():
    if KSR.is_REGISTER():
        KSR.registrar.save("location", 0)
    else:
        KSR.tm.t_relay()
"""


def command(node: VirtualNode, name: str, *given: object) -> Any:
    """What a command returns; raises its fault."""
    answers: list[tuple[Any, RpcError | None]] = []
    calls.start(node.node, node.node.registry.rpcs[name], given, lambda *answer: answers.append(answer))
    ((result, fault),) = answers
    if fault is not None:
        raise fault
    return result


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with Simulation() as made:
        yield made


@pytest.fixture
def node(simulation: Simulation) -> VirtualNode:
    return simulation.node(PROXY, "udp:10.0.0.9:5060", "tcp:10.0.0.9:5060")


def test_debug(node: VirtualNode) -> None:
    logger = logging.getLogger("kahea")
    before = logger.level
    try:
        command(node, "cfg.seti", "core", "debug", 3)
        assert (node.node.settings.debug, logger.level) == (3, logging.DEBUG)
        command(node, "cfg.seti", "core", "debug", -3)
        assert (node.node.settings.debug, logger.level) == (-3, logging.CRITICAL)
        command(node, "cfg.reset", "core")
        assert node.node.settings.debug == 0
    finally:
        logger.setLevel(before)


RAW = (
    "OPTIONS sip:10.0.0.9;x=1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.50:5099;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\n"
    "From: <sip:a@10.0.0.50>;tag=1\r\nTo: <sip:10.0.0.9>\r\nCall-ID: raw%d\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


def test_force_rport(simulation: Simulation) -> None:
    script = "import KSR\ndef ksr_request_route():\n    KSR.sl.sl_send_reply(200, 'OK')\n"
    node = simulation.node(script, "udp:10.0.0.9:5060")
    alice = simulation.ua("alice", "udp:10.0.0.50:5060")

    def answered_at(number: int) -> str:
        alice.send(RAW % (number, number), node.address)
        simulation.run(0.5)
        return str(simulation.trace[-1].destination)

    assert ":5099" in answered_at(1)  # where its Via says
    command(node, "cfg.seti", "core", "force_rport", 1)
    assert ":5060" in answered_at(2)  # where it came from


def timeout(simulation: Simulation) -> float:
    """Seconds until a request to nowhere is answered 408."""
    start = simulation.now
    alice = simulation.uas.get("alice") or simulation.ua("alice")
    assert alice.options("sip:bob@10.0.0.77").status == 408
    return simulation.now - start


def test_timers_of_transactions(simulation: Simulation, node: VirtualNode) -> None:
    assert timeout(simulation) == pytest.approx(30, abs=0.5)
    command(node, "cfg.seti", "tm", "fr_timer", 2000)
    assert timeout(simulation) == pytest.approx(2, abs=0.5)
    command(node, "cfg.reset", "tm")
    assert timeout(simulation) == pytest.approx(30, abs=0.5)


def test_the_words_of_the_100(simulation: Simulation, node: VirtualNode) -> None:
    command(node, "cfg.sets", "tm", "auto_inv_100_reason", "Patience")
    simulation.ua("bob", "udp:10.0.0.2:5060")
    call = simulation.ua("alice").invite("sip:bob@10.0.0.2")
    simulation.run(1)
    assert any(b"SIP/2.0 100 Patience" in packet.data for packet in simulation.trace)
    call.cancel()


def test_a_value_that_has_no_effect_is_refused(node: VirtualNode) -> None:
    for group, name, value in (("tm", "callid_matching", 1), ("core", "memlog", 1), ("core", "latency_log", 2)):
        with pytest.raises(RpcError, match=r"not supported|can't change"):
            command(node, "cfg.seti", group, name, value)


def test_the_registrar(simulation: Simulation, node: VirtualNode) -> None:
    def expires(seconds: int) -> str:
        return str(simulation.ua(f"u{seconds}").register("sip:10.0.0.9", expires=seconds)["Contact"])

    assert "expires=600" in expires(600)
    command(node, "cfg.seti", "registrar", "max_expires", 300)
    assert "expires=300" in expires(601)
    command(node, "cfg.seti", "registrar", "min_expires", 120)
    assert "expires=120" in expires(90)
    with pytest.raises(RpcError):
        command(node, "cfg.seti", "registrar", "append_branches", 7)
    registrar = node.node.module("registrar")
    assert not registrar.aors.case_sensitive
    command(node, "cfg.seti", "registrar", "case_sensitive", 1)
    assert registrar.aors.case_sensitive


def test_dns(simulation: Simulation, node: VirtualNode) -> None:
    simulation.dns.add("far.example", "A", "10.0.0.77")
    command(node, "cfg.seti", "tm", "fr_timer", 500)

    alice = simulation.ua("alice")

    def asked(name: str) -> list[tuple[str, str]]:
        simulation.dns.asked.clear()
        alice.options(f"sip:bob@{name}")
        return simulation.dns.asked

    assert ("far.example", "NAPTR") not in asked("far.example")
    command(node, "cfg.seti", "core", "dns_try_naptr", 1)
    assert ("far.example", "NAPTR") in asked("far.example")
    assert asked("far.example") == []
    command(node, "cfg.seti", "core", "use_dns_cache", 0)
    command(node, "dns.delete_all")
    assert asked("far.example")
    assert asked("far.example")


def test_dns_by_hand(simulation: Simulation, node: VirtualNode) -> None:
    command(node, "dns.add_a", "by.hand.example", 60, "10.0.0.2", 0)
    bob = simulation.ua("bob", "udp:10.0.0.2:5060")
    alice = simulation.ua("alice")
    alice.request("OPTIONS", "sip:bob@by.hand.example:5060")
    bob.expect("OPTIONS")
    command(node, "dns.delete_a", "by.hand.example")
    command(node, "dns.add_a", "by.hand.example", 60, "10.0.0.3", 0)
    carol = simulation.ua("carol", "udp:10.0.0.3:5060")
    alice.request("OPTIONS", "sip:bob@by.hand.example:5060")
    carol.expect("OPTIONS")


def test_delayed_changes_and_instances_have_bounds(node: VirtualNode) -> None:
    for i in range(MAX_INSTANCES):
        command(node, "cfg.add_group_inst", f"tm[{i}]")
    with pytest.raises(RpcError, match="instances already"):
        command(node, "cfg.add_group_inst", f"tm[{MAX_INSTANCES}]")
    for i in range(MAX_INSTANCES):
        command(node, "cfg.set_delayed", f"tm[{i}]", "fr_timer", 1000)
    with pytest.raises(RpcError, match="changes wait already"):
        command(node, "cfg.set_delayed", "tm", "fr_timer", 1000)
    command(node, "cfg.commit")
    assert command(node, "cfg.get", "tm[7]", "fr_timer") == 1000
    assert command(node, "cfg.get", "tm", "fr_timer") == 30000


def test_the_limit_of_connections(kahea: Kahea) -> None:
    with kahea.binrpc() as control:
        control.call("cfg.seti", "tcp", "max_connections", 1)
        try:
            with socket.create_connection((HOST, kahea.sip)) as first:
                first.settimeout(PATIENCE)
                first.sendall(b"GET /empty HTTP/1.1\r\n\r\n")
                assert b"200 OK" in first.recv(65536)
                with socket.create_connection((HOST, kahea.sip)) as second:
                    second.settimeout(PATIENCE)
                    with contextlib.suppress(ConnectionResetError):
                        assert second.recv(1) == b""
        finally:
            control.call("cfg.reset", "tcp")
        with socket.create_connection((HOST, kahea.sip)) as third:
            third.settimeout(PATIENCE)
            third.sendall(b"GET /empty HTTP/1.1\r\n\r\n")
            assert b"200 OK" in third.recv(65536)
