"""What every test leaves as it found it: how the project logs is a matter of the whole process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A node sets the level that its `debug` says; the next test is to hear all again."""
    log = logging.getLogger("kahea")
    before = log.level, log.propagate, log.disabled, list(log.handlers), list(log.filters)
    place = logging._srcfile  # type: ignore[attr-defined]
    yield
    logging._srcfile = place  # type: ignore[attr-defined]
    log.setLevel(before[0])
    log.propagate, log.disabled = before[1], before[2]
    log.handlers[:], log.filters[:] = before[3], before[4]
