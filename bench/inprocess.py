"""What a call costs inside of the process, by the message: `python -m bench.inprocess`.

A node runs a script of the benchmark, and its datagrams are handed to it without sockets, one call after the other,
each timed by the CPU time that it took. So the cost of each kind of message shows, without the kernel's part, though
its log is written. Calls come at 1000 a second of the node's clock, and their transactions are kept as long as they
would be, so memory is as used as it is under such a load.

`--instructions` counts with callgrind in place of the clock: instructions, and misses of the first caches, which say
how much code and data a call touches. It is slow, but gives the same on a busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import operator
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.servers import STOCK
from kahea.cli import logs
from kahea.engines.native.engine import NativeEngine
from kahea.engines.native.load import load as load_cfg
from kahea.engines.native.parser import parse_file
from kahea.engines.python import PythonEngine
from kahea.net.address import Address, Listener
from kahea.routing.node import Node
from kahea.routing.settings import load
from kahea.sip.message import parse

HERE = Path(__file__).parent
#: What each case runs.
SCRIPTS = {
    "minimal": HERE / "scripts/minimal.py",
    "minimal-cfg": HERE / "kamailio/minimal.cfg",
    "typical": HERE / "scripts/typical.py",
    "typical-cfg": HERE / "kamailio/typical.cfg",
    "stock": Path(STOCK),
    "register": HERE / "scripts/typical.py",
    "options": HERE / "scripts/typical.py",
}
CALLER = Address.of("127.0.0.1", 5070)
CALLEE = Address.of("127.0.0.1", 5080)
SERVER = Address.of("127.0.0.1", 5060)
#: Calls or requests a second of the node's clock.
RATE = 1000
#: So many are placed before they are counted: by then as many transactions end as begin (tm's wt_timer is 5 seconds).
WARM_UP = 6000

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


class Bench:
    """A node under a script, and the time that each kind of message took: `spent` in seconds, by its name."""

    def __init__(self, script: Path, toggle: Callable[[], object] | None = None) -> None:
        self._time = [time.monotonic(), time.time()]
        clock: Callable[[], float] = partial(operator.getitem, self._time, 0)
        wall: Callable[[], float] = partial(operator.getitem, self._time, 1)
        native = script.suffix == ".cfg"
        configuration = load_cfg(parse_file(script, {}), script) if native else load(script)
        configuration.settings.log_stderror = True
        # What a call has logged is written as ever, where nobody reads it.
        self._log = Path(os.devnull).open("w", buffering=1)  # noqa: SIM115 - open as long as the node is
        with contextlib.redirect_stderr(self._log):
            logs.set_up(configuration.settings)
        self.node = Node(configuration, clock=clock, wall=wall)
        self.listener = Sent()
        self.node.add_listener(self.listener)
        self.node.start()
        self.node.use((NativeEngine if native else PythonEngine)(self.node, script).load())
        self.spent: dict[str, float] = {}
        self.toggle = toggle
        self._made = 0
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)  # as `kahea run` does

    def _give(self, name: str, data: bytes, source: Address, expected: int) -> list[bytes]:
        """Hand in a datagram, timed; what the node sent, which are `expected`."""
        if self.toggle is not None:
            self.toggle()
            self.node.on_datagram(self.listener, data, source)
            self.toggle()
        else:
            start = time.thread_time()
            self.node.on_datagram(self.listener, data, source)
            self._spend(name, start)
        sent = self.listener.take()
        if len(sent) != expected:
            raise SystemExit(f"{name}: {len(sent)} datagrams were sent, not {expected}:\n{data.decode()}")
        return sent

    def _spend(self, name: str, start: float) -> None:
        self.spent[name] = self.spent.get(name, 0.0) + time.thread_time() - start

    def _pass_time(self, seconds: float) -> None:
        """Let the clock go on, and the timers run as the process lets them."""
        for at in (0, 1):
            self._time[at] += seconds
        deadline = self.node.next_deadline()
        if deadline is not None and deadline <= self._time[0]:
            start = time.thread_time()
            if self.toggle is not None:
                self.toggle()
            self.node.advance(self._time[0])
            if self.toggle is not None:
                self.toggle()
            self._spend("timers", start)

    def call(self, target: bytes = b"sip:callee@127.0.0.1:5080") -> None:
        """Place a call: INVITE, 180, 200, ACK, BYE, 200."""
        n = self._made = self._made + 1
        sent = next(data for data in self._give("INVITE", invite(n, target), CALLER, 2) if data.startswith(b"INVITE"))
        self._give("180", answer(sent, b"180 Ringing"), CALLEE, 1)
        (answered,) = self._give("200 to INVITE", answer(sent, b"200 OK", SDP), CALLEE, 1)
        routes = record_routes(answered)
        self._give("ACK", in_dialog(n, b"ACK", target, routes), CALLER, 1)
        (bye,) = self._give("BYE", in_dialog(n, b"BYE", target, routes), CALLER, 1)
        self._give("200 to BYE", answer(bye, b"200 OK"), CALLEE, 1)
        self._pass_time(1 / RATE)

    def register(self) -> None:
        """Renew the next of 1000 registrations."""
        turn, number = divmod(self._made, 1000)
        self._made += 1
        self._give("REGISTER", register(number, turn), CALLER, 1)
        self._pass_time(1 / RATE)

    def options(self) -> None:
        """Ask for the server's capabilities."""
        self._made += 1
        self._give("OPTIONS", options(self._made), CALLER, 1)
        self._pass_time(1 / RATE)

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


