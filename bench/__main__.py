"""`python -m bench [CASE...]`: measure, print a table in Markdown, and put it into docs/performance.md."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.cases import CASES, TIME, Case, Result, Scale, measure
from bench.servers import BenchError, kahea_python

#: An interpreter's version, and whether it is the system's: its speed differs with how it was built.
ASK_PYTHON = "import platform, sys; print(platform.python_version(), sys.base_prefix == '/usr')"
PAGE = Path(__file__).parents[1] / "docs/performance.md"


def table(case: Case, results: list[Result]) -> str:
    """One case as a table: cost, spread, and the ratio of Kahea's cost to each other's."""
    ours = next((r.median for r in results if r.kind.program == "kahea"), 0.0)
    lines = [
        f"### {case.title}",
        "",
        f"| server | {case.what} per {case.unit} | least to most | Kahea costs | kernel | failed | retransmitted |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        share = "" if r.kind.program == "kahea" or not ours else f"{ours / r.median:.2f} ×"
        spread = f"{min(r.costs):.0f} to {max(r.costs):.0f}"
        kernel = f"{statistics.median(r.kernel):.0%}" if r.kernel else ""
        counted = f"{r.failed} | {r.retransmissions}" if case.what != TIME else " | "
        lines.append(f"| {r.kind.label} | {r.median:.0f} | {spread} | {share} | {kernel} | {counted} |")
    return "\n".join(lines)


def conditions(scale: Scale) -> str:
    """The sentence that says on what and how the figures were made."""
    command = [kahea_python(), "-c", ASK_PYTHON]
    python, of_system = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    whose = "the system's, as app_python3's" if of_system == "True" else "not the system's"
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (
        f"Measured {time.strftime('%Y-%m-%d')} by `make bench`: {scale.rate} calls/s, {scale.count} calls "
        f"a run, median of {scale.repeat}; {os.cpu_count()} cores ({cpu[1] if cpu else 'unknown'}), "
        f"CPython {python} ({whose}), Linux {platform.release().split('-')[0]}."
    )


def write_page(text: str) -> None:
    """Put the figures between the page's two marks."""
    page = PAGE.read_text()
    begin, end = "<!-- figures -->\n", "<!-- end of figures -->"
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(f"{head}{begin}\n{text}\n\n{end}{tail}")


def main() -> int:
    """Run the benchmark; 0, or 1 where something could not be measured."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(c.name for c in CASES)}; all without one")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short run of each, to see that it works")
    parser.add_argument("--no-page", action="store_true", help="print only")
    given = parser.parse_args()
    if shutil.which("sipp") is None:
        print("bench: sipp is not installed (Debian: sip-tester)", file=sys.stderr)
        return 1
    scale = Scale(given.rate, given.count, users=given.users, repeat=given.repeat)
    if given.quick:
        scale = Scale(rate=200, count=400, warm_up=1, users=2000, repeat=1)
    wanted = [c for c in CASES if not given.cases or c.name in given.cases]
    parts = [conditions(scale)]
    for case in wanted:
        try:
            results = measure(case, scale, lambda line: print(line, file=sys.stderr, flush=True))
        except BenchError as error:
            print(f"bench: {case.name}: {error}", file=sys.stderr)
            return 1
        parts.append(table(case, results))
        print("\n" + parts[-1], flush=True)
    if not given.no_page and not given.quick and len(wanted) == len(CASES):
        write_page("\n\n".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
