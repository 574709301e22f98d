"""Fuzz the stream framer: `python tests/fuzz/fuzz_framer.py --seconds 60`.

Coverage-guided where atheris can be imported, else mutations of the seeds. A finding is an exception, or
events that depend on how the stream was cut; the input is printed, and a new seed keeps it from coming back.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from kahea.net.framer import Event, Framer, FramingError

SEEDS = Path(__file__).parent / "seeds" / "framer"
LIMITS = {"max_message": 2000, "max_headers": 1000}
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b":", b"Content-Length", b"l", b"L :",
    b"0", b"9", b"4294967296", b"-1", b"\0", b"INVITE sip:a SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n",
    b"GET / HTTP/1.1\r\n",
]  # fmt: skip


def cut(data: bytes, sizes: list[int], accept_no_cl: bool) -> list[Event]:
    """The events of a stream that arrives in reads of such sizes."""
    framer = Framer(accept_no_cl=accept_no_cl, **LIMITS)
    events: list[Event] = []
    at, turn = 0, 0
    while at < len(data):
        size = max(1, sizes[turn % len(sizes)]) if sizes else len(data)
        events += framer.feed(data[at : at + size])
        assert framer.buffered <= LIMITS["max_message"] + size, "the buffer outgrew its bound"
        at, turn = at + size, turn + 1
    return events


def check(data: bytes) -> None:
    """One input: what every stream must satisfy."""
    rng = random.Random(len(data))
    for accept_no_cl in (False, True):
        whole = cut(data, [], accept_no_cl)
        assert cut(data, [1], accept_no_cl) == whole, "byte by byte differs"
        sizes = [rng.randrange(1, 50) for _ in range(20)]
        assert cut(data, sizes, accept_no_cl) == whole, f"reads of {sizes} differ"
        for event in whole[:-1]:
            assert not isinstance(event, FramingError), "events after an error"
        for event in whole:
            if isinstance(event, bytes):
                assert len(event) <= LIMITS["max_message"]
                assert event in data


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A neighbour of an input."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0:
                out[at:at] = rng.choice(TOKENS)
            case 1:
                del out[at : at + rng.randrange(1, 30)]
            case 2:
                out[at:at] = out[: rng.randrange(len(out) + 1)]
            case 3 if at < len(out):
                out[at] = rng.randrange(256)
            case _:
                out[at : at + rng.randrange(4)] = rng.choice(TOKENS)
    return bytes(out[:4000])


def seeds() -> list[bytes]:
    """The inputs to begin with."""
    return [path.read_bytes() for path in sorted(SEEDS.iterdir())]


def run_mutations(seconds: float, seed: int | None = None) -> int:
    """Mutate seeds for so long; the number of inputs checked."""
    rng = random.Random(seed)
    corpus = seeds()
    for data in corpus:
        check(data)
    done = len(corpus)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutate(rng.choice(corpus), rng)
        try:
            check(data)
        except BaseException:
            print(f"finding: {data!r}", file=sys.stderr)
            raise
        done += 1
        if len(corpus) < 500 and rng.random() < 0.02:
            corpus.append(data)
    return done


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
    for name in ("feed", "_between", "_message_end", "_content_length"):
        setattr(Framer, name, atheris.instrument_func(getattr(Framer, name)))
    found = tempfile.mkdtemp(prefix="fuzz-framer-")  # the first directory gets what is new
    atheris.Setup([sys.argv[0], f"-max_total_time={int(options.seconds)}", found, str(SEEDS)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
