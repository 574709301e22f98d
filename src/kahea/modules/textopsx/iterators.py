"""Walking over the headers of a message, or over the lines of its body, with edits on the way.

An iterator has a name that the script chooses, and belongs to one run; each kind has at most four at once. It
stands before the first item at the start, and walks over the message as received: its own edits don't show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kahea.routing.module import Module, Value, function, native, variable
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.run import Run

MAX_ITERATORS = 4

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class Item:
    """A header or a line; offsets are the message's."""

    start: int
    end: int
    name: bytes
    value: bytes


class Cursor:
    """A place in a list of items. Past the end there is no way back."""

    __slots__ = ("_at", "_items", "raw")

    def __init__(self, raw: bytes, items: list[Item]) -> None:
        self.raw = raw
        self._items = items
        self._at = -1

    @property
    def item(self) -> Item | None:
        """The item it stands at."""
        return self._items[self._at] if 0 <= self._at < len(self._items) else None

    def next(self) -> bool:
        """Go on; False at the end."""
        self._at = min(self._at + 1, len(self._items))
        return self._at < len(self._items)

    def previous(self) -> bool:
        """Go back, before the first item at most; False past the end."""
        if self._at >= len(self._items):
            return False
        self._at = max(self._at - 1, -1)
        return True


def _headers(run: Run) -> list[Item]:
    return [Item(h.start, h.end, h.name, h.body) for h in run.msg.headers()]


def _lines(run: Run) -> list[Item]:
    items = []
    at = run.msg.body_start
    for line in _LINE.findall(run.msg.body):
        items.append(Item(at, at + len(line), b"", line))
        at += len(line)
    return items


class Iterators(Module):
    """Iterators over headers (`hf_`) and body lines (`bl_`)."""

    def _cursors(self, run: Run, kind: str) -> dict[str, Cursor]:
        state = run.state
        found = state.get(f"textopsx.{kind}")
        if not isinstance(found, dict):
            found = state[f"textopsx.{kind}"] = {}
        return found

    def _cursor(self, run: Run, kind: str, name: str) -> Cursor | None:
        cursor = self._cursors(run, kind).get(name)
        if cursor is None or cursor.raw is not run.msg.raw:
            self.node.log.error("there is no %s_iterator %r for this message", kind, name)
            return None
        return cursor

    def _item(self, run: Run, kind: str, name: str) -> Item | None:
        cursor = self._cursor(run, kind, name)
        return cursor.item if cursor is not None else None

    def _start(self, run: Run, kind: str, name: str, items: list[Item]) -> int:
        cursors = self._cursors(run, kind)
        if not name or (name not in cursors and len(cursors) >= MAX_ITERATORS):
            self.node.log.error("%s_iterator_start: no name, or %d iterators already", kind, len(cursors))
            return -1
        cursors[name] = Cursor(run.msg.raw, items)
        return 1

    def _end(self, run: Run, kind: str, name: str) -> int:
        return -1 if self._cursors(run, kind).pop(name, None) is None else 1

    def _next(self, run: Run, kind: str, name: str) -> int:
        cursor = self._cursor(run, kind, name)
        return 1 if cursor is not None and cursor.next() else -1

    def _remove(self, run: Run, kind: str, name: str) -> int:
        item = self._item(run, kind, name)
        if item is None:
            return -1
        run.msg.delete(item.start, item.end - item.start)
        return 1

    def _insert(self, run: Run, kind: str, name: str, addition: str, *, behind: bool) -> int:
        item = self._item(run, kind, name)
        if item is None:
            return -1
        run.msg.insert(item.end if behind else item.start, wire(addition))
        return 1

    # Headers

    @function
    @native("str")
    def hf_iterator_start(self, run: Run, name: str) -> int:
        """Start an iterator over the headers, or start it over; -1 if there are four others."""
        return self._start(run, "hf", name, _headers(run))

    @function
    @native("str")
    def hf_iterator_end(self, run: Run, name: str) -> int:
        """End an iterator; -1 if there is none of that name."""
        return self._end(run, "hf", name)

    @function
    @native("str")
    def hf_iterator_next(self, run: Run, name: str) -> int:
        """Go on to the next header; -1 past the last one."""
        return self._next(run, "hf", name)

    @function
    @native("str")
    def hf_iterator_prev(self, run: Run, name: str) -> int:
        """Go back to the header before, or before the first one; -1 past the last one."""
        cursor = self._cursor(run, "hf", name)
        return 1 if cursor is not None and cursor.previous() else -1

    @function
    def hf_iterator_hname(self, run: Run, name: str) -> Value:
        """The name of the header, null where the iterator stands at none."""
        item = self._item(run, "hf", name)
        return text(item.name) if item is not None else None

    @function
    def hf_iterator_hbody(self, run: Run, name: str) -> Value:
        """The body of the header, null where the iterator stands at none."""
        item = self._item(run, "hf", name)
        return text(item.value) if item is not None else None

    @function
    @native("str")
    def hf_iterator_rm(self, run: Run, name: str) -> int:
        """Remove the header."""
        return self._remove(run, "hf", name)

    @function
    @native("str", "str")
    def hf_iterator_append(self, run: Run, name: str, line: str) -> int:
        """Add header lines behind the header."""
        return self._insert(run, "hf", name, line, behind=True)

    @function
    @native("str", "str")
    def hf_iterator_insert(self, run: Run, name: str, line: str) -> int:
        """Add header lines before the header."""
        return self._insert(run, "hf", name, line, behind=False)

    @variable("hfitname", takes_name=True)
    def hfitname(self, run: Run, name: str, index: object) -> Value:
        """The name of the header at which the iterator stands."""
        return self.hf_iterator_hname(run, name)

    @variable("hfitbody", takes_name=True)
    def hfitbody(self, run: Run, name: str, index: object) -> Value:
        """The body of the header at which the iterator stands."""
        return self.hf_iterator_hbody(run, name)

    # Lines of the body

    @function
    @native("str")
    def bl_iterator_start(self, run: Run, name: str) -> int:
        """Start an iterator over the body's lines, or start it over; -1 if there are four others."""
        return self._start(run, "bl", name, _lines(run))

    @function
    @native("str")
    def bl_iterator_end(self, run: Run, name: str) -> int:
        """End an iterator; -1 if there is none of that name."""
        return self._end(run, "bl", name)

    @function
    @native("str")
    def bl_iterator_next(self, run: Run, name: str) -> int:
        """Go on to the next line; -1 past the last one."""
        return self._next(run, "bl", name)

    @function
    def bl_iterator_value(self, run: Run, name: str) -> Value:
        """The line with its end, null where the iterator stands at none."""
        item = self._item(run, "bl", name)
        return text(item.value) if item is not None else None

    @function
    @native("str")
    def bl_iterator_rm(self, run: Run, name: str) -> int:
        """Remove the line."""
        return self._remove(run, "bl", name)

    @function
    @native("str", "str")
    def bl_iterator_append(self, run: Run, name: str, addition: str) -> int:
        """Add text behind the line."""
        return self._insert(run, "bl", name, addition, behind=True)

    @function
    @native("str", "str")
    def bl_iterator_insert(self, run: Run, name: str, addition: str) -> int:
        """Add text before the line."""
        return self._insert(run, "bl", name, addition, behind=False)

    @variable("blitval", takes_name=True)
    def blitval(self, run: Run, name: str, index: object) -> Value:
        """The line at which the iterator stands."""
        return self.bl_iterator_value(run, name)
