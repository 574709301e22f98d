"""What every test leaves as it found it, and how tests are dealt out to workers (`pytest -n 2`)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

TESTS = Path(__file__).parent

#: The files that take longest. Workers begin with them, lest the last one to end works alone.
LONGEST = (
    "project/test_python_ends.py",
    "native/test_convert_flows.py",
    "differential/test_differential.py",
    "native/test_differential.py",
    "differential/test_languages.py",
    "project/test_lint.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """A file's tests share servers, and so one worker runs them all; files go out in the order of the collection."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # by the number of tests, which says nothing of their time
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For workers, what takes long comes first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        rank = {TESTS / name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: rank.get(item.path, len(rank)))


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
