"""A few seconds of the transaction layer's fuzzing in every test run; for longer, run the harness itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fuzz_tm
import pytest


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """The inputs share a simulation, which ends with the last."""
    yield
    fuzz_tm.close()


@pytest.mark.parametrize("path", sorted(fuzz_tm.SEEDS.iterdir()), ids=lambda path: path.name)
def test_seeds(path: Path) -> None:
    fuzz_tm.check(path.read_bytes())


def test_fuzz_for_a_moment() -> None:
    assert fuzz_tm.run_mutations(2, seed=1) > 50


def test_the_plays_do_what_they_are_for() -> None:
    """The seeds lead into every state: calls set up, refused, canceled, timed out."""
    theatre = fuzz_tm.Theatre()
    seen: set[str] = set()
    for data in fuzz_tm.seeds():
        start = len(theatre.sim.trace)
        theatre.play(data, keep_trace=True)
        seen |= {p.message.summary for p in theatre.sim.trace[start:] if p.source.ip == "10.0.0.9"}
    theatre.close()
    wanted = {"INVITE", "ACK", "CANCEL", "BYE", "MESSAGE", "180 INVITE", "200 INVITE", "486 INVITE", "487 INVITE"}
    assert wanted | {"408 INVITE", "603 INVITE", "200 CANCEL", "202 MESSAGE", "483 INVITE"} <= seen


def test_the_harness_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz_tm.close()
    monkeypatch.setattr(fuzz_tm, "SCRIPT", "def ksr_request_route():\n    raise ValueError('broken')\n")
    with pytest.raises(AssertionError, match="broken"):
        fuzz_tm.check(fuzz_tm.seeds()[0])
    assert fuzz_tm._theatre == []
