"""hdr, textops and textopsx against Kamailio: what functions return, and what the message becomes."""

from __future__ import annotations

import re

import pytest
from textops_oracle import KAMAILIO, Case, Outcome, run_cases, stamp, unstamp
from textopsx_cases import all_cases

from conftest import Bench
from kahea.routing.run import current

CASES = all_cases()
PORT, SINK = 34567, 34568

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What Kamailio makes of every case."""
    cases = [Case(name, calls, message, then) for name, message, calls, then in CASES]
    outcomes = run_cases(tmp_path_factory.mktemp("kamailio"), cases)
    return {case.name: outcome for case, outcome in zip(cases, outcomes, strict=True)}


@pytest.fixture(scope="module")
def ours() -> Bench:
    return Bench(["hdr", "textops", "textopsx"])


def outcome_of(bench: Bench, name: str, message: bytes, calls: list[tuple[object, ...]], then: str) -> Outcome:
    """What we make of a case, in the oracle's terms."""
    number = [case[0] for case in CASES].index(name)
    bench.take(stamp(message, number, PORT, SINK))
    try:
        results = [bench.call(*call) for call in calls]
    finally:
        current.run = None
    msg = bench.msg
    if then == "reply":
        wire = msg.build_reply(200, b"Fine", b"", b"", b"", b"Server: x\r\n")
    else:
        wire = msg.rebuild() if msg.is_request else msg.build_response()
    return Outcome(results, unstamp(wire, number, PORT, SINK))


def comparable(wire: bytes | None) -> bytes:
    """The message without what only a server's own reply has."""
    return re.sub(rb"(\r\nTo: [^\r]*);tag=[^\r]*", rb"\1", wire or b"")


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_same_as_kamailio(
    theirs: dict[str, Outcome], ours: Bench, case: tuple[str, bytes, list[tuple[object, ...]], str]
) -> None:
    expected = theirs[case[0]]
    got = outcome_of(ours, *case)
    assert got.results == expected.results
    assert comparable(got.wire) == comparable(expected.wire)
