"""Fuzz the message and its values: `python tests/fuzz/fuzz_message.py --seconds 60`.

A finding is an exception other than ParseError, a message that is built but does not parse, or a header that
changes though nobody edited it. The parsers are C: to see reads out of bounds too, build a copy with
`KAHEA_CFLAGS="-O1 -g -fsanitize=address,undefined" LDFLAGS="-fsanitize=address,undefined"`, and run with
libasan and libubsan preloaded, `PYTHONMALLOC=malloc` and `--plain`.

What guides the search is behaviour, since compiled code shows no coverage: inputs that bring about a new
refusal or a new shape of message are kept. With atheris each behaviour is one instrumented function, so that
libFuzzer sees them; without it, a loop of mutations does the same.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from kahea.sip import message as m
from kahea.sip.body import find_part
from kahea.sip.digest import parse_credentials
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse
from kahea.sip.params import parse_params
from kahea.sip.sdp import parse_sdp
from kahea.sip.uri import parse_uri, same_uri

SEEDS = Path(__file__).parent / "seeds" / "message"
TORTURE = Path(__file__).parents[1] / "sip" / "torture"
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b";", b",", b"<", b">", b'"', b"\\", b"=",
    b"@", b"?", b"%00", b"[::1]", b"[", b"]", b"\0", b"\xff", b"*", b"0", b"65535", b"65536", b"-1",
    b"2147483648", b"4294967296", b"9" * 30, b"SIP/2.0", b"sip:", b"tel:", b"urn:", b";tag=",
    b";branch=z9hG4bK", b";rport", b";received=1.2.3.4", b";lr", b"Via: SIP/2.0/UDP h\r\n", b"v:",
    b"From: <sip:a@b>;tag=1\r\n", b"t: sip:c@d\r\n", b"i: 1\r\n", b"CSeq: 1 INVITE\r\n", b"l: 5\r\n",
    b"Content-Length: 0\r\n", b"Max-Forwards: 1\r\n", b"Route: <sip:a;lr>,<sip:b>\r\n", b"\r\n ",
    b"INVITE ",
]  # fmt: skip
VIA = b"Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKproxy\r\n"
#: How many inputs a run keeps, and how many behaviours atheris can tell apart.
MOST_KEPT = 50_000
MARKS = 4096
#: Fields that a builder may touch.
TOUCHED = {m.H_CONTENTLENGTH, m.H_VIA}


def attempt(work: Callable[[], object]) -> object:
    """The result, or the reason why there is none."""
    try:
        return work()
    except ParseError as error:
        refusal = error
    assert refusal.reason.isascii()
    assert refusal.reason.isprintable()
    assert 400 <= refusal.status <= 699
    return refusal.reason


def read_all(message: Message) -> list[object]:
    """Ask the message everything; what it says of itself must lie where it says."""
    raw, behaviour = message.raw, []
    for name in ("via1", "via2", "from_", "to", "callid", "cseq", "cseq_method", "max_forwards", "expires"):
        got = attempt(lambda name=name: getattr(message, name))  # type: ignore[misc]
        behaviour.append(got if isinstance(got, str) else type(got).__name__)
    for header in message.headers():
        assert raw[header.start : header.start + len(header.name)] == header.name
        assert raw[header.body_start : header.body_end] == header.body
        assert header.start < header.end <= message.headers_end
        first = message.header_named(header.name)
        assert first is not None
        assert first.index <= header.index
    vias = attempt(message.vias)
    for via in vias if isinstance(vias, list) else []:
        assert raw[via.start : via.end] == bytes(via)
        assert 0 <= via.port <= 65535
        assert (via.branch, via.received, via.rport) == tuple(
            via.param(name) for name in (b"branch", b"received", b"rport")
        )
        assert m.parse_via(bytes(via)).params == via.params
    for kind in (m.H_CONTACT, m.H_ROUTE, m.H_RECORDROUTE, m.H_FROM, m.H_TO):
        addrs = attempt(lambda kind=kind: message.name_addrs(kind))  # type: ignore[misc]
        for addr in addrs if isinstance(addrs, list) else []:
            assert raw[addr.uri_start : addr.uri_end] == addr.uri
            assert m.parse_name_addr(bytes(addr)).uri == addr.uri
            read_uri(addr.uri)
    read_uri(message.uri)
    read_others(message)
    return [*behaviour, len(vias) if isinstance(vias, list) else vias]


def read_uri(text: bytes) -> None:
    """A URI, its parts, and the URI that they make."""
    uri = attempt(lambda: parse_uri(text))
    if isinstance(uri, str):
        assert not same_uri(text, text)
        return
    parsed = parse_uri(text)
    again = parse_uri(parsed.replaced())
    for part in ("scheme", "user", "password", "host", "port", "params", "headers", "transport", "aor"):
        assert getattr(parsed, part) == getattr(again, part)
    assert same_uri(text, text)
    assert parse_uri(parsed.aor).user == parsed.user


def read_others(message: Message) -> None:
    """The parsers in Python, fed with what is at hand."""
    for header in message.headers()[:20]:
        m.split_list(header.body)
        attempt(lambda header=header: parse_params(header.body))  # type: ignore[misc]
        attempt(lambda header=header: parse_credentials(header.body))  # type: ignore[misc]
    find_part(message.body, message.content_type, b"application/sdp")
    attempt(lambda: parse_sdp(message.body))


def same_fields(message: Message, built: Message, drop: int) -> None:
    """The fields that no builder touches are the same bytes, in the same order."""
    before = [message.raw[h.start : h.end] for h in message.headers() if h.kind not in TOUCHED]
    after = [built.raw[h.start : h.end] for h in built.headers() if h.kind not in TOUCHED]
    assert before == after
    assert len(built.headers_of(m.H_VIA)) in (
        len(message.headers_of(m.H_VIA)) + 1 - drop,
        len(message.headers_of(m.H_VIA)),
    )


def build_all(message: Message) -> None:
    """Everything that can be built is a message."""
    if message.header_count > m.MAX_HEADERS - 4 or len(message.raw) > m.MAX_MESSAGE - 1000:
        return
    built = parse(message.rebuild())
    assert built.rebuild() == built.raw
    if message.is_request:
        sent = parse(message.build_request(b"sip:new@host", VIA, stream=True))
        same_fields(message, sent, 0)
        assert sent.uri == b"sip:new@host"
        assert sent.body == message.body
        reply = parse(message.build_reply(200, b"OK", b"mine", b"X: y\r\n", b"body", b"Server: k\r\n"))
        assert (reply.status, reply.body) == (200, b"body")
    elif isinstance(attempt(message.vias), list) and message.header(m.H_VIA):
        back = parse(message.build_response())
        same_fields(message, back, 2)
        assert len(back.vias()) == len(message.vias()) - 1


def edit_all(message: Message) -> None:
    """Edits come and go, and show where they should."""
    if not message.header_count or message.header_count > m.MAX_HEADERS - 4:
        return  # without a header, the first and the last place are one
    before, none = message.rebuild(), message.edits_snapshot()
    message.append_header(b"X-Last: 1\r\n")
    message.prepend_header(b"X-First: 1\r\n")
    message.set_body(b"new body")
    copy = message.clone()
    built = parse(message.rebuild())
    assert copy.rebuild() == built.raw
    assert built.body == b"new body"
    assert built.headers()[0].name == b"X-First"
    assert b"X-Last" in [h.name for h in built.headers()[-2:]]  # a Content-Length may be added behind it
    for header in message.headers():
        message.remove_header(header)
    assert {h.name for h in parse(message.rebuild()).headers()} == {b"X-First", b"X-Last", b"Content-Length"}
    message.edits_restore(none)
    assert message.rebuild() == before


def check(data: bytes) -> list[object]:
    """One input: what holds for every one. Returns how it was taken, for the search."""
    message = attempt(lambda: parse(data))
    if isinstance(message, str):
        return [message]
    message = parse(data)
    message.src_ip, message.src_port = b"198.51.100.7", 4444
    verdict = attempt(message.check)
    if verdict is None:
        for name in ("via1", "from_", "to", "callid", "cseq", "max_forwards", "expires", "content_length"):
            getattr(message, name)  # does not raise in a valid message
        assert message.cseq_method == message.method
    behaviour = read_all(message)
    build_all(message)
    edit_all(message)
    kinds = sorted({h.kind for h in message.headers()})
    return [message.is_request, message.method_id, verdict, *behaviour, *kinds]


def feature(behaviour: list[object]) -> int:
    """A behaviour as a number."""
    return zlib.crc32(repr(behaviour).encode())


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A neighbour of an input, perhaps spliced with another."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(6):
            case 0:
                out[at:at] = rng.choice(TOKENS)
            case 1:
                del out[at : at + rng.randrange(1, 30)]
            case 2:
                start = rng.randrange(len(other) + 1)
                out[at:at] = other[start : start + rng.randrange(60)]
            case 3 if at < len(out):
                out[at] = rng.randrange(256)
            case 4:
                start = rng.randrange(len(out) + 1)
                out[at:at] = out[start : start + rng.randrange(1, 80)]
            case _:
                out[at : at + rng.randrange(4)] = rng.choice(TOKENS)
    return bytes(out[:6000])


def seeds() -> list[bytes]:
    """The inputs to begin with."""
    return [p.read_bytes() for p in [*sorted(SEEDS.iterdir()), *sorted(TORTURE.glob("*.sip"))]]


def run_mutations(seconds: float, seed: int | None = None) -> tuple[int, int]:
    """Mutate for so long, keeping inputs that behave in a new way; the inputs checked and behaviours seen."""
    rng = random.Random(seed)
    corpus = seeds()
    seen = {feature(check(data)) for data in corpus}
    done = len(corpus)
    corpus = [data for data in corpus if len(data) < 4000]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutate(rng.choice(corpus), rng.choice(corpus), rng)
        try:
            found = feature(check(data))
        except BaseException:
            print(f"finding: {data!r}", file=sys.stderr)
            raise
        done += 1
        if found not in seen and len(corpus) < MOST_KEPT:
            seen.add(found)
            corpus.append(data)
    return done, len(seen)


def behaviour_marks(
    instrument: Callable[[Callable[[], None]], Callable[[], None]],
) -> list[Callable[[], None]]:
    """One function per behaviour, instrumented, whose being called is the coverage that a fuzzer sees."""
    marks = []
    for number in range(MARKS):
        names: dict[str, Callable[[], None]] = {}
        exec(f"def mark_{number}():\n    return None\n", names)
        marks.append(instrument(names[f"mark_{number}"]))
    return marks


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="of the mutations, to repeat a run")
    parser.add_argument("--plain", action="store_true", help="mutations even where atheris is there")
    options = parser.parse_args()
    try:
        atheris = importlib.import_module("atheris" if not options.plain else "no_atheris")
    except ImportError:
        done, seen = run_mutations(options.seconds, options.seed)
        print(f"{done} inputs, {seen} behaviours, no findings")
        return
    marks = behaviour_marks(atheris.instrument_func)

    def one(data: bytes) -> None:
        marks[feature(check(data)) % MARKS]()

    found = tempfile.mkdtemp(prefix="fuzz-message-")  # the first directory gets what is new
    arguments = [f"-max_total_time={int(options.seconds)}", "-max_len=6000", found, str(SEEDS), str(TORTURE)]
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
