"""What calls leave behind: `python -m bench.growth typical --count 20000`.

The scripts of `bench.inprocess` are played by calls that succeed and by all kinds that do not, on a clock that is not
the system's. After each phase all timers run out, and what is alive is counted: objects by type, the interpreter's
blocks, the C library's bytes, and what only the collector of cycles found. From the second phase on nothing may grow,
but for caches on their way to their bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.inprocess import (
    CALLEE,
    CALLER,
    SCRIPTS,
    SDP,
    Bench,
    answer,
    in_dialog,
    invite,
    options,
    record_routes,
    register,
)
from kahea.cli.memory import Heap
from kahea.net.address import Address

#: Those of `bench.inprocess` that calls are placed in.
CASES = ["minimal", "minimal-cfg", "typical", "typical-cfg", "stock"]
#: Seconds in which every transaction ends, and every binding of `bindings`.
OVER = 400.0
STEP = 0.5


@dataclass(frozen=True)
class Left:
    """What is alive when all is over. `cycles` were only freed by the collector."""

    objects: Counter[str]
    blocks: int
    heap: int
    cycles: int
    transactions: int


class Stage(Bench):
    """A node under a script, and calls of every kind."""

    def __init__(self, case: str) -> None:
        super().__init__(SCRIPTS[case])
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.node.open())
        self.registrar = not case.startswith("minimal")
        self.target = b"sip:callee@127.0.0.1:5060" if self.registrar else b"sip:callee@127.0.0.1:5080"
        self._heap = Heap()
        self._random = random.Random(1)
        gc.collect()
        gc.freeze()

    def give(self, data: bytes, source: Address = CALLER) -> list[bytes]:
        """Hand in a datagram; what the node sent."""
        self.node.on_datagram(self.listener, data, source)
        return self.listener.take()

    def invited(self) -> tuple[int, list[bytes]]:
        """Call the callee: the call's number, and the INVITEs that came to it."""
        self._made += 1
        sent = self.give(invite(self._made, self.target))
        return self._made, [data for data in sent if data.startswith(b"INVITE")]

    def register_callees(self) -> None:
        """The callee at one address, and `forked` at two."""
        if not self.registrar:
            return
        self._made += 1
        for user, contact in (
            (b"callee", b"<sip:callee@127.0.0.1:5080>"),
            (b"forked", b"<sip:one@127.0.0.1:5080>;q=1.0"),
            (b"forked", b"<sip:two@127.0.0.1:5081>;q=1.0"),
        ):
            (reply,) = self.give(register(self._made, int(self.node.wall()), user, contact))
            assert reply.startswith(b"SIP/2.0 200"), reply

    def phase(self, play: Callable[[Stage], None], count: int, rate: float) -> Left:
        """Play so often at so many a second, and wait until all is over."""
        gc.disable()
        self.register_callees()
        for _ in range(count):
            play(self)
            self._pass_time(1 / rate)
        for _ in range(int(OVER / STEP)):
            self._pass_time(STEP)
        self.listener.take()
        cycles = gc.collect()
        gc.enable()
        own = (Counter, Left)
        objects = Counter(type(each).__name__ for each in gc.get_objects() if not isinstance(each, own))
        used = self._heap.used()
        return Left(objects, sys.getallocatedblocks(), used, cycles, len(self.node.layer))

    def close(self) -> None:
        """Let everything go."""
        self.loop.close()
        gc.unfreeze()


def completed(stage: Stage) -> None:
    """A call as it should be."""
    number, invites = stage.invited()
    for data in invites:
        stage.give(answer(data, b"180 Ringing"), CALLEE)
        (answered,) = stage.give(answer(data, b"200 OK", SDP), CALLEE)
        routes = record_routes(answered)
        stage.give(in_dialog(number, b"ACK", stage.target, routes))
        for bye in stage.give(in_dialog(number, b"BYE", stage.target, routes)):
            stage.give(answer(bye, b"200 OK"), CALLEE)


def refused(stage: Stage) -> None:
    """The callee is busy; every second caller does not acknowledge it."""
    number, invites = stage.invited()
    for data in invites:
        stage.give(answer(data, b"486 Busy Here"), CALLEE)
    if number % 2:
        stage.give(_ack(number, stage.target))


def cancelled(stage: Stage) -> None:
    """The caller gives up while it rings; every second callee says nothing more."""
    number, invites = stage.invited()
    for data in invites:
        stage.give(answer(data, b"180 Ringing"), CALLEE)
    cancels = stage.give(_cancel(number, stage.target))
    if number % 2:
        for cancel in cancels:
            if cancel.startswith(b"CANCEL"):
                stage.give(answer(cancel, b"200 OK"), CALLEE)
        for data in invites:
            stage.give(answer(data, b"487 Request Terminated"), CALLEE)
        stage.give(_ack(number, stage.target))


