"""Accounting of transactions (Kamailio's module acc): lines in the log, and rows in a database.

A script marks a request by a flag before it relays it. The module watches the marked transactions and writes down what
becomes of them: that they were answered, that every branch of a call failed, that its 2xx was acknowledged.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.acc.extra import Extra, Legs
from kahea.modules.acc.parameters import Parameters
from kahea.modules.acc.record import Recorder
from kahea.modules.acc.watch import Watch
from kahea.routing.module import ConfigError, Value, function
from kahea.routing.run import Run, can_wait, wait
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.modules.acc.database import Tables

_CODE: Final = re.compile(r"([1-6]\d\d)(?:\s+|$)")


class Acc(Parameters):
    """Accounting of transactions, to the log and to SQL."""

    name = "acc"
    needs = ("tm",)

    def start(self) -> None:
        """Compile what is accounted, and watch transactions if any flag is set."""
        self.keep_defaults()
        variables = self.node.variables
        log_extra = Extra("log_extra", self.log_extra, variables)
        legs = Legs(self.multi_leg_info, variables)
        self._db_extra = Extra("db_extra", self.db_extra, variables)
        self._leg_names = legs.names
        self._tables: Tables | None = None
        if self.detect_direction and self.node.module("rr") is None:
            raise ConfigError("parameter acc.detect_direction needs the module rr")
        if self.db_url:
            self._open_tables()
        self._recorder = Recorder(self, log_extra, legs, self._write_rows)
        watch = Watch(self, self._recorder)
        if watch.wanted:
            self.node.layer.on_created.append(watch.created)

    def _open_tables(self) -> None:
        from kahea.connectors.errors import BadUrl
        from kahea.modules.acc.database import Tables

        names = [*self._db_extra.names, *self._leg_names]
        try:
            self._tables = Tables(self, names, self.node.settings.version_table)
        except BadUrl as error:
            raise ConfigError(f"parameter acc.db_url: {error}") from error

    async def open(self) -> None:
        """Look at the tables."""
        if self._tables is None:
            return
        from kahea.connectors.errors import DatabaseError

        try:
            await self._tables.open()
        except DatabaseError as error:
            raise ConfigError(f"module acc: {error}") from error

    async def stop(self) -> None:
        """Write what waits."""
        if self._tables is not None:
            await self._tables.close()

    # ---- writing

    def _write_rows(self, run: Run, table: str, fixed: tuple[str, ...], legs: list[list[Value]], now: float) -> bool:
        """A row for each leg, or one."""
        assert self._tables is not None
        from kahea.connectors.errors import DatabaseError

        columns = (
            self.acc_method_column,
            self.acc_from_tag_column,
            self.acc_to_tag_column,
            self.acc_callid_column,
            self.acc_sip_code_column,
            self.acc_sip_reason_column,
        )
        row: dict[str, Any] = dict(zip(columns, fixed, strict=True))
        row[self.acc_time_column] = int(now)
        row.update(self.moment(now))
        for name, value in zip(self._db_extra.names, self._db_extra.values(run), strict=True):
            empty = None if self.acc_extra_nullable else ""
            row[name] = empty if value is None else str(value)
        name = self.node.variables.format(table).render(run)
        nothing: list[list[Value]] = [[None] * len(self._leg_names)]
        futures = [
            self._tables.put(name, row | dict(zip(self._leg_names, _texts(leg), strict=True)))
            for leg in legs or nothing
        ]
        if not can_wait():
            return True
        try:
            for future in futures:
                wait(future)
        except DatabaseError:
            return False
        return True

    def moment(self, now: float, in_line: bool = False) -> dict[str, Any]:
        """What `time_mode` adds, by name; a line of the log has the seconds already, and has no fewer digits."""
        if self.time_mode == 1:
            micros = {self.time_exten: int(now % 1 * 1_000_000)}
            return micros if in_line else {self.time_attr: int(now), **micros}
        if self.time_mode == 2:
            return {self.time_attr: f"{now:.3f}" if in_line else round(now, 3)}
        if self.time_mode == 0:
            return {}
        parts = time.localtime(now) if self.time_mode == 3 else time.gmtime(now)
        return {self.time_attr: time.strftime(self.time_format, parts)}

    # ---- functions

    @function
    def acc_log_request(self, run: Run, comment: str) -> int:
        """Account the request in the log, with `CODE reason` or a reason alone."""
        return self._request(run, comment, True, "")

    @function
    def acc_db_request(self, run: Run, comment: str, table: str) -> int:
        """Account the request in a table; -1 without a database, or if it does not take it."""
        if self._tables is None:
            self.node.log.error("acc_db_request: there is no database; db_url names one")
            return -1
        return self._request(run, comment, False, table)

    @function
    def acc_request(self, run: Run, comment: str, table: str) -> int:
        """Account the request in the log, and in a table if there is a database."""
        return self._request(run, comment, True, table if self._tables is not None else "")

    def _request(self, run: Run, comment: str, to_log: bool, table: str) -> int:
        if not run.msg.is_request:
            self.node.log.error("only requests can be accounted")
            return -1
        code = _CODE.match(comment)
        reason = comment if code is None else comment[code.end() :]
        number = "" if code is None else code[1]
        tag = text(run.msg.to.tag or b"")
        written = self._recorder.write(run, "request accounted", number, reason, tag, to_log, table)
        return 1 if written else -1


def _texts(values: list[Value]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]


MODULE = Acc
