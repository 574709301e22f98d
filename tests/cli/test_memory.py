"""When memory is given back: after a flood, once, when the node is quiet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kahea.cli.memory import INTERVAL, LEAST, QUIET, Heap, Trimmer


class Fake:
    """Memory of which nothing is free, and a clock of one timer."""

    def __init__(self) -> None:
        self.unused = 0
        self.held = 100 << 20
        self.given = 0
        self.transactions = 0
        self.callback: Callable[[], None] = lambda: None

    def free(self) -> int:
        return self.unused

    def resident(self) -> int:
        return self.held

    def give_back(self) -> None:
        self.given += 1
        self.held -= self.unused

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        assert seconds == INTERVAL
        self.callback = callback


@pytest.fixture
def fake() -> Fake:
    made = Fake()
    Trimmer(made, made.later, lambda: made.transactions).start()
    return made


def test_a_flood_that_is_over(fake: Fake) -> None:
    fake.callback()
    assert fake.given == 0
    fake.held, fake.unused = 900 << 20, 800 << 20
    fake.transactions = QUIET + 1
    fake.callback()
    assert fake.given == 0
    fake.transactions = QUIET
    fake.callback()
    assert fake.given == 1
    # glibc counts what it gave back as free all the same.
    fake.callback()
    assert fake.given == 1
    fake.held += LEAST
    fake.callback()
    assert fake.given == 2


def test_what_is_used_stays(fake: Fake) -> None:
    fake.held, fake.unused = 900 << 20, LEAST - 1
    fake.callback()
    assert fake.given == 0


def test_the_heap_gives_back() -> None:
    heap = Heap()
    blocks = [bytes(1500) for _ in range(70_000)]
    kept = blocks[::50]
    before = heap.used()
    del blocks
    assert before - heap.used() > 80 << 20
    assert heap.free() > 80 << 20
    held = heap.resident()
    heap.give_back()
    assert held - heap.resident() > 50 << 20
    assert len(kept) == 1400
