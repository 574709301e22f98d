"""The blocklist of destinations: its bounds and times, replies that can't be sent, and what does not count."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from twin import Ours, request

from kahea.net.address import P_TCP, P_UDP, Address
from kahea.net.blocklist import ANY_PROTO, KEPT, ORDERED, SEND, TIMEOUT, Blocklist
from kahea.routing.module import RpcError
from kahea.testing import Simulation

HERE = Address.of("10.0.0.1", 5060)
SIX = Address.of("2001:db8::1", 5060)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_entry_ends() -> None:
    clock = Clock()
    found = Blocklist(clock, 1000)
    assert found.add(P_UDP, HERE, SEND, 10)
    clock.now += 5
    assert found.add(P_UDP, HERE, TIMEOUT, 7)
    entry = found.find(P_UDP, HERE)
    assert entry is not None
    assert (entry.flags, found.left(entry)) == (SEND | TIMEOUT, 7)
    clock.now += 7
    assert found.find(P_UDP, HERE) is None
    assert (len(found), found.bytes) == (0, 0)


def test_protocols_and_ports_are_told_apart() -> None:
    found = Blocklist(Clock(), 1000)
    found.add(P_UDP, HERE, SEND, 10)
    assert found.find(P_TCP, HERE) is None
    assert found.find(P_UDP, Address.of("10.0.0.1", 5061)) is None
    found.add(ANY_PROTO, HERE, SEND, 10)
    assert found.find(P_TCP, HERE) is not None
    assert found.remove(ANY_PROTO, HERE)
    assert not found.remove(P_TCP, HERE)


def test_it_is_bounded_and_what_is_over_makes_room() -> None:
    clock = Clock()
    found = Blocklist(clock, 24 * 10 + 35)
    addresses = [Address.of(f"10.0.1.{i}", 5060) for i in range(12)]
    for i, address in enumerate(addresses[:10]):
        assert found.add(P_UDP, address, SEND, 1 if i < 2 else 100)
    assert not found.add(P_UDP, SIX, SEND, 100)
    assert found.add(P_UDP, addresses[0], SEND, 1)  # it is on it already
    assert found.add(P_UDP, addresses[10], SEND, 100)
    assert not found.add(P_UDP, addresses[11], SEND, 100)
    clock.now += 2
    assert found.add(P_UDP, SIX, SEND, 100)
    assert (len(found), found.bytes) == (10, 9 * 24 + 36)
    found.add(P_UDP, addresses[10], KEPT, 100)
    found.clear()
    assert [entry.address for entry in found.entries()] == [addresses[10]]


def test_a_full_list_is_not_looked_through_in_vain() -> None:
    clock = Clock()
    found = Blocklist(clock, 24 * 100)
    for i in range(100):
        found.add(P_UDP, Address.of(f"10.0.2.{i}", 5060), SEND, 10 + i)
    looked = []
    found._drop_ended = lambda: looked.append(clock.now)  # type: ignore[method-assign]
    for _ in range(5):
        assert not found.add(P_UDP, HERE, SEND, 100)
    assert looked == []
    clock.now += 10
    found.add(P_UDP, HERE, SEND, 100)
    assert looked == [110.0]


def ours(**settings: Any) -> Ours:
    return Ours(modules=["blst", "textopsx"], use_dst_blocklist=True, **settings)


def listed(node: Any) -> list[tuple[str, int, int]]:
    return [(e.address.ip, e.address.port, e.flags) for e in node.blocking.list.entries()]


@pytest.mark.parametrize(
    ("code", "flags"),
    [("", 6), ("KSR.blst.blst_rpl_set_ignore_all()", 0), ("KSR.blst.blst_rpl_set_ignore(2)", 4),
     ("KSR.blst.blst_set_ignore_all()", 6),
     ("KSR.blst.blst_rpl_set_ignore_all()\nKSR.blst.blst_rpl_clear_ignore(4)", 4)],
)  # fmt: skip
def test_a_transaction_s_reply_that_could_not_be_sent(code: str, flags: int) -> None:
    made = ours()
    made.run(f"{code}\nKSR.tm.t_newtran()\nKSR.tm.t_reply(200, 'OK')", request("OPTIONS"), "@TCP")
    tcp = made.wires["@TCP"]
    made.node.on_send_error(tcp, HERE, tcp.sent[-1][1], "gone")
    assert listed(made.node) == ([("10.0.0.1", 5060, flags)] if flags else [])


def test_a_reply_of_no_transaction_says_nothing() -> None:
    made = ours()
    made.run("KSR.sl.sl_send_reply(200, 'OK')", request("OPTIONS"), "@TCP")
    made.node.on_send_error(made.wires["@TCP"], HERE, made.wires["@TCP"].sent[-1][1], "gone")
    made.node.on_send_error(made.wires["@TCP"], HERE, b"nonsense", "gone")
    assert listed(made.node) == []


@pytest.mark.parametrize(
    ("reason", "code", "flags"),
    [(errno.ENETUNREACH, "", SEND), (errno.EMSGSIZE, "", 0), (errno.ENETUNREACH, "KSR.blst.blst_set_ignore(2)", 0)],
)
def test_a_datagram_that_the_kernel_refuses(reason: int, code: str, flags: int) -> None:
    made = ours()
    made.run(f"{code}\nKSR.setdsturi('sip:10.0.0.1')\nKSR.tm.t_relay()", request("INVITE"))
    to, data = next((to, data) for to, data in made.wires["@UDP"].sent if data.startswith(b"INVITE"))
    made.node.on_send_error(made.wires["@UDP"], to, data, os.strerror(reason))
    assert listed(made.node) == ([("10.0.0.1", 5060, flags)] if flags else [])


def test_without_the_list_nothing_is_kept() -> None:
    made = Ours(modules=["blst"])
    assert made.run(
        "out += [KSR.blst.blst_add(5), KSR.blst.blst_is_blocklisted(), KSR.blst.blst_del()]", request()
    ).out == [1, -1, -1]
    assert made.node.layer.blocking is None
    with pytest.raises(RpcError, match="support disabled"):
        made.node.registry.rpcs["dst_blocklist.view"].call()


def test_a_full_list_refuses(caplog: pytest.LogCaptureFixture) -> None:
    made = ours(dst_blocklist_mem=0)
    for _ in range(3):
        assert made.run("out.append(KSR.blst.blst_add(5))", request()).out == [-1]
    assert caplog.text.count("is full") == 1
    with pytest.raises(RpcError, match="full"):
        made.node.registry.rpcs["dst_blocklist.add"].call("10.0.0.1", 5060, P_UDP, ORDERED)
    with pytest.raises(RpcError, match="port"):
        made.node.registry.rpcs["dst_blocklist.add"].call("10.0.0.1", 65536, P_UDP, ORDERED)


def test_a_destination_is_tried_again_when_its_time_is_over(tmp_path: Path) -> None:
    (tmp_path / "kahea.toml").write_text("[global]\nuse_dst_blocklist = true\ndst_blocklist_expire = 100\n")
    (tmp_path / "script.py").write_text(
        "import KSR\n\n\ndef ksr_request_route(msg):\n    KSR.setdsturi('sip:10.0.0.7')\n    KSR.tm.t_relay()\n"
    )
    sim = Simulation(1)
    sim.node(tmp_path / "script.py", "udp:10.0.0.9:5060")
    alice = sim.ua("alice", "udp:10.0.0.1:5060", domain="10.0.0.9")

    def call(status: int) -> None:
        alice.invite("sip:bob@10.0.0.9").wait(status)

    call(408)
    call(477)
    gateway = sim.ua("gateway", "udp:10.0.0.7:5060")
    sim.run(50)
    call(477)
    sim.run(60)
    alice.invite("sip:bob@10.0.0.9")
    gateway.ring().answer()


def test_a_request_of_our_own_goes_to_the_next_place_at_once(tmp_path: Path) -> None:
    (tmp_path / "kahea.toml").write_text("[global]\nuse_dst_blocklist = true\nuse_dns_failover = true\n")
    (tmp_path / "script.py").write_text(
        "import KSR\n\n\ndef ksr_request_route(msg):\n    KSR.setdsturi('sip:two.example.com')\n    KSR.tm.t_relay()\n"
    )
    sim = Simulation(1)
    sim.dns.add("two.example.com", "A", "10.0.0.6", "10.0.0.7")
    node = sim.node(tmp_path / "script.py", "udp:10.0.0.9:5060")
    first, second = (sim.ua(f"gateway{i}", f"udp:10.0.0.{i}:5060") for i in (6, 7))
    node.rpc("dst_blocklist.add", "10.0.0.6", 5060, P_UDP, ORDERED)
    headers = "From: <sip:a@b>\r\nTo: <sip:c@d>\r\n"
    options = ("tm.t_uac_start", "OPTIONS", "sip:two.example.com", ".", ".", headers, "")
    node.rpc(*options)
    sim.run(0.3)
    assert [m.method for m in second.received] == ["OPTIONS"]
    node.rpc("dst_blocklist.add", "10.0.0.7", 5060, P_UDP, ORDERED)
    with pytest.raises(RpcError):
        node.rpc(*options)
    assert first.received == []
