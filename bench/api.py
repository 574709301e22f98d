"""`python -m bench.api`: how many calls a second a server carries whose script waits for an API that takes 100 ms.

A call is INVITE to BYE, as in the other measurements. For each server the rate goes up until calls fail or take longer
than they must; the last that went well is what it carries. Kahea is held to one core. The table goes into
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Load
from bench.process import cpu_us
from bench.servers import HERE, HOST, BenchError, Kind, Server, free_port

PAGE = Path(__file__).parents[1] / "docs/performance.md"
#: As the scripts have it.
API_PORT = 23650
API_SECONDS = 0.1
#: Of the calls of a run, how many may have had to repeat a message: a server that can't follow has more.
TOLERATED = 0.005


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, further words of its command, and the rates that it is asked to carry, one after the other."""

    kind: Kind
    rates: tuple[int, ...]
    words: tuple[str, ...] = ()
    pinned: bool = False


KAHEA_RATES = (500, 1000, 1200, 1400, 1600, 1800, 2000, 2500, 3000)
CONTENDERS = (
    Contender(Kind("Kamailio, native, 8 children", "kamailio", "asking/script.cfg"), (40, 70, 80, 90), ("-n", "8")),
    Contender(
        Kind("Kamailio, native, 64 children", "kamailio", "asking/script.cfg"), (300, 500, 600, 700), ("-n", "64")
    ),
    Contender(Kind("Kahea, native", "kahea", "asking/script.cfg"), KAHEA_RATES, pinned=True),
    Contender(Kind("Kahea, Python", "kahea", "asking/script.py"), KAHEA_RATES, pinned=True),
    Contender(Kind("Kahea, Lua", "kahea", "asking/script.lua"), KAHEA_RATES, pinned=True),
)


@dataclass(slots=True)
class Carried:
    """What a server carried: calls a second, µs of CPU per call, and the rate at which it no longer could (0: none)."""

    rate: int = 0
    cost: float = 0.0
    beyond: int = 0


@contextmanager
def api() -> Iterator[None]:
    """The API, in a process of its own."""
    process = subprocess.Popen([sys.executable, str(HERE / "asking/server.py"), str(API_PORT), str(API_SECONDS)])
    try:
        time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait()


def carried(contender: Contender, seconds: float) -> Carried:
    """Let a server carry one rate after the other, until it can't."""
    result = Carried()
    callee = free_port()
    with Server(contender.kind, callee, *contender.words) as server:
        if contender.pinned:
            os.sched_setaffinity(server.pid, {min(os.sched_getaffinity(0))})
        with Load("call", server.port, callee, f"sip:callee@{HOST}:{callee}") as load:
            load.run(contender.rates[0], contender.rates[0])  # connections are made
            for rate in contender.rates:
                before = cpu_us(server.pid)
                count = int(rate * seconds)
                outcome = load.run(rate, count)
                cost = (cpu_us(server.pid) - before) / count
                print(f"{contender.kind.label} {rate}/s: {outcome}, {cost:.0f} us", file=sys.stderr, flush=True)
                if outcome.failed or outcome.retransmissions > count * TOLERATED:
                    result.beyond = rate
                    break
                result.rate, result.cost = rate, cost
        if not server.alive():
            raise BenchError(f"{contender.kind.label} failed under load:\n{server.log()[-3000:]}")
    return result


def table(results: list[tuple[Contender, Carried]]) -> str:
    """The figures in Markdown."""
    lines = ["| server | calls/s carried | CPU µs per call | no longer |", "|---|---|---|---|"]
    for contender, found in results:
        beyond = f"{found.beyond}/s" if found.beyond else "not reached"
        lines.append(f"| {contender.kind.label} | {found.rate} | {found.cost:.0f} | {beyond} |")
    return "\n".join(lines)


def write_page(text: str) -> None:
    """Put the figures between the page's two marks."""
    begin, end = "<!-- api figures -->\n", "<!-- end of api figures -->"
    head, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(f"{head}{begin}\n{text}\n\n{end}{rest.partition(end)[2]}")


def main() -> int:
    """Measure; 0, or 1 where something could not be measured."""
    parser = argparse.ArgumentParser(prog="bench.api", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each rate is kept up")
    parser.add_argument("--only", default="", help="servers whose name has this in it")
    parser.add_argument("--no-page", action="store_true", help="print only")
    given = parser.parse_args()
    results: list[tuple[Contender, Carried]] = []
    with api():
        for contender in CONTENDERS:
            if given.only not in contender.kind.label or contender.kind.missing():
                continue
            try:
                results.append((contender, carried(contender, given.seconds)))
            except BenchError as error:
                print(f"bench.api: {error}", file=sys.stderr)
                return 1
    print(table(results))
    if not given.no_page and not given.only:
        write_page(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
