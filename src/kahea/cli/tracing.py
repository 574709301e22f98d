"""`kahea run --trace FILTER`: each line of the script that chosen messages pass, with the values that it took.

A filter is `all`, or conditions with commas between them, all of which must hold: `callid=TEXT` (what the Call-ID has
in it), `method=INVITE` (of a reply, its request's), `src=ADDRESS` (an address or network, with `:port` if wanted).
"""

from __future__ import annotations

import linecache
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, TextIO

from kahea.routing.module import ConfigError, Value
from kahea.routing.run import Run
from kahea.routing.text import text
from kahea.routing.tracing import Step, Tracer
from kahea.sip.errors import ParseError

#: Where a run keeps the statement that is under way.
_UNDER_WAY: Final = "trace.line"
_LONGEST: Final = 120  # characters of a value


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs are traced; what is None holds for all."""

    callid: str | None = None
    method: str | None = None
    source: IPv4Network | IPv6Network | None = None
    port: int | None = None

    def wants(self, run: Run) -> bool:
        """Whether the run's message passes."""
        msg = run.msg
        try:
            return (
                (self.callid is None or self.callid in text(msg.callid))
                and (self.method is None or self.method == text(msg.method if msg.is_request else msg.cseq_method))
                and (self.source is None or ip_address(msg.src_ip.decode()) in self.source)
                and (self.port is None or self.port == msg.src_port)
            )
        except ParseError:
            return False


def parse_filter(given: str) -> Filter:
    """Raises ConfigError."""
    if given in ("", "all"):
        return Filter()
    callid = method = source = port = None
    for part in given.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or not value:
            raise ConfigError(f"--trace: {part.strip()!r} is not callid=TEXT, method=NAME or src=ADDRESS")
        if name == "callid":
            callid = value
        elif name == "method":
            method = value.upper()
        elif name == "src":
            source, port = _source(value)
        else:
            raise ConfigError(f"--trace: there is no filter {name!r}, but callid, method and src")
    return Filter(callid, method, source, port)


def _source(value: str) -> tuple[IPv4Network | IPv6Network, int | None]:
    host, port = value, None
    if value.count(":") == 1 or value.startswith("["):
        host, _, digits = value.rpartition(":") if not value.endswith("]") else (value, "", "")
        if digits:
            if not digits.isdigit():
                raise ConfigError(f"--trace: {digits!r} is no port")
            port = int(digits)
    try:
        return ip_network(host.strip("[]"), strict=False), port
    except ValueError:
        raise ConfigError(f"--trace: {host!r} is no address") from None


@dataclass(slots=True)
class _Line:
    """A statement that is under way: what will be printed of it, and the step whose outcome is not known yet."""

    text: str
    notes: list[str]
    step: Step


class Trace:
    """Prints the steps of the runs that a filter wants, each with the values that it took and what came of it."""

    def __init__(self, wanted: Filter, out: TextIO) -> None:
        self._wanted = wanted
        self._out = out
        self._last: object = None

    def watch(self, tracer: Tracer) -> None:
        """Begin."""
        tracer.on_step.append(self.on_step)
        tracer.on_end.append(self.on_end)

    def on_step(self, run: Run, step: Step) -> None:
        """What came of the step before is known now."""
        if not self._wanted.wants(run):
            return
        line = run.state.get(_UNDER_WAY)
        before = line.step if isinstance(line, _Line) else None
        if isinstance(line, _Line) and step.inside:
            self._settle(run, line)
            line.step = step
            return
        self._print(run)
        values = [f"{pv.text}={shown(pv.get(run))}" for pv in step.reads]
        run.state[_UNDER_WAY] = _Line(_shown(step, before), values, step)
        if step.action == "route":
            self._print(run)

    def on_end(self, run: Run, _route: str) -> None:
        """A route ended, with it its last step."""
        if self._wanted.wants(run):
            self._print(run)
            self._out.flush()

    def _settle(self, run: Run, line: _Line) -> None:
        """Note what came of a step."""
        step = line.step
        if step.writes is not None:
            line.notes.append(f"{step.writes.text}={shown(step.writes.get(run))}")
        elif step.leaves_code:
            line.notes.append(f"{step.action}() -> {run.rc}")

    def _print(self, run: Run) -> None:
        line = run.state.pop(_UNDER_WAY, None)
        if not isinstance(line, _Line):
            return
        self._head(run)
        self._settle(run, line)
        notes = f"    # {', '.join(line.notes)}" if line.notes else ""
        self._out.write(f"  {line.text}{notes}\n")

    def _head(self, run: Run) -> None:
        """Which message it is, where another one was printed before."""
        msg = run.msg
        key = (msg.id, run.kind, run.name, id(run))
        if key == self._last:
            return
        self._last = key
        linecache.checkcache()  # a reload may have read other lines
        what = text(msg.method) if msg.is_request else f"{msg.status} of {text(msg.cseq_method)}"
        where = f"{text(msg.src_ip)}:{msg.src_port}"
        self._out.write(f"{what} from {where}, Call-ID {text(msg.callid)}, {run.where()}\n")


def _shown(step: Step, before: Step | None) -> str:
    """A step's place and line; of one on the same line as that before, what it does."""
    again = before is not None and (before.file, before.line) == (step.file, step.line)
    what = step.action if again else linecache.getline(step.file, step.line).strip()
    return f"{Path(step.file).name}:{step.line:<5} {step.route:<24} {what}"


def shown(value: Value) -> str:
    """A value as a cfg would write it, cut where it is long."""
    if value is None:
        return "$null"
    if isinstance(value, int):
        return str(int(value))
    cut = value if len(value) <= _LONGEST else value[:_LONGEST] + "..."
    return '"' + cut.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n") + '"'
