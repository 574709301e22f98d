"""Imports every file of flows, so that all are registered."""

from importlib import import_module
from pathlib import Path


def load() -> None:
    """Register the flows of every `flows_*.py` here."""
    for path in sorted(Path(__file__).parent.glob("flows_*.py")):
        import_module(f".{path.stem}", __package__)
