"""The command line: see the package."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections import Counter
from pathlib import Path

from kahea.cli.check import report
from kahea.engines.native.diagnostics import ERROR

from . import language, messages
from .compare import accepts, compare
from .mutations import mutated

#: How many programs are one cfg.
BATCH = 150


def programs(what: str, first: int, last: int, *, show: bool) -> None:
    """Run the programs of some seeds, and print what differs."""
    make = language.program if what == "programs" else messages.program
    logging.disable(logging.CRITICAL)
    totals = dict.fromkeys(("run", "refused there", "fatal there", "refused here", "differing"), 0)
    for start in range(first, last, BATCH):
        with tempfile.TemporaryDirectory() as folder:
            made = [make(seed) for seed in range(start, min(start + BATCH, last))]
            found = compare(Path(folder), made, whole=what == "messages")
        for each in found.fatal_there:
            print(f"{each.name} ends Kamailio\n{each.body if show else ''}")
        for each, why in found.refused_here:
            print(f"{each.name} is refused here: {why}")
        for each, theirs, ours in found.differing:
            print(f"{each.name} differs\n  Kamailio {theirs}\n  Kahea    {ours}")
            if show:
                print(each.text())
        parts = (found.refused_there, found.fatal_there, found.refused_here, found.differing)
        counts = (found.ran, *map(len, parts))
        totals = {name: total + count for (name, total), count in zip(totals.items(), counts, strict=True)}
        print(f"to {start + BATCH}:", ", ".join(f"{total} {name}" for name, total in totals.items()), flush=True)


def cfgs(first: int, last: int) -> None:
    """Compare what both say of the mutated cfgs of some seeds, and print those that only Kamailio takes."""
    logging.disable(logging.CRITICAL)
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.cfg"
        for seed in range(first, last):
            path.write_text(mutated(seed))
            there, found = accepts(path), report(path, {})
            here = not found.failed(strict=False)
            totals[f"taken {'there' if there else 'not there'} and {'here' if here else 'not here'}"] += 1
            if there and not here:
                wrong = next(d for d in found.diagnostics if d.level == ERROR)
                print(f"{seed} is refused here: {wrong.place.line}: {wrong.message}")
    print(", ".join(f"{count} {what}" for what, count in totals.items()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.native.fuzzing", description=__doc__)
    parser.add_argument("what", choices=["programs", "messages", "cfgs"])
    parser.add_argument("seeds", help="FIRST-LAST, the last one not included")
    parser.add_argument("--show", action="store_true", help="print the programs that differ")
    given = parser.parse_args()
    first, last = map(int, given.seeds.split("-"))
    if given.what == "cfgs":
        cfgs(first, last)
    else:
        programs(given.what, first, last, show=given.show)


main()
