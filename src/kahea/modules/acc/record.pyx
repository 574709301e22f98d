# cython: language_level=3
"""Records of accounting, each a line in the log and a row in a table. Compiled since every accounted call has two."""

from cpython.unicode cimport PyUnicode_DecodeUTF8

import logging

from kahea.routing.dispatch cimport Dispatcher, Run
from kahea.sip.message cimport Message
from kahea.sip.values cimport AddrSpan

from kahea.routing.lines import write_line
from kahea.routing.verbosity import level_of

log = logging.getLogger("kahea.acc")


cdef class Recorder:
    """Writes records as the parameters of module `acc` say, with what is `extra` in a line and the `legs` of a call.

    `rows(run, table, fixed, legs, now)` writes to a table.
    """

    def __init__(self, acc, extra, legs, rows):
        self.node = acc.node
        self.direction = acc.node.module("rr").is_direction if acc.detect_direction else None
        self.moment = acc.moment if acc.time_mode else None
        self.by_second = acc.time_mode >= 3
        self.second = -1
        self.level = acc.log_level
        self.log_level = level_of(acc.log_level)
        self.facility = acc.log_facility
        self.extra = tuple([part for name, get in extra.getters() for part in (f";{name}=", get)])
        self.legs = legs if legs.names else None
        self.rows = rows

    cpdef bint write(self, Run run, str what, str code, str reason, str to_tag, bint to_log, str table) except -1:
        """Write one record to the log, and to a table if one is named (its name may have variables).

        False if the database did not take it, as far as is known without waiting; in a route it is waited for.
        """
        cdef Message msg = run.msg
        cdef AddrSpan* party = msg.from_addr()
        cdef str from_tag = ""
        cdef double now = self.node._wall()
        if party.tag >= 0:
            from_tag = PyUnicode_DecodeUTF8(<const char*>msg.p + party.tag, party.tag_len, "surrogateescape")
        if self.direction is not None and msg.to_addr().tag_len > 0 and self.direction(run, "upstream") > 0:
            from_tag, to_tag = to_tag, from_tag
        method = msg.get_method().decode("utf-8", "surrogateescape")
        call_id = msg.get_callid().decode("utf-8", "surrogateescape")
        fixed = (method, from_tag, to_tag, call_id, code, reason)
        legs = None if self.legs is None else self.legs.values(run)
        if to_log and self.level <= <int>self.node.settings.debug:
            self.line(run, what, fixed, legs, now)
        return not table or self.rows(run, table, fixed, legs or [], now)

    cdef str timestamp(self, double now):
        """What `time_mode` adds to a line."""
        cdef long long second = <long long>now
        if self.moment is None:
            return ""
        if not self.by_second or second != self.second:
            self.shown = "".join([f";{name}={value}" for name, value in self.moment(now, True).items()])
            self.second = second
        return self.shown

    cdef int line(self, Run run, str what, tuple fixed, object legs, double now) except -1:
        """Write a line."""
        cdef str method, from_tag, to_tag, call_id, code, reason
        cdef list parts
        method, from_tag, to_tag, call_id, code, reason = fixed
        parts = [
            f"ACC: {what}: timestamp={<long long>now}{self.timestamp(now)};method={method};from_tag={from_tag}"
            f";to_tag={to_tag};call_id={call_id};code={code};reason={reason}"
        ]
        for part in self.extra:
            if type(part) is not str:
                part = part(run)
                part = "" if part is None else str(part)
            parts.append(part)
        if self.legs is not None:
            for leg in legs or [[None] * len(self.legs.names)]:
                for name, value in zip(self.legs.names, leg):
                    parts.append(f";{name}={'' if value is None else value}")
        write_line(log, self.log_level, "".join(parts), self.facility)
        return 0
