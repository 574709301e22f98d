"""Play flows by hand, from `tests/`: `python -m differential [--server kahea] [--record] [FLOW...]`."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import sys
import tempfile
from pathlib import Path

from . import all_flows
from .languages import FOREIGN
from .servers import Kahea, Kamailio, NativeKahea, NativeKamailio
from .stages import FLOWS, NATIVE_TRACES, TRACES, perform_all, recorded


def main() -> int:
    """Print each flow's trace, record it, or show how it differs from the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = {each.kind: each for each in (Kamailio, Kahea, NativeKamailio, NativeKahea, *FOREIGN)}
    parser.add_argument("--server", choices=kinds, default="kamailio")
    parser.add_argument("--record", action="store_true", help="keep the traces as what must be (Kamailio only)")
    parser.add_argument("--show", action="store_true", help="print the traces")
    parser.add_argument("--log", action="store_true", help="print the server's log")
    parser.add_argument("flows", nargs="*")
    options = parser.parse_args()
    all_flows.load()
    chosen = [f for name, f in FLOWS.items() if not options.flows or name in options.flows]
    kind = kinds[options.server]
    with tempfile.TemporaryDirectory() as directory:
        outcomes = asyncio.run(perform_all(kind, chosen, Path(directory)))
        if options.log:
            for log in Path(directory).glob("*/log"):
                print(log.read_text(errors="replace"))
    bad = 0
    seen: set[str] = set()
    for name, outcome in outcomes.items():
        record = recorded(name, native=options.server.startswith("native"))
        if options.show:
            print(f"##### {name}\n{outcome.trace}")
        if outcome.error:
            if outcome.error not in seen:
                print(f"FAILED {name}: {outcome.error}")
            seen.add(outcome.error)
            bad += 1
        elif options.record and kind is Kamailio:
            record.write_text(outcome.trace)
        elif options.record and kind is NativeKamailio:
            # Most are the same as a KEMI script's.
            of_its_own = NATIVE_TRACES / f"{name}.txt"
            of_its_own.unlink(missing_ok=True)
            if (TRACES / f"{name}.txt").read_text() != outcome.trace:
                of_its_own.write_text(outcome.trace)
        elif record.exists() and record.read_text() != outcome.trace:
            bad += 1
            print(f"DIFFERS {name}")
            before, after = record.read_text().splitlines(), outcome.trace.splitlines()
            print("\n".join(difflib.unified_diff(before, after, "recorded", options.server, lineterm="", n=4)))
    print(f"{len(outcomes)} flows, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