def options(number: int) -> bytes:
    """An OPTIONS to the server itself, as the benchmark's probes send it."""
    return (
        b"OPTIONS sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-7-%d-0;rport\r\n"
        b"Max-Forwards: 70\r\nFrom: <sip:probe@127.0.0.1:5070>;tag=o7-%d\r\nTo: <sip:127.0.0.1:5060>\r\n"
        b"Call-ID: %d-7@127.0.0.1\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\nUser-Agent: kahea-bench\r\n"
        b"Content-Length: 0\r\n\r\n"
    ) % (number, number, number)


def play(case: str, count: int, warm_up: int, toggle: Callable[[], object] | None = None) -> Bench:
    """Play a case so many times after a warm-up; what it took. `toggle` is called before and after each message."""
    bench = Bench(SCRIPTS[case])
    located = not case.startswith("minimal")
    if located and case != "register":
        bench.register_callee()
    target = b"sip:callee@127.0.0.1:5060" if located else b"sip:callee@127.0.0.1:5080"
    for number in range(warm_up + count):
        if number == warm_up:
            bench.spent.clear()
            bench.toggle = toggle
        if case == "register":
            bench.register()
        elif case == "options":
            bench.options()
        else:
            bench.call(target)
    return bench


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


def instructions(case: str, count: int, warm_up: int) -> str:
    """What callgrind counts for one of a case: a line of text."""
    simulated = ["--cache-sim=yes", "--LL=2097152,16,64", "--collect-atstart=no", "--callgrind-out-file=/dev/null"]
    command = [sys.executable, "-m", "bench.inprocess", case, "--count", str(count), "--warm-up", str(warm_up)]
    command = ["valgrind", "--tool=callgrind", *simulated, *command, "--counting", str(build_counting())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {name: int(number.replace(",", "")) for name, number in EVENTS.findall(done.stderr)}
    if not found:
        raise SystemExit(f"callgrind counted nothing:\n{done.stderr[-1000:]}")
    each = [f"{found[name] / count:.0f} {text}" for name, text in COUNTED.items()]
    return f"{case}: {', '.join(each)}, each"


EVENTS = re.compile(r"(I   refs|I1  misses|D1  misses|LL misses):\s+([\d,]+)")
COUNTED = {
    "I   refs": "instructions",
    "I1  misses": "misses of the instruction cache",
    "D1  misses": "of the data cache",
    "LL misses": "of one of 2 MiB",
}


def build_counting() -> Path:
    """Compile what tells callgrind when to count."""
    source, library = HERE / "counting.c", HERE.parent / "build/counting.so"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        library.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="bench.inprocess", description=__doc__)
    parser.add_argument("case", nargs="?", choices=list(SCRIPTS), default="minimal")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help="so many before they are counted")
    parser.add_argument("--instructions", action="store_true", help="count instructions in place of time")
    parser.add_argument("--counting", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.instructions:
        print(instructions(given.case, given.count or 2000, given.warm_up))
        return 0
    if given.counting:
        play(given.case, given.count, given.warm_up, ctypes.PyDLL(given.counting).toggle)
        return 0
    count = given.count or 5000
    spent = play(given.case, count, given.warm_up).spent
    print(f"| {given.case} | µs each |\n|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {seconds * 1e6 / count:.2f} |")
    print(f"| **all** | **{sum(spent.values()) * 1e6 / count:.2f}** |")
    print(f"| parsing alone, of a call's six messages | {parsing():.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
