"""The blocklist of destinations beside real Kamailio's: what puts one on it, for how long, and what that does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from processes import KAMAILIO, PATIENCE, Server, compared, request

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

MODULES = ("corex", "textops", "siputils", "cfg_rpc", "blst")
CFG = """
disable_tcp=no
tcp_connect_timeout=2
use_dst_blocklist=yes
use_dns_cache=yes
use_dns_failover=yes
dns_try_naptr=no
@GLOBALS
listen=tcp:@STREAM
modparam("tm", "fr_timer", 300)
modparam("tm", "fr_inv_timer", 600)
modparam("tm", "blst_503", 1)
modparam("tm", "blst_503_min_timeout", 10)
modparam("tm", "blst_503_max_timeout", 20)
request_route {
    $var(rc) = 0;
    if ($rU == "ping" || is_method("CANCEL")) {
        if (is_method("CANCEL")) t_relay_cancel();
        else sl_send_reply("200", "OK");
        exit;
    }
    if ($hdr(X-U) != $null) $ru = $hdr(X-U);
    if ($hdr(X-B) != $null) append_branch("$hdr(X-B)");
    if ($hdr(X-Failure) != $null) t_on_failure("F");
    switch ($hdr(X-F)) {
    case "relay": break;
    case "forward": forward(); sl_send_reply("299", "forwarded"); exit;
    case "add": blst_add(); $var(rc) = $rc; break;
    case "add5": blst_add("5"); $var(rc) = $rc; break;
    case "add0": blst_add("0"); $var(rc) = $rc; break;
    case "addpv": blst_add("$(hdr(X-T){s.int})"); $var(rc) = $rc; break;
    case "retry": blst_add_retry_after("10", "20"); $var(rc) = $rc; break;
    case "del": blst_del(); $var(rc) = $rc; break;
    case "is": blst_is_blocklisted(); $var(rc) = $rc; break;
    case "replies": blst_rpl_set_ignore(); blst_rpl_clear_ignore("4"); $var(rc) = $rc; break;
    case "ignore": blst_set_ignore(); break;
    case "ignore2": blst_set_ignore("2"); break;
    case "ignore16": blst_set_ignore("16"); break;
    case "ignore32": blst_set_ignore("32"); break;
    case "ignore48": blst_set_ignore("48"); blst_clear_ignore("32"); break;
    case "ignored": blst_set_ignore(); blst_clear_ignore("16"); break;
    case "cleared": blst_set_ignore(); blst_clear_ignore(); break;
    }
    if ($hdr(X-U) == $null) {
        sl_send_reply("299", "rc $var(rc)");
        exit;
    }
    if (!t_relay()) xlog("L_ERR", "not relayed\\n");
}
failure_route[F] {
    $ru = $hdr(X-Failure);
    if (!t_relay()) t_reply("501", "failed again");
}
"""

_numbers = count(1)


class Talk:
    """What is said to one server, and what it shows."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.here = "127.0.0.1"

    def send(self, what: str, method: str = "OPTIONS", headers: str = "", callid: str = "", **given: str) -> str:
        """Send a request; its Call-ID."""
        callid = callid or f"b{next(_numbers)}"
        lines = "".join(f"X-{name}: {value}\r\n" for name, value in given.items())
        text = request(method, "sip:bob@example.com", f"X-F: {what}\r\n{lines}{headers}", callid=callid)
        self.server.caller.send(text)
        return callid

    def final(self, callid: str) -> str:
        """The first line of the final reply to a request."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            got = self.server.caller.receive()
            if f"\r\nCall-ID: {callid}\r\n" in got and not got.startswith("SIP/2.0 1"):
                if "CSeq: 1 INVITE" in got:
                    self.server.caller.send(request("ACK", "sip:bob@example.com", callid=callid))
                return got.split("\r\n")[0].removeprefix("SIP/2.0 ")
        raise TimeoutError

    def ask(self, what: str, method: str = "OPTIONS", headers: str = "", **given: str) -> str:
        """Send a request, and see what becomes of it."""
        return self.final(self.send(what, method, headers, **given))

    def view(self) -> list[str]:
        """The list, with the time that is left to 5 seconds, since the two do not run in step."""
        words = self.server.rpc("dst_blocklist.debug").split()
        entries = [words[i : i + 5] for i in range(0, len(words), 5)]
        words_of = {str(port): word for word, port in self.server.ports.items()}
        return sorted(
            f"{p} {ip} {words_of.get(port, port)} {-(-int(left) // 5) * 5} {flags}"
            for p, ip, port, left, flags in entries
        )

    def clear(self) -> None:
        """Empty the list."""
        assert self.server.rpc("dst_blocklist.delete_all") == ""

    def add(self, *words: str) -> str:
        """Put a destination on the list."""
        return self.server.rpc("dst_blocklist.add", *(self.server.fill(word) for word in words))

    def port(self, word: str) -> str:
        """A peer's port."""
        return str(self.server.ports[word])

    def sent(self) -> list[str]:
        """The methods that the sinks got since they were last looked at, without repetitions."""
        got = []
        for sink in (self.server.sink, self.server.sink2):
            while True:
                try:
                    text = sink.receive(0.02)
                except TimeoutError:
                    break
                seen = f"{sink.word} {text.split(' ')[0]}"
                if seen not in got:
                    got.append(seen)
        return got


