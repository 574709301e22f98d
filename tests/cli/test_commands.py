"""The command line, as it is used: exit codes, messages, and what is printed."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from command import free_address, kahea

GOOD = "import KSR\n\ndef ksr_request_route():\n    KSR.sl.sl_send_reply(200, 'OK')\n"


def test_version() -> None:
    done = kahea("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"kahea \d+\.\d+\.\d+\n", done.stdout)


def test_functions() -> None:
    done = kahea("functions", "--json")
    assert done.returncode == 0, done.stderr
    listing = json.loads(done.stdout)
    assert all(set(entry) == {"module", "name", "params", "ret"} for entry in listing)
    kinds = {kind for entry in listing for kind in entry["params"]}
    assert kinds <= {"int", "str", "long"}
    assert {entry["ret"] for entry in listing} <= {"int", "bool", "xval", "none"}
    assert {"module": "", "name": "is_method", "params": ["str"], "ret": "bool"} in listing
    assert {"module": "tm", "name": "t_relay", "params": [], "ret": "int"} in listing
    assert {"module": "sl", "name": "sl_send_reply", "params": ["int", "str"], "ret": "int"} in listing
    names = [(entry["module"], entry["name"]) for entry in listing]
    assert names == sorted(set(names))


def test_functions_for_people() -> None:
    done = kahea("functions")
    assert "KSR.sl.sl_send_reply(int, str) -> int\n" in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bad.py", "def ksr_request_route(:\n    pass\n", r"bad\.py:1:\d+: "),
        ("bad.py", "import KSR\n\nx = 1 / 0\n", r"bad\.py:3: ZeroDivisionError"),
        ("bad.py", "import KSR\n", r"bad\.py: there is no ksr_request_route"),
        (
            "bad.cfg",
            "dbug=3\nrequest_route { exit; }\n",
            r"bad\.cfg:1:1: error: ",
        ),
        ("bad.lua", "", r"there is no ksr_request_route in it"),
        ("bad.txt", "", r"bad\.txt: can't tell the language"),
    ],
)
def test_a_bad_script(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    done = kahea("run", str(tmp_path / name), "-l", free_address())
    assert done.returncode == 1
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr or "ZeroDivisionError" in text or "1 / 0" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/no/such/file.py"], "/no/such/file.py: there is no such file"),
        (["SCRIPT", "-l", "udp:nowhere:port"], "is no address of the form"),
        (["SCRIPT", "-l", "udp:192.0.2.77:5060"], "192.0.2.77:5060: this host has no such address"),
        (["SCRIPT", "--set", "disable_tpc=1"], 'did you mean "disable_tcp"?'),
        (["SCRIPT", "--set", "enable_sctp=yes"], "SCTP is not supported yet"),
        (["SCRIPT", "--set", "enable_tls=yes", "-l", "tls:127.0.0.1:0"], "cert.pem: No such file"),
        (["SCRIPT", "--modparam", "tm:fr_timer:i:soon"], "'soon' is no integer"),
        (["SCRIPT", "--modparam", "tm:fr_timer"], "MODULE:NAME:TYPE:VALUE"),
        (["SCRIPT", "--modparam", "tm:fr_timr:i:5"], "fr_timer"),
        (["SCRIPT", "--modparam", "tn:fr_timer:i:5"], "there is no module 'tn'"),
        (["SCRIPT", "--settings", "/no/such.toml"], "/no/such.toml"),
        (["SCRIPT", "--loadmodule", "textopss"], "did you mean 'textops'?"),
        (["SCRIPT", "--alias", "a:b:c"], "alias 'a:b:c'"),
        (["SCRIPT", "--debug", "much"], "debug takes an integer"),
        (["SCRIPT", "--subst", "/a/b/"], "--subst changes a cfg"),
    ],
)
def test_bad_options(tmp_path: Path, words: list[str], message: str) -> None:
    script = tmp_path / "good.py"
    script.write_text(GOOD)
    done = kahea("run", *[str(script) if word == "SCRIPT" else word for word in words])
    assert done.returncode == 1, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("kahea: ")
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(GOOD)
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"udp:127.0.0.1:{taken.getsockname()[1]}"
        done = kahea("run", "-f", str(tmp_path / "good.py"), "-l", address)
    assert done.returncode == 1
    assert f"{address}: the port is in use" in done.stderr


def test_a_wrong_command_line() -> None:
    assert kahea("run", "--no-such-option").returncode == 2
    assert kahea("run", "a.py", "-f", "b.py").returncode == 2
    assert kahea("no-such-command").returncode == 2


def test_demo() -> None:
    done = kahea("demo")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    head, *lines = done.stdout.rstrip().split("\n")
    assert head.split() == ["alice", "kahea", "bob"]
    shown = [re.search(r"[<-] (?:\d+ )?[A-Z]+", line) for line in lines]
    steps = [found[0][2:] for found in shown if found is not None]
    assert len(steps) == len(lines)
    assert steps[:4] == ["REGISTER", "200 REGISTER"] * 2
    for step, times in [
        ("INVITE", 2),
        ("180 INVITE", 2),
        ("200 INVITE", 2),
        ("ACK", 2),
        ("BYE", 2),
        ("200 BYE", 2),
    ]:
        assert steps.count(step) == times, done.stdout
