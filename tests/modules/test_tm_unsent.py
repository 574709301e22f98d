"""Branches that can't be sent (`failure_exec_mode` of tm), or that nobody answers (`noisy_ctimer`), here and in
Kamailio."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import KAMAILIO, Server, compared, request

CFG = """
modparam("tm", "failure_exec_mode", {mode})
modparam("tm", "fr_timer", 300)
modparam("tm", "fr_inv_timer", 300)
request_route {{
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    if ($rU == "seen") {{ append_to_reply("X-Out: $shv(out)\\r\\n"); sl_send_reply("200", "OK"); exit; }}
    if (is_method("ACK")) exit;
    $shv(out) = $rU + ":";
    t_on_failure("FAILED");
    t_on_branch_failure("broken");
    # To a broadcast address a socket that is not made for that can't send.
    $rd = "255.255.255.255"; $rp = "9";
    if ($rU == "late") $du = "sip:@SINK";
    if ($rU == "fork") append_branch("sip:fork@@SINK");
    t_relay();
    $var(rc) = $rc;
    $shv(out) = $shv(out) + " relay=" + $var(rc);
    if ($var(rc) < 0) t_reply("499", "Not Sent");
}}
failure_route[FAILED] {{
    $shv(out) = $shv(out) + " failed " + $T_reply_code;
    if ($rU == "late" && $T_reply_code == 486) {{
        $du = "sip:255.255.255.255:9";
        t_on_failure("FAILED");
        t_relay();
        $var(rc) = $rc;
        $shv(out) = $shv(out) + " relay=" + $var(rc);
        if ($var(rc) < 0) t_reply("499", "Not Sent");
    }}
}}
event_route[tm:branch-failure:broken] {{
    $shv(out) = $shv(out) + " broken " + $T_branch_idx + " " + $T_reply_code;
}}
"""


def played(server: Server) -> list[str]:
    """What the routes saw of each request, and its final answer."""
    out = []
    for user in ("alone", "late", "fork"):
        for method in ("INVITE", "MESSAGE"):
            server.caller.send(request(method, f"sip:{user}@example.com", callid=f"{user}{method}"))
            if user != "alone":
                server.sink.reply(server.sink.expect(f"{method} "), "486 Busy")
            while f"\r\nCall-ID: {user}{method}\r\n" not in (got := server.caller.expect("SIP/2.0 4")):
                pass
            server.caller.send(request("OPTIONS", "sip:seen@example.com", callid=f"seen{user}{method}"))
            seen = server.caller.expect("SIP/2.0 200").partition("X-Out: ")[2].partition("\r\n")[0]
            out.append(f"{seen}, {got.partition(chr(13))[0]}")
    return out


MODULES = ("textops", "siputils", "corex", "tmx", "xlog")


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_unsent_branches_wait_for_their_timer(tmp_path: Path) -> None:
    theirs, ours = compared(tmp_path, CFG.format(mode=1), MODULES, played)
    assert ours == theirs
    assert ours[0] == "alone: relay=1 broken 0 408 failed 408, SIP/2.0 408 Request Timeout"


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_unsent_branches_fail_at_once(tmp_path: Path) -> None:
    """Kamailio knows when t_relay() returns; here the kernel says it a little later, and failure routes run."""
    theirs, ours = compared(tmp_path, CFG.format(mode=0), MODULES, played)
    assert theirs[0] == "alone: relay=-1, SIP/2.0 499 Not Sent"
    assert ours[0].startswith("alone: relay=1 broken 0 503 failed 503, SIP/2.0 477 ")


QUIET = """
modparam("tm", "noisy_ctimer", 0)
modparam("tm", "fr_timer", 200)
modparam("tm", "fr_inv_timer", 200)
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if (is_method("ACK")) exit;
    $du = "sip:@SINK";
    if ($rU == "failing") t_on_failure("FAILED");
    if ($rU == "fork") append_branch("sip:fork@@SINK");
    t_relay();
}
failure_route[FAILED] { return; }
"""


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_invites_that_nobody_answers_end_without_a_word(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[str]:
        users = ("silent", "failing", "fork", "ringing")
        for user in users:
            server.caller.send(request("INVITE", f"sip:{user}@example.com", callid=user))
        while not (invite := server.sink.receive()).startswith("INVITE sip:ringing"):
            pass
        server.sink.reply(invite, "180 Ringing")
        server.caller.send(request("MESSAGE", "sip:bob@example.com", callid="message"))
        seen = set()
        while len(seen) < 4:
            got = server.caller.expect("SIP/2.0 4")
            seen.add(got.partition("Call-ID: ")[2].partition("\r\n")[0])
        return sorted(seen)

    theirs, ours = compared(tmp_path, QUIET, MODULES, scenario)
    assert ours == theirs == ["failing", "fork", "message", "ringing"]
