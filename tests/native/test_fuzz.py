"""Generated programs do the same in Kamailio and here; `python -m tests.native.fuzzing` runs more of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from kahea.cli.check import report
from kahea.engines.native.diagnostics import ERROR

from .both import KAMAILIO
from .flows import with_kamailio, with_ours
from .fuzzing import calls, language, messages
from .fuzzing.compare import accepts, compare
from .fuzzing.mutations import mutated

pytestmark = [
    pytest.mark.skipif(KAMAILIO is None, reason="Kamailio is not installed"),
    pytest.mark.timeout(120),
]

#: What Kamailio finds only when the line runs, or warns of.
FOUND_LATER = {"unknown-variable", "unsupported-variable", "bad-variable", "not-loaded", "unknown-route"}

#: Where the seeds begin, to try others.
FIRST = int(os.environ.get("FIRST_SEED", "0"))


def test_programs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    found = compare(tmp_path, [language.program(seed) for seed in range(FIRST, FIRST + 60)])
    assert not found.refused_here
    assert not [(each.text(), theirs, ours) for each, theirs, ours in found.differing]
    assert found.ran > 40


def test_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    made = [*messages.found(), *(messages.program(seed) for seed in range(FIRST, FIRST + 100))]
    found = compare(tmp_path, made, whole=True)
    assert not found.refused_here
    assert not [(each.text(), theirs, ours) for each, theirs, ours in found.differing]
    assert found.ran > 60


def test_calls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    flows = [calls.flow(seed) for seed in range(FIRST, FIRST + 30)]
    pairs = zip(flows, with_kamailio(tmp_path, flows), with_ours(flows), strict=True)
    assert not [(flow, theirs, ours) for flow, theirs, ours in pairs if theirs != ours]


def test_cfgs_with_something_wrong(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    path = tmp_path / "mutated.cfg"
    taken = 0
    for seed in range(FIRST, FIRST + 60):
        path.write_text(mutated(seed))
        errors = [d for d in report(path, {}).diagnostics if d.level == ERROR]
        if accepts(path):
            taken += 1
            wrong = [d for d in errors if d.code not in FOUND_LATER and d.message != "#!else without #!ifdef"]
            assert not wrong, f"seed {seed}: {wrong}"
    assert taken > 5
