"""Requests for programs beside the server: `t_write_req()` writes one to a FIFO, `t_write_unix()` to a socket.

The program answers by the command `tm.reply`, with the transaction that it read. Where a reader is slow, that one run
waits, for no longer than `unix_tx_timeout`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.modules.tm.described import Group, Lines, described, parse_group
from kahea.modules.tm.local_programs import Fifos, send_datagram
from kahea.routing.checks import between
from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.run import FAILURE_ROUTE, REQUEST_ROUTE, Run
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.routing.node import Node

_ROUTES: Final = REQUEST_ROUTE | FAILURE_ROUTE
#: Milliseconds, and more than anybody means.
_LONGEST: Final = 3_600_000


class Task(NamedTuple):
    """What a program is to do, and the group of lines that it gets beside the usual ones."""

    action: str
    lines: Lines | None


def task(node: Node, given: str) -> Task:
    """Read `action` or `action/group`. Raises ValueError."""
    action, slash, group = given.partition("/")
    if not slash:
        return Task(action, None)
    if not action or not group:
        raise ValueError(f"expected `action/group`, not {given!r}")
    lines: Lines | None = node.module("tm").appended.get(group)
    if lines is None:
        raise ValueError(f"tw_append declares no group {group!r}")
    return Task(action, lines)


class Writing(Module):
    """Functions that describe a transaction's request to a program."""

    tw_append: Param[list[Group | None]] = Param(
        [],
        "Lines that t_write_req() and t_write_unix() add: `group: hdr[name]; title=avp[name]; msg[body]`.",
        many=True,
        check=parse_group,
    )
    unix_tx_timeout = Param(
        500,
        "Milliseconds that t_write_unix() and t_write_req() wait for a reader to make room.",
        check=between(1, _LONGEST),
        runtime=True,
    )

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.appended: dict[str, Lines] = {}
        self._fifos = Fifos()

    def prepare_groups(self) -> None:
        """Make the groups of `tw_append` ready. Raises ConfigError."""
        for group in self.tw_append:
            if group is None:
                continue
            if group.name in self.appended:
                raise ConfigError(f"parameter tm.tw_append: the group {group.name!r} is declared twice")
            try:
                self.appended[group.name] = Lines(self.node, group)
            except ValueError as error:
                raise ConfigError(f"parameter tm.tw_append: {error}") from error

    @native("text", task, name="t_write_req", routes=_ROUTES)
    def t_write_req_native(self, run: Run, fifo: str, wanted: Task) -> int:
        """As t_write_req()."""
        return self._write(run, "t_write_req", self._fifos.write, fifo, wanted)

    @function
    def t_write_req(self, run: Run, fifo: str, action: str) -> int:
        """Write the transaction's request to a FIFO, for an `action` or `action/group`; -1 if nobody reads it."""
        return self._write_for(run, "t_write_req", self._fifos.write, fifo, action)

    @native("text", task, name="t_write_unix", routes=_ROUTES)
    def t_write_unix_native(self, run: Run, socket: str, wanted: Task) -> int:
        """As t_write_unix()."""
        return self._write(run, "t_write_unix", send_datagram, socket, wanted)

    @function
    def t_write_unix(self, run: Run, socket: str, action: str) -> int:
        """Send the transaction's request to a datagram socket of this host, for an `action` or `action/group`; -1 if
        it can't be sent."""
        return self._write_for(run, "t_write_unix", send_datagram, socket, action)

    def _write_for(
        self, run: Run, name: str, write: Callable[[str, bytes, float], None], path: str, action: str
    ) -> int:
        if not run.kind & _ROUTES:
            self.node.log.error("%s: only in request and failure routes", name)
            return -1
        try:
            wanted = task(self.node, action)
        except ValueError as error:
            self.node.log.error("%s: %s", name, error)
            return -1
        return self._write(run, name, write, path, wanted)

    def _write(self, run: Run, name: str, write: Callable[[str, bytes, float], None], path: str, wanted: Task) -> int:
        t = run.transaction
        if t is None:
            self.node.log.error("%s: there is no transaction yet", name)
            return -1
        try:
            write(path, described(run, t, wanted.action, wanted.lines), self.unix_tx_timeout / 1000)
        except ParseError as error:
            self.node.log.error("%s: %s", name, error)
        except TimeoutError:
            self.node.log.error("%s: %.200r: its reader made no room", name, path)
        except OSError as error:
            self.node.log.error("%s: %.200r: %s", name, path, error.strerror or error)
        except ValueError as error:  # a NUL in the name
            self.node.log.error("%s: %.200r: %s", name, path, error)
        else:
            return 1
        return -1


__all__ = ["Task", "Writing", "task"]
