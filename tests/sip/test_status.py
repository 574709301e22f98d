"""Reason phrases."""

from __future__ import annotations

import pytest

from kahea.sip.status import REASONS, reason


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(100, b"Trying"), (404, b"Not Found"), (487, b"Request Terminated"), (199, b"Early Dialog Terminated"),
     (299, b"OK"), (499, b"Request Failure"), (599, b"Server Failure"), (699, b"Global Failure"),
     (700, b"Unknown")],
)  # fmt: skip
def test_reason(status: int, phrase: bytes) -> None:
    assert reason(status) == phrase


def test_phrases_fit_a_status_line() -> None:
    for status, phrase in REASONS.items():
        assert 100 <= status <= 699
        assert phrase.isascii()
        assert phrase.decode().isprintable()
