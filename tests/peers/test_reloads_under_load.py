"""A script reloaded while calls run: none is lost, and a broken one is refused (`bench/reload.py`, in short)."""

from __future__ import annotations

import shutil

import pytest
from bench.reload import SUBJECTS, measure

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed (Debian: sip-tester)")


@pytest.mark.parametrize("language", SUBJECTS)
def test_reloads_lose_no_call(language: str) -> None:
    figures = measure(SUBJECTS[language], reloads=4, rate=60, interval=0.15, warm_up=0.3)
    assert figures.wrong == []
    assert figures.load is not None
    assert (figures.load.done, figures.load.failed) == (int(60 * 0.15 * 7), 0)
    assert len(figures.refusals) == len(SUBJECTS[language].breakages)
