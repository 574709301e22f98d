"""`kahea run` with a cfg: how it is told from other scripts, its listeners and definitions, and how it answers."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import environment, free_address, kahea

CFG = """#!KAMAILIO
#!ifndef ANSWER
#!define ANSWER "Unasked"
#!endif
auto_aliases=no
listen=udp:192.0.2.9:5060
my.text = "declared" desc "A variable of our own"
loadmodule "sl.so"
loadmodule "pv.so"
request_route {
    sl_send_reply("200", ANSWER);
    exit;
}
"""
OPTIONS = (
    b"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKx\r\n"
    b"From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A server, once it says on stderr that it runs."""
    command = [sys.executable, "-m", "kahea", "run", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True)
    assert process.stderr is not None
    try:
        yield process
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(20)
        process.stderr.close()


def said(process: subprocess.Popen[str]) -> str:
    """The first line on stderr."""
    assert process.stderr is not None
    return process.stderr.readline()


def answer(address: str) -> str:
    """The status line that an OPTIONS gets."""
    host, port = address.removeprefix("udp:").rsplit(":", 1)
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        for _ in range(10):
            s.sendto(OPTIONS % s.getsockname()[1], (host, int(port)))
            if select.select([s], [], [], 1)[0]:
                return s.recv(4096).partition(b"\r\n")[0].decode()
    raise AssertionError("no answer")


@pytest.mark.parametrize("name", ["kamailio.cfg", "no_ending"])
def test_a_cfg_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(CFG)
    words = ["-f", str(tmp_path / name), "-l", free_address(), "-A", 'ANSWER="Defined"']
    with running(*words) as process:
        line = said(process)
        assert f"runs {tmp_path / name} on udp:127.0.0.1:" in line
        assert answer(line.split()[-1]) == "SIP/2.0 200 Defined"


def test_errors_of_declarations_and_routes_end_it(tmp_path: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(CFG.replace('loadmodule "pv.so"', 'loadmodule "pvv.so"\ndbug=3'))
    done = kahea("run", str(cfg))
    assert done.returncode == 1
    assert f"{cfg}:9:1: error: there is no module 'pvv'" in done.stderr
    assert f"{cfg}:10:1: error: there is no global parameter dbug" in done.stderr
    cfg.write_text(CFG.replace("sl_send_reply", "sl_sent_reply"))
    done = kahea("run", str(cfg), "-l", free_address())
    assert done.returncode == 1
    assert f"{cfg}:11:5: error: " in done.stderr
    assert "sl_send_reply" in done.stderr


def test_a_cfg_takes_no_settings_file(tmp_path: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(CFG)
    (tmp_path / "other.toml").write_text("")
    done = kahea("run", str(cfg), "--settings", str(tmp_path / "other.toml"))
    assert done.returncode == 1
    assert "a cfg has its settings in itself" in done.stderr
