"""BINRPC: the binary form of management commands that `kamcmd` speaks. No I/O.

A packet is a header and a body of records:

    0xA1 | kind (4 bits), bytes of the length less 1 (2), bytes of the cookie less 1 (2) | length of the body | cookie

A record begins with one byte: type in its low 4 bits; its size in the next 3; where the highest bit is set, those
3 bits count the bytes of a size that follows. Integers are big-endian without leading zeros, a negative one has four
bytes; a text has its NUL. A real number is an integer of thousandths, with eight bytes if it is negative, whose size
(8 does not fit 3 bits) shows as the highest bit alone. A structure is `03`, named members (a name is a record of
type 5), `83`. This was read off the wire between Kamailio and kamcmd.

`decode` raises `PacketError` for what can't be read; nothing it returns is larger than what it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REQUEST: Final = 0
REPLY: Final = 1
FAULT: Final = 3

_MAGIC: Final = 0xA1
_INT: Final = 0
_STR: Final = 1
_DOUBLE: Final = 2
_STRUCT: Final = 3
_NAME: Final = 5
_BYTES: Final = 6
_STRUCT_END: Final = b"\x83"

#: What fits the four bytes of an integer, and the eight of a real number, on both sides.
_MAX_INT: Final = 2**31 - 1
_MAX_DOUBLE: Final = 2**55 / 1000
#: The longest header: magic, kind, four bytes of length, four of cookie.
MAX_HEADER: Final = 10

Given = int | float | str


class PacketError(Exception):
    """Bytes that are no packet."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the body: `size` bytes of header announce `length` bytes of body."""

    kind: int
    cookie: bytes
    size: int
    length: int


def header(data: bytes | bytearray) -> Header | None:
    """The header that `data` begins with, None while it is incomplete. Raises PacketError."""
    if not data:
        return None
    if data[0] != _MAGIC:
        raise PacketError("not BINRPC, version 1")
    if len(data) < 2:
        return None
    lengths = ((data[1] >> 2) & 3) + 1
    cookies = (data[1] & 3) + 1
    size = 2 + lengths + cookies
    if len(data) < size:
        return None
    length = int.from_bytes(data[2 : 2 + lengths])
    return Header(data[1] >> 4, bytes(data[2 + lengths : size]), size, length)


def decode(body: bytes) -> list[Given]:
    """The values of a request's body. Raises PacketError, for structures too: no command takes one."""
    values: list[Given] = []
    at = 0
    while at < len(body):
        first = body[at]
        kind, size = first & 15, (first >> 4) & 7
        at += 1
        if first & 0x80:
            length = int.from_bytes(body[at : at + size])
            at += size
            size = length if size or kind != _DOUBLE else 8
        if at + size > len(body):
            raise PacketError("a record is longer than its packet")
        values.append(_value(kind, body[at : at + size]))
        at += size
    return values


def _value(kind: int, data: bytes) -> Given:
    if kind in (_STR, _BYTES):
        return data.removesuffix(b"\0").decode("utf-8", "surrogateescape")
    if kind in (_INT, _DOUBLE):
        if len(data) > 8:
            raise PacketError("an integer of more than 8 bytes")
        # Only with all their bytes are they negative: of the others, leading zeros were left out.
        number = int.from_bytes(data, signed=len(data) == (4 if kind == _INT else 8))
        return number if kind == _INT else number / 1000
    raise PacketError(f"a parameter of type {kind}")


def request(cookie: bytes, method: str, *parameters: Given) -> bytes:
    """A request, as kamcmd sends it."""
    return _packet(REQUEST, cookie, b"".join(_scalar(v) for v in (method, *parameters)))


def reply(cookie: bytes, result: object) -> bytes:
    """What a command returned (see the package's docstring). Raises TypeError for what is none of that."""
    return _packet(REPLY, cookie, body_of(result))


def fault(cookie: bytes, code: int, text: str) -> bytes:
    """A fault."""
    return _packet(FAULT, cookie, _scalar(code) + _scalar(text))


def _packet(kind: int, cookie: bytes, body: bytes) -> bytes:
    length = len(body).to_bytes(max((len(body).bit_length() + 7) // 8, 1))
    flags = kind << 4 | (len(length) - 1) << 2 | (len(cookie) - 1)
    return bytes((_MAGIC, flags)) + length + cookie + body


def body_of(result: object) -> bytes:
    """A result as records. Raises TypeError."""
    out = bytearray()
    if result is None or result == {}:
        return b""
    if isinstance(result, list) and result and all(_is_member(item, nested=False) for item in result):
        _put(out, result)
    elif isinstance(result, (list, tuple)):
        for item in result:
            _put(out, item)
    else:
        _put(out, result)
    return bytes(out)


def _is_member(item: object, *, nested: bool) -> bool:
    """Whether an item of a list is a member of its structure, rather than a structure without a name."""
    return isinstance(item, dict) and len(item) == 1 and (nested or isinstance(next(iter(item.values())), dict))


def _put(out: bytearray, value: object) -> None:
    if isinstance(value, dict):
        out.append(_STRUCT)
        _put_members(out, value)
        out += _STRUCT_END
    elif isinstance(value, (list, tuple)):
        out.append(_STRUCT)
        for item in value:
            if _is_member(item, nested=True):
                _put_members(out, item)
            else:
                _put(out, item)
        out += _STRUCT_END
    else:
        out += _scalar(value)


def _put_members(out: bytearray, members: dict[str, object]) -> None:
    for name, value in members.items():
        out += _sized(_NAME, str(name).encode("utf-8", "surrogateescape") + b"\0")
        _put(out, value)


def _scalar(value: object) -> bytes:
    if isinstance(value, int) and -_MAX_INT - 1 <= value <= _MAX_INT:
        return _sized(_INT, _integer(int(value)))
    if isinstance(value, float) and abs(value) < _MAX_DOUBLE:
        thousandths = round(value * 1000)
        if thousandths < 0:
            return bytes((0x80 | _DOUBLE,)) + thousandths.to_bytes(8, signed=True)
        return _sized(_DOUBLE, _integer(thousandths))
    if value is None:
        value = "<null string>"
    # A number that four bytes can't hold is shown right as text only.
    if isinstance(value, (str, int, float)):
        return _sized(_STR, str(value).encode("utf-8", "surrogateescape") + b"\0")
    raise TypeError(f"not an RPC value: {value!r}")


def _integer(value: int) -> bytes:
    if value < 0:
        return value.to_bytes(4, signed=True)
    return value.to_bytes((value.bit_length() + 7) // 8)


def _sized(kind: int, data: bytes) -> bytes:
    if len(data) < 8:
        return bytes((len(data) << 4 | kind,)) + data
    size = len(data).to_bytes((len(data).bit_length() + 7) // 8)
    return bytes((0x80 | len(size) << 4 | kind,)) + size + data


__all__ = [
    "FAULT",
    "MAX_HEADER",
    "REPLY",
    "REQUEST",
    "Given",
    "Header",
    "PacketError",
    "body_of",
    "decode",
    "fault",
    "header",
    "reply",
    "request",
]
