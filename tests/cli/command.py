"""Running the command as a process of its own, as a person or a service manager does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ports import free_port

import kahea as kahea_package

#: Where the package under test was imported from: this checkout, or site-packages.
SOURCE = Path(kahea_package.__file__).parents[1]


def environment(**more: str) -> dict[str, str]:
    """The environment of a command, which runs the package under test."""
    return os.environ | {"PYTHONPATH": str(SOURCE)} | more


def kahea(*words: str, timeout: float = 30, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m kahea` to its end."""
    command = [sys.executable, "-m", "kahea", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(**more))


def free_address() -> str:
    """A listener for `-l` at a port that nobody uses."""
    return f"udp:127.0.0.1:{free_port()}"
