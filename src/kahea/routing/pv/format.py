"""Text with variables in it, as xlog, headers to append and many parameters take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.routing.module import Value
from kahea.routing.pv.values import NULL_TEXT

if TYPE_CHECKING:
    from kahea.routing.pv.table import Pv, VariableTable
    from kahea.routing.run import Run


class Format:
    """A compiled format. `parts` are its literal pieces and its variables, in order; `constant` says that it
    has no variables at all."""

    __slots__ = ("_getters", "_template", "constant", "parts", "render", "text")

    #: The text with every variable's value in place; $null prints as `<null>`.
    render: Callable[[Run], str]

    def __init__(self, text: str, parts: list[str | Pv]) -> None:
        self.text = text
        self.parts = parts
        self.constant = not any(not isinstance(part, str) for part in parts)
        self._template = [part if isinstance(part, str) else "" for part in parts]
        self._getters = [(i, part.get) for i, part in enumerate(parts) if not isinstance(part, str)]
        if self.constant:
            whole = "".join(self._template)
            self.render = lambda _run: whole
        elif len(parts) == 1:
            self.render = self._render_one
        else:
            self.render = self._render

    @classmethod
    def parse(cls, text: str, table: VariableTable) -> Format:
        """Raises PvError where a `$` begins no variable."""
        parts: list[str | Pv] = []
        literal: list[str] = []
        at = 0
        while True:
            dollar = text.find("$", at)
            literal.append(text[at:] if dollar < 0 else text[at:dollar])
            if dollar < 0:
                break
            if text.startswith("$$", dollar):
                literal.append("$")
                at = dollar + 2
                continue
            pv, at = table.compile_at(text, dollar)
            if joined := "".join(literal):
                parts.append(joined)
            literal.clear()
            parts.append(pv)
        if joined := "".join(literal):
            parts.append(joined)
        return cls(text, parts)

    def values(self, run: Run) -> list[Value]:
        """The values of its variables, in order."""
        return [get(run) for _, get in self._getters]

    def _render(self, run: Run) -> str:
        pieces = self._template.copy()
        for i, get in self._getters:
            value = get(run)
            if value.__class__ is str:
                pieces[i] = value
            else:
                pieces[i] = NULL_TEXT if value is None else str(value)
        return "".join(pieces)

    def _render_one(self, run: Run) -> str:
        value = self._getters[0][1](run)
        if value.__class__ is str:
            return value
        return NULL_TEXT if value is None else str(value)

    def __repr__(self) -> str:
        return f"Format({self.text!r})"
