"""Comparing texts, and finding one in another or in a list. None of it looks at the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.literals import output
from kahea.routing.module import Module, function, native
from kahea.routing.pv.errors import PvError
from kahea.routing.regex import RegexError, compile_posix
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.text import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kahea.routing.node import Node
    from kahea.routing.run import Run


def lowered(value: str) -> bytes:
    """The bytes of a text with ASCII letters in lower case: how texts compare in any case."""
    return wire(value).lower()


def compared(one: bytes, other: bytes) -> int:
    """1 if equal; -1 if the first sorts behind the other, -2 if before it."""
    return 1 if one == other else -1 if one > other else -2


def one_character(node: Node, text: str) -> str:
    """What separates the items of a list. Raises ValueError."""
    if len(text) != 1:
        raise ValueError("a separator is one character")
    return text


class Strings(Module):
    """Functions of texts."""

    @function
    @native("str", "str")
    def cmp_str(self, run: Run, one: str, other: str) -> int:
        """1 if the texts are equal; else -1 if the first sorts behind the other, -2 if before it."""
        return compared(wire(one), wire(other))

    @function
    @native("str", "str")
    def cmp_istr(self, run: Run, one: str, other: str) -> int:
        """As `cmp_str`, in any case."""
        return compared(lowered(one), lowered(other))

    @function
    @native("str", "str")
    def starts_with(self, run: Run, subject: str, start: str) -> int:
        """Whether a text begins with another; if not, -2 where it sorts before that one, else -1."""
        own, wanted = wire(subject), wire(start)
        return -1 if len(own) < len(wanted) else compared(own[: len(wanted)], wanted)

    @function
    @native("str", "str")
    def ends_with(self, run: Run, subject: str, end: str) -> int:
        """Whether a text ends with another."""
        return 1 if subject.endswith(end) else -1

    @function
    @native("str", "str")
    def str_find(self, run: Run, subject: str, part: str) -> int:
        """Where a text stands in another: the first byte counts as 1; -1 if it does not.

        The empty text is found past the end, as in Kamailio.
        """
        return len(wire(subject)) + 1 if not part else _place(wire(subject), wire(part))

    @function
    @native("str", "str")
    def str_ifind(self, run: Run, subject: str, part: str) -> int:
        """As `str_find`, in any case; the empty text is found at 1."""
        return _place(lowered(subject), lowered(part))

    @function
    @native("str", "str")
    def str_any_in(self, run: Run, subject: str, characters: str) -> int:
        """Whether any character of a text is one of `characters`."""
        return 1 if not set(subject).isdisjoint(characters) else -1

    @function
    @native("str", "str")
    def str_all_in(self, run: Run, subject: str, characters: str) -> int:
        """Whether a text has characters, and all of them are among `characters`."""
        return 1 if subject and set(subject) <= set(characters) else -1

    @function
    @native("str", "str", one_character)
    def in_list(self, run: Run, subject: str, items: str, separator: str) -> int:
        """Whether a text is an item of a list, without white space around; the separator is one character."""
        return 1 if subject and any(item == subject for item in _items(items, separator)) else -1

    @function
    @native("str", "str", one_character)
    def in_list_prefix(self, run: Run, subject: str, items: str, separator: str) -> int:
        """Whether an item of a list is what a text begins with; else as `in_list`."""
        return 1 if subject and any(subject.startswith(item) for item in _items(items, separator)) else -1

    @function
    @native("str", "str", "int", "int", output, routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def regex_substring(self, run: Run, subject: str, pattern: str, index: int, count: int, output: str) -> int:
        """Put what a group of a regular expression matched into a variable.

        Group 0 is the whole match; `count` bounds the index. Case matters. -2 if the expression does not
        match; -1 for a bad expression, index or variable, and for a group that matched nothing.
        """
        name = "regex_substring"
        if not 0 <= index < count:
            self.node.log.error("%s: %d is no index of %d matches", name, index, count)
            return -1
        try:
            variable = self.node.variables.compile(output)
            regex = compile_posix(pattern)
            match = regex.search(subject)
        except (PvError, RegexError) as error:
            self.node.log.error("%s: %s", name, error)
            return -1
        if not variable.writable:
            self.node.log.error("%s: %s is read-only", name, output)
            return -1
        if match is None:
            return -2
        found = match[index] if index <= regex.groups else None
        return 1 if found and variable.set(run, found) else -1


def _place(subject: bytes, part: bytes) -> int:
    return subject.find(part) + 1 or -1


def _items(items: str, separator: str) -> Iterator[str]:
    """The items of a list that are not empty."""
    if not separator:
        return
    # A blank separator is left out with the white space around the items.
    for item in items.split(separator[0]):
        if item := item.strip(" \t\r\n"):
            yield item
