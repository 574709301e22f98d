"""What the parts of this room say of a cfg: an error or a warning at a place, shown with its line and a caret."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kahea.engines.native.tree import Place, Program
from kahea.routing.module import ConfigError

ERROR = "error"
WARNING = "warning"
NOTE = "note"
#: The pictures of control characters.
_CONTROLS: Final = {**{n: 0x2400 + n for n in range(32) if chr(n) not in "\t\n"}, 127: 0x2421}
#: Of a line as it is shown, in characters.
_WIDEST = 240


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` names its kind for tools (`unknown-function`, `syntax`, ...); `hint` may suggest a mend.

    `module` is the one whose name would be known if it were loaded, where that is why this one is not.
    """

    level: str
    code: str
    message: str
    place: Place
    hint: str = ""
    module: str = ""

    def render(self, sources: dict[str, list[str]]) -> str:
        """`file:line:column: error: message`, the source line, a caret under it, and the hint."""
        where = f"{self.place}: " if self.place.file else ""
        out = [f"{where}{self.level}: {self.message}"]
        lines = sources.get(self.place.file, [])
        if 1 <= self.place.line <= len(lines):
            out += self._excerpt(lines[self.place.line - 1].rstrip("\r\n"))
        if self.hint:
            out.append(f"    {self.hint}")
        return printable("\n".join(out))

    def _excerpt(self, line: str) -> list[str]:
        """The line with marks under what is meant; of a very long one, a piece."""
        start = self.place.column - 1
        end = self.place.end_column - 1 if self.place.end_line == self.place.line else len(line)
        cut = max(start - _WIDEST // 2, 0) if len(line) > _WIDEST else 0
        line, start, end = line[cut : cut + _WIDEST], start - cut, min(end - cut, _WIDEST)
        lead = "".join("\t" if c == "\t" else " " * _cells(c) for c in line[:start])
        marks = "^" + "~" * (sum(map(_cells, line[start:end])) - 1)
        return [f"    {line}", f"    {lead}{marks}"]


def _cells(character: str) -> int:
    """How many columns of a terminal a character takes."""
    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def printable(text: str) -> str:
    """A text in which bytes that are no UTF-8, and characters that would move a terminal's cursor, have marks in their
    place."""
    return text.translate(_CONTROLS).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class CfgError(ConfigError):
    """One or more errors of a cfg; its text is all of them, rendered.

    `readable` is what could be read of a program in which only statements are wrong, for whoever looks for more errors.
    """

    def __init__(
        self, diagnostics: list[Diagnostic], sources: dict[str, list[str]], readable: Program | None = None
    ) -> None:
        super().__init__("\n".join(d.render(sources) for d in diagnostics))
        self.diagnostics = diagnostics
        self.sources = sources
        self.files = [Path(name) for name in sources]
        self.readable = readable


def nearest(name: str, known: Iterable[str], before: str = "") -> str:
    """`did you mean X?` for the closest of the known names, or of two that are equally close, or ""."""
    found = difflib.get_close_matches(name, list(known), 2)
    if len(found) == 2 and _likeness(name, found[0]) > _likeness(name, found[1]):
        found.pop()
    return f"did you mean {' or '.join(before + each for each in sorted(found))}?" if found else ""


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, other, one).ratio()
