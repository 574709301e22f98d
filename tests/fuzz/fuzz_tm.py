"""Fuzz the engine from datagrams to transactions: `python tests/fuzz/fuzz_tm.py --seconds 60`.

An input is a play: parts that begin with a line `=> alice`, `=> bob` (a datagram from there to the proxy) or
`=> wait SECONDS`. In a datagram, `@vias@` stands for the Via lines of the last request of that method which
reached bob (`@first@`: of the first one), `@tag@` for the To tag last seen by alice.
Coverage-guided where atheris can be imported, else mutations of the seeds.
A finding is whatever raised, a transaction that stays, or a node that no longer answers.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from pathlib import Path

from kahea.testing import Simulation, UserAgent

SEEDS = Path(__file__).parent / "seeds" / "tm"
MODULES = ["tm", "tmx", "rr", "sl", "corex", "hdr", "maxfwd", "sanity", "siputils"]
LONGEST = 12_000
TOKENS = [
    b"\r\n", b"\n", b"\r\n\r\n", b" ", b":", b";", b",", b"<", b">", b'"', b"@", b"=", b"\0", b"\xff", b"\t", b"%",
    b"z9hG4bK", b";branch=", b";tag=", b";lr", b";rport", b";received=", b"SIP/2.0", b"sip:", b"sips:", b"tel:",
    b"INVITE ", b"ACK ", b"CANCEL ", b"BYE ", b"OPTIONS ", b"Via: ", b"Route: ", b"Record-Route: ", b"CSeq: ",
    b"Call-ID: ", b"From: ", b"To: ", b"Contact: ", b"Max-Forwards: ", b"Content-Length: ", b"Require: ", b"l: ",
    b"v: ",
    b"0", b"1", b"70", b"99999999999", b"-1", b"65536", b"100", b"180", b"200", b"302", b"408", b"487", b"603",
    b"700",
    b"[::1]", b"10.0.0.9", b"10.0.0.2:5060", b"=> alice\n", b"=> bob\n", b"=> wait 1\n", b"=> wait 40\n",
    b"@vias@", b"@first@", b"@tag@",
]  # fmt: skip

SCRIPT = """
import KSR

SHOWN = ("$ru", "$rU", "$rd", "$fu", "$ft", "$tu", "$tt", "$ci", "$cs", "$ct", "$ua", "$si", "$sp", "$hdr(Subject)",
         "$T_branch_idx", "$rs", "$rm", "$du", "$rr", "$cl", "$rb")

def look():
    for name in SHOWN:
        KSR.pv.get(name)

def ksr_request_route():
    look()
    KSR.force_rport()
    if KSR.maxfwd.process_maxfwd(10) < 0:
        KSR.sl.sl_send_reply(483, "Too Many Hops")
        return 1
    if KSR.is_OPTIONS() and KSR.pv.get("$rU") == "alive":
        KSR.sl.sl_send_reply(200, "Alive")
        return 1
    if KSR.pv.get("$ua") == "sane" and KSR.sanity.sanity_check(17895, 7) < 0:
        return 1
    if KSR.is_CANCEL():
        if KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
        return 1
    if KSR.siputils.has_totag() > 0:
        if KSR.rr.loose_route() > 0 or not KSR.is_myself_ruri():
            KSR.tm.t_relay()
        elif KSR.is_ACK():
            KSR.tm.t_check_trans()
        else:
            KSR.sl.sl_send_reply(404, "Not here")
        return 1
    if KSR.tmx.t_precheck_trans() > 0:
        KSR.tm.t_check_trans()
        return 1
    if KSR.tm.t_check_trans() == 0:
        return 1
    KSR.rr.record_route()
    KSR.hdr.append("X-Passed: yes\\r\\n")
    second = KSR.hdr.get("X-Fork")
    if second is not None:
        KSR.corex.append_branch_uri(second)
    KSR.tm.t_on_branch("branch")
    KSR.tm.t_on_reply("reply")
    KSR.tm.t_on_failure("failure")
    if KSR.tm.t_relay() < 0:
        KSR.sl.sl_reply_error()
    return 1

def branch():
    look()
    KSR.hdr.append("X-Branch: yes\\r\\n")
    return 1

def reply():
    look()
    KSR.hdr.append("X-Reply: yes\\r\\n")
    return 1

def ksr_reply_route():
    look()
    return 1

def failure():
    look()
    following = KSR.hdr.get("X-Next")
    if following is not None and KSR.tm.t_is_canceled() < 0:
        KSR.seturi(following)
        KSR.tm.t_relay()
    return 1
