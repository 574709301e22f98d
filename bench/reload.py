"""Reloads under load: `python -m bench.reload [LANGUAGE...]`.

Calls run at a fixed rate while the script is changed and reloaded again and again; each time the node has to answer by
the new script, and memory is read. Then scripts that are broken in different ways are put in its place: each reload has
to be refused with the reason, and the last good script has to go on. No call may fail, and memory must stay flat.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.cases import LANGUAGES, register_callee
from bench.load import Load, Outcome
from bench.process import memory_kib
from bench.servers import HERE, HOST, BenchError, Kind, Server, answer, free_port
from kahea.cli.ctl import Client, FaultError, NoNodeError

#: Reloads after which memory is at its size: the generations that are kept are there.
SETTLED = 10
#: MiB by which memory may be larger in the second half of the reloads than in the first: what was freed is not given
#: back at once.
FLAT = 4.0
ANSWER = "Keepalive"


@dataclass(frozen=True, slots=True)
class Breakage:
    """One way to break a script: in place of `old` stands `new`, and the refusal has to say `expected`."""

    what: str
    old: str
    new: str
    expected: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A language and its script, which answers OPTIONS by `ANSWER`."""

    language: str
    script: str
    breakages: tuple[Breakage, ...]


def _script(suffix: str, syntax: Breakage, fails: tuple[str, str]) -> Subject:
    """A KEMI script: `fails` is a line that fails when the script is read, and what it says."""
    name = f"scripts/typical.{suffix}"
    first = next(line for line in (HERE / name).read_text().splitlines() if line)
    if first.startswith('"""'):
        first = "import KSR"
    language = "Python" if suffix == "py" else LANGUAGES[suffix][0]
    return Subject(
        language,
        name,
        (
            syntax,
            Breakage("fails while it is read", first, f"{first}\n{fails[0]}", fails[1]),
            Breakage("without its request route", "ksr_request_route", "ksr_request_ruote", "ksr_request_route"),
        ),
    )


SUBJECTS = {
    "native": Subject(
        "native cfg",
        "kamailio/typical.cfg",
        (
            Breakage("syntax error", "force_rport();", "force_rport()", "typical.cfg:47:15"),
            Breakage("a route that does not exist", "route(CHECKS);", "route(CHECK);", "CHECKS"),
            Breakage("a function that does not exist", "t_relay()", "t_rely()", "t_rely"),
        ),
    ),
    "python": _script(
        "py",
        Breakage("syntax error", "def checks(self):", "def checks(self)", "typical.py:56"),
        ('raise ValueError("not today")', "not today"),
    ),
    "lua": _script(
        "lua",
        Breakage("syntax error", "function ksr_request_route()", "function ksr_request_route(", "typical.lua:"),
        ('error("not today")', "not today"),
    ),
    "javascript": _script(
        "js",
        Breakage("syntax error", "function ksr_request_route()", "function ksr_request_route(", "typical.js:"),
        ('throw new Error("not today");', "not today"),
    ),
    "squirrel": _script(
        "sq",
        Breakage("syntax error", "function ksr_request_route()", "function ksr_request_route(", "typical.sq:"),
        ('throw "not today";', "not today"),
    ),
}


