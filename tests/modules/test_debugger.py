"""Module debugger: traces and dumps as Kamailio writes them, breakpoints, levels by module."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.native.both import PORT, Kamailio, Ours, Program, request

from kahea.routing.module import RpcError
from kahea.testing import Simulation
from kahea.testing.simulation import VirtualNode

PARAMS = """
modparam("debugger", "cfgtrace", 1)
modparam("debugger", "mod_hash_size", 5)
modparam("debugger", "mod_level_mode", 1)
"""
CFG = """#!KAMAILIO
debug=0
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "debugger.so"
{params}
request_route {{
    $var(temp) = 1;
    $avp(s:more_avp) = 2;
    $avp(s:more_avp) = 3;
    $xavp(x=>more) = "bye";
    $xavp(x[0]=>more) = "hi";
    $xavp(x[0]=>other) = 1;
    $var(empty) = $null;
    $var(s) = "a\\"b";
    if ($rU == "x" && is_method("OPTIONS")) {{
        xlog("x\\n");
    }} else {{
        route(SUB);
    }}
    while ($var(temp) < 3) {{
        $var(temp) = $var(temp) + 1;
    }}
    switch ($var(temp)) {{
        case 3: setflag(1); break;
    }}
    if (is_method("INVITE")) {{ drop; }}
    dbg_pv_dump("14", "L_ERR");
    dbg_pv_dump("4", "L_ERR");
    append_hf("P-Hint: My hint\\r\\n"); remove_hf("Contact");
    dbg_sip_msg("L_ERR");
    sl_send_reply("200", "OK");
    exit;
}}
route[SUB] {{
    $du = "sip:x";
    return 1;
}}
"""
TRACE = re.compile(r"\*\*\* cfgtrace:\S* (\w+=\[\w+\] )c=\[[^]]*\] l=(\d+) a=(\d+) n=(\w+)")


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    yield
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("kahea") and isinstance(logger, logging.Logger):
            logger.setLevel(logging.NOTSET)


def told(log: str) -> tuple[list[tuple[str, ...]], list[object], str]:
    """The steps, the variables and the message that a log shows."""
    steps = [found.groups() for found in TRACE.finditer(log)]
    dumps = [json.loads(found) for found in re.findall(r'(\{"\$.*\})', log)]
    begin = log.index("START OF SIP message debug")
    message = log[begin : log.index("END OF SIP message debug", begin)]
    message = message.replace("-", "").replace("\n\n", "\n")
    return steps, dumps, "\n".join(line.strip() for line in message.splitlines() if line.strip())


@pytest.mark.skipif(shutil.which("kamailio") is None, reason="Kamailio is not installed")
def test_what_is_logged_is_kamailios(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = CFG.format(port=PORT, params=PARAMS)
    program = Program("", method="OPTIONS", name="y", headers="Contact: <sip:c@d>\r\n")
    with Kamailio(tmp_path, text) as kamailio:
        kamailio.caller.settimeout(5)
        before = (tmp_path / "log").stat().st_size
        kamailio.caller.sendto(request(program, 5), ("127.0.0.1", PORT))
        kamailio.caller.recv(65535)
        log = (tmp_path / "log").read_text()[before:]
        while log.count("n=exit") < 2 and kamailio.process.poll() is None:  # it answers before the script is over
            log = (tmp_path / "log").read_text()[before:]
    theirs = told(re.sub(r"^ *\d+\(\d+\) ", "", log, flags=re.M))
    Ours(text).send(request(program, 5))
    ours = told("\n".join(record.getMessage() for record in caplog.records))
    # Kamailio has what holds other statements on the line of its end, and a call in a condition on one before.
    elsewhere = ("if", "while", "switch", "is_method")
    assert [step[3] for step in ours[0]] == [step[3] for step in theirs[0]]
    assert [s for s in ours[0] if s[3] not in elsewhere] == [s for s in theirs[0] if s[3] not in elsewhere]
    assert ours[1:] == theirs[1:]


def node(kahea: Simulation, params: str = "") -> VirtualNode:
    return kahea.node(simulated(params))


def simulated(params: str = "") -> str:
    """The cfg for the simulation, where what is logged as an error fails the test."""
    return CFG.format(port=5060, params=params).replace("127.0.0.1", "10.0.0.9").replace('"L_ERR"', '"L_DBG"')


def test_stepping_through_a_run(kahea: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    made = node(kahea, 'modparam("debugger", "log_level", 0)')
    commands = made.node.registry.rpcs
    pid = os.getpid()

    def bp(*words: object) -> str:
        answer: str = commands["dbg.bp"].call(*words)
        return answer

    alice = kahea.ua("alice")
    assert bp("on") == "200 ok"
    held = alice.request("OPTIONS", "sip:y@10.0.0.9")
    kahea.run(0.1)
    assert commands["dbg.ls"].call() == [{"entry": 0, "pid": pid, "set": 2, "state": 1, "in.pid": 0, "in.cmd": 0}]
    file = made.node.routes.files[0]
    assert bp("show", pid) == f"at bkp [{file}:17] a=63 n=assign"
    assert bp("eval", pid, "$rU") == "$rU : t=str v=y"
    assert bp("eval", pid, "$var(temp)") == "$var(temp) : t=int v=0"
    assert bp("eval", pid, "$avp(zz)") == "$avp(zz) : t=null"
    assert bp("next", pid) == f"exec [{file}:17] a=63 n=assign"
    kahea.run(0.1)
    assert bp("eval", pid, "$var(temp)") == "$var(temp) : t=int v=1"
    # Others stop too, until they are released; the one that waits goes on waiting.
    assert bp("release") == "200 ok"
    assert alice.request("OPTIONS", "sip:other@10.0.0.9").wait().status == 200
    assert bp("show", pid) == f"at bkp [{file}:18] a=63 n=assign"
    assert bp("move", pid) == "200 ok"
    assert held.wait().status == 200
    with pytest.raises(RpcError, match="Not waiting"):
        bp("next", pid)
    with pytest.raises(RpcError, match="Missing pid"):
        bp("next")
    with pytest.raises(RpcError, match="No such pid"):
        bp("next", pid + 1)
    with pytest.raises(RpcError, match="Unknown inner command"):
        bp("leap", pid)
    assert "breakpoint hit" in caplog.text


def test_a_breakpoint_in_the_cfg(kahea: Simulation) -> None:
    made = kahea.node(simulated().replace("    $du =", '    dbg_breakpoint("1");\n    $du ='))
    held = kahea.ua("alice").request("OPTIONS", "sip:y@10.0.0.9")
    kahea.run(0.1)
    assert made.node.registry.rpcs["dbg.bp"].call("show", os.getpid()).endswith("n=dbg_breakpoint")
    made.node.registry.rpcs["dbg.bp"].call("move", os.getpid())
    assert held.wait().status == 200
    kahea.errors.clear()


def test_the_trace_is_turned_on_and_off(kahea: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    made = node(
        kahea,
        'modparam("debugger", "log_level_name", "exec")\nmodparam("debugger", "log_prefix", "from me:")\n'
        'modparam("debugger", "cfgtrace_format", 1)\nmodparam("debugger", "log_facility", "LOG_LOCAL3")',
    )
    trace = made.node.registry.rpcs["dbg.trace"].call
    alice = kahea.ua("alice")
    alice.request("OPTIONS", "sip:y@10.0.0.9").wait()
    assert "from me:" not in caplog.text
    assert trace("on") == "200 ok"
    alice.request("OPTIONS", "sip:y@10.0.0.9").wait()
    lines = [record for record in caplog.records if record.getMessage().startswith("from me:")]
    assert lines[0].getMessage() == "from me: request_route=[DEFAULT_ROUTE] l=20 a=63 n=assign"
    assert (lines[0].levelname, lines[0].facility) == ("exec", "LOG_LOCAL3")  # type: ignore[attr-defined]
    assert trace("off") == "200 ok"
    with pytest.raises(RpcError, match="Unknown trace command"):
        trace("perhaps")
    kahea.errors.clear()


def test_levels_and_facilities_by_module(kahea: Simulation) -> None:
    made = node(
        kahea,
        'modparam("debugger", "mod_hash_size", 5)\nmodparam("debugger", "mod_level_mode", 1)\n'
        'modparam("debugger", "mod_level", "tm=3")\nmodparam("debugger", "mod_facility", "tm=LOG_LOCAL1")',
    )
    commands = made.node.registry.rpcs
    tm = logging.getLogger("kahea.tm")
    assert tm.level == logging.DEBUG
    assert commands["dbg.get_mod_level"].call("tm") == 3
    assert commands["dbg.get_mod_level"].call("sl") == made.node.settings.debug
    commands["dbg.set_mod_level"].call("tm", -1)
    assert tm.level == logging.ERROR
    made.node.configuration.runtime.set("dbg", "mod_level_mode", 0)
    assert tm.level == logging.NOTSET
    assert commands["dbg.get_mod_facility"].call("tm") == made.node.settings.log_facility
    made.node.configuration.runtime.set("dbg", "mod_facility_mode", 1)
    assert commands["dbg.get_mod_facility"].call("tm") == "LOG_LOCAL1"
    record = tm.makeRecord("kahea.tm", logging.ERROR, "", 0, "x", (), None)
    assert tm.filter(record)
    assert record.facility == "LOG_LOCAL1"  # type: ignore[attr-defined]
    with pytest.raises(RpcError, match="no facility"):
        commands["dbg.set_mod_facility"].call("tm", "LOG_NOPE")


def test_off_without_a_hash_size(kahea: Simulation) -> None:
    made = node(kahea, 'modparam("debugger", "mod_level_mode", 1)\nmodparam("debugger", "mod_level", "tm=3")')
    assert logging.getLogger("kahea.tm").level == logging.NOTSET
    with pytest.raises(RpcError, match="mod_hash_size is 0"):
        made.node.registry.rpcs["dbg.set_mod_level"].call("tm", 3)


def test_messages_are_counted_anew(kahea: Simulation) -> None:
    made = node(kahea, 'modparam("debugger", "reset_msgid", 1)')
    alice = kahea.ua("alice")
    for _ in range(2):
        alice.request("OPTIONS", "sip:y@10.0.0.9").wait()
    made.node.registry.rpcs["dbg.reset_msgid"].call()
    ids = []
    made.node.module("debugger").node.tracer.on_step.append(lambda run, _step: ids.append(run.msg.id))
    alice.request("OPTIONS", "sip:y@10.0.0.9").wait()
    assert set(ids) == {1}


def test_what_was_assigned(kahea: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kahea")
    made = node(kahea, 'modparam("debugger", "log_assign", 1)')
    made.node.settings.debug = 3
    kahea.ua("alice").request("OPTIONS", "sip:y@10.0.0.9").wait()
    lines = [record.getMessage() for record in caplog.records if record.name == "kahea.debugger"]
    assert lines[:3] == ["$var(temp):1", "$avp(s:more_avp):2", "$avp(s:more_avp):3"]
    kahea.errors.clear()
