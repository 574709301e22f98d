"""Bencoding, as rtpengine's control protocol has it: dictionaries keep their order, and names may repeat.

What is read comes from the network: its depth and its numbers are bounded, and so is its size by the datagram's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

#: How deep a document may nest, and the most digits of a number or a length.
MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 19


class BencodeError(ValueError):
    """Data that is no document."""


def dump(value: int | bytes | Sequence[Any] | dict[bytes, Any]) -> bytes:
    """A document as it is sent."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, dict):
        return dump_pairs(value.items())
    return b"l" + b"".join(map(dump, value)) + b"e"


def dump_pairs(pairs: Iterable[tuple[bytes, Any]]) -> bytes:
    """A dictionary of names and values in this order, repeated ones too."""
    return b"d" + b"".join(dump(name) + dump(value) for name, value in pairs) + b"e"


def load(data: bytes) -> Any:
    """Read a document; what follows it is not looked at. Of a repeated name the first counts. Raises BencodeError."""
    return _Reader(data).value(0)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self, depth: int) -> Any:
        """The value at this place; moves behind it."""
        if depth > MAX_DEPTH:
            raise BencodeError(f"nested deeper than {MAX_DEPTH}")
        kind = self._data[self._at : self._at + 1]
        if kind == b"i":
            self._at += 1
            return self._number(b"e")
        if kind == b"l":
            return self._list(depth)
        if kind == b"d":
            return self._dictionary(depth)
        return self._text()

    def _number(self, end: bytes) -> int:
        stop = self._data.find(end, self._at, self._at + MAX_DIGITS + 2)
        digits = self._data[self._at : stop] if stop >= 0 else b""
        if not digits.removeprefix(b"-").isdigit():
            raise BencodeError(f"no number at {self._at}")
        self._at = stop + 1
        return int(digits)

    def _text(self) -> bytes:
        size = self._number(b":")
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise BencodeError(f"a text that ends behind the data at {self._at}")
        text = self._data[self._at : end]
        self._at = end
        return text

    def _ended(self) -> bool:
        if self._data[self._at : self._at + 1] == b"e":
            self._at += 1
            return True
        return False

    def _list(self, depth: int) -> list[Any]:
        self._at += 1
        found = []
        while not self._ended():
            found.append(self.value(depth + 1))
        return found

    def _dictionary(self, depth: int) -> dict[bytes, Any]:
        self._at += 1
        found: dict[bytes, Any] = {}
        while not self._ended():
            name = self._text()
            found.setdefault(name, self.value(depth + 1))
        return found
