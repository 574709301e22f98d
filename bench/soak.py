"""Calls for a long time: `python -m bench.soak --rate 1500 --minutes 20`.

Prints a line a minute: calls done and failed, retransmissions, CPU per call, and the server's memory, which has to stay
flat. When all is over and quiet, it ends the server and prints what that says of transactions made and left.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time

from bench.cases import MINIMAL, TYPICAL
from bench.load import Load
from bench.process import cpu_us, memory_kib
from bench.servers import HOST, Kind, Server, free_port

#: Longer than tm's wt_timer: by then every answered transaction has to be gone.
QUIET = 8.0


def main() -> int:
    """Exit code 0 if no call failed and no transaction is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=500, help="calls a second")
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--script", choices=["minimal", "typical"], default="minimal")
    options = parser.parse_args()
    kind: Kind = (MINIMAL if options.script == "minimal" else TYPICAL)["kahea"]
    callee = free_port()
    failed = 0
    with (
        Server(kind, callee, "--set", "debug=2") as server,
        Load("call", server.port, callee, f"sip:callee@{HOST}:{callee}") as load,
    ):
        for minute in range(1, options.minutes + 1):
            before = cpu_us(server.pid)
            outcome = load.run(options.rate, options.rate * 60)
            failed += outcome.failed
            cpu = (cpu_us(server.pid) - before) / max(outcome.done, 1)
            print(
                f"minute {minute}: {outcome.done} calls, {outcome.failed} failed, "
                f"{outcome.retransmissions} retransmitted, "
                f"{cpu:.0f} us each, {memory_kib(server.pid) / 1024:.1f} MiB",
                flush=True,
            )
        time.sleep(QUIET)
        os.kill(server.pid, signal.SIGTERM)
        while server.alive():
            time.sleep(0.1)
        end = re.search(r"(\d+) transactions were made, (\d+) are left", server.log())
    print(end[0] if end else "the server did not say what it left")
    return 0 if not failed and end and end[2] == "0" else 1


if __name__ == "__main__":
    sys.exit(main())
