"""SIPp, the load generator, registers users and places calls through the default script."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import pytest
from peer_servers import HOST, ROOT, ServerProcess, ask
from tests.ports import free_port

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed (Debian: sip-tester)")
SCENARIOS = ROOT / "bench/scenarios"


class Sipp:
    """One SIPp process; its counters when it has ended."""

    def __init__(self, directory: Path, name: str, *words: str) -> None:
        self.counts = directory / f"{name}.csv"
        self.errors = directory / f"{name}.errors"
        self.port = free_port()
        command = ["sipp", "-sf", str(SCENARIOS / f"{name}.xml"), "-i", HOST, "-p", str(self.port)]
        command += ["-cp", str(free_port()), "-nostdin", "-trace_stat", "-stf", str(self.counts)]
        command += ["-trace_err", "-error_file", str(self.errors), *words]
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def finish(self) -> dict[str, int]:
        """Wait for the end: calls that succeeded, calls that failed, messages sent again."""
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        with self.counts.open() as f:
            last = list(csv.DictReader(f, delimiter=";"))[-1]
        names = {"ok": "SuccessfulCall(C)", "failed": "FailedCall(C)", "again": "Retransmissions(C)"}
        return {short: int(last[long]) for short, long in names.items()}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_calls_to_a_registered_user(server: ServerProcess, tmp_path: Path, transport: str) -> None:
    callee = Sipp(tmp_path, "callee", "-t", transport)
    try:
        name = "tcp" if transport == "t1" else "udp"
        contact = f"Contact: <sip:callee@{HOST}:{callee.port};transport={name}>\r\nExpires: 60\r\n"
        assert b" 200 " in ask(server.port, "REGISTER", f"sip:callee@{HOST}:{server.port}", contact)
        words = ["-t", transport, "-m", "30", "-r", "30", "-key", "ruri", f"sip:callee@{HOST}:{server.port}"]
        caller = Sipp(tmp_path, "caller", f"{HOST}:{server.port}", *words)
        counts = caller.finish()
        assert (counts["ok"], counts["failed"]) == (30, 0), caller.errors.read_text()[:3000]
    finally:
        callee.kill()


def test_registrations(server: ServerProcess, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    users.write_text("SEQUENTIAL\n" + "".join(f"user{i};\n" for i in range(50)))
    words = [f"{HOST}:{server.port}", "-inf", str(users), "-m", "100", "-r", "100"]
    counts = Sipp(tmp_path, "register", *words).finish()
    assert (counts["ok"], counts["failed"]) == (100, 0), server.log()
    answer = ask(server.port, "REGISTER", f"sip:user7@{HOST}:{server.port}")
    assert answer.count(b"<sip:user7@192.0.2.1:5060") == 1
