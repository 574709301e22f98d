"""Where the script is: the innermost line of a script that is running, whatever language it is compiled from."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

_PACKAGE = str(Path(__file__).parents[1])


def script_place() -> tuple[str, int]:
    """File and line of the script's statement that is being carried out; `("", 0)` outside of one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return "", 0
