"""The letters that tell rtpproxy's functions how to do their work, and what a relay is told of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_FLAG: Final = re.compile(r"[zZ](\d*)|(.)", re.DOTALL)


@dataclass(slots=True)
class Flags:
    """What a text of letters asks for.

    `options` go to the relay as they are; `repacketize` does if the relay can. `via` is 1 or 2 for that Via's branch as
    part of the call's name, 3 for the sender's of the request.
    """

    options: str = ""
    repacketize: str = ""
    via: int = 0
    extra_id: bool = False
    trusted: bool = False
    forced: bool = False
    lookup: bool = False
    by_family: bool = False
    every_connection: bool = False


def parse_flags(given: str) -> Flags:
    """Read the letters of an offer or answer. Raises ValueError for one that means nothing."""
    flags = Flags()
    for found in _FLAG.finditer(given):
        letter = (found[2] or "z").lower()
        if letter == "z":
            flags.repacketize += f"Z{found[1]}"
        elif letter in "123":
            flags.via = int(letter)
        elif letter in "aiew":
            flags.options += {"a": "A", "i": "I", "e": "E", "w": "S"}[letter]
            flags.trusted = flags.trusted or letter == "a"
        elif letter == "b":
            flags.extra_id = True
        elif letter == "c":
            flags.every_connection = True
        elif letter == "f":
            flags.forced = True
        elif letter == "l":
            flags.lookup = True
        elif letter == "r":
            flags.trusted = True
        elif letter == "x":
            flags.by_family = True
        elif letter not in "ot":
            # o: the origin's address is replaced in any case; t is for ending a session
            raise ValueError(f"unknown flag {letter!r}")
    return flags


@dataclass(slots=True)
class EndFlags:
    """What the letters for ending a session ask for; `whole_call` leaves the To tag out."""

    via: int = 0
    extra_id: bool = False
    whole_call: bool = False


def parse_end_flags(given: str) -> EndFlags:
    """Read them; letters with a meaning for offers only are let pass, as scripts give the same to both."""
    flags = EndFlags()
    for letter in given.lower():
        if letter in "123":
            flags.via = int(letter)
        elif letter == "b":
            flags.extra_id = True
        elif letter == "t":
            flags.whole_call = True
    return flags
