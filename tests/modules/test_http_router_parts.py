"""The parts of `http_router`: breaker, cache, trace context, answers, and how a question is put."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.modules.http_router.answer import MAX_ROUTES, Answer, document, parse_answer
from kahea.modules.http_router.breaker import CLOSED, HALF_OPEN, OPEN, Breaker
from kahea.modules.http_router.cache import LONGEST, Allowance, Cache, allowance
from kahea.modules.http_router.service import Fetch, FetchError, Outcome, Response, Service
from kahea.modules.http_router.trace import continued

GOOD = b'{"version":"1.0","routing":"serial","routes":[{"uri":"sip:bob@10.0.0.2"}]}'


def test_a_breaker_opens_tries_and_closes() -> None:
    b = Breaker(failures=3, pause=10)
    for _ in range(2):
        b.failed(0)
    b.succeeded()
    for _ in range(3):
        assert b.allows(1)
        b.failed(1)
    assert b.state(1) == OPEN
    assert not b.allows(10.9)
    assert b.state(11) == HALF_OPEN
    assert b.allows(11)
    assert not b.allows(11.5), "one trial at a time"
    b.failed(12)
    assert not b.allows(21.9)
    assert b.allows(22)
    b.succeeded()
    assert b.state(22) == CLOSED
    assert b.opened == 2


def test_a_trial_that_is_never_told_of_does_not_last_for_ever() -> None:
    b = Breaker(failures=1, pause=10)
    b.failed(0)
    assert b.allows(10)
    assert not b.allows(19.9)
    assert b.allows(20)


def test_a_breaker_without_a_limit_never_opens() -> None:
    b = Breaker(failures=0, pause=10)
    for _ in range(100):
        b.failed(0)
    assert b.allows(0)


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("max-age=30", (30, 0)),
        ("max-age=30, stale-if-error=600", (30, 600)),
        ("MAX-AGE = 30", (0, 0)),
        ('public, max-age="30"', (30, 0)),
        ("max-age=30, s-maxage=5, stale-if-error=9", (5, 0)),
        ("max-age=30, must-revalidate, stale-if-error=9", (30, 0)),
        ("max-age=30, private", (0, 0)),
        ("no-store, max-age=30", (0, 0)),
        ("max-age=30, max-age=60", (30, 0)),
        ("max-age=-1", (0, 0)),
        ("max-age=99999999999", (0, 0)),
        ("max-age=999999999", (LONGEST, 0)),
        ("max-age=30,,", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_what_a_service_allows(header: str, allowed: tuple[int, int]) -> None:
    assert allowance({"cache-control": header}) == allowed


def test_an_answer_that_has_aged_on_its_way() -> None:
    assert allowance({"cache-control": "max-age=30", "age": "12"}).fresh == 18
    assert allowance({"cache-control": "max-age=30", "age": "40"}).fresh == 0


@given(st.text(max_size=80))
def test_no_header_is_too_odd(header: str) -> None:
    assert 0 <= allowance({"cache-control": header, "age": header}).fresh <= LONGEST


def test_a_cache_forgets_the_longest_unused() -> None:
    c: Cache[int] = Cache(2)
    for n, key in enumerate((b"a", b"b")):
        c.keep(key, n, Allowance(10, 5), 0)
    assert c.fresh(b"a", 9.9) == 0
    c.keep(b"c", 2, Allowance(10, 5), 0)
    assert c.fresh(b"b", 1) is None
    assert c.fresh(b"a", 10) is None
    assert c.stale(b"a", 14.9) == 0
    assert c.stale(b"a", 15) is None
    c.keep(b"a", 3, Allowance(0, 0), 1)
    assert c.fresh(b"a", 1) is None
    assert c.clear() == 1


def test_a_trace_goes_on() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    made = continued(parent, "rojo=1")
    assert made.trace == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert made.span != "00f067aa0ba902b7"
    assert (made.flags, made.state) == ("01", "rojo=1")
    later = continued("cc-" + parent[3:] + "-what-is-to-come", "")
    assert later.trace == made.trace


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ],
)
def test_a_bad_trace_begins_anew(parent: str) -> None:
    made = continued(parent, "rojo=1")
    assert made.trace not in ("0" * 32, "4bf92f3577b34da6a3ce929d0e0e4736")
    assert made.state == ""


def test_no_line_comes_out_of_a_state() -> None:
    assert continued("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1\r\nX: y").state == ""


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "truncated"),
        (b"{}", "either"),
        (b'{"routes":[],"reply":null}', "either"),
        (b'{"routes":[{"uri":"sip:a@b"}],"reply":{"code":404}}', "either"),
        (b'{"routes":[{}]}', "neither uri nor dst_uri"),
        (b'{"routes":[{"uri":7}]}', "str"),
        (b'{"routes":[{"uri":"sip:a@b","headers":{"extra":"X-A: b"}}]}', "CRLF"),
        (b'{"routing":"both","routes":[{"uri":"sip:a@b"}]}', "both"),
        (b'{"reply":{"code":200}}', "300"),
        (b'{"reply":{"code":404,"reason":"a\\r\\nb"}}', "regex"),
        (b'{"x":' + b"[" * 100_000, "deep|recursion"),
        (b'{"routes":[' + b",".join([b'{"uri":"sip:a@b"}'] * (MAX_ROUTES + 1)) + b"]}", "length"),
        (b"\xff\xfe", "malformed"),
    ],
)
def test_what_is_no_answer(document: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_answer(document)


@given(st.binary(max_size=200))
def test_garbage_is_no_answer(document: bytes) -> None:
    with pytest.raises(ValueError):
        parse_answer(document)


def test_a_document_for_rtjson_says_how_to_try() -> None:
    assert document(parse_answer(b'{"routes":[{"uri":"sip:a@b","x":1}],"y":2}')) == (
        '{"routing":"serial","routes":[{"uri":"sip:a@b"}]}'
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def service(
    *responses: Response | Exception, retries: int = 0, failures: int = 0, most: int = 9, timeout: float = 5
) -> tuple[Service, Clock]:
    """A service that gives these responses in turn, then the last one for ever."""
    left = list(responses)

    async def fetch(body: bytes, headers: Mapping[str, str], seconds: float) -> Response:
        response = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(response, Exception):
            raise response
        return response

    return made(fetch, retries=retries, failures=failures, most=most, timeout=timeout)


def made(fetch: Fetch, *, retries: int, failures: int, most: int, timeout: float) -> tuple[Service, Clock]:
    clock = Clock()
    cache: Cache[Answer] = Cache(10)
    return Service(fetch, clock, timeout, retries, most, Breaker(failures, 10), cache), clock


def ask(asked: Service, key: bytes | None = b"k") -> Outcome:
    return asyncio.run(asked.ask(b"{}", {}, key))


def ok(**headers: str) -> Response:
    return Response(200, {k.replace("_", "-"): v for k, v in headers.items()}, GOOD)


def test_a_good_answer() -> None:
    s, _ = service(ok())
    outcome = ask(s)
    assert outcome.answer is not None
    assert outcome.answer.routes[0].uri == "sip:bob@10.0.0.2"
    assert s.counts.answered == 1


@pytest.mark.parametrize("first", [FetchError("refused"), Response(503, {}, b""), Response(429, {}, b"")])
def test_it_is_asked_again(first: Response | Exception) -> None:
    s, _ = service(first, ok(), retries=1)
    assert ask(s).answer is not None
    assert s.counts.attempts == 2


@pytest.mark.parametrize("first", [Response(404, {}, b""), Response(500, {}, b""), Response(200, {}, b"{")])
def test_it_is_not_asked_again(first: Response) -> None:
    s, _ = service(first, ok(), retries=1)
    assert ask(s).answer is None
    assert s.counts.attempts == 1


def test_a_pause_that_the_service_asks_for_ends_with_the_time() -> None:
    s, _ = service(Response(503, {"retry-after": "60"}, b""), ok(), retries=1, timeout=0.05)
    assert ask(s).why == "no answer in 0.05 s"
    assert s.counts.timed_out == 1


def test_a_service_that_fails_is_left_alone() -> None:
    s, clock = service(FetchError("refused"), failures=2)
    assert [ask(s).why for _ in range(2)] == ["refused", "refused"]
    assert "left alone" in ask(s).why
    assert s.counts.attempts == 2
    clock.now = 10
    assert ask(s).why == "refused"


def test_one_that_does_not_like_a_question_works() -> None:
    s, _ = service(Response(400, {}, b""), failures=1)
    assert [ask(s).why for _ in range(3)] == ["HTTP status 400"] * 3


def test_an_answer_is_kept_and_does_for_a_while_when_the_service_fails() -> None:
    s, clock = service(ok(cache_control="max-age=30, stale-if-error=60"), FetchError("refused"))
    assert ask(s).answer is not None
    clock.now = 29
    assert ask(s).answer is not None
    assert (s.counts.attempts, s.counts.from_cache) == (1, 1)
    assert ask(s, b"another").answer is None
    clock.now = 31
    outcome = ask(s)
    assert (outcome.answer is not None, outcome.why, s.counts.stale) == (True, "refused", 1)
    clock.now = 91
    assert ask(s).answer is None


def test_without_a_key_nothing_is_kept() -> None:
    s, _ = service(ok(cache_control="max-age=30"))
    for _ in range(2):
        ask(s, None)
    assert s.counts.attempts == 2


def test_no_more_wait_than_may() -> None:
    async def main() -> list[str]:
        gate = asyncio.Event()

        async def fetch(body: bytes, headers: Mapping[str, str], seconds: float) -> Response:
            await gate.wait()
            return ok()

        s, _ = made(fetch, retries=0, failures=0, most=2, timeout=5)
        waiting = [asyncio.ensure_future(s.ask(b"", {}, None)) for _ in range(3)]
        refused = await waiting[2]
        gate.set()
        return [refused.why, *[(await w).why for w in waiting[:2]]]

    assert asyncio.run(main()) == ["2 questions wait for an answer already", "", ""]
