"""A few seconds of the framer's fuzzing in every test run; for longer, run the harness itself."""

from __future__ import annotations

import pytest
from fuzz_framer import check, run_mutations, seeds

from kahea.net.framer import Framer


def test_fuzz_for_a_moment() -> None:
    assert run_mutations(2) > 100


def test_there_are_seeds() -> None:
    assert len(seeds()) >= 10


def test_the_harness_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Framer.feed

    def forgetful(self: Framer, data: bytes) -> list[object]:
        return [*feed(self, data), None] if len(data) == 1 else list(feed(self, data))

    monkeypatch.setattr(Framer, "feed", forgetful)
    with pytest.raises(AssertionError):
        check(seeds()[0])
