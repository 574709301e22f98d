"""`kahea ctl`: finding a node, asking it, and showing its answers to people and to programs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.ports import free_port

from kahea.cli.ctl import value_of
from kahea.cli.tables import shown

from .clients import PATIENCE, kamcmd
from .servers import Kahea


def ctl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with `folder` as the run directory."""
    return subprocess.run(
        [sys.executable, "-m", "kahea", "ctl", *words],
        env={**os.environ, "KAHEA_RUN": str(folder)}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _only_these(monkeypatch: pytest.MonkeyPatch, kahea: Kahea) -> None:
    """The package under test, and no other node of this machine than the fixture's."""
    environment = kahea.environment()
    assert environment is not None
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])


def answer(kahea: Kahea, *words: str) -> str:
    done = ctl(kahea.folder / "run", "-s", str(control(kahea)), *words)
    assert done.returncode == 0, done
    return done.stdout


def control(kahea: Kahea) -> Path:
    (path,) = (kahea.folder / "run").glob("*.ctl")
    return path


def test_the_control_socket_is_for_its_owner_alone(kahea: Kahea) -> None:
    path = control(kahea)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_tables_for_people(kahea: Kahea) -> None:
    lines = answer(kahea, "core.sockets_list").splitlines()
    assert lines[0].split() == ["proto", "address", "ipaddress", "port", "mcast", "mhomed", "virtual"]
    assert lines[1].split() == ["udp", "127.0.0.1", "127.0.0.1", str(kahea.sip), "no", "no", "no"]
    assert answer(kahea, "core.echo", "a", "-5", "s:7") == "a\n-5\n7\n"
    assert "dns.view  " in answer(kahea, "--list", "dns.")
    assert "core." not in answer(kahea, "--list", "dns.")


def test_json_for_programs(kahea: Kahea) -> None:
    result = json.loads(answer(kahea, "core.sockets_list", "--format", "json"))
    assert result[0]["socket"]["port"] == str(kahea.sip)
    commands = json.loads(answer(kahea, "--format", "json", "--list", "ul.rm"))
    assert [one["name"] for one in commands] == ["ul.rm", "ul.rm_contact"]
    assert commands[0]["parameters"] == "table aor"
    done = ctl(kahea.folder / "run", "-s", str(control(kahea)), "--format", "json", "cfg.get", "core", "nothing")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == 400


def test_every_command_is_described(kahea: Kahea) -> None:
    for one in json.loads(answer(kahea, "--format", "json", "--list")):
        assert one["help"], one


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("core.uptim",), 1, "there is no command 'core.uptim'; did you mean core.uptime"),
        (("xyzzy",), 1, "`kahea ctl --list` has all commands"),
        (("ul.rm", "location"), 1, "usage: kahea ctl ul.rm table aor"),
        (("cfg.seti", "core", "debug", "99"), 1, "core.debug is from -5 to 9, not 99"),
        ((), 2, "kahea ctl --list"),
        (("--format", "xml", "core.ps"), 2, "table or json"),
    ],
)
def test_errors_that_help(kahea: Kahea, words: tuple[str, ...], code: int, text: str) -> None:
    done = ctl(kahea.folder / "run", "-s", str(control(kahea)), *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in " ".join(done.stderr.replace("│", " ").split())


def test_commands_without_a_dot_are_our_own(kahea: Kahea) -> None:
    before = json.loads(answer(kahea, "generations", "--format", "json"))
    done = json.loads(answer(kahea, "reload", "--format", "json"))
    after = json.loads(answer(kahea, "kahea.generations", "--format", "json"))
    assert [each["running"] for each in after] == [*(0 for _ in after[1:]), 1]
    assert (done["generation"], done["hash"]) == (after[-1]["generation"], before[-1]["hash"])
    back = json.loads(answer(kahea, "rollback", "--format", "json"))
    assert back["generation"] == before[-1]["generation"]


def test_no_node(tmp_path: Path, kahea: Kahea) -> None:
    done = ctl(tmp_path, "-s", str(tmp_path / "none"), "core.ps")
    assert done.returncode == 3
    assert "No such file" in done.stderr
    silent = tmp_path / "silent"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(silent))
        listening.listen()
        done = ctl(tmp_path, "-s", str(silent), "--timeout", "0.1", "core.ps")
    assert done.returncode == 3
    assert "no answer in 0.1 s" in done.stderr
    # A socket of another protocol.
    done = ctl(tmp_path, "-s", str(kahea.folder / "ctl"), "core.ps")
    assert done.returncode == 3
    assert "no control socket of a node" in done.stderr