@dataclass(slots=True)
class Figures:
    """What one language's reloads gave. Memory is in MiB, times are in ms."""

    subject: Subject
    reloads: int = 0
    took: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    before: float = 0.0
    load: Outcome | None = None
    #: Of each breakage, what the node said.
    refusals: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def halves(self) -> tuple[float, float]:
        """Memory in the first and in the second half of the reloads, once the kept generations are there: the means."""
        settled = self.memory[SETTLED:] or self.memory
        half = max(len(settled) // 2, 1)
        return statistics.mean(settled[:half]), statistics.mean(settled[-half:])

    def judge(self) -> list[str]:
        """All that is not as it has to be."""
        assert self.load is not None
        found = list(self.wrong)
        if self.load.failed:
            found.append(f"{self.load.failed} calls failed")
        first, second = self.halves
        if second - first > FLAT:
            found.append(f"memory grew from {first:.1f} to {second:.1f} MiB")
        return found


def measure(subject: Subject, reloads: int, rate: int, interval: float, warm_up: float = 8.0) -> Figures:
    """Reload one language's script under load. Raises BenchError where nothing can be measured.

    `interval` is from one reload to the next, `warm_up` how long calls run before, in seconds.
    """
    with tempfile.TemporaryDirectory(prefix="kahea-reload-") as scratch:
        folder = Path(scratch) / "script"
        shutil.copytree((HERE / subject.script).parent, folder)
        script = folder / Path(subject.script).name
        control = str(Path(scratch) / "ctl")
        callee = free_port()
        kind = Kind(f"Kahea, {subject.language}", "kahea", str(script))
        with (
            Server(kind, callee, "--set", f"control_socket={control}") as server,
            Load("call", server.port, callee, f"sip:callee@{HOST}:{server.port}") as load,
            ThreadPoolExecutor(1) as beside,
        ):
            register_callee(server.port, callee)
            load.run(rate, int(rate * warm_up))  # memory grows to its size
            figures = Figures(subject, before=_mib(server))
            count = int(rate * interval * (reloads + len(subject.breakages)))
            calls = beside.submit(load.run, rate, count)
            good = script.read_text()
            with Client(control, 10.0) as client:
                _reload_often(client, server, script, good, figures, (reloads, interval), calls)
                for breakage in subject.breakages:
                    _refuse(client, server, script, breakage, figures)
                    time.sleep(interval)
            figures.load = calls.result()
    return figures


def _reload_often(
    client: Client,
    server: Server,
    script: Path,
    good: str,
    figures: Figures,
    pace: tuple[int, float],
    calls: Future[Outcome],
) -> None:
    """So many reloads, one each interval; each has to be seen on the wire."""
    reloads, interval = pace
    due = time.monotonic()
    for number in range(1, reloads + 1):
        wanted = f"{ANSWER} {number}"
        script.write_text(good.replace(ANSWER, wanted))
        began = time.monotonic()
        client.call("kahea.reload")
        figures.took.append((time.monotonic() - began) * 1000)
        figures.reloads += 1
        if (seen := _answer(server)) != wanted:
            figures.wrong.append(f"reload {number}: answered by {seen!r}")
        if calls.done():
            raise BenchError(f"the load was over after {number} reloads")
        figures.memory.append(_mib(server))
        due += interval
        time.sleep(max(0.0, due - time.monotonic()))
    if "Traceback" in server.log():
        raise BenchError(f"the script failed under load:\n{server.log()[:3000]}")


def _refuse(client: Client, server: Server, script: Path, breakage: Breakage, figures: Figures) -> None:
    """A broken script: the refusal says why, and the one before goes on."""
    good, before = script.read_text(), _answer(server)
    if breakage.old not in good:
        raise BenchError(f"{script.name} has no {breakage.old!r} to break")
    script.write_text(good.replace(breakage.old, breakage.new))
    try:
        client.call("kahea.reload")
    except FaultError as fault:
        said = str(fault)
        if breakage.expected not in said:
            figures.wrong.append(f"{breakage.what}: refused by {said!r}, without {breakage.expected!r}")
    else:
        said = "(taken)"
        figures.wrong.append(f"{breakage.what}: the reload was not refused")
    figures.refusals.append((breakage.what, said))
    if (seen := _answer(server)) != before:
        figures.wrong.append(f"{breakage.what}: answered by {seen!r} afterwards")
    script.write_text(good)


def _answer(server: Server) -> str:
    """How the node answers OPTIONS now."""
    return answer(server.port, "OPTIONS", timeout=2)[1]


def _mib(server: Server) -> float:
    return memory_kib(server.pid) / 1024


def table(all_figures: list[Figures]) -> str:
    """The figures in Markdown."""
    lines = [
        "| script | reloads | calls | failed | retransmitted | reload, median and longest ms "
        "| MiB before, in the first half, in the second, most |",
        "|---|---|---|---|---|---|---|",
    ]
    for f in all_figures:
        assert f.load is not None
        first, second = f.halves
        lines.append(
            f"| {f.subject.language} | {f.reloads} | {f.load.done + f.load.failed} | {f.load.failed} "
            f"| {f.load.retransmissions} | {statistics.median(f.took):.0f}, {max(f.took):.0f} "
            f"| {f.before:.1f}, {first:.1f}, {second:.1f}, {max(f.memory):.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Exit code 0 if no call failed, memory was flat and every broken script was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("languages", nargs="*", help=f"of {', '.join(SUBJECTS)}; all without one")
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--rate", type=int, default=300, help="calls a second")
    parser.add_argument("--interval", type=float, default=0.5, help="seconds from one reload to the next")
    given = parser.parse_args()
    found: list[Figures] = []
    wrong = False
    for name in given.languages or SUBJECTS:
        try:
            figures = measure(SUBJECTS[name], given.reloads, given.rate, given.interval)
        except (BenchError, FaultError, NoNodeError) as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            return 1
        found.append(figures)
        for what, said in figures.refusals:
            print(f"{name}: {what}:\n    " + said.replace("\n", "\n    "))
        for text in figures.judge():
            wrong = True
            print(f"bench: {name}: {text}", file=sys.stderr)
        print(table([figures]), flush=True)
    print("\n" + table(found))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