def unanswered(stage: Stage) -> None:
    """Nobody answers, or it rings for ever."""
    number, invites = stage.invited()
    for data in invites if number % 2 else ():
        stage.give(answer(data, b"180 Ringing"), CALLEE)


def forked(stage: Stage) -> None:
    """Two phones ring, one answers, and the other is cancelled."""
    stage._made += 1
    target = b"sip:forked@127.0.0.1:5060"
    sent = stage.give(invite(stage._made, target))
    branches = [data for data in sent if data.startswith(b"INVITE")]
    for data in branches:
        stage.give(answer(data, b"180 Ringing"), CALLEE)
    for data in branches[:1]:
        for cancel in stage.give(answer(data, b"200 OK", SDP), CALLEE):
            if cancel.startswith(b"CANCEL"):
                stage.give(answer(cancel, b"200 OK"), CALLEE)
    for data in branches[1:]:
        stage.give(answer(data, b"487 Request Terminated"), CALLEE)


def repeated(stage: Stage) -> None:
    """Everything comes three times, and a late refusal."""
    number, invites = stage.invited()
    for _ in range(2):
        stage.give(invite(number, stage.target))
    for data in invites:
        for response in (answer(data, b"180 Ringing"), answer(data, b"200 OK", SDP)):
            for _ in range(3):
                stage.give(response, CALLEE)
        stage.give(answer(data, b"486 Busy Here"), CALLEE)
    stage.give(invite(number, stage.target))


def malformed(stage: Stage) -> None:
    """Requests with errors anywhere but in what is registered, and responses to nothing."""
    stage._made += 1
    number, rng = stage._made, stage._random
    data = bytearray(rng.choice([invite(number, stage.target), options(number), _cancel(number, stage.target)]))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at] = rng.randrange(256)
        else:
            del data[at : at + rng.randrange(20)]
    stage.give(bytes(data))
    stage.give(answer(invite(number, stage.target), b"200 OK"), CALLEE)


def bindings(stage: Stage) -> None:
    """Registrations of a hundred phones that end soon."""
    stage._made += 1
    user = b"u%d" % (stage._made % 100)
    stage.give(register(stage._made, 1, user, b"<sip:%b@192.0.2.1:5060>;expires=60" % user))


def probed(stage: Stage) -> None:
    """OPTIONS to the server itself."""
    stage._made += 1
    stage.give(options(stage._made))


#: By name, each with calls a second: those that last long must not be too many at one time.
PLAYS: dict[str, tuple[Callable[[Stage], None], float]] = {
    play.__name__: (play, rate)
    for play, rate in (
        (completed, 1000), (refused, 200), (cancelled, 200), (unanswered, 50), (forked, 200), (repeated, 200),
        (malformed, 200), (bindings, 1000), (probed, 1000),
    )
}  # fmt: skip


def _ack(number: int, target: bytes) -> bytes:
    """The ACK of a refusal."""
    data = invite(number, target).replace(b"INVITE", b"ACK", 1).replace(b"1 INVITE", b"1 ACK")
    return data.replace(b"To: <%b>" % target, b"To: <%b>;tag=b9" % target)


def _cancel(number: int, target: bytes) -> bytes:
    head = invite(number, target).partition(b"Contact:")[0]
    return head.replace(b"INVITE", b"CANCEL") + b"Content-Length: 0\r\n\r\n"


def phases(stage: Stage, name: str, count: int) -> Iterator[Left]:
    """One play again and again."""
    play, rate = PLAYS[name]
    while True:
        yield stage.phase(play, count, rate)


def main() -> int:
    """Print a line for each phase. Exit code 1 if objects grow from the last but one to the last."""
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__)
    parser.add_argument("case", nargs="?", choices=CASES)
    parser.add_argument("--play", choices=list(PLAYS), action="append")
    parser.add_argument("--count", type=int, default=10_000, help="calls in a phase")
    parser.add_argument("--phases", type=int, default=4)
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    grown = False
    for case in [given.case] if given.case else CASES:
        stage = Stage(case)
        for name in given.play or PLAYS:
            before: Counter[str] = Counter()
            more: Counter[str] = Counter()
            for _, left in zip(range(given.phases), phases(stage, name, given.count), strict=False):
                more = left.objects - before
                print(
                    f"{case} {name}: {left.blocks} blocks, {left.heap >> 10} KiB, {left.cycles} in cycles, "
                    f"{left.transactions} transactions; more: {dict(more.most_common(5)) if before else '-'}",
                    flush=True,
                )
                before = left.objects
            grown |= more.total() > 0
        stage.close()
    return int(grown)


if __name__ == "__main__":
    sys.exit(main())
