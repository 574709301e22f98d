"""Many generated programs in one Kamailio and in one node of ours: what differs.

Kamailio refuses a whole cfg for one bad program, so each is first given to `kamailio -c` alone, and what is only found
at the start is left out by the line that its log names. What Kamailio takes and we refuse is a difference, too.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kahea.engines.native.diagnostics import CfgError

from ..both import KAMAILIO, Kamailio, Ours, Outcome, Program, Refused, cfg

_OWNER = re.compile(r"^\w*route\[[A-Z](\d+)\D")
_REFUSED_LINE = re.compile(r"cfg:\S*?:(\d+)|not found at \S*:(\d+)|, line (\d+)")


@dataclass
class Comparison:
    """What became of some programs."""

    ran: int = 0
    #: Those that Kamailio refuses, which does not make ours wrong.
    refused_there: list[Program] = field(default_factory=list)
    #: Those that Kamailio takes, with our reason.
    refused_here: list[tuple[Program, str]] = field(default_factory=list)
    #: Those whose outcomes differ: Kamailio's and ours.
    differing: list[tuple[Program, Outcome, Outcome]] = field(default_factory=list)


def accepts(path: Path) -> bool:
    """Whether Kamailio can read a cfg."""
    assert KAMAILIO is not None
    command = [KAMAILIO, "-c", "-f", str(path)]
    return subprocess.run(command, capture_output=True, timeout=10).returncode == 0


def compare(folder: Path, programs: Sequence[Program]) -> Comparison:
    """Run programs on both sides; their names end with their numbers."""
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
                theirs = kamailio.run(good)
            break
        except Refused as refusal:
            found.refused_there.append(_leave_out(good, text, _line(refusal)))
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
        there, here = outcomes[program.name], ours.run_one(program, numbers[program.name])
        if there != here:
            found.differing.append((program, there, here))
    found.ran = len(good)
    return found


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
