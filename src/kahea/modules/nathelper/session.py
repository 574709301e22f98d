"""Session descriptions of user agents behind a NAT: addresses replaced, and what was done noted in attributes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.sip.body import locate_part
from kahea.sip.errors import ParseError
from kahea.sip.sdp import Line, lines_between

if TYPE_CHECKING:
    from kahea.sip.message import Message

# What to do, as fix_nated_sdp's flags name it.
ADD_DIRECTION: Final = 1
REPLACE_MEDIA: Final = 2
ADD_MARK: Final = 4
REPLACE_ORIGIN: Final = 8

#: The address of a line that has one, and its kind.
ADDRESS: Final = re.compile(rb"(IP[46])[ \t]+(\S+)")
_NOWHERE: Final = (b"0.0.0.0", b"::")


class Fix:
    """What one call does to one message: collected first, then done."""

    def __init__(self, msg: Message, address: bytes) -> None:
        self._msg = msg
        self._address = address
        self._kind = b"IP6" if b":" in address else b"IP4"
        self._old: list[bytes] = []

    def run(self, flags: int, mark: bytes, *, note_old: bool) -> bool:
        """Do what the flags say; whether any address was replaced. `mark` is a line with its end. Raises ParseError
        without a description, or for a line that lacks its address."""
        lines = _lines(self._msg)
        try:
            if flags & (REPLACE_MEDIA | REPLACE_ORIGIN):
                self._replace(lines, b"a=rtcp:")
            if flags & REPLACE_MEDIA:
                self._replace(lines, b"c=")
            if flags & REPLACE_ORIGIN:
                self._replace(lines, b"o=")
        finally:
            # Also of a description that turns out to be broken, as in Kamailio.
            self._add(lines, flags, mark, note_old=note_old)
        return bool(self._old)

    def _add(self, lines: list[Line], flags: int, mark: bytes, *, note_old: bool) -> None:
        added = b""
        if flags & ADD_DIRECTION:
            self._add_direction(lines)
            if any(line.text.startswith(b"m=") for line in lines):
                added += b"a=direction:active\r\n"
        if flags & ADD_MARK:
            added += mark
        if note_old:
            for old in self._old:
                added += b"a=oldmediaip%b\r\n" % old
        if added:
            self._append(lines, added)

    def _replace(self, lines: list[Line], kind: bytes) -> None:
        for line in lines:
            if not line.text.startswith(kind):
                continue
            found = ADDRESS.search(line.text)
            if found is None and kind != b"a=rtcp:":
                raise ParseError("No Address In SDP")
            if found is None or found[2] in _NOWHERE:
                continue
            self._old.append(b"%b:%b" % (b"6" if found[1] == b"IP6" else b"", found[2]))
            if found[1] != self._kind:
                self._msg.replace(line.start + found.start(1), len(found[1]), self._kind)
            self._msg.replace(line.start + found.start(2), len(found[2]), self._address)

    def _add_direction(self, lines: list[Line]) -> None:
        """At the end of each stream but the last, whose end is the body's."""
        media = [line for line in lines if line.text.startswith(b"m=")]
        for following in media[1:]:
            self._msg.insert(following.start, b"a=direction:active\r\n")

    def _append(self, lines: list[Line], added: bytes) -> None:
        """After the text of the last line that has any, whose end may be missing."""
        last = next((line for line in reversed(lines) if line.text), lines[-1])
        self._msg.insert(last.start + len(last.text), b"\r\n" + added.removesuffix(b"\r\n"))


def _lines(msg: Message) -> list[Line]:
    """Of the description: the body, or the part of it that says so. Raises ParseError without one."""
    found = locate_part(msg.body, msg.content_type or b"application/sdp", b"application/sdp")
    if found is None or found[0] == found[1]:
        raise ParseError("No SDP")
    return list(lines_between(msg.raw, msg.body_start + found[0], msg.body_start + found[1]))
