"""xlog: levels, variables, prefix, facility, colours."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from textops_cases import PLAIN
from textops_oracle import KAMAILIO, Case, run_cases

from conftest import Bench
from kahea.modules.xlog import escape
from kahea.routing.module import ConfigError

Make = Callable[..., Bench]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[int, str]]]:
    caplog.set_level(logging.DEBUG, "kahea.script")
    return lambda: [(r.levelno, r.getMessage()) for r in caplog.records if r.name == "kahea.script"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("L_ALERT", logging.CRITICAL),
        ("L_BUG", logging.CRITICAL),
        ("L_CRIT", logging.CRITICAL),
        ("L_ERR", logging.ERROR),
        ("L_WARN", logging.WARNING),
        ("L_NOTICE", 25),
        ("L_INFO", logging.INFO),
        ("L_DBG", logging.DEBUG),
        ("info", logging.ERROR),
        ("L_X", logging.ERROR),
        ("", logging.ERROR),
        ("3", logging.ERROR),
    ],
)
def test_level_is_the_third_letter(
    bench: Make, lines: Callable[[], list[tuple[int, str]]], level: str, expected: int
) -> None:
    b = bench("xlog")
    b.node.settings.debug = 3
    b.take(PLAIN)
    assert b.call("xlog.xlog", level, "$rm to $rU: $avp(none) $$\n") == 1
    assert lines() == [(expected, "<script>: INVITE to bob: <null> $")]


def test_each_function_has_its_level(bench: Make, lines: Callable[[], list[tuple[int, str]]]) -> None:
    b = bench("xlog")
    b.node.settings.debug = 3
    b.take(PLAIN)
    for name in ("xdbg", "xinfo", "xnotice", "xwarn", "xerr", "xcrit", "xalert"):
        assert b.call(f"xlog.{name}", name) == 1
    assert [level for level, _ in lines()] == [10, 20, 25, 30, 40, 50, 50]


def test_what_does_not_show_is_not_evaluated(bench: Make, lines: Callable[[], list[tuple[int, str]]]) -> None:
    b = bench("xlog")
    b.node.settings.debug = 0
    b.take(PLAIN)
    assert b.call("xlog.xinfo", "$nope") == 1
    assert lines() == []
    assert b.call("xlog.xwarn", "$nope") == -1


def test_prefix_may_have_variables(bench: Make, lines: Callable[[], list[tuple[int, str]]]) -> None:
    b = bench("xlog", xlog={"prefix": "$rm| ", "prefix_mode": 1})
    b.take(PLAIN)
    b.call("xlog.xerr", "x")
    b.node.module("xlog").prefix_mode = 0
    b.call("xlog.xerr", "x")
    assert [text for _, text in lines()] == ["INVITE| x", "$rm| x"]


def test_long_lines_are_cut(bench: Make, lines: Callable[[], list[tuple[int, str]]]) -> None:
    b = bench("xlog", xlog={"prefix": "", "buf_size": 8})
    b.take(PLAIN)
    b.call("xlog.xerr", "$rm $rm $rm")
    b.call("xlog.xerr", "no variables here")
    assert [text for _, text in lines()] == ["INVITE I", "no variables here"]


def test_facility_is_in_the_record(bench: Make, caplog: pytest.LogCaptureFixture) -> None:
    b = bench("xlog", xlog={"log_facility": "LOG_DAEMON"})
    b.take(PLAIN)
    b.call("xlog.xerr", "x")
    b.call("xlog.xlog_facility", "LOG_LOCAL3", "L_ERR", "x")
    assert [r.__dict__["facility"] for r in caplog.records] == ["LOG_DAEMON", "LOG_LOCAL3"]
    assert b.call("xlog.xlog_facility", "LOG_NOWHERE", "L_ERR", "x") == -1


def test_colours_of_levels_show_with_log_color(bench: Make, lines: Callable[[], list[tuple[int, str]]]) -> None:
    b = bench("xlog", xlog={"log_colors": "L_ERR=rx;L_WARN=px", "prefix": ""})
    b.take(PLAIN)
    b.call("xlog.xerr", "plain")
    b.node.settings.log_color = True
    b.call("xlog.xerr", "red")
    b.call("xlog.xcrit", "not given")
    assert [text for _, text in lines()] == ["plain", "\x1b[0;31;49mred\x1b[0m", "not given"]


def test_colour_variable_needs_a_terminal(bench: Make) -> None:
    assert bench("xlog").node.variables.compile("$C(rg)").get(bench("xlog").take(PLAIN)) is None
    forced = bench("xlog", xlog={"force_color": 1})
    run = forced.take(PLAIN)
    assert forced.node.variables.compile("$C(rg)").get(run) == "\x1b[0;31;42m"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_facility", "LOG_NOPE"),
        ("log_colors", "L_ERR=qq"),
        ("log_colors", "ERR=rx"),
        ("buf_size", 0),
    ],
)
def test_parameters_that_can_not_be(bench: Make, name: str, value: int | str) -> None:
    with pytest.raises(ConfigError, match=name):
        bench("xlog", xlog={name: value})


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_colours_are_kamailios(tmp_path: Path) -> None:
    letters = "xsrgybpcwXSRGYBPCWq"
    names = [a + b for a in letters for b in letters] + ["r", "rgb"]
    calls = [("pv.get", f"$C({name})") for name in names]
    theirs = run_cases(tmp_path, [Case("colours", json.loads(json.dumps(calls)), PLAIN)])[0].results
    assert [escape(name) for name in names] == theirs
