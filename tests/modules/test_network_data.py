"""corex's event route `network:msg`: what a script makes of messages on the network is what both servers go on with."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import KAMAILIO, Server, compared, request

from conftest import Bench
from kahea.routing.module import ConfigError
from kahea.testing import Simulation

needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

CFG = """
modparam("corex", "nio_intercept", 1)
modparam("corex", "nio_min_msg_len", 60)
modparam("corex", "nio_msg_avp", "$avp(nio)")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    append_hf("X-Seen: $hdr(X-Wire)\\r\\n");
    $du = "sip:@SINK";
    t_relay();
}
event_route[network:msg] {
    if (is_incoming()) {
        if ($mb =~ "X-Wire: none") exit;
        $avp(nio) = $(mb{s.replace,encoded,plain});
    } else {
        if ($mb =~ "^SIP/2.0 100") { $avp(nio) = $mb; exit; }
        $avp(nio) = $(mb{s.replace,X-Seen: plain,X-Seen: encoded again}) + "[" + $ml + "]";
    }
}
"""


@needs_kamailio
def test_what_comes_and_goes_is_changed_as_by_kamailio(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[str]:
        got = []
        for wire in ("encoded", "none"):
            server.caller.send(request("INVITE", "sip:bob@example.com", f"X-Wire: {wire}\r\n", callid=wire))
            got.append(server.sink.expect("INVITE"))
            server.sink.reply(got[-1].partition("[")[0], "200 encoded", "X-Wire: encoded\r\n")
            got.append(server.caller.expect("SIP/2.0 200"))
        # The length is that of the message with its branch, which is another's.
        return [re.sub(r"\[\d+\]$", "[n]", text) for text in got]

    theirs, ours = compared(tmp_path, CFG, ("corex", "textops", "xlog"), scenario)
    assert ours == theirs
    assert "X-Wire: plain\r\n" in ours[0]
    assert "X-Seen: encoded again\r\n" in ours[0]
    assert ours[0].endswith("[n]")
    assert ours[1].startswith("SIP/2.0 200 plain")
    assert "X-Seen: none\r\n" in ours[2]


NODE = """
listen=udp:10.0.0.9:5060
listen=tcp:10.0.0.9:5060
loadmodule "sl.so"
loadmodule "corex.so"
loadmodule "pv.so"
loadmodule "xlog.so"
modparam("corex", "nio_intercept", 1)
modparam("corex", "nio_msg_avp", "$avp(nio)")
request_route {
    if (is_incoming()) { sl_send_reply("500", "Not here"); exit; }
    sl_send_reply("200", "$rU");
}
event_route[network:msg] {
    EVENT
}
"""


def node(simulation: Simulation, event: str) -> None:
    """A node with a body of the event route."""
    simulation.node("#!KAMAILIO\n" + NODE.replace("EVENT", event), language="cfg")


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_both_directions(proto: str) -> None:
    with Simulation() as simulation:
        node(
            simulation,
            "if (is_incoming()) { $avp(nio) = $(mb{s.replace,zob,bob}); exit; } $avp(nio) = $(mb{s.replace,bob,zob});",
        )
        alice = simulation.ua("alice", f"{proto}:10.0.0.1:5060")
        assert alice.options("sip:zob@10.0.0.9").reason == "zob"


def test_a_message_goes_on_as_it_is_if_nothing_was_set(caplog: pytest.LogCaptureFixture) -> None:
    with Simulation() as simulation:
        node(simulation, "drop;")
        alice = simulation.ua("alice", "udp:10.0.0.1:5060")
        assert alice.options("sip:bob@10.0.0.9").reason == "bob"
    assert "event_route[network:msg]: $avp(nio) has no value, the message goes on as it is" in caplog.messages


def test_the_variable_must_be_an_avp(bench: Callable[..., Bench]) -> None:
    with pytest.raises(ConfigError, match=r"corex\.nio_msg_avp: '\$var\(x\)' is no AVP"):
        bench("corex", corex={"nio_intercept": 1, "nio_msg_avp": "$var(x)"})