"""


class Theatre:
    """The proxy and its two silent neighbours, kept from one play to the next."""

    def __init__(self) -> None:
        self.sim = Simulation(1)
        self.node = self.sim.node(SCRIPT, "udp:10.0.0.9:5060", load_modules=MODULES)
        self.alice = self._silent("alice", "udp:10.0.0.1:5060")
        self.bob = self._silent("bob", "udp:10.0.0.2:5060")

    def close(self) -> None:
        """End the simulation, whatever it logged."""
        self.sim.close(check=False)

    def _silent(self, name: str, address: str) -> UserAgent:
        ua = self.sim.ua(name, address)
        ua.retransmits = ua.auto_ack = False
        return ua

    def play(self, data: bytes, keep_trace: bool = False) -> None:
        """One input; raises AssertionError for a finding."""
        for part in re.split(rb"(?m)^=> ", data)[:40]:
            head, _, body = part.partition(b"\n")
            who, _, argument = head.strip().partition(b" ")
            if who == b"wait":
                self.sim.run(_seconds(argument))
            elif who in (b"alice", b"bob"):
                ua = self.alice if who == b"alice" else self.bob
                ua.send(self._filled(body))
                self.sim.run(0.01)
        self.sim.finish(within=2000)
        raised = [e for e in self.sim.errors if "Traceback" in e]
        assert not raised, raised[0]
        left = {k: v for k, v in vars_of(self.node.node.layer).items() if v}
        assert not left, f"left behind: {left}"
        assert self.node.node.pool.in_flight == 0, "a run never ended"
        self._still_alive()
        self.sim.errors.clear()
        if not keep_trace:
            self.sim.trace.clear()
        for ua in (self.alice, self.bob):
            ua.received.clear()
            ua._taken.clear()
            ua._repeats.clear()
            ua._answered.clear()

    def _filled(self, body: bytes) -> bytes:
        # Seeds are written with bare line feeds where nothing else is meant.
        data = body if b"\r\n" in body else body.replace(b"\n", b"\r\n")
        method = re.search(rb"CSeq: *\d+ +(\w+)", data)
        wanted = method[1].decode("ascii", "replace") if method else ""
        requests = [m for m in self.bob.received if m.is_request and m.method == wanted]
        for mark, nth in ((b"@vias@\r\n", -1), (b"@first@\r\n", 0)):
            if mark in data and requests:
                vias = "".join(f"Via: {via}\r\n" for via in requests[nth].all("Via"))
                data = data.replace(mark, vias.encode("utf-8", "surrogateescape"))
        tags = [m.to_tag for m in self.alice.received if not m.is_request and m.to_tag]
        return data.replace(b"@tag@", tags[-1].encode("utf-8", "surrogateescape") if tags else b"none")

    def _still_alive(self) -> None:
        before = len(self.alice.received)
        self.alice.send(self.alice.build("OPTIONS", "sip:alive@10.0.0.9"))
        self.sim.run(0.01)
        assert [m.start for m in self.alice.received[before:]] == ["SIP/2.0 200 Alive"], "it no longer answers"


def vars_of(layer: object) -> dict[str, int]:
    """The sizes of the layer's tables."""
    return {name: len(getattr(layer, name)) for name in ("by_label", "requests")}


def _seconds(text: bytes) -> float:
    found = re.match(rb"\d{1,3}(\.\d{1,3})?", text)
    return min(float(found[0]), 200.0) if found else 0.1


_theatre: list[Theatre] = []


def check(data: bytes) -> None:
    """One input."""
    if not _theatre:
        _theatre.append(Theatre())
    try:
        _theatre[0].play(data)
    except BaseException:
        close()
        raise


def close() -> None:
    """End what is kept from one input to the next."""
    while _theatre:
        _theatre.pop().close()


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A neighbour of an input."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(7):
            case 0:
                out[at:at] = rng.choice(TOKENS)
            case 1:
                del out[at : at + rng.randrange(1, 30)]
            case 2 if at < len(out):
                out[at] = rng.randrange(256)
            case 3:
                parts = re.split(rb"(?m)^(?==> )", bytes(out))
                rng.shuffle(parts)
                out = bytearray(b"".join(parts))
            case 4:
                parts = re.split(rb"(?m)^(?==> )", bytes(out))
                parts.insert(rng.randrange(len(parts) + 1), rng.choice(parts))
                out = bytearray(b"".join(parts))
            case 5:
                lines = bytes(out).split(b"\n")
                lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
                out = bytearray(b"\n".join(lines))
            case _:
                out[at : at + rng.randrange(6)] = rng.choice(TOKENS)
    return bytes(out[:LONGEST])


def seeds() -> list[bytes]:
    """The inputs to begin with."""
    return [path.read_bytes() for path in sorted(SEEDS.iterdir())]


def run_mutations(seconds: float, seed: int | None = None) -> int:
    """Mutate seeds for so long; the number of inputs checked."""
    rng = random.Random(seed)
    corpus = seeds()
    done = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutate(rng.choice(corpus), rng)
        try:
            check(data)
        except BaseException:
            print(f"finding: {data!r}", file=sys.stderr)
            raise
        done += 1
    return done


def _mutator(data: bytes, longest: int, seed: int) -> bytes:
    return mutate(data, random.Random(seed))[:longest]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="of the mutations, to repeat a run")
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print(f"{run_mutations(options.seconds, options.seed)} inputs, no findings")
        return
    atheris.instrument_all()
    found = tempfile.mkdtemp(prefix="fuzz-tm-")  # the first directory gets what is new
    flags = [
        f"-max_total_time={int(options.seconds)}",
        f"-max_len={LONGEST}",
        "-len_control=0",
        f"-artifact_prefix={found}/",
    ]
    atheris.Setup([sys.argv[0], *flags, found, str(SEEDS)], check, custom_mutator=_mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
