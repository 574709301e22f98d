"""Generated programs do the same in Kamailio and here; `python -m tests.native.fuzzing` runs more of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from .both import KAMAILIO
from .fuzzing.compare import compare
from .fuzzing.language import program

pytestmark = [
    pytest.mark.skipif(KAMAILIO is None, reason="Kamailio is not installed"),
    pytest.mark.timeout(120),
]

#: Where the seeds begin, to try others.
FIRST = int(os.environ.get("FIRST_SEED", "0"))


def test_programs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    found = compare(tmp_path, [program(seed) for seed in range(FIRST, FIRST + 60)])
    assert not found.refused_here
    assert not [(each.text(), theirs, ours) for each, theirs, ours in found.differing]
    assert found.ran > 40