SINK = "sip:x@@SINK"
#: Nobody listens at the port of the service discard.
REFUSED = "sip:x@127.0.0.1:9;transport=tcp"


def talk(folder: Path, scenario: Callable[[Talk], dict[str, object]], global_parameters: str = "") -> None:
    """Have it with both, and compare."""
    cfg = CFG.replace("@GLOBALS", global_parameters)
    theirs, ours = compared(folder, cfg, (*MODULES, "xlog"), lambda server: scenario(Talk(server)))
    different = [f"{k}: {theirs[k]} there, {ours[k]} here" for k in theirs if theirs[k] != ours[k]]
    assert not different, "\n".join(different)


def test_silence_and_503(tmp_path: Path) -> None:
    def scenario(t: Talk) -> dict[str, object]:
        out: dict[str, object] = {"empty": (t.view(), t.server.rpc("dst_blocklist.mem_info"))}
        for what in ("relay", "ignore", "ignore2", "ignore16", "ignored", "cleared"):
            out[f"silent {what}"] = t.ask(what, "INVITE", U=SINK), t.view(), t.server.rpc("dst_blocklist.mem_info")
            t.clear()
        out["silent OPTIONS"] = t.ask("relay", U=SINK), t.view()
        t.ask("relay", "INVITE", U=SINK)
        t.sent()
        for method in ("INVITE", "OPTIONS", "REGISTER"):
            out[f"then {method}"] = t.ask("relay", method, U=SINK)
        t.send("relay", "ACK", U=SINK)
        out["then forward"] = t.ask("forward", U=SINK)
        out["nothing was sent"] = t.sent()
        out["then BYE"] = t.ask("relay", "BYE", U=SINK), t.sent()
        out["two branches"] = t.ask("relay", "INVITE", U=SINK, B="sip:y@@SINK2"), t.sent(), t.view()
        out["both"] = t.ask("relay", "INVITE", U=SINK, B="sip:y@@SINK2"), t.sent()
        out["failure route"] = t.ask("relay", "INVITE", U=SINK, Failure="sip:y@@SINK2"), t.sent()
        t.clear()
        t.add("127.0.0.1", t.port("@SINK2"), "1", "2")
        out["second try"] = t.ask("relay", "INVITE", U=SINK, Failure="sip:y@@SINK2"), t.sent(), t.view()
        t.clear()
        # A provisional reply is an answer.
        callid = t.send("relay", "INVITE", U=SINK)
        t.server.sink.reply(t.server.sink.expect("INVITE"), "180 Ringing")
        out["ringing"] = t.final(callid), t.view()
        t.sent()
        for what, status, headers in (
            ("relay", "503 No", ""),
            ("relay", "503 No", "Retry-After: 5\r\n"),
            ("relay", "503 No", "Retry-After: 15\r\n"),
            ("relay", "503 No", "Retry-After: 3000\r\n"),
            ("relay", "500 No", "Retry-After: 15\r\n"),
            ("ignore32", "503 No", "Retry-After: 15\r\n"),
            ("ignore48", "503 No", "Retry-After: 15 (soon)\r\n"),
        ):
            callid = t.send(what, "INVITE", U=SINK)
            t.server.sink.reply(t.server.sink.expect("INVITE"), status, headers)
            out[f"{what} {status} {headers}"] = t.final(callid), t.view()
            t.sent()
            t.clear()
        return out

    talk(tmp_path, scenario)


