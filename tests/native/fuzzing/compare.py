"""Many generated programs in one Kamailio and in one node of ours: what differs, in the reply to each program's
request, or byte by byte in all that is sent.

Kamailio refuses a whole cfg for one bad program, so each is first given to `kamailio -c` alone, and what is only found
at the start is left out by the line that its log names. What Kamailio takes and we refuse is a difference, too.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kahea.engines.native.diagnostics import CfgError

from ..both import CALLEE, CALLER, FIRST, KAMAILIO, PORT, Kamailio, Ours, Outcome, Program, Refused, cfg, request

_OWNER = re.compile(r"^\w*route\[[A-Z](\d+)\D")
_REFUSED_LINE = re.compile(r"cfg:\S*?:(\d+)|not found at \S*:(\d+)|, line (\d+)")


@dataclass
class Comparison:
    """What became of some programs."""

    ran: int = 0
    #: Those that Kamailio refuses, which does not make ours wrong.
    refused_there: list[Program] = field(default_factory=list)
    #: Those that end it.
    fatal_there: list[Program] = field(default_factory=list)
    #: Those that Kamailio takes, with our reason.
    refused_here: list[tuple[Program, str]] = field(default_factory=list)
    #: Those whose outcomes differ: Kamailio's and ours.
    differing: list[tuple[Program, Outcome, Outcome]] = field(default_factory=list)


class Fatal(Exception):
    """Kamailio does not answer any more; the argument is the number of the program that it got last."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def accepts(path: Path) -> bool:
    """Whether Kamailio can read a cfg."""
    assert KAMAILIO is not None
    command = [KAMAILIO, "-c", "-f", str(path)]
    return subprocess.run(command, capture_output=True, timeout=10).returncode == 0


def compare(folder: Path, programs: Sequence[Program], *, whole: bool = False) -> Comparison:
    """Run programs on both sides; their names end with their numbers. Outcomes are what programs said by `OUT`, or the
    `whole` of what was sent."""
    found = Comparison()
    path = folder / "one.cfg"
    good = []
    for program in programs:
        path.write_text(cfg([program]))
        (good if accepts(path) else found.refused_there).append(program)
    theirs: list[Outcome] = []
    while good:
        text = cfg(good)
        try:
            with Kamailio(folder, text) as kamailio:
                theirs = _sent_there(kamailio, good) if whole else kamailio.run(good)
            break
        except Refused as refusal:
            found.refused_there.append(_leave_out(good, text, _line(refusal)))
        except Fatal as fatal:
            found.fatal_there.append(good.pop(fatal.number))
    outcomes = {program.name: outcome for program, outcome in zip(good, theirs, strict=True)}
    numbers = {program.name: at for at, program in enumerate(good)}
    while good:
        text = cfg(good)
        try:
            ours = Ours(text)
            break
        except CfgError as error:
            diagnostic = error.diagnostics[0]
            found.refused_here.append((_leave_out(good, text, diagnostic.place.line), diagnostic.message))
    for program in good:
        number = numbers[program.name]
        there = outcomes[program.name]
        here = _sent_here(ours, program, number) if whole else ours.run_one(program, number)
        if there != here:
            found.differing.append((program, there, here))
    found.ran = len(good)
    return found


def _sent_there(kamailio: Kamailio, programs: Sequence[Program]) -> list[Outcome]:
    out: list[Outcome] = []
    with socket.socket(type=socket.SOCK_DGRAM) as callee:
        callee.bind(("127.0.0.1", CALLEE))
        callee.setblocking(False)
        kamailio.caller.settimeout(5)
        for number, program in enumerate(programs, FIRST):
            for each, at in ((program, 2 * number), (Program("", name="ONE"), 2 * number + 1)):
                kamailio.caller.sendto(request(each, at), ("127.0.0.1", PORT))
            got: list[bytes] = []
            # When the one worker answers the next request, it has done all for this one.
            while not got or f"CSeq: {2 * number + 1} ".encode() not in got[-1]:
                try:
                    got.append(kamailio.caller.recv(65535))
                except TimeoutError:
                    raise Fatal(number - FIRST) from None
            sent = [("callee", each) for each in _waiting(callee)] + [("caller", each) for each in got[:-1]]
            # What an earlier program left under way repeats itself.
            out.append([f"{to}: {_plain(each)}" for to, each in sent if f"call{2 * number}@".encode() in each])
    return out


def _waiting(receiver: socket.socket) -> Iterator[bytes]:
    with suppress(BlockingIOError):
        while True:
            yield receiver.recv(65535)


def _sent_here(ours: Ours, program: Program, number: int) -> Outcome:
    ours.wire.ports.clear()
    sent = ours.send(request(program, 2 * (number + FIRST)))
    pairs = list(zip(ours.wire.ports, sent, strict=True))
    to_callee = [f"callee: {_plain(each)}" for port, each in pairs if port == CALLEE]
    return to_callee + [f"caller: {_plain(each)}" for port, each in pairs if port == CALLER]


def _plain(data: bytes) -> str:
    """Without what differs by nature: branches but the caller's own, tags of ours, names of servers, the time."""
    text = data.decode("utf-8", "surrogateescape")
    text = re.sub(r"(;branch=)z9hG4bK(?!\d+[\r;])[^;\r\n]*", r"\1B", text)
    text = re.sub(r"(\nTo: [^\r\n]*;tag=)[^;\r\n]*", r"\1T", text)
    text = re.sub(r"\nDate: [^\r\n]*", "\nDate: D", text)
    return re.sub(r"(Server|User-Agent): (kamailio|kahea)[^\r\n]*", r"\1: X", text)


def _line(refusal: Refused) -> int:
    match = _REFUSED_LINE.search(str(refusal))
    if match is None:
        raise refusal
    return int(match[1] or match[2] or match[3])


def _leave_out(programs: list[Program], text: str, line: int) -> Program:
    """Take the program off the list that has a line of the cfg."""
    for above in reversed(text.split("\n")[:line]):
        owner = _OWNER.match(above)
        if owner is not None:
            return programs.pop(next(i for i, p in enumerate(programs) if p.name[1:] == owner[1]))
    raise LookupError(f"line {line} is no program's")
