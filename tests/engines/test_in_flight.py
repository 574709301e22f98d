"""500 runs of a script at once in one node, each waiting 100 ms: each has its own message before and after, in every
language, and all take no longer than one."""

from __future__ import annotations

import pytest

from kahea.testing import Simulation

RUNS = 500
WAIT = 0.1  # seconds; the scripts say it in microseconds

SCRIPTS = {
    "cfg": """
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "cfgutils.so"
loadmodule "textops.so"
request_route {
    $var(user) = $rU;
    $avp(body) = $hdr(X-Number);
    append_to_reply("X-Before: $rU\\r\\n");
    usleep("100000");
    append_to_reply("X-After: $rU $hdr(X-Number) $var(user) $avp(body)\\r\\n");
    sl_send_reply("200", "$(rU{s.toupper})");
}
""",
    "py": """
import KSR

def ksr_request_route():
    user, number = KSR.pv.get("$rU"), KSR.hdr.get("X-Number")
    KSR.pv.sets("$var(user)", user)
    KSR.pv.sets("$avp(body)", number)
    KSR.hdr.append_to_reply(f"X-Before: {user}\\r\\n")
    KSR.cfgutils.usleep(100000)
    kept = " ".join(KSR.pv.get(name) for name in ("$rU", "$hdr(X-Number)", "$var(user)", "$avp(body)"))
    KSR.hdr.append_to_reply(f"X-After: {kept}\\r\\n")
    KSR.sl.sl_send_reply(200, user.upper())
""",
    "lua": """
function ksr_request_route()
	local user, number = KSR.pv.get("$rU"), KSR.hdr.get("X-Number")
	KSR.pv.sets("$var(user)", user)
	KSR.pv.sets("$avp(body)", number)
	KSR.hdr.append_to_reply("X-Before: " .. user .. "\\r\\n")
	KSR.cfgutils.usleep(100000)
	local kept = {}
	for _, name in ipairs({ "$rU", "$hdr(X-Number)", "$var(user)", "$avp(body)" }) do
		table.insert(kept, KSR.pv.get(name))
	end
	KSR.hdr.append_to_reply("X-After: " .. table.concat(kept, " ") .. "\\r\\n")
	KSR.sl.sl_send_reply(200, string.upper(user))
end
""",
    "js": """
function ksr_request_route() {
	const user = KSR.pv.get("$rU"), number = KSR.hdr.get("X-Number");
	KSR.pv.sets("$var(user)", user);
	KSR.pv.sets("$avp(body)", number);
	KSR.hdr.append_to_reply(`X-Before: ${user}\\r\\n`);
	KSR.cfgutils.usleep(100000);
	const kept = ["$rU", "$hdr(X-Number)", "$var(user)", "$avp(body)"].map((name) => KSR.pv.get(name));
	KSR.hdr.append_to_reply(`X-After: ${kept.join(" ")}\\r\\n`);
	KSR.sl.sl_send_reply(200, user.toUpperCase());
}
""",
    "sq": """
function ksr_request_route() {
	local user = KSR.pv.get("$rU");
	KSR.pv.sets("$var(user)", user);
	KSR.pv.sets("$avp(body)", KSR.hdr.get("X-Number"));
	KSR.hdr.append_to_reply("X-Before: " + user + "\\r\\n");
	KSR.cfgutils.usleep(100000);
	local kept = "";
	foreach (name in ["$rU", "$hdr(X-Number)", "$var(user)", "$avp(body)"]) { kept += " " + KSR.pv.get(name); }
	KSR.hdr.append_to_reply("X-After:" + kept + "\\r\\n");
	KSR.sl.sl_send_reply(200, user.toupper());
}
""",
}


@pytest.mark.parametrize("language", SCRIPTS)
def test_five_hundred_at_once(kahea: Simulation, language: str) -> None:
    node = kahea.node(SCRIPTS[language], "udp:10.0.0.9:5060", language=language)
    alice = kahea.ua("alice", "udp:10.0.0.1:5060")
    began = kahea.elapsed
    exchanges = [
        alice.request("OPTIONS", f"sip:user{number}@10.0.0.9", headers=[("X-Number", f"n{number}")])
        for number in range(RUNS)
    ]
    kahea.run(WAIT / 2)
    assert node.node.pool.in_flight == RUNS

    replies = [exchange.wait() for exchange in exchanges]
    assert kahea.elapsed - began < 1.5 * WAIT
    assert node.node.pool.in_flight == 0
    for number, reply in enumerate(replies):
        assert (reply.status, reply.reason) == (200, f"USER{number}")
        assert reply["X-Before"] == f"user{number}"
        assert reply["X-After"] == f"user{number} n{number} user{number} n{number}"
    assert len({reply["Call-ID"] for reply in replies}) == RUNS
