"""The global parameter `msg_apply_changes_mode`: a transaction's request has the script's edits."""

from __future__ import annotations

import pytest

from kahea.testing import Simulation

CFG = """#!KAMAILIO
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
msg_apply_changes_mode=MODE
request_route {
    append_hf("X-Mark: BODY\\r\\n");
    remove_hf("Subject");
    $du = "sip:10.0.0.2:5060";
    t_on_branch("OUT");
    t_on_failure("FAIL");
    if (!t_relay()) sl_reply_error();
}
branch_route[OUT] {
    $var(seen) = "[" + $hdr(X-Mark) + "] [" + $hdr(Subject) + "]";
    append_hf("X-Branch: $var(seen)\\r\\n");
}
failure_route[FAIL] {
    $var(seen) = "[" + $hdr(X-Mark) + "] [" + $hdr(Subject) + "]";
    t_reply("486", "$var(seen)");
}
"""


@pytest.mark.parametrize(("mode", "seen"), [(0, "[] [hello]"), (1, "[BODY] []")])
def test_what_branches_and_failure_routes_see(mode: int, seen: str) -> None:
    with Simulation() as sim:
        node = sim.node(CFG.replace("MODE", str(mode)), "udp:10.0.0.9:5060")
        alice = sim.ua("alice", "udp:10.0.0.1:5060", proxy=node)
        bob = sim.ua("bob", "udp:10.0.0.2:5060", proxy=node)
        out = alice.request("MESSAGE", "sip:bob@example.com", headers=[("Subject", "hello")])
        got = bob.expect("MESSAGE")
        # Either way the edits are sent once.
        assert got.all("X-Mark") == ["BODY"]
        assert got.all("Subject") == []
        assert got.header("X-Branch") == seen
        bob.reply(got, 404)
        final = out.wait()
        assert (final.status, final.reason) == (486, seen)
