"""Requests of our own: what answers them, how a 2xx is acknowledged, what management is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kahea.routing.module import RpcError
from kahea.routing.rpc import calls
from kahea.testing import Simulation
from kahea.testing.message import SipMessage
from kahea.testing.simulation import VirtualNode
from kahea.testing.useragent import UserAgent

CFG = """#!KAMAILIO
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "xlog.so"
request_route {
    if ($rU == "ack") {
        $var(done) = "no";
        if (t_uac_ack_local("call", "10", "X-Own: 1\\r\\nContent-Type: text/plain\\r\\n", "$rb")) $var(done) = "yes";
        sl_send_reply("200", "$var(done)");
        exit;
    }
    if ($rU == "send") {
        $var(ok) = t_uac_send("OPTIONS", "sip:far@10.0.2.1", "", "", "From: <sip:us@x>\\r\\nTo: <sip:far@x>\\r\\n", "");
        sl_send_reply("200", "$rc");
        exit;
    }
    t_newtran();
    t_reply("183", "Progress");
}
event_route[tm:local-ack-sent] {
    if ($rm == "ACK" && $ru == "sip:c@10.0.2.1" && $Rp == 5060) $shv(acks) = $shv(acks) + 1;
}
"""
HEADERS = "From: <sip:us@10.0.0.9>\r\nTo: <sip:far@10.0.2.1>\r\nCall-ID: call\r\n"
TARGET = ("sip:far@10.0.2.1:5060", ".", ".", HEADERS)


class Stage:
    """A node, and somebody who gets its requests."""

    def __init__(self, simulation: Simulation, node: VirtualNode) -> None:
        self.simulation = simulation
        self.node = node
        self.far = simulation.ua("far", "udp:10.0.2.1:5060")
        self.far.retransmits = False

    def ask(self, name: str, *params: object) -> list[Any]:
        """Begin a command; its result or RpcError is put into the list when there is one."""
        answer: list[Any] = []
        command = self.node.node.registry.rpcs[name]
        calls.start(self.node.node, command, params, lambda result, fault: answer.append(fault or result))
        return answer

    def told(self, name: str, *params: object) -> Any:
        """The answer of a command that is told at once."""
        answer = self.ask(name, *params)
        self.simulation.run(0)
        (found,) = answer
        return found


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with Simulation() as made:
        yield made


def stage_of(simulation: Simulation, modules: Mapping[str, Mapping[str, Any]] | None = None) -> Stage:
    return Stage(simulation, simulation.node(CFG, "udp:10.0.0.9:5060", "udp:10.0.0.9:5070", modules=modules))


@pytest.fixture
def stage(simulation: Simulation) -> Stage:
    return stage_of(simulation)


def accept(far: UserAgent, invite: SipMessage, contact: str, tag: str = "far", **parts: Any) -> None:
    far.reply(invite, 200, tag=tag, contact=contact, **parts)


# ---- acknowledging


@pytest.mark.parametrize(("mode", "where"), [(0, "contact"), (1, "far"), (2, "other")])
def test_where_the_ack_goes(simulation: Simulation, mode: int, where: str) -> None:
    stage = stage_of(simulation, {"tm": {"local_ack_mode": mode}})
    places = {"far": stage.far, "contact": simulation.ua("contact", "udp:10.0.2.2:5060")}
    places["other"] = simulation.ua("other", "udp:10.0.2.3:5060")
    assert stage.told("tm.t_uac_start", "INVITE", *TARGET) == {}
    invite = stage.far.expect("INVITE")
    reply = invite.encode().replace(b"INVITE sip:far@10.0.2.1:5060 SIP/2.0", b"SIP/2.0 200 OK")
    reply = reply.replace(b"To: <sip:far@10.0.2.1>", b"To: <sip:far@10.0.2.1>;tag=t\r\nContact: <sip:c@10.0.2.2>")
    places["other"].send(reply, "udp:10.0.0.9:5060")
    ack = places[where].expect("ACK")
    assert ack.start == "ACK sip:c@10.0.2.2 SIP/2.0"
    assert ack.branch != invite.branch
    assert [ack.header(name) for name in ("From", "Call-ID", "CSeq")] == [
        invite.header("From"), "call", "10 ACK",
    ]  # fmt: skip
    assert ack.header("To") == "<sip:far@10.0.2.1>;tag=t"
    for place in places.values():
        place.expect_nothing("ACK")


def test_each_answer_of_a_fork_has_its_own_ack_and_a_repeated_one_the_same(stage: Stage) -> None:
    stage.told("tm.t_uac_start", "INVITE", *TARGET)
    invite = stage.far.expect("INVITE")
    for tag in ("one", "two", "one"):
        accept(stage.far, invite, "<sip:c@10.0.2.1>", tag)
        stage.simulation.run(0.1)
    acks = [m for m in stage.far.received if m.matches("ACK")]
    assert [m.header("To").rpartition("tag=")[2] for m in acks] == ["one", "two", "one"]
    assert acks[0].encode() == acks[2].encode()
    assert acks[0].branch != acks[1].branch
    # The event route counts.
    assert stage.told("pv.shvGet", "acks") == [{"name": "acks", "type": "int", "value": 3}]
    stage.simulation.finish()


def test_an_answer_without_way_back_is_not_acknowledged(stage: Stage) -> None:
    stage.told("tm.t_uac_start", "INVITE", *TARGET)
    invite = stage.far.expect("INVITE")
    for contact in ("", "<sip:c@10.0.2.1;transport=tcp>", "<tel:+1>"):
        accept(stage.far, invite, contact, tag=f"t{len(contact)}")
    stage.far.expect_nothing("ACK", 1.0)


def test_an_ack_may_be_left_to_the_script(stage: Stage) -> None:
    near = stage.simulation.ua("near")
    assert near.request("OPTIONS", "sip:ack@10.0.0.9").wait().reason == "no"
    answer = stage.ask("tm.t_uac_wait_noack", "INVITE", *TARGET)
    invite = stage.far.expect("INVITE")
    assert near.request("OPTIONS", "sip:ack@10.0.0.9").wait().reason == "no"
    accept(stage.far, invite, "<sip:c@10.0.2.1>")
    stage.far.expect_nothing("ACK", 0.5)
    assert answer[0][:4] == [200, "OK", "sip:c@10.0.2.1", "sip:c@10.0.2.1"]
    assert near.request("OPTIONS", "sip:ack@10.0.0.9", body="v=0").wait().reason == "yes"
    ack = stage.far.expect("ACK")
    assert (ack.header("X-Own"), ack.body) == ("1", "v=0")
    # Afterwards there is nothing left to acknowledge.
    stage.simulation.run(6)
    assert near.request("OPTIONS", "sip:ack@10.0.0.9").wait().reason == "no"


# ---- waiting


def test_silence_is_told_as_a_timeout(stage: Stage) -> None:
    waiting = stage.ask("tm.t_uac_wait", "OPTIONS", *TARGET)
    blocked = stage.ask("tm.t_uac_wait_block", "OPTIONS", *TARGET)
    stage.simulation.run(29)
    assert waiting == blocked == []
    stage.simulation.run(2)
    assert waiting == [[408, "Request Timeout", "", "", "", ""]]
    assert blocked == [{"code": 408, "text": "Request Timeout"}]


def test_one_that_blocks_gives_up_after_80_seconds(stage: Stage) -> None:
    blocked = stage.ask("tm.t_uac_wait_block", "INVITE", *TARGET)
    stage.far.reply(stage.far.expect("INVITE"), 180)
    stage.simulation.run(79)
    assert blocked == []
    stage.simulation.run(2)
    assert (blocked[0].code, str(blocked[0])) == (500, "timeout")
    stage.simulation.finish()


def test_timers_and_acknowledgement_by_attributes(stage: Stage) -> None:
    waiting = stage.ask("tm.t_uac_attrs", "mode=wait; fr_timeout=1500", "OPTIONS", *TARGET)
    stage.simulation.run(1.6)
    assert waiting[0][0] == 408
    blocked = stage.ask("tm.t_uac_attrs", "mode=block;fr_inv_timeout=3000", "INVITE", *TARGET)
    stage.far.reply(stage.far.expect("INVITE"), 180)
    stage.simulation.run(3.1)
    assert blocked == [{"code": 408, "text": "Request Timeout"}]
    stage.far.expect("CANCEL")
    request = ("MESSAGE", *TARGET[:3], HEADERS + "Content-Type: text/plain\r\n")
    assert stage.told("tm.t_uac_attrs", "rpflags=1", *request, "68 656c\n6C6f") == {}
    assert stage.far.expect("MESSAGE").body == "hello"
    assert stage.told("tm.t_uac_attrs", "cbflags=noack", "INVITE", *TARGET) == {}
    accept(stage.far, stage.far.expect("INVITE"), "<sip:c@10.0.2.1>")
    stage.far.expect_nothing("ACK", 1.0)
    for attributes in ("mode=other", "fr_timeout=x", "fr_timeout=0"):
        assert stage.told("tm.t_uac_attrs", attributes, "OPTIONS", *TARGET).code == 400
    stage.simulation.finish()


@pytest.mark.parametrize("how", ["start", "wait", "wait_block"])
@pytest.mark.parametrize("ack", ["", "_noack"])
def test_bodies_in_hexadecimal_digits(stage: Stage, how: str, ack: str) -> None:
    request = ("MESSAGE", *TARGET[:3], HEADERS + "Content-Type: text/plain\r\n")
    stage.ask(f"tm.t_uac_{how}{ack}_hex", *request, "00ff")
    assert stage.far.expect("MESSAGE").encode().endswith(b"\r\n\r\n\x00\xff")
    refused = stage.told(f"tm.t_uac_{how}{ack}_hex", *request, "0x00")
    assert (refused.code, str(refused)) == (400, "Invalid hexadecimal body")
    stage.simulation.finish()


def test_where_nobody_can_wait(stage: Stage) -> None:
    with pytest.raises(RpcError, match="not supported by this rpc transport") as raised:
        stage.node.node.registry.rpcs["tm.t_uac_wait"].call("OPTIONS", *TARGET)
    assert raised.value.code == 600


def test_a_request_is_canceled(stage: Stage) -> None:
    answer = stage.ask("tm.t_uac_wait", "OPTIONS", *TARGET)
    stage.far.expect("OPTIONS")
    assert stage.told("tm.cancel", "call", "10") == {}
    stage.simulation.run(1)
    assert answer == [[487, "Request Terminated", "", "", "", ""]]


def test_a_request_of_the_script(stage: Stage) -> None:
    near = stage.simulation.ua("near")
    assert near.request("OPTIONS", "sip:send@10.0.0.9").wait().reason == "1"
    stage.far.reply(stage.far.expect("OPTIONS"), 200)
    stage.simulation.finish()
    assert stage.node.transactions == 0


def test_a_repeated_reply(stage: Stage) -> None:
    near = stage.simulation.ua("near")
    near.request("INVITE", "sip:open@10.0.0.9", call_id="theirs").wait(183)
    (t,) = [t for t in stage.told("tm.list") if t["callid"] == "Call-ID: theirs\r\n"]
    trans_id = f"{t['tindex']}:{t['tlabel']}"
    assert stage.told("tm.retransmit_reply", trans_id) == {}
    assert stage.told("tm.retransmit_reply_callid", "theirs", "1") == {}
    stage.simulation.run(0.1)
    assert near.repeats(183) == 2
    for command, params, code in (
        ("tm.retransmit_reply", ("1:1",), 481),
        ("tm.retransmit_reply", ("1",), 400),
        ("tm.retransmit_reply_callid", ("theirs", "2"), 404),
    ):
        assert stage.told(command, *params).code == code
    # Kamailio 5.6.3 can't do without a body here, though it says so.
    assert stage.told("tm.reply", 404, "Not here", trans_id, "mine", ".") == {}
    reply = near.expect(404)
    assert (reply.reason, reply.header("To").rpartition("tag=")[2]) == ("Not here", "mine")
    stage.simulation.finish()
