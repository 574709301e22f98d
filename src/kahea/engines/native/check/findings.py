"""Where the checks put what they find."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.engines.native.diagnostics import WARNING, Diagnostic

if TYPE_CHECKING:
    from kahea.engines.native.tree import Place, Program

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_DIRECTIVE: Final = re.compile(r"^\s*(?:#!|!!)(?:ifdef|ifndef|else|endif)\b")


class Findings:
    """The findings about one program, and how it was written where the tree does not tell."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.diagnostics: list[Diagnostic] = []

    def warn(self, code: str, message: str, place: Place, hint: str = "") -> None:
        """Note something that is not wrong, but hardly meant."""
        self.diagnostics.append(Diagnostic(WARNING, code, message, place, hint))

    def written(self, place: Place) -> str:
        """The text at a place as it stands in its file."""
        lines = self.program.sources.get(place.file, [])[place.line - 1 : place.end_line]
        if not lines:
            return ""
        lines = lines.copy()
        lines[-1] = lines[-1][: place.end_column - 1]
        lines[0] = lines[0][place.column - 1 :]
        return "\n".join(lines)

    def depends_on_definitions(self, place: Place) -> bool:
        """Whether a definition has a say in what stands at a place."""
        return any(word in self.program.defines for word in _WORD.findall(self.written(place)))

    def directive_between(self, first: Place, second: Place) -> bool:
        """Whether a part of the file that may be left out begins or ends between two places."""
        if first.file != second.file:
            return True
        lines = self.program.sources.get(first.file, [])[first.end_line - 1 : second.line]
        return any(_DIRECTIVE.match(line) for line in lines)
