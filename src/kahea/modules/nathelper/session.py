"""Session descriptions of user agents behind a NAT: addresses replaced, and what was done noted in attributes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.sip.sdp import Line, lines_between

if TYPE_CHECKING:
    from kahea.sip.message import Message

# What to do, as fix_nated_sdp's flags name it.
ADD_DIRECTION: Final = 1
REPLACE_MEDIA: Final = 2
ADD_MARK: Final = 4
REPLACE_ORIGIN: Final = 8

_CONNECTION: Final = re.compile(rb"(?:c=|a=rtcp:[0-9]+ |o=\S+ \S+ \S+ )IN (IP[46]) ([^\s/]+)")
_NOWHERE: Final = (b"0.0.0.0", b"::")


class Fix:
    """What one call does to one message: collected first, then done."""

    def __init__(self, msg: Message, address: bytes) -> None:
        self._msg = msg
        self._address = address
        self._kind = b"IP6" if b":" in address else b"IP4"
        self._old: list[bytes] = []

    def run(self, flags: int, mark: bytes, *, note_old: bool) -> bool:
        """Do what the flags say; whether any address was replaced. `mark` is a line with its end."""
        lines = list(lines_between(self._msg.raw, self._msg.body_start, self._msg.body_end))
        if flags & REPLACE_MEDIA:
            self._replace(lines, (b"c=", b"a=rtcp:"))
        if flags & REPLACE_ORIGIN:
            self._replace(lines, (b"o=",) if flags & REPLACE_MEDIA else (b"o=", b"a=rtcp:"))
        added = b""
        if flags & ADD_DIRECTION:
            self._add_direction(lines)
            if any(line.text.startswith(b"m=") for line in lines):
                added += b"a=direction:active\r\n"
        if flags & ADD_MARK:
            added += mark
        if note_old:
            for old in self._old:
                added += b"a=oldmediaip%b:%b\r\n" % (b"6" if b":" in old else b"", old)
        if added:
            self._append(lines, added)
        return bool(self._old)

    def _replace(self, lines: list[Line], kinds: tuple[bytes, ...]) -> None:
        for line in lines:
            found = _CONNECTION.match(line.text) if line.text.startswith(kinds) else None
            if found is None or found[2] in _NOWHERE:
                continue
            self._old.append(found[2])
            start = line.start + found.start(1)
            self._msg.replace(start, found.end(2) - found.start(1), b"%b %b" % (self._kind, self._address))

    def _add_direction(self, lines: list[Line]) -> None:
        """At the end of each stream but the last, whose end is the body's."""
        media = [line for line in lines if line.text.startswith(b"m=")]
        for following in media[1:]:
            self._msg.insert(following.start, b"a=direction:active\r\n")

    def _append(self, lines: list[Line], added: bytes) -> None:
        """After the last line, whose end may be missing."""
        last = lines[-1]
        if last.end == last.start + len(last.text):
            self._msg.insert(last.end, b"\r\n" + added.removesuffix(b"\r\n"))
        else:
            self._msg.insert(last.end, added)