@pytest.mark.skipif(shutil.which("kamcmd") is None, reason="needs Debian's kamcmd")
def test_kamcmd_talks_to_the_control_socket(kahea: Kahea) -> None:
    assert kamcmd(f"unix:{control(kahea)}", "core.echo", "a", "5") == "a\n5\n"


SCRIPT = "def ksr_request_route():\n    return 1\n"


def start(folder: Path, run: Path, *words: str) -> subprocess.Popen[str]:
    """A small node; returns when it answers."""
    script = folder / "small.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "kahea", "run", str(script), "-l", f"udp:127.0.0.1:{free_port()}", *words]
    process = subprocess.Popen(
        command, env={**os.environ, "KAHEA_RUN": str(run)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    return process


def first_line(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"it ended without saying {text!r}")


def test_nodes_are_found_and_a_killed_one_is_cleared_away(tmp_path: Path) -> None:
    run = tmp_path / "run"
    nodes = [start(tmp_path, run) for _ in range(2)]
    try:
        for node in nodes:
            first_line(node, "runs")
        assert len(list(run.glob("*.ctl"))) == 2
        done = ctl(run, "core.pwd")
        assert done.returncode == 3
        assert "several nodes run here" in done.stderr
        assert all(f"-s {run}/{node.pid}.ctl" in done.stderr for node in nodes)
        nodes[0].kill()
        nodes[0].wait()
        assert ctl(run, "core.psx").stdout.split()[4] == str(nodes[1].pid)
        nodes.append(start(tmp_path, run))
        first_line(nodes[-1], "runs")
        assert {path.stem for path in run.glob("*.ctl")} == {str(nodes[1].pid), str(nodes[2].pid)}
        assert ctl(run, "-s", f"{run}/{nodes[1].pid}.ctl", "core.kill").returncode == 0
        assert nodes[1].wait(PATIENCE) == 0
        nodes[2].send_signal(signal.SIGTERM)
        assert nodes[2].wait(PATIENCE) == 0
        assert not list(run.glob("*.ctl"))
    finally:
        for node in nodes:
            node.kill()
            node.communicate()


def test_a_run_directory_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    run.chmod(0o777)
    node = start(tmp_path, run)
    try:
        assert "no control socket" in first_line(node, "control socket")
        first_line(node, "runs")
    finally:
        node.kill()
        node.communicate()


def test_a_control_socket_that_was_named_must_work(tmp_path: Path) -> None:
    node = start(tmp_path, tmp_path, "--set", f"control_socket={tmp_path}/no/such/place")
    output = node.communicate(timeout=30)[0]
    assert node.returncode == 1
    assert "control_socket" in output


@pytest.mark.parametrize(
    ("word", "value"),
    [("5", 5), ("-5", -5), ("0.5", 0.5), ("-1.5", -1.5), ("s:5", "5"), ("s:", ""), ("a:b", "a:b"), ("1e5", "1e5")],
)
def test_words_are_read_as_kamcmd_reads_them(word: str, value: object) -> None:
    assert value_of(word) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, ""),
        (None, ""),
        ([], ""),
        (5, "5"),
        ("a\nb", "a\nb"),
        (["a", 5], "a\n5"),
        ({"a": 1, "long": "x"}, "a     1\nlong  x"),
        ([{"a": 1, "b": "xx"}, {"a": 22, "b": None}], "a   b\n1   xx\n22"),
        ([{"s": {"a": 1}}, {"s": {"a": 2}}], "a\n1\n2"),
        ([{"a": 1}, {"b": 2}], "a  1\n\nb  2"),
        ({"list": [], "in": {"x": [1]}}, "list: none\nin:\n  x:\n    1"),
        ([{"a": "x" * 200}], "a  " + "x" * 200),
    ],
)
def test_answers_for_people(value: Any, text: str) -> None:
    assert shown(value) == text
