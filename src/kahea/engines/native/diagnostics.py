"""What the parts of this room say of a cfg: an error or a warning at a place, shown with its line and a caret."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from kahea.engines.native.tree import Place
from kahea.routing.module import ConfigError

ERROR = "error"
WARNING = "warning"
NOTE = "note"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` names its kind for tools (`unknown-function`, `syntax`, ...); `hint` may suggest a mend."""

    level: str
    code: str
    message: str
    place: Place
    hint: str = ""

    def render(self, sources: dict[str, list[str]]) -> str:
        """`file:line:column: error: message`, the source line, a caret under it, and the hint."""
        out = [f"{self.place}: {self.level}: {self.message}"]
        lines = sources.get(self.place.file, [])
        if 1 <= self.place.line <= len(lines):
            line = lines[self.place.line - 1].rstrip("\n")
            lead = "".join("\t" if c == "\t" else " " for c in line[: self.place.column - 1])
            end = self.place.end_column if self.place.end_line == self.place.line else len(line) + 1
            marks = "^" + "~" * max(min(end, len(line) + 1) - self.place.column - 1, 0)
            out += [f"    {line}", f"    {lead}{marks}"]
        if self.hint:
            out.append(f"    {self.hint}")
        return "\n".join(out)


class CfgError(ConfigError):
    """One or more errors of a cfg; its text is all of them, rendered."""

    def __init__(self, diagnostics: list[Diagnostic], sources: dict[str, list[str]]) -> None:
        super().__init__("\n".join(d.render(sources) for d in diagnostics))
        self.diagnostics = diagnostics
        self.sources = sources


def nearest(name: str, known: Iterable[str], before: str = "") -> str:
    """`did you mean X?` for the closest of the known names, or ""."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {before}{found[0]}?" if found else ""
