"""Running the command as a process of its own, as a person or a service manager does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: this checkout's sources where they are compiled."""
    built = any((SOURCE / "kahea/sip").glob("message.*.so"))
    return os.environ | ({"PYTHONPATH": str(SOURCE)} if built else {}) | more


def kahea(*words: str, timeout: float = 30, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m kahea` to its end."""
    command = [sys.executable, "-m", "kahea", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(**more))
