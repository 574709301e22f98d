"""What a call costs inside of the process, by the message: `python -m bench.inprocess`.

A node runs a script of the benchmark, and its datagrams are handed to it without sockets, in rounds: first all INVITEs
of a round, then all their 180s, and so on, each timed as a whole. So the cost of each kind of message shows, without
the kernel's part. `--instructions` counts instructions per call with callgrind in place of time: slow, but the same on
a busy machine. `--profile` runs long enough for a profiler to look on.
"""

from __future__ import annotations

import argparse
import gc
import logging
import operator
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kahea.engines.python import PythonEngine
from kahea.net.address import Address, Listener
from kahea.routing.node import Node
from kahea.routing.settings import load
from kahea.sip.message import parse

HERE = Path(__file__).parent
CALLER = Address.of("127.0.0.1", 5070)
CALLEE = Address.of("127.0.0.1", 5080)
SERVER = Address.of("127.0.0.1", 5060)
#: A transaction is gone this long after its answer (tm's wt_timer), in seconds.
LINGERING = 6.0

SDP = (
    b"v=0\r\no=- 3913 3913 IN IP4 127.0.0.1\r\ns=call\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
    b"a=ptime:20\r\na=sendrecv\r\n"
)


class Sent(Listener):
    """A listener that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__(1, SERVER)
        self.sent: list[bytes] = []

    def send(self, data: bytes, to: Address, connection_id: int = 0) -> bool:  # noqa: ARG002
        """Keep a datagram."""
        self.sent.append(data)
        return True

    def take(self) -> list[bytes]:
        """All that was sent since it was last asked."""
        sent, self.sent = self.sent, []
        return sent


class Rounds:
    """A node under a script, and the time that each step of its load took: `spent` in seconds, by the step."""

    def __init__(self, script: Path) -> None:
        logging.basicConfig(level=logging.WARNING)
        self._time = [time.monotonic(), time.time()]
        clock: Callable[[], float] = partial(operator.getitem, self._time, 0)
        wall: Callable[[], float] = partial(operator.getitem, self._time, 1)
        self.node = Node(load(script), clock=clock, wall=wall)
        self.listener = Sent()
        self.node.add_listener(self.listener)
        self.node.start()
        self.node.use(PythonEngine(self.node, script).load())
        self.spent: dict[str, float] = {}
        self._made = 0
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)  # as `kahea run` does

    def _step(self, name: str, datagrams: list[bytes], source: Address, expected: int) -> list[bytes]:
        """Hand in some datagrams, timed; what the node sent, `expected` for each."""
        take, listener = self.node.on_datagram, self.listener
        start = time.thread_time()
        for data in datagrams:
            take(listener, data, source)
        self._spend(name, start)
        sent = listener.take()
        if len(sent) != expected * len(datagrams):
            raise SystemExit(f"{name}: {len(sent)} datagrams for {len(datagrams)}, not {expected} each")
        return sent

    def _spend(self, name: str, start: float) -> None:
        self.spent[name] = self.spent.get(name, 0.0) + time.thread_time() - start

    def _pass_time(self, seconds: float) -> None:
        """Let the timers run, a tick at a time, as the process does."""
        start = time.thread_time()
        for _ in range(int(seconds * 100)):
            self._time[0] += 0.01
            self._time[1] += 0.01
            self.node.advance(self._time[0])
        self._spend("timers", start)

    def calls(self, count: int, target: bytes = b"sip:callee@127.0.0.1:5080") -> None:
        """Place `count` calls: INVITE, 180, 200, ACK, BYE, 200; then let their transactions go."""
        first = self._made
        self._made += count
        numbers = range(first, first + count)
        sent = self._step("INVITE", [invite(n, target) for n in numbers], CALLER, 2)
        forwarded = [data for data in sent if data.startswith(b"INVITE")]
        self._step("180", [answer(data, b"180 Ringing") for data in forwarded], CALLEE, 1)
        answers = self._step("200 to INVITE", [answer(data, b"200 OK", SDP) for data in forwarded], CALLEE, 1)
        routes = [record_routes(data) for data in answers]
        pairs = list(zip(numbers, routes, strict=True))
        self._step("ACK", [in_dialog(n, b"ACK", target, route) for n, route in pairs], CALLER, 1)
        byes = self._step("BYE", [in_dialog(n, b"BYE", target, route) for n, route in pairs], CALLER, 1)
        self._step("200 to BYE", [answer(data, b"200 OK") for data in byes], CALLEE, 1)
        self._pass_time(0.5)

    def registers(self, count: int) -> None:
        """Renew `count` registrations."""
        self._made += 1
        self._step("REGISTER", [register(n, self._made) for n in range(count)], CALLER, 1)
        self._pass_time(1.0)

    def register_callee(self) -> None:
        """Register callee@server at the callee's address."""
        contact = b"<sip:callee@127.0.0.1:5080>"
        self.node.on_datagram(self.listener, register(0, 0, b"callee", contact), CALLEE)
        if not self.listener.take()[0].startswith(b"SIP/2.0 200"):
            raise SystemExit("the callee could not be registered")


def invite(number: int, target: bytes) -> bytes:
    """An INVITE as the benchmark's caller sends it."""
    return (
        b"INVITE %b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-9-%d-0;rport\r\nMax-Forwards: 70\r\n"
        b'From: "A. Caller" <sip:caller@127.0.0.1:5070>;tag=a9-%d\r\nTo: <%b>\r\nCall-ID: %d-9@127.0.0.1\r\n'
        b"CSeq: 1 INVITE\r\nContact: <sip:caller@127.0.0.1:5070;transport=UDP>\r\n"
        b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\nSupported: timer, replaces\r\nUser-Agent: kahea-bench\r\n"
        b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%b"
    ) % (target, number, number, target, number, len(SDP), SDP)


