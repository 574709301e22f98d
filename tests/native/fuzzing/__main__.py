"""The command line: see the package."""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

from .compare import compare
from .language import program

#: How many programs are one cfg.
BATCH = 150


def programs(first: int, last: int, *, whole: bool) -> None:
    """Run the programs of some seeds, and print what differs."""
    logging.disable(logging.CRITICAL)
    totals = dict.fromkeys(("run", "refused there", "refused here", "differing"), 0)
    for start in range(first, last, BATCH):
        with tempfile.TemporaryDirectory() as folder:
            found = compare(Path(folder), [program(seed) for seed in range(start, min(start + BATCH, last))])
        for each, why in found.refused_here:
            print(f"{each.name} is refused here: {why}")
        for each, theirs, ours in found.differing:
            print(f"{each.name} differs\n  Kamailio {theirs}\n  Kahea    {ours}")
            if whole:
                print(each.text())
        counts = (found.ran, len(found.refused_there), len(found.refused_here), len(found.differing))
        totals = {name: total + count for (name, total), count in zip(totals.items(), counts, strict=True)}
        print(f"to {start + BATCH}:", ", ".join(f"{total} {name}" for name, total in totals.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.native.fuzzing", description=__doc__)
    parser.add_argument("what", choices=["programs"])
    parser.add_argument("seeds", help="FIRST-LAST, the last one not included")
    parser.add_argument("--whole", action="store_true", help="print whole programs")
    given = parser.parse_args()
    first, last = map(int, given.seeds.split("-"))
    programs(first, last, whole=given.whole)


main()
