"""The load: SIPp as caller, callee and registering phones, at a fixed rate for a fixed count."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.process import udp_ports
from bench.servers import HERE, HOST, BenchError, free_port


@dataclass(frozen=True, slots=True)
class Outcome:
    """What SIPp counted in one load."""

    done: int
    failed: int
    retransmissions: int


class Load:
    """A caller, and a callee in call mode, against one server."""

    def __init__(self, mode: str, port: int, callee: int, target: str) -> None:
        self.mode = mode
        self.port = port
        self.callee = callee
        self.target = target
        self._scratch = Path(tempfile.mkdtemp(prefix="kahea-load-"))
        self._answering: subprocess.Popen[bytes] | None = None
        self._runs = 0

    def __enter__(self) -> Load:
        if self.mode == "call":
            self._answering = self._sipp("callee", ["-sf", str(HERE / "scenarios/callee.xml"), *_ports(self.callee)])
            end = time.monotonic() + 5
            while self.callee not in udp_ports():
                if time.monotonic() > end:
                    raise BenchError("SIPp's callee did not start")
                time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._answering is not None:
            self._answering.send_signal(signal.SIGUSR1)  # SIPp: end when the calls have
            try:
                self._answering.wait(3)
            except subprocess.TimeoutExpired:
                self._answering.kill()
                self._answering.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(self, rate: int, count: int, prefix: str = "u", users: int = 0) -> Outcome:
        """Place `count` calls (or requests) at `rate` a second, and wait until they are over."""
        self._runs += 1
        name = f"load{self._runs}"
        scenario = {"call": "caller", "register": "register", "options": "options"}[self.mode]
        words = [f"{HOST}:{self.port}", "-sf", str(HERE / f"scenarios/{scenario}.xml"), *_ports(free_port())]
        words += ["-r", str(rate), "-m", str(count), "-l", "8000", "-recv_timeout", "16000"]
        words += ["-default_behaviors", "all,-abortunexp,-bye", "-key", "ruri", self.target]
        if self.mode == "register":
            users_file = self._scratch / f"{prefix}.csv"
            users_file.write_text("SEQUENTIAL\n" + "".join(f"{prefix}{i:06d};\n" for i in range(users or count)))
            words += ["-inf", str(users_file)]
        process = self._sipp(name, words)
        try:
            process.wait(count / rate * 3 + 60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with (self._scratch / f"{name}.csv").open() as f:
            rows = list(csv.DictReader(f, delimiter=";"))
        if not rows:
            raise BenchError(f"SIPp counted nothing: {(self._scratch / f'{name}.out').read_text()[-1000:]}")
        last = rows[-1]
        done = int(last["SuccessfulCall(C)"])
        return Outcome(done, count - done, int(last["Retransmissions(C)"]))

    def _sipp(self, name: str, words: list[str]) -> subprocess.Popen[bytes]:
        words = ["sipp", *words, "-i", HOST, "-bind_local", "-ci", HOST, "-nostdin", "-skip_rlimit"]
        words += ["-timer_resol", "1", "-buff_size", "4194304", "-deadcall_wait", "2000"]
        words += ["-max_recv_loops", "10000", "-max_sched_loops", "10000"]
        words += ["-trace_stat", "-stf", str(self._scratch / f"{name}.csv"), "-fd", "1"]
        out = (self._scratch / f"{name}.out").open("wb")
        return subprocess.Popen(words, cwd=self._scratch, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _ports(port: int) -> list[str]:
    """SIPp's own port and that of its control socket."""
    return ["-p", str(port), "-cp", str(free_port())]
