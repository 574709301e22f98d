"""Kamailio's options under their own names: what they make of a cfg and its configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command import kahea
from test_cfg import CFG, answer, running, said

from kahea.cli.options import Overrides, listeners, substitutions
from kahea.engines import configure
from kahea.engines.native.parser import parse_text
from kahea.routing.settings import ConfigError, Configuration


def overridden(config: Configuration, **given: str) -> Configuration:
    Overrides(given, ["sip.example.org"], ["max_branches=9"], ["maxfwd"], ["maxfwd:max_limit:i:20"], 2, True, 0).apply(
        config
    )
    return config


def test_what_is_said_beside_the_script(tmp_path: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text("debug=1\n" + CFG)
    config = overridden(configure(cfg), server_id="4", check_via="yes", maxbuffer="", disable_tcp="yes")
    settings = config.settings
    assert (settings.server_id, settings.check_via, settings.disable_tcp, settings.debug) == (4, True, True, 3)
    assert (settings.alias, settings.max_branches, settings.log_stderror) == (["sip.example.org"], 9, True)
    assert config.load == ["sl", "pv", "maxfwd"]
    assert config.modules["maxfwd"] == [("max_limit", 20)]


def test_lists_of_listeners() -> None:
    given = ["udp:(127.0.0.1, eth0):5065", "tcp:127.0.0.1", "(a,b)"]
    assert listeners(given) == ["udp:127.0.0.1:5065", "udp:eth0:5065", "tcp:127.0.0.1", "a", "b"]


def test_substitutions_hold_from_the_first_line() -> None:
    text = '#!ifdef WHO\n#!define HAVE WHO\n#!endif\nmy.a="x WHO"\nmy.b="OTHER"\nmy.c=HAVE\nroute[A] { exit; }\n'
    given = substitutions(["/OTHER/third/"], None, ["#WHO#a/b#"])
    program = parse_text(text, "kamailio.cfg", {}, given)
    values = [declaration.values[0].text for declaration in program.declarations[:3]]  # type: ignore[union-attr]
    assert values == ["x a/b", "third", "a/b"]
    assert program.defines["WHO"] == '"a/b"'


@pytest.mark.parametrize("text", ["bad", "/a", "/(/b/", ""])
def test_what_is_no_substitution(text: str) -> None:
    with pytest.raises(ConfigError, match="--substdef"):
        parse_text("route[A] { exit; }", "kamailio.cfg", {}, [("substdef", text)])


def test_a_server_with_kamailios_options(tmp_path: Path) -> None:
    cfg, group = tmp_path / "kamailio.cfg", tmp_path / "group"
    cfg.write_text(CFG)
    words = [
        "-f",
        str(cfg),
        "-DD",
        "-e",
        "-l",
        "udp:(127.0.0.1):0",
        "--substdefs",
        "/ANSWER/Of the line/",
        "-G",
        str(group),
    ]
    with running(*words, "--substdefs", "/ANSWER/Of the line/") as process:
        line = said(process)
        assert answer(line.split()[-1]) == "SIP/2.0 200 Of the line"
        assert "--atexit and --log-engine have no effect here" in said(process)
        assert int(group.read_text()) == os.getpgid(process.pid)
    assert not group.exists()


def test_a_check_by_option(tmp_path: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(CFG.replace("exit;", "quit();"))
    done = kahea("run", "-c", "-f", str(cfg))
    assert done.returncode == 1
    assert "there is no function quit()" in done.stdout
    cfg.write_text(CFG)
    assert kahea("run", "-c", "-f", str(cfg), "-A", "MORE").returncode == 0
    assert kahea("check", str(cfg), "--subst", "/Unasked/$nothing(/").returncode == 1
    assert kahea("-v").stdout.startswith("kahea ")