def test_orders_and_connections(tmp_path: Path) -> None:
    def scenario(t: Talk) -> dict[str, object]:
        out: dict[str, object] = {}
        for what in ("is", "del", "add", "is", "add5", "add0", "del", "del", "replies", "retry"):
            out[f"{len(out)} {what}"] = t.ask(what), t.view()
        for seconds in ("3", "40", "400000"):
            out[f"for {seconds}"] = t.ask("addpv", T=seconds), t.view()
        t.clear()
        for value in ("5", "15", "25", "15 (comment)", "15;duration=3", "0"):
            out[f"Retry-After {value}"] = t.ask("retry", headers=f"Retry-After: {value}\r\n"), t.view()
            t.clear()
        sink = t.port("@SINK")
        for words in (
            ("127.0.0.1", sink, "0", "2"), ("127.0.0.1", "0", "1", "2"), ("127.0.0.1", "0", "0", "2"),
            ("127.0.0.1", sink, "2", "2"), ("127.0.0.1", sink, "1", "0"), ("::1", "5062", "2", "3"),
            ("[::2]", "5062", "3", "255"), ("10.0.0.1", "1", "9", "2"), ("x", "1", "1", "1"),
        ):  # fmt: skip
            answer = t.add(*words).split(" - ")[-1]
            out[str(words).replace(sink, "@SINK")] = (
                answer,
                t.view(),
                t.ask("relay", U=SINK),
                t.sent(),
                t.server.rpc("dst_blocklist.mem_info"),
            )
            t.clear()
        for ip, flags in (("10.0.0.1", f) for f in ("64", "2", "0", "1", "255", "300")):
            out[f"{ip} {flags}"] = t.add(ip, "5060", "1", flags).split(" - ")[-1], t.view()
        for flags in ("64", "0", "1", "130"):
            out[f"::1 {flags}"] = t.add("::1", "5060", "1", flags).split(" - ")[-1], t.view()
        t.clear()
        out["kept"] = t.view()
        t.add("10.0.0.1", "5060", "1", "64")
        shown = re.sub(r"(?<=in \(s\): )\d+", "N", t.server.rpc("dst_blocklist.view"))
        out["view"] = sorted(" ".join(entry.split()) for entry in shown.split("}"))
        t.clear()
        for what in ("ignore", "ignore2", "relay", "relay"):
            out[f"{len(out)} refused {what}"] = t.ask(what, U=REFUSED), t.view()
        out["the same over UDP"] = t.ask("relay", U=REFUSED.partition(";")[0])
        t.clear()
        for address in ("127.0.0.1", "127.0.0.3"):
            t.server.rpc("dns.add_a", "two.example.com", "600", address, "0")
        t.add("127.0.0.1", sink, "1", "2")
        t.add("127.0.0.3", sink, "1", "2")
        out["no place left"] = t.ask("relay", "INVITE", U=f"sip:x@two.example.com:{sink}"), t.sent()
        t.clear()
        t.add("127.0.0.3", sink, "1", "2")
        callid = t.send("relay", "INVITE", U=f"sip:x@two.example.com:{sink}")
        invite = t.server.sink.expect("INVITE")
        t.server.sink.reply(invite, "486 Busy")
        out["the other place"] = t.final(callid)
        t.clear()
        out["off"] = [
            t.server.rpc("cfg.set_now_int", "core", "use_dst_blocklist", "0"),
            t.server.rpc("dst_blocklist.view"), t.ask("add"), t.ask("is"), t.ask("del"),
            t.server.rpc("cfg.set_now_int", "core", "use_dst_blocklist", "1"), t.view(), t.ask("is"),
        ]  # fmt: skip
        t.server.rpc("cfg.set_now_int", "core", "dst_blocklist_expire", "7")
        out["expire"] = t.ask("add"), t.view()
        t.clear()
        t.server.rpc("cfg.set_now_int", "core", "dst_blocklist_udp_imask", "16")
        out["masked"] = t.ask("relay", "INVITE", U=SINK), t.view()
        return out

    talk(tmp_path, scenario)


@pytest.mark.parametrize(
    "given",
    [
        "dst_blocklist_init=no",
        "dst_blocklist_ttl=3\ndst_blocklist_mem=1\ndst_blocklist_udp_imask=16\ndst_blocklist_tcp_imask=255\n"
        "dst_blocklist_tls_imask=1\ndst_blocklist_sctp_imask=1\ndst_blocklist_gc_interval=1",
    ],
    ids=["off", "masked"],
)
def test_global_parameters(tmp_path: Path, given: str) -> None:
    def scenario(t: Talk) -> dict[str, object]:
        out: dict[str, object] = {"silent": (t.ask("relay", "INVITE", U=SINK), t.server.rpc("dst_blocklist.view"))}
        out["refused"] = t.ask("relay", U=REFUSED), t.server.rpc("dst_blocklist.view")
        out["add"] = t.ask("add"), t.server.rpc("dst_blocklist.mem_info"), t.ask("is")
        return out

    talk(tmp_path, scenario, given)
