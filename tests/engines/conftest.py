"""Scripts in every language on a virtual network, with a module of functions made for these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

import kahea.modules as modules
from kahea.testing.plugin import kahea

EXTRA = Path(__file__).parent / "extra"


@pytest.fixture(autouse=True)
def extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nodes find the modules of `extra`."""
    monkeypatch.setattr(modules, "__path__", [*modules.__path__, str(EXTRA)])


__all__ = ["kahea"]
