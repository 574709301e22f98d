"""Squirrel's regular expressions, which match as no others do: what repeats ends where the next element fits, and is
never tried otherwise. So `a.*b` ends at the first `b`, and `a.*bc` finds nothing in `a b bc`.

Scripts were written for that, so it is done here step by step, and not by a library. The steps are counted: an
expression may take a number of them that grows with the text's length and no faster, or it throws.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Final

from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.limits import Running

#: Steps that a search may take: some, and some for each byte of the text.
STEPS: Final = 20_000
STEPS_EACH: Final = 64

_UNBOUNDED: Final = 0xFFFF
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_PRINTABLE: Final = frozenset(map(chr, range(32, 127)))
_SPACES: Final = " \t\n\v\f\r"
_ALL: Final = frozenset(map(chr, range(256)))
_LETTERS: Final = frozenset(string.ascii_letters)
_WORD: Final = frozenset(string.ascii_letters + string.digits + "_")
_CLASSES: Final[dict[str, frozenset[str]]] = {
    "a": _LETTERS,
    "A": _ALL - _LETTERS,
    "w": _WORD,
    "W": _ALL - _WORD,
    "s": frozenset(_SPACES),
    "S": _ALL - frozenset(_SPACES),
    "d": frozenset(string.digits),
    "D": _ALL - frozenset(string.digits),
    "x": frozenset(string.hexdigits),
    "X": _ALL - frozenset(string.hexdigits),
    "c": frozenset(map(chr, [*range(32), 127])),
    "C": _ALL - frozenset(map(chr, [*range(32), 127])),
    "p": frozenset(string.punctuation),
    "P": _ALL - frozenset(string.punctuation),
    "l": frozenset(string.ascii_lowercase),
    "u": frozenset(string.ascii_uppercase),
}


@dataclass(eq=False, slots=True)
class _Node:
    """An element of an expression, and what follows it."""

    next: _Node | None = None


@dataclass(eq=False, slots=True)
class _One(_Node):
    """One character of a set."""

    of: frozenset[str] = frozenset()


@dataclass(eq=False, slots=True)
class _Edge(_Node):
    """`^`, `$`, `\\b`, `\\B`."""

    sign: str = ""


@dataclass(eq=False, slots=True)
class _Balanced(_Node):
    """`\\m()`."""

    opening: str = ""
    closing: str = ""


@dataclass(eq=False, slots=True)
class _Group(_Node):
    """`(...)`, with its number, or -1 for `(?:...)`."""

    inner: _Node | None = None
    number: int = -1


@dataclass(eq=False, slots=True)
class _Either(_Node):
    """`a|b`."""

    left: _Node | None = None
    right: _Node | None = None


@dataclass(eq=False, slots=True)
class _Repeat(_Node):
    """`*`, `+`, `?`, `{n,m}`."""

    inner: _Node | None = None
    least: int = 0
    most: int = 0


class Expression:
    """A compiled expression. Raises Thrown."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern.partition("\0")[0]
        self._at = 0
        self._groups = 1
        self._root = _Group(number=0, inner=self._list())
        if self._at < len(self._pattern):
            raise Thrown("unexpected character")
        self._text = ""
        self._found: list[tuple[int, int]] = []
        self._current = 0
        self._steps = 0

    @property
    def groups(self) -> int:
        """How many groups there are, the whole included."""
        return self._groups

    def matches(self, text: str) -> bool:
        """Whether it fits the whole of a text."""
        self._begin(text)
        return self._match(self._root, 0, None) == len(self._text)

    def search(self, text: str, start: int) -> list[tuple[int, int]] | None:
        """Where it fits first, from `start` on: the begin and end of each group, (0, 0) for an empty one."""
        self._begin(text)
        if not 0 <= start <= len(self._text):
            return None
        for begin in range(start, max(len(self._text), start + 1)):
            self._current = 0
            end = self._match(self._root, begin, None)
            if end is not None and end >= begin:
                return [(begin, end), *self._found[1:]]
        return None

    def _begin(self, text: str) -> None:
        self._text = text.partition("\0")[0]
        self._found = [(0, 0)] * self._groups
        self._current = 0
        self._steps = STEPS + STEPS_EACH * len(self._text)

    # ---- reading

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        found = self._peek()
        self._at += 1
        return found

    def _expect(self, sign: str) -> None:
        if self._take() != sign:
            raise Thrown("expected paren")

    def _list(self) -> _Node:
        first: _Node | None = None
        if self._peek() == "^":
            self._at += 1
            first = _Edge(sign="^")
        element = self._element()
        if first is None:
            first = element
        else:
            first.next = element
        if self._peek() == "|":
            self._at += 1
            return _Either(left=first, right=self._list())
        return first

    def _element(self) -> _Node:
        """An element and all that follow it."""
        first = last = self._repeated()
        while self._peek() not in ("", "|", ")", "*", "+"):
            last.next = self._repeated()
            last = last.next
        return first

    def _repeated(self) -> _Node:
        inner = self._single()
        sign = self._peek()
        if sign in ("*", "+", "?") and sign:
            self._at += 1
            return _Repeat(inner=inner, least=int(sign == "+"), most=1 if sign == "?" else _UNBOUNDED)
        if sign != "{":
            return inner
        self._at += 1
        least = most = self._count()
        if self._peek() == ",":
            self._at += 1
            most = self._count() if self._peek().isdigit() else _UNBOUNDED
        if self._take() != "}":
            raise Thrown(", or } expected")
        return _Repeat(inner=inner, least=least & _UNBOUNDED, most=most & _UNBOUNDED)

    def _count(self) -> int:
        begin = self._at
        while self._peek().isdigit():
            self._at += 1
        if not 1 <= self._at - begin <= 9:
            raise Thrown("number expected" if self._at == begin else "overflow in numeric constant")
        return int(self._pattern[begin : self._at])

    def _single(self) -> _Node:
        sign = self._peek()
        if sign == "(":
            return self._group()
        if sign == "[":
            self._at += 1
            return self._set()
        if sign == "$":
            self._at += 1
            return _Edge(sign="$")
        if sign == ".":
            self._at += 1
            return _One(of=_ALL)
        return self._character()

    def _group(self) -> _Node:
        self._at += 1
        group = _Group()
        if self._peek() == "?":
            self._at += 1
            self._expect(":")
        else:
            group.number = self._groups
            self._groups += 1
        group.inner = self._list()
        self._expect(")")
        return group

    def _character(self) -> _Node:
        if self._peek() == "\\":
            self._at += 1
            sign = self._take()
            if sign in _CLASSES:
                return _One(of=_CLASSES[sign])
            if sign == "m":
                opening, closing = self._take(), self._take()
                if not opening or not closing:
                    raise Thrown("balanced chars expected")
                if opening == closing:
                    raise Thrown("open/close char can't be the same")
                return _Balanced(opening=opening, closing=closing)
            if sign in ("b", "B"):
                return _Edge(sign=sign)
            return _One(of=frozenset(_ESCAPES.get(sign, sign)))
        if self._peek() not in _PRINTABLE:
            raise Thrown("letter expected")
        return _One(of=frozenset(self._take()))

    def _set(self) -> _Node:
        inverted = self._peek() == "^"
        self._at += inverted
        if self._peek() == "]":
            raise Thrown("empty class")
        members: set[str] = set()
        first = ""  # may begin a range; "class" is what can't
        while self._peek() != "]":
            if self._peek() == "-" and first:
                self._at += 1
                last = self._range_end()
                if first == "class":
                    raise Thrown("cannot use character classes in ranges")
                if first > last:
                    raise Thrown("invalid range")
                members.update(map(chr, range(ord(first), ord(last) + 1)))
                first = ""
            else:
                first = self._member(members)
        self._expect("]")
        return _One(of=_ALL - members if inverted else frozenset(members))

    def _member(self, members: set[str]) -> str:
        if self._peek() == "\\":
            self._at += 1
            sign = self._take()
            if sign in _CLASSES:
                members |= _CLASSES[sign]
                return "class"
            found = _ESCAPES.get(sign, sign)
        else:
            if self._peek() not in _PRINTABLE:
                raise Thrown("letter expected")
            found = self._take()
        members.add(found)
        return found

    def _range_end(self) -> str:
        if self._peek() == "\\":
            self._at += 1
            sign = self._take()
            return _ESCAPES.get(sign, sign)
        if self._peek() not in _PRINTABLE:
            raise Thrown("letter expected")
        return self._take()

    # ---- matching

    def _match(self, node: _Node, at: int, following: _Node | None) -> int | None:
        """Where a match of one node ends that begins at `at`; `following` is what comes after its own list."""
        self._steps -= 1
        if not self._steps & 15:
            Running.tick()
        if self._steps < 0:
            raise Thrown(f"the expression {self._pattern!r} takes too many steps on a text of {len(self._text)} bytes")
        text = self._text
        match node:
            case _One():
                return at + 1 if at < len(text) and text[at] in node.of else None
            case _Repeat():
                return self._repeat(node, at, following)
            case _Group():
                return self._in_group(node, at, following)
            case _Either():
                assert node.left is not None
                end = self._sequence(node.left, at)
                return self._sequence(node.right, at) if end is None else end
            case _Edge():
                return at if self._at_edge(node.sign, at) else None
            case _Balanced():
                return self._balance(node, at)
            case _:
                raise AssertionError(node)

    def _sequence(self, node: _Node | None, at: int) -> int | None:
        end: int | None = at
        while node is not None:
            end = self._match(node, end, None) if end is not None else None
            if end is None:
                return None
            node = node.next
        return end

    def _repeat(self, node: _Repeat, at: int, following: _Node | None) -> int | None:
        assert node.inner is not None
        stop = node.next or following
        # What may fit nothing at all would end it at once.
        stops = stop is not None and not (isinstance(stop, _Repeat) and stop.least == 0)
        count = 0
        good = here = at
        while count == _UNBOUNDED or count < node.most:
            end = self._match(node.inner, here, stop)
            if end is None:
                break
            count += 1
            good = here = end
            if stops and stop is not None:
                after = stop.next or (following.next if following is not None else None)
                if self._match(stop, here, after) is not None and self._enough(node, count):
                    break
            if here >= len(self._text):
                break
        return good if self._enough(node, count) else None

    @staticmethod
    def _enough(node: _Repeat, count: int) -> bool:
        return node.least <= count and (node.most == _UNBOUNDED or count <= node.most)

    def _in_group(self, node: _Group, at: int, following: _Node | None) -> int | None:
        captures = node.number == self._current
        if captures:
            self._found[node.number] = (at, at)
            self._current += 1
        after = self._current
        end: int | None = at
        inner = node.inner
        while inner is not None:
            assert end is not None
            end = self._match(inner, end, inner.next or following)
            if end is None:
                if captures:
                    self._found[node.number] = (0, 0)
                return None
            inner = inner.next
        self._current = after
        assert end is not None
        if captures:
            self._found[node.number] = (at, end) if end > at else (0, 0)
        return end

    def _at_edge(self, sign: str, at: int) -> bool:
        text = self._text
        if sign == "^":
            return at == 0
        if sign == "$":
            return at == len(text)

        def space(place: int) -> bool:
            return text[place] in _SPACES if 0 <= place < len(text) else False

        edge = (
            (at == 0 and not space(at))
            or (at == len(text) and not space(at - 1))
            or (not space(at) and space(at + 1))
            or (space(at) and not space(at + 1))
        )
        return edge == (sign == "b")

    def _balance(self, node: _Balanced, at: int) -> int | None:
        if self._text[at : at + 1] != node.opening:
            return None
        depth = 1
        for place in range(at + 1, len(self._text)):
            self._steps -= 1
            if self._text[place] == node.closing:
                depth -= 1
                if depth == 0:
                    return place + 1
            elif self._text[place] == node.opening:
                depth += 1
        return None
