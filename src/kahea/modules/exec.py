"""Commands of the shell (Kamailio's module exec): the script waits for the end of one, and nobody else does.

In a cfg, the value of a variable in a command is escaped for the place where it stands (bare, in single or in double
quotes), so that a message can't begin a command of its own; `bash_safety` 0 leaves it as it is. What else a command
is to know of the message is in its environment (`SIP_RURI`, `SIP_HF_FROM`, ...), where nothing is evaluated. A command
that a script in another language puts together is run as it is: escape what is of a message, or read the environment.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import TYPE_CHECKING, Final

from kahea.connectors.processes import CommandFailed, Shell
from kahea.routing.lists import lists_of
from kahea.routing.module import Module, Param, function, native
from kahea.routing.pv.errors import PvError
from kahea.routing.run import FAILURE_ROUTE, LOCAL_ROUTE, REQUEST_ROUTE, can_wait, wait
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Target
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv.format import Format
    from kahea.routing.pv.table import Pv
    from kahea.routing.run import Run
    from kahea.sip.message import Message

_WITH_MESSAGE: Final = REQUEST_ROUTE | FAILURE_ROUTE | LOCAL_ROUTE
_NO_NAME: Final = re.compile(r"[^A-Z0-9]")
#: What the environment calls headers by their compact names, and one by another than its own.
_LONG: Final = {
    "A": "ACCEPT_CONTACT", "B": "REFERRED_BY", "C": "CONTENT_TYPE", "D": "REQUEST_DISPOSITION",
    "E": "CONTENT_ENCODING", "F": "FROM", "I": "CALLID", "J": "REJECT_CONTACT", "K": "SUPPORTED", "L": "CONTENT_LENGTH",
    "M": "CONTACT", "N": "IDENTITY_INFO", "O": "EVENT", "R": "REFER_TO", "S": "SUBJECT", "T": "TO", "U": "ALLOW_EVENTS",
    "V": "VIA", "X": "SESSION_EXPIRES", "Y": "IDENTITY", "CALL_ID": "CALLID",
}  # fmt: skip
_SPECIAL_IN_DOUBLE: Final = re.compile(r'[\\"$`]')


def avp_names(node: Node, written: str) -> tuple[Pv, ...]:
    """The variables of a list. Raises ValueError."""
    try:
        found = tuple(node.variables.compile(each.strip()) for each in re.split("[;,]", written) if each.strip())
    except PvError as error:
        raise ValueError(str(error)) from error
    if not found or not all(pv.writable for pv in found):
        raise ValueError(f"{written!r} is no list of variables that can be set")
    return found


def quoting(before: str, quote: str = "") -> str:
    """In which quotes a shell is behind some text: `'`, `"`, or "" for none; `quote` is what it was in before."""
    at = 0
    while at < len(before):
        c = before[at]
        if quote == "'":
            quote = "" if c == "'" else quote
        elif c == "\\":
            at += 1
        elif c == quote:
            quote = ""
        elif not quote and c in "'\"":
            quote = c
        at += 1
    return quote


def escaped(value: str, quote: str) -> str:
    """A value as one piece of text of the shell, for a place in these quotes. No command can hold a NUL."""
    value = value.replace("\0", "")
    if quote == "'":
        return value.replace("'", "'\\''")
    if quote == '"':
        return _SPECIAL_IN_DOUBLE.sub(r"\\\g<0>", value)
    return shlex.quote(value) if value else ""


def environment(msg: Message) -> dict[str, str]:
    """What a command may know of a request."""
    found: dict[str, str] = {}
    for header in msg.headers():
        name = _NO_NAME.sub("_", text(header.name).upper())
        name = "SIP_HF_" + _LONG.get(name, name)
        body = text(header.body).replace("\0", "")
        found[name] = f"{found[name]},{body}" if name in found else body
    original = text(msg.original_uri)
    found["SIP_TID"] = hashlib.md5(msg.via1.branch or msg.callid, usedforsecurity=False).hexdigest()
    found["SIP_DID"] = text(msg.to.tag or b"")
    found["SIP_SRCIP"] = msg.src_ip.decode()
    found["SIP_ORURI"] = found["SIP_ORUI"] = original  # the second is what Kamailio does, the first what it says
    found["SIP_RURI"] = text(msg.uri)
    for name, uri in (("SIP_USER", msg.uri), ("SIP_OUSER", msg.original_uri)):
        try:
            found[name] = text(parse_uri(uri).user or b"")
        except ParseError:
            found[name] = ""
    return found


class Exec(Module):
    """Commands of the shell."""

    name = "exec"

    setvars = Param(1, "0: commands get no environment of the message.")
    time_to_kill = Param(0, "Seconds after which a command is killed; 0: it may take as long as it likes.")
    bash_safety = Param(1, "0: values of variables stand in a command as they are, and a message can add commands.")
    max_processes = Param(64, "The most commands at a time; more are refused.")

    def start(self) -> None:
        """Take up the limit."""
        self._shell = Shell(self.max_processes)

    def _run(
        self, run: Run, command: str, *, variables: bool = True, given: bytes | None = None, read: bool = False
    ) -> tuple[bool, list[str]]:
        """Run a command to its end: whether it succeeded, and the lines that it wrote."""
        if not can_wait():
            self.node.log.error("exec: this route can't wait for %.200r", command)
            return False, []
        try:
            known = environment(run.msg) if variables and self.setvars else None
            code, output = wait(self._shell.run(command, known, given, read=read, seconds=self.time_to_kill))
        except (CommandFailed, ParseError) as error:
            self.node.log.error("exec: %.200r %s", command, error)
            return False, []
        if code:
            self.node.log.error("exec: %.200r ended with %d", command, code)
        lines = [line for line in output.split(b"\n") if line]
        return code == 0, [text(line.rstrip(b"\r")) for line in lines]

    def _rendered(self, run: Run, command: Format) -> str:
        """A command with its variables in place, each escaped."""
        if not self.bash_safety or command.constant:
            return command.render(run)
        pieces: list[str] = []
        quote = ""
        for part in command.parts:
            if isinstance(part, str):
                quote = quoting(part, quote)
                pieces.append(part)
            else:
                value = part.get(run)
                pieces.append(escaped("" if value is None else str(value), quote))
        return "".join(pieces)

    # ---- functions

    @native("format", name="exec_cmd")
    def native_cmd(self, run: Run, command: Format) -> int:
        """Run a command; -1 if it failed. It knows nothing of the message."""
        return self.exec_cmd(run, self._rendered(run, command))

    @native("format", name="exec_msg", routes=_WITH_MESSAGE)
    def native_msg(self, run: Run, command: Format) -> int:
        """Run a command that reads the message from its standard input; -1 if it failed."""
        return self.exec_msg(run, self._rendered(run, command))

    @native("format", name="exec_dset", routes=REQUEST_ROUTE | FAILURE_ROUTE)
    def native_dset(self, run: Run, command: Format) -> int:
        """Run a command with the request URI as its argument, whose lines become the destinations; see `exec_dset`."""
        return self.exec_dset(run, self._rendered(run, command))

    @native("format", name="exec_avp", routes=_WITH_MESSAGE)
    def native_avp(self, run: Run, command: Format) -> int:
        """Run a command whose lines become the AVPs 1, 2, 3, ...; -1 if it failed."""
        return self.exec_avp(run, self._rendered(run, command))

    @native("format", avp_names, name="exec_avp", routes=_WITH_MESSAGE)
    def native_avps(self, run: Run, command: Format, names: tuple[Pv, ...]) -> int:
        """Run a command whose lines go into these variables; further lines are left out, -1 if it failed."""
        return self._avps(run, self._rendered(run, command), names)

    @function
    def exec_cmd(self, run: Run, command: str) -> int:
        """Run a command; -1 if it failed. It knows nothing of the message."""
        return 1 if self._run(run, command, variables=False)[0] else -1

    @function
    def exec_msg(self, run: Run, command: str) -> int:
        """Run a command that reads the message, as it came, from its standard input; -1 if it failed."""
        return 1 if self._run(run, command, given=run.msg.raw)[0] else -1

    @function
    def exec_dset(self, run: Run, command: str) -> int:
        """Run a command with the request URI as its argument: the first line that it writes is the new one, each
        further one a branch. -1 if it failed or wrote nothing, or a line is no URI, which ends the list."""
        msg = run.msg
        good, lines = self._run(run, f"{command} {shlex.quote(text(msg.uri))}", read=True)
        if not lines:
            return -1
        for place, line in enumerate(lines):
            uri = wire(line.strip())
            try:
                parse_uri(uri)
            except ParseError as error:
                self.node.log.error("exec_dset: %.200r is no URI: %s", line, error)
                return -1
            if place == 0:
                msg.set_uri(uri)
            elif len(msg.branches) < self.node.settings.max_branches - 1:
                msg.branches.append(Target(uri))
            else:
                self.node.log.error("exec_dset: more than %d destinations", self.node.settings.max_branches)
                return -1
        return 1 if good else -1

    @function
    def exec_avp(self, run: Run, command: str) -> int:
        """Run a command whose lines become the AVPs 1, 2, 3, ...; -1 if it failed."""
        good, lines = self._run(run, command, read=True)
        for place, line in enumerate(lines, 1):
            lists_of(run.msg).avps.push(place, line)
        return 1 if good else -1

    @function
    def exec_avps(self, run: Run, command: str, names: str) -> int:
        """Run a command whose lines go into variables, named with commas between them; -1 if it failed."""
        try:
            found = avp_names(self.node, names)
        except ValueError as error:
            self.node.log.error("exec_avps: %s", error)
            return -1
        return self._avps(run, command, found)

    def _avps(self, run: Run, command: str, names: tuple[Pv, ...]) -> int:
        good, lines = self._run(run, command, read=True)
        for pv, line in zip(names, lines, strict=False):
            pv.set(run, line)
        return 1 if good else -1


MODULE = Exec
