"""Regular expressions that take linear time, by RE2: for patterns whose backtracking a sender could make last.

What is searched comes from the network, up to a whole message; `re` may need a time that grows with its square, or
without bound, for a pattern with repetitions. RE2 never does, and finds the longest of the leftmost matches, as POSIX
has it. Here is the part of `re`'s interface that this project uses, over text in which any byte survives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import re2

from kahea.routing.text import text, wire

#: Bytes that one compiled pattern may take, its automaton's cache included.
MAX_MEMORY = 4 << 20


class Match(Protocol):
    """What a search found, as `re.Match` says it."""

    def __getitem__(self, group: int, /) -> Any: ...
    def start(self) -> int: ...
    def end(self) -> int: ...
    def span(self) -> tuple[int, int]: ...


class Pattern(Protocol):
    """A compiled expression, as `re.Pattern` is one."""

    @property
    def groups(self) -> int: ...
    def search(self, subject: str, /) -> Match | None: ...
    def finditer(self, subject: str, /) -> Iterator[Match]: ...


class Unsupported(ValueError):
    """RE2 can't express the pattern: a back reference, a look-around, a large count."""


class LinearMatch:
    """One match. Offsets count characters of the text."""

    __slots__ = ("_ascii", "_match")

    def __init__(self, match: Any, is_ascii: bool) -> None:
        self._match = match
        self._ascii = is_ascii

    def __getitem__(self, group: int) -> str | None:
        found = self._match.group(group)
        return None if found is None else text(found)

    def start(self) -> int:
        """Where it begins."""
        return self._offset(self._match.start())

    def end(self) -> int:
        """Past its end."""
        return self._offset(self._match.end())

    def span(self) -> tuple[int, int]:
        """Both."""
        return self.start(), self.end()

    def _offset(self, at: int) -> int:
        return at if self._ascii else len(text(self._match.string[:at]))


class LinearPattern:
    """A compiled expression, in the syntax of RE2. Raises Unsupported."""

    __slots__ = ("_pattern",)

    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1  # a byte is a character, as in the C locale
        options.longest_match = True
        options.case_sensitive = not ignore_case
        options.log_errors = False
        options.max_mem = MAX_MEMORY
        try:
            self._pattern = re2.compile(wire(pattern), options)
        except re2.error as error:
            raise Unsupported(str(error)) from error

    @property
    def groups(self) -> int:
        """How many groups it has."""
        found: int = self._pattern.groups
        return found

    def search(self, subject: str) -> LinearMatch | None:
        """The longest of the leftmost matches."""
        found = self._pattern.search(wire(subject))
        return None if found is None else LinearMatch(found, subject.isascii())

    def finditer(self, subject: str) -> Iterator[LinearMatch]:
        """All matches, one after another."""
        is_ascii = subject.isascii()
        for found in self._pattern.finditer(wire(subject)):
            yield LinearMatch(found, is_ascii)