def in_dialog(number: int, method: bytes, target: bytes, routes: bytes) -> bytes:
    """The ACK or BYE of a call."""
    agent = b"User-Agent: kahea-bench\r\n" if method == b"BYE" else b""
    return (
        b"%b sip:callee@127.0.0.1:5080;transport=UDP SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-9-%d-%d"
        b";rport\r\n%bMax-Forwards: 70\r\n"
        b'From: "A. Caller" <sip:caller@127.0.0.1:5070>;tag=a9-%d\r\nTo: <%b>;tag=b9\r\nCall-ID: %d-9@127.0.0.1\r\n'
        b"CSeq: %d %b\r\n%bContent-Length: 0\r\n\r\n"
    ) % (
        method, number, 5 if method == b"ACK" else 7, routes, number, target, number, 1 if method == b"ACK" else 2,
        method, agent,
    )  # fmt: skip


def answer(request: bytes, status: bytes, body: bytes = b"") -> bytes:
    """A callee's response to a request that the node sent."""
    kept = re.findall(rb"(?m)^(?:Via|Record-Route|From|Call-ID|CSeq): .*\r\n", request)
    to = re.search(rb"(?m)^To: .*(?=\r\n)", request)
    assert to is not None
    tag = b"" if b";tag=" in to[0] else b";tag=b9"
    kind = b"Content-Type: application/sdp\r\n" if body else b""
    contact = b"Contact: <sip:callee@127.0.0.1:5080;transport=UDP>\r\n"
    head = [b"SIP/2.0 %b\r\n" % status, *kept, to[0], tag, b"\r\n", contact, kind]
    return b"%bContent-Length: %d\r\n\r\n%b" % (b"".join(head), len(body), body)


def record_routes(response: bytes) -> bytes:
    """The Route lines that a caller makes of a response."""
    return b"".join(b"Route: %b\r\n" % value for value in re.findall(rb"(?m)^Record-Route: (.*)\r\n", response)[::-1])


def register(number: int, turn: int, user: bytes = b"", contact: bytes = b"") -> bytes:
    """A REGISTER as the benchmark's phones send it."""
    user = user or b"u%06d" % number
    return (
        b"REGISTER sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-8-%d-%d;rport\r\n"
        b"Max-Forwards: 70\r\nFrom: <sip:%b@127.0.0.1:5060>;tag=r8-%d\r\nTo: <sip:%b@127.0.0.1:5060>\r\n"
        b"Call-ID: %d-%d-8@127.0.0.1\r\nCSeq: 1 REGISTER\r\nContact: %b\r\nExpires: 3600\r\n"
        b"User-Agent: kahea-bench\r\nContent-Length: 0\r\n\r\n"
    ) % (number, turn, user, number, user, number, turn, contact or b"<sip:%b@192.0.2.1:5060;transport=UDP>" % user)


def load_for(case: str) -> Callable[[int], Rounds]:
    """What plays rounds of a case: called with the number of rounds, each of 200 calls or 1000 registrations."""
    script = HERE / "scripts" / ("minimal.py" if case == "minimal" else "typical.py")

    def play(count: int) -> Rounds:
        rounds = Rounds(script)
        if case == "typical":
            rounds.register_callee()
        for turn in range(count + 2):
            if turn == 2:
                rounds.spent.clear()  # the first rounds warm caches up
            if case == "register":
                rounds.registers(1000)
            else:
                rounds.calls(200, b"sip:callee@127.0.0.1:50%d0" % (8 if case == "minimal" else 6))
        return rounds

    return play


SIZES = {"minimal": 200, "typical": 200, "register": 1000}


def parsing() -> float:
    """µs to index the six messages of a call."""
    messages = [invite(1, b"sip:callee@127.0.0.1:5080")]
    messages += [answer(messages[0], b"180 Ringing"), answer(messages[0], b"200 OK", SDP)]
    route = b"Route: <sip:127.0.0.1;lr>\r\n"
    messages += [in_dialog(1, m, b"sip:callee@127.0.0.1:5080", route) for m in (b"ACK", b"BYE")]
    messages.append(answer(messages[-1], b"200 OK"))
    start = time.thread_time()
    for _ in range(5000):
        for data in messages:
            parse(data)
    return (time.thread_time() - start) * 1e6 / 5000


def instructions(case: str, rounds: int) -> int:
    """Instructions of a whole run, counted by callgrind."""
    command = [
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-m", "bench.inprocess",
        case, "--rounds", str(rounds), "--quiet",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise SystemExit(f"callgrind counted nothing: {done.stderr[-1000:]}")
    return int(found[1])


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="bench.inprocess", description=__doc__)
    parser.add_argument("case", nargs="?", choices=list(SIZES), default="minimal")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--instructions", action="store_true", help="count instructions in place of time")
    parser.add_argument("--quiet", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    size = SIZES[given.case]
    if given.instructions:
        more, fewer = instructions(given.case, 4), instructions(given.case, 2)
        print(f"{given.case}: {(more - fewer) / (2 * size):.0f} instructions each")
        return 0
    spent = load_for(given.case)(given.rounds).spent
    if given.quiet:
        return 0
    count = given.rounds * size / 1e6
    print(f"| {given.case} | µs each |\n|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {seconds / count:.2f} |")
    print(f"| **all** | **{sum(spent.values()) / count:.2f}** |")
    print(f"| parsing alone, of a call's six messages | {parsing():.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
