"""What is wrong with a script's text, at a place, shown with its line and a caret."""

from __future__ import annotations

from kahea.routing.module import ConfigError
from kahea.routing.text import text

#: Of a line as it is shown, in characters.
_WIDEST = 240


class SyntaxFault(ConfigError):
    """A text that is no Squirrel: `message` alone is what a script that compiles it may catch."""

    def __init__(self, file: str, source: str, line: int, column: int, message: str) -> None:
        """`source` has a character for each byte; `line` and `column` count from 1."""
        super().__init__("\n".join([f"{file}:{line}:{column}: {message}", *_excerpt(source, line, column)]))
        self.message = message
        self.line = line
        self.column = column


def _excerpt(source: str, line: int, column: int) -> list[str]:
    lines = source.split("\n")
    if not 1 <= line <= len(lines):
        return []
    start = max(column - 1 - _WIDEST // 2, 0)
    shown = lines[line - 1].rstrip("\r")[start : start + _WIDEST]
    lead = "".join("\t" if c == "\t" else " " for c in shown[: column - 1 - start])
    readable = text(shown.encode("latin-1")).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return [f"    {readable}", f"    {lead}^"]
