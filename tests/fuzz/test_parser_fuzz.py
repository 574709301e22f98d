"""A short run of the message's fuzzer, and inputs of every shape that hypothesis thinks of."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import fuzz_message

LINE = st.binary(max_size=30) | st.sampled_from(fuzz_message.TOKENS)


def test_seeds() -> None:
    for data in fuzz_message.seeds():
        fuzz_message.check(data)


def test_mutations() -> None:
    done, seen = fuzz_message.run_mutations(2.0, seed=1)
    assert done > 500
    assert seen > 100  # the search does find its way into the grammar


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    fuzz_message.check(data)


@settings(max_examples=150)
@given(st.sampled_from(fuzz_message.seeds()[:12]), st.lists(st.tuples(st.integers(0, 600), LINE), max_size=5))
def test_seeds_with_insertions(data: bytes, insertions: list[tuple[int, bytes]]) -> None:
    for at, text in insertions:
        data = data[:at] + text + data[at:]
    fuzz_message.check(data)
