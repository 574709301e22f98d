"""Accounting of transactions (Kamailio's module acc): lines in the log, and rows in a database.

A script marks a request by a flag before it relays it. The module watches the marked transactions and writes down what
becomes of them: that they were answered, that every branch of a call failed, that its 2xx was acknowledged.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.acc.extra import Extra, Legs
from kahea.modules.acc.parameters import Parameters
from kahea.routing.checks import NO_FLAG
from kahea.routing.lines import write_line
from kahea.routing.module import ConfigError, Value, function
from kahea.routing.run import EVENT_ROUTE, Run, can_wait, wait
from kahea.routing.text import text
from kahea.routing.verbosity import level_of
from kahea.sip.message import M_CANCEL, M_INVITE
from kahea.sip.status import reason as standard_reason
from kahea.tm.hooks import Watcher

if TYPE_CHECKING:
    from kahea.modules.acc.database import Tables
    from kahea.sip.message import Message
    from kahea.tm.transaction import Branch, Transaction

log = logging.getLogger("kahea.acc")

ANSWERED: Final = "transaction answered"
MISSED: Final = "call missed"
ACKNOWLEDGED: Final = "request acknowledged"
ACCOUNTED: Final = "request accounted"

#: What every line has, behind the time.
_FIXED: Final = ";method=%s;from_tag=%s;to_tag=%s;call_id=%s;code=%s;reason=%s"
_CODE: Final = re.compile(r"([1-6]\d\d)(?:\s+|$)")


class Acc(Parameters, Watcher):
    """Accounting of transactions, to the log and to SQL."""

    name = "acc"
    needs = ("tm",)

    def start(self) -> None:
        """Compile what is accounted, and watch transactions if any flag is set."""
        self.keep_defaults()
        variables = self.node.variables
        self._log_extra = Extra("log_extra", self.log_extra, variables)
        self._db_extra = Extra("db_extra", self.db_extra, variables)
        self._legs = Legs(self.multi_leg_info, variables)
        self._tables: Tables | None = None
        if self.detect_direction and self.node.module("rr") is None:
            raise ConfigError("parameter acc.detect_direction needs the module rr")
        if self.db_url:
            self._open_tables()
        self._log_bits = _bit(self.log_flag)
        self._db_bits = _bit(self.db_flag) if self.db_url else 0
        self._log_missed_bits = _bit(self.log_missed_flag)
        self._db_missed_bits = _bit(self.db_missed_flag) if self.db_url else 0
        self._failed_bits = _bit(self.failed_transaction_flag)
        self._missed_bits = self._log_missed_bits | self._db_missed_bits
        self._wanted_bits = self._log_bits | self._db_bits | self._missed_bits | _bit(self.acc_prepare_flag)
        if self._wanted_bits or self.acc_prepare_always:
            self.node.layer.on_created.append(self._created)

    def _open_tables(self) -> None:
        from kahea.connectors.errors import BadUrl
        from kahea.modules.acc.database import Tables

        names = [*self._db_extra.names, *self._legs.names]
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

    # ---- what becomes of transactions

    def _created(self, t: Transaction) -> None:
        """Watch a transaction that is marked, or may be later."""
        request = t.request
        if request.method_id == M_CANCEL and not self.report_cancels:
            return
        if request.flags & self._wanted_bits or self.acc_prepare_always:
            t.watchers = (*t.watchers, self)

    def answered(self, t: Transaction, code: int, reply: Message | None) -> None:
        """Account a final reply, and a provisional one with a body if that is wanted."""
        flags = t.request.flags
        if code >= 300:
            if not flags & self._failed_bits or code in self.failed_filter:
                return
        elif code < 200 and not (self.early_media and reply is not None and reply.body):
            return
        if flags & (self._log_bits | self._db_bits):
            table = self.db_table_acc if flags & self._db_bits else ""
            self._event(t, t.request, ANSWERED, code, reply, bool(flags & self._log_bits), table)

    def failed(self, t: Transaction, best: Branch) -> None:
        """Account a call that nobody took. The flags are for one time: a failure route may set them again."""
        request = t.request
        flags = request.flags
        if request.method_id != M_INVITE or not flags & self._missed_bits:
            return
        t.winner = best
        table = self.db_table_missed_calls if flags & self._db_missed_bits else ""
        self._event(t, request, MISSED, best.status, best.reply, bool(flags & self._log_missed_bits), table)
        request.flags &= ~self._missed_bits
        if t.saved is not None:
            t.saved.flags &= ~self._missed_bits

    def acknowledged(self, t: Transaction, ack: Message) -> None:
        """Account the ACK to a 2xx, if it is marked itself; AVPs are those of the INVITE."""
        if not self.report_ack or not ack.flags & (self._log_bits | self._db_bits):
            return
        table = self.db_table_acc if ack.flags & self._db_bits else ""
        facets, ack.facets = ack.facets, t.request.facets
        try:
            self._event(t, ack, ACKNOWLEDGED, t.status, None, bool(ack.flags & self._log_bits), table)
        finally:
            ack.facets = facets

    def _event(
        self, t: Transaction, msg: Message, what: str, code: int, reply: Message | None, to_log: bool, table: str
    ) -> None:
        """Account something of a transaction, with the Request-URI of the branch that it is about."""
        run = Run(self.node, msg, EVENT_ROUTE, "acc", t, t.winner, code)
        tag = reply.to.tag if reply is not None else msg.to.tag or t.to_tag
        uri = msg.uri
        if msg is t.request and t.winner is not None and t.winner.uri:
            msg.set_uri(t.winner.uri)
        try:
            self._write(run, what, str(code), self._reason(code, reply), text(tag or b""), to_log, table)
        finally:
            msg.set_uri(uri)

    def _reason(self, code: int, reply: Message | None) -> str:
        if reply is None:
            return text(standard_reason(code))
        if self.reason_from_hf and (header := reply.header_named(b"Reason")) is not None:
            return text(header.body)
        return text(reply.reason)

    # ---- writing

    def _write(self, run: Run, what: str, code: str, reason: str, to_tag: str, to_log: bool, table: str) -> bool:
        """Write one record to the log, and to a table if one is named (its name may have variables).

        False if the database did not take it, as far as is known without waiting; in a route it is waited for.
        """
        msg = run.msg
        from_tag = text(msg.from_.tag or b"")
        if self.detect_direction and msg.to.tag and self.node.module("rr").is_direction(run, "upstream") > 0:
            from_tag, to_tag = to_tag, from_tag
        fixed = (text(msg.method), from_tag, to_tag, text(msg.callid), code, reason)
        legs = self._legs.values(run) if self._legs.names else []
        now = self.node.wall()
        if to_log:
            self._write_line(run, what, fixed, legs, now)
        return not table or self._write_rows(run, table, fixed, legs, now)

    def _write_line(self, run: Run, what: str, fixed: tuple[str, ...], legs: list[list[Value]], now: float) -> None:
        if self.log_level > self.node.settings.debug:
            return
        moment = ""
        if self.time_mode:
            values = self._moment(now)
            if self.time_mode == 1:
                del values[self.time_attr]
            elif self.time_mode == 2:
                values[self.time_attr] = f"{now:.3f}"
            moment = "".join(f";{name}={value}" for name, value in values.items())
        line = f"timestamp={int(now)}{moment}{_FIXED % fixed}{self._log_extra.line(run)}"
        if self._legs.names:
            for leg in legs or [[None] * len(self._legs.names)]:
                pairs = zip(self._legs.names, leg, strict=True)
                line += "".join(f";{name}={'' if value is None else value}" for name, value in pairs)
        write_line(log, level_of(self.log_level), f"ACC: {what}: {line}", self.log_facility)

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
        row.update(self._moment(now))
        for name, value in zip(self._db_extra.names, self._db_extra.values(run), strict=True):
            empty = None if self.acc_extra_nullable else ""
            row[name] = empty if value is None else str(value)
        name = self.node.variables.format(table).render(run)
        nothing: list[list[Value]] = [[None] * len(self._legs.names)]
        futures = [
            self._tables.put(name, row | dict(zip(self._legs.names, _texts(leg), strict=True)))
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

    def _moment(self, now: float) -> dict[str, Any]:
        """What `time_mode` adds, by name."""
        if self.time_mode == 1:
            return {self.time_attr: int(now), self.time_exten: int(now % 1 * 1_000_000)}
        if self.time_mode == 2:
            return {self.time_attr: round(now, 3)}
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
        tag = text(run.msg.to.tag or b"")
        written = self._write(run, ACCOUNTED, "" if code is None else code[1], reason, tag, to_log, table)
        return 1 if written else -1


def _bit(flag: int) -> int:
    return 0 if flag == NO_FLAG else 1 << flag


def _texts(values: list[Value]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]


MODULE = Acc
