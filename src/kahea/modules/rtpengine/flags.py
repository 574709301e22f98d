"""The text of flags that rtpengine's functions take, and the dictionary that a relay is told of it.

Most words go to the relay as they are: `name=value` as an entry, other words in the list `flags`. Some are gathered in
lists or in the dictionary of codecs, some say how a command is put together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from kahea.routing.text import wire

VIA_BRANCHES: Final = ("1", "2", "auto", "extra", "next", "auto-next", "auto-extra")

_CODEC: Final = re.compile(r"codec-(mask|transcode|strip|offer|except|set)[-=](.+)|(transcode)-(.+)")
#: Words that begin so, with `-` or `=`, are gathered in a list of that name.
_GATHERED: Final = re.compile(r"(replace|SDES|rtcp-mux|T\.?38)(?:-([^=]+)|=(.+))", re.DOTALL)

# A transport is a sum of these; which of its names a relay knows says _TRANSPORTS.
_SECURE: Final = 1
_FEEDBACK: Final = 2
_DTLS: Final = 4
_TRANSPORTS: Final = {
    0: b"RTP/AVP",
    _SECURE: b"RTP/SAVP",
    _FEEDBACK: b"RTP/AVPF",
    _SECURE | _FEEDBACK: b"RTP/SAVPF",
    _DTLS: b"UDP/TLS/RTP/SAVP",
    _DTLS | _FEEDBACK: b"UDP/TLS/RTP/SAVPF",
}
_WHOLE_TRANSPORTS: Final = {text.decode(): bits for bits, text in _TRANSPORTS.items()}
#: What a word adds to the transport, and what it takes away.
_PARTS: Final = {
    "RTP": (0, _SECURE),
    "SRTP": (_SECURE, 0),
    "AVP": (0, _FEEDBACK),
    "AVPF": (_FEEDBACK, 0),
    "DTLS": (_DTLS, 0),
}


@dataclass(slots=True)
class Flags:
    """What a text of flags says. None where it says nothing."""

    pairs: list[tuple[bytes, int | bytes]] = field(default_factory=list)
    lists: dict[str, list[bytes]] = field(default_factory=dict)
    codecs: dict[bytes, list[bytes]] = field(default_factory=dict)
    transport: int | None = None
    via_branch: str = ""
    call_id: bytes | None = None
    from_tag: bytes | None = None
    to_tag: bytes | None = None
    with_to_tag: bool = False
    directional: bool = False
    force_answer: bool = False

    def add(self, name: str, value: str) -> None:
        """Put a value into the list of that name."""
        self.lists.setdefault(name, []).append(wire(value))

    def entries(self, *, describes: bool) -> Iterator[tuple[bytes, Any]]:
        """The entries for the relay, in the order that Kamailio has them.

        What is about a description is left out of commands without one, except for the transport.
        """
        lists = {name: values for name, values in self.lists.items() if describes or name == "flags"}
        yield from self.pairs
        yield from ((wire(name), lists[name]) for name in ("direction", "flags", "replace") if name in lists)
        if self.codecs and describes:
            yield b"codec", self.codecs
        if self.transport is not None and (text := _TRANSPORTS.get(self.transport)) is not None:
            yield b"transport-protocol", text
        yield from ((wire(name), lists[name]) for name in ("rtcp-mux", "SDES", "T.38") if name in lists)


def parse_flags(given: str) -> Flags:
    """Read flags. Raises ValueError where a word lacks a value that it needs, or has one that makes no sense."""
    flags = Flags()
    for word in given.split(" "):
        name, given_value, value = word.partition("=")
        if name and not _is_about_command(flags, name, value, given=bool(given_value)):
            _read_word(flags, word, name, value, given=bool(given_value))
    return flags


def _is_about_command(flags: Flags, name: str, value: str, *, given: bool) -> bool:
    """Take in a word about how the command is put together; False if it is none."""
    if name == "force-answer":
        flags.force_answer = True
    elif name == "directional":
        flags.directional = True
    elif name == "to-tag":
        flags.with_to_tag = True
        flags.to_tag = wire(value) or None
    elif name in ("from-tag", "call-id"):
        if not given:
            raise ValueError(f"{name} needs a value")
        if name == "from-tag":
            flags.from_tag = wire(value)
        else:
            flags.call_id = wire(value)
    elif name == "via-branch":
        if value not in VIA_BRANCHES:
            raise ValueError(f"via-branch is one of {', '.join(VIA_BRANCHES)}, not {value!r}")
        flags.via_branch = value
    else:
        return False
    return True


def _read_word(flags: Flags, word: str, name: str, value: str, *, given: bool) -> None:
    if name in ("internal", "external"):
        flags.add("direction", name)
    elif name == "direction" and given:
        flags.add("direction", value)
    elif word in _WHOLE_TRANSPORTS:
        flags.transport = _WHOLE_TRANSPORTS[word]
    elif word in _PARTS:
        more, less = _PARTS[word]
        flags.transport = ((flags.transport or 0) | more) & ~less
    elif (codec := _CODEC.fullmatch(word)) is not None:
        flags.codecs.setdefault(wire(codec[1] or codec[3]), []).append(wire(codec[2] or codec[4]))
    elif (found := _GATHERED.match(word)) is not None:
        flags.add("T.38" if found[1] == "T38" else found[1], found[2] or found[3])
    elif name == "repacketize":
        number = _leading_number(value)
        if number <= 0:
            raise ValueError(f"repacketize needs a number of milliseconds, not {value!r}")
        flags.pairs.append((b"repacketize", number))
    elif name == "TOS" and given:
        flags.pairs.append((b"TOS", _leading_number(value)))
    elif given:
        if name == "delete-delay":
            flags.pairs.append((b"delete delay", _leading_number(value)))
        flags.pairs.append((wire(name), wire(value)))
    else:
        flags.add("flags", name)


def _leading_number(value: str) -> int:
    found = re.match(r"\s*[+-]?\d{1,9}", value, re.ASCII)
    return int(found[0]) if found else 0
