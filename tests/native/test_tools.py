"""Python's own tools on a cfg: tracebacks are in `test_compiler`; here are pdb and coverage."""

from __future__ import annotations

import io
import pdb
from pathlib import Path

import coverage
import pytest

from kahea.testing import Simulation

CFG = """#!KAMAILIO
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
request_route {
    $var(x) = $rU;
    if ($rU == "bob" &&
        is_method("OPTIONS")) {
        route(ANSWER);
        exit;
    }
    switch ($rU) {
        case "carol":
            sl_send_reply("480", "Gone");
            break;
        default:
            sl_send_reply("404", "Who?");
    }
}
route[ANSWER] {
#!ifdef WITH_WORDS
    sl_send_reply("200", "Here I am");
    return;
#!endif
    sl_send_reply("200", "OK");
}
"""
ROW = {text.strip(): n for n, text in enumerate(CFG.splitlines(), 1)}


@pytest.fixture
def cfg(tmp_path: Path) -> Path:
    path = tmp_path / "kamailio.cfg"
    path.write_text(CFG)
    return path


def test_pdb_stops_at_a_line_of_a_cfg(kahea: Simulation, cfg: Path) -> None:
    kahea.node(cfg)
    out = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("c\np run.vars\nwhere\nnext\nnext\nc\n"), stdout=out)
    assert debugger.set_break(str(cfg), ROW["route(ANSWER);"]) is None
    alice = kahea.ua("alice")
    debugger.runcall(lambda: alice.request("OPTIONS", "sip:bob@10.0.0.9").wait())
    told = out.getvalue()
    assert f"> {cfg}({ROW['route(ANSWER);']})request_route()\n-> route(ANSWER);" in told
    assert "{'x': 'bob'}" in told
    assert f"({ROW['exit;']})request_route()\n-> exit;" in told


@pytest.mark.parametrize("defines", ["", "WITH_WORDS"])
def test_coverage_tells_what_was_not_run(kahea: Simulation, cfg: Path, tmp_path: Path, defines: str) -> None:
    rc = tmp_path / "coveragerc"
    rc.write_text(
        "[run]\nplugins = kahea.testing.coverage\nconcurrency = greenlet\n"
        f"[kahea.testing.coverage]\ndefines = {defines}\n"
    )
    measured = coverage.Coverage(data_file=None, config_file=str(rc), include=[str(cfg)])
    with measured.collect():
        kahea.node(cfg, defines={defines: ""} if defines else {})
        alice = kahea.ua("alice")
        alice.request("OPTIONS", "sip:bob@10.0.0.9").wait()
        alice.request("OPTIONS", "sip:dave@10.0.0.9").wait()
    _, lines, _, missing, _ = measured.analysis2(str(cfg))
    gone = ROW['sl_send_reply("480", "Gone");']
    assert missing == [gone, gone + 1] + ([ROW['sl_send_reply("200", "OK");']] if defines else [])
    assert set(lines) > {ROW["$var(x) = $rU;"], ROW["switch ($rU) {"], ROW["route(ANSWER);"]}
    assert (ROW['sl_send_reply("200", "Here I am");'] in lines) == bool(defines)
