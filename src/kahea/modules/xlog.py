"""Log lines with variables in them, written by scripts.

A line shows when its level is not above the global parameter `debug`; one that does not is not evaluated. It
goes to the logger of scripts, with a record attribute `facility` where the script or a parameter names one,
for a handler that writes to syslog.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from kahea.routing import facilities
from kahea.routing.common import Level
from kahea.routing.lines import write_line
from kahea.routing.module import Module, Param, Value, function, native, variable
from kahea.routing.place import script_place
from kahea.routing.pv.errors import PvError
from kahea.routing.verbosity import BY_LETTER, named_level

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.pv.format import Format
    from kahea.routing.run import Run

L_ALERT, L_BUG, L_CRIT, L_ERR, L_WARN, L_NOTICE, L_INFO, L_DBG = -5, -4, -2, -1, 0, 1, 2, 3

_NOTICE = 25  # between logging.INFO and logging.WARNING
_PYTHON_LEVELS = {L_WARN: logging.WARNING, L_NOTICE: _NOTICE, L_INFO: logging.INFO, L_DBG: logging.DEBUG}

_COLOURS = "srgybpcw"  # black, red, green, yellow, blue, purple, cyan, white, as the terminal counts them
_RESET = "\x1b[0m"


def escape(colours: str) -> str | None:
    """The terminal's sequence for a foreground and a background of `$C(xy)`, None for what is none.

    `x` is the terminal's own colour; a foreground in upper case is bright.
    """
    if len(colours) != 2:
        return None
    front, back = colours[0], colours[1]
    number = _COLOURS.find(front.lower())
    ground = _COLOURS.find(back)
    if (number < 0 and front != "x") or (ground < 0 and back != "x"):
        return None
    bright = 1 if front.isupper() else 0
    return f"\x1b[{bright};{30 + (9 if front == 'x' else number)};{40 + (9 if back == 'x' else ground)}m"


def _colours(value: str) -> dict[int, str]:
    """`L_ERR=cr;L_WARN=px` as escape sequences by level."""
    found: dict[int, str] = {}
    for part in filter(None, (p.strip() for p in value.split(";"))):
        name, equals, colours = part.partition("=")
        level = BY_LETTER.get(name.strip()[2:3]) if name.strip().startswith("L_") else None
        sequence = escape(colours.strip())
        if not equals or level is None or sequence is None:
            raise ValueError(f"{part!r} is not `L_LEVEL=xy`")
        found[level] = sequence
    return found


def _positive(value: int) -> int:
    if value < 1:
        raise ValueError("must be positive")
    return value


def log_level(node: Node, text: str) -> int | Pv:
    """A level: `L_INFO` and its kin, or a variable. Raises ValueError."""
    if text.startswith("$"):
        try:
            return node.variables.compile(text)
        except PvError as error:
            raise ValueError(str(error)) from None
    return named_level(text)


def facility(node: Node, text: str) -> str:
    """A syslog facility. Raises ValueError."""
    return facilities.facility(text)


def _native_line(name: str, level: int) -> Callable[[Xlog, Run, Format], int]:
    """The native function that writes lines of one level."""

    def write(self: Xlog, run: Run, line: Format) -> int:
        return self._emit(run, level, line)

    write.__doc__ = f"Write a line of level {level}."
    return native("format", name=name)(write)


class Xlog(Module):
    """Log lines with variables in them."""

    name = "xlog"
    auto_newline = Param(0, "End each line with a line feed. Lines are records here, and always end.")
    buf_size = Param(4096, "Characters that a line with variables may have; the rest is cut.", check=_positive)
    force_color = Param(0, "Let $C have a value even if the log goes to no terminal.")
    log_colors: Param[list[dict[int, str]]] = Param(
        [],
        "Colours of lines by level, where log_color is on: `L_ERR=cr;L_WARN=px`.",
        many=True,
        check=_colours,
    )
    log_facility = Param("", "The syslog facility of lines, as the log record's attribute.", check=facilities.facility)
    long_format = Param(0, "Let xlogl() and xdbgl() name the file before the line number.")
    methods_filter = Param(-1, "Methods that xlogm() passes over: a sum of the numbers of their bits.", runtime=True)
    prefix = Param("<script>: ", "What each line begins with.")
    prefix_mode = Param(0, "1: the prefix has variables, and is evaluated for each line.")

    def compiled(self) -> Mapping[str, Callable[..., int]]:
        """Lines that do not show cost a look at the level."""
        levels = {"xdbg": L_DBG, "xinfo": L_INFO, "xnotice": L_NOTICE}
        names = [(prefix + name, level) for prefix in ("", "native_") for name, level in levels.items()]
        return {name: Level(self.node, level, getattr(self, name)).line for name, level in names}

    def start(self) -> None:
        """Settle what does not change while running."""
        self._terminal = bool(self.force_color) or sys.stderr.isatty()
        self._colours: dict[int, str] = {}
        for found in self.log_colors:
            self._colours.update(found)

    @function
    def xlog(self, run: Run, level: str, line: str) -> int:
        """Write a line with a level such as `L_INFO`, anything else being `L_ERR`; -1 for a bad variable."""
        return self._write(run, _level(level), line)

    @function
    def xlog_facility(self, run: Run, facility: str, level: str, line: str) -> int:
        """As `xlog`, with a syslog facility such as `LOG_LOCAL3`; -1 for one that does not exist."""
        try:
            return self._write(run, _level(level), line, facilities.facility(facility))
        except ValueError as error:
            self.node.log.error("xlog_facility: %s", error)
            return -1

    @function
    def xdbg(self, run: Run, line: str) -> int:
        """Write a line for debugging."""
        return self._write(run, L_DBG, line)

    @function
    def xinfo(self, run: Run, line: str) -> int:
        """Write an informational line."""
        return self._write(run, L_INFO, line)

    @function
    def xnotice(self, run: Run, line: str) -> int:
        """Write a line of note."""
        return self._write(run, L_NOTICE, line)

    @function
    def xwarn(self, run: Run, line: str) -> int:
        """Write a warning."""
        return self._write(run, L_WARN, line)

    @function
    def xerr(self, run: Run, line: str) -> int:
        """Write an error."""
        return self._write(run, L_ERR, line)

    @function
    def xcrit(self, run: Run, line: str) -> int:
        """Write a critical error."""
        return self._write(run, L_CRIT, line)

    @function
    def xalert(self, run: Run, line: str) -> int:
        """Write an alert."""
        return self._write(run, L_ALERT, line)

    def _write(self, run: Run, level: int, line: str, facility: str = "") -> int:
        if level > self.node.settings.debug:
            return 1
        try:
            return self._emit(run, level, self.node.variables.format(line), facility)
        except PvError as error:
            self.node.log.error("xlog: %s", error)
            return -1

    def _emit(self, run: Run, level: int, line: Format, facility: str = "", place: str = "") -> int:
        """Write a line if its level shows. Raises PvError for a prefix that is no format."""
        if level > self.node.settings.debug:
            return 1
        prefix = self.node.variables.format(self.prefix).render(run) if self.prefix_mode else self.prefix
        shown = line.render(run)
        if not line.constant:
            shown = shown[: self.buf_size]
        whole = prefix + place + shown.rstrip("\n")
        if self._colours and self.node.settings.log_color and level in self._colours:
            whole = self._colours[level] + whole + _RESET
        number = _PYTHON_LEVELS.get(level, _above(level))
        write_line(self.node.log, number, whole, facility or self.log_facility)
        return 1

    # The native language, whose lines are compiled when the cfg is loaded

    def _leveled(self, run: Run, level: int | Pv, line: Format, facility: str = "", place: str = "") -> int:
        if not isinstance(level, int):
            value = level.get(run)
            if not isinstance(value, int) or not L_ALERT <= value <= L_DBG:
                self.node.log.error("xlog: %s is %r, and no level", level.text, value)
                return -1
            level = value
        return self._emit(run, level, line, facility, place)

    def _place(self) -> str:
        file, line = script_place()
        return f"{file}:{line}:" if self.long_format else f"{line}:"

    @native("format", name="xlog")
    def log_error(self, run: Run, line: Format) -> int:
        """Write a line with the level of an error."""
        return self._emit(run, L_ERR, line)

    @native(log_level, "format", name="xlog")
    def log_leveled(self, run: Run, level: int | Pv, line: Format) -> int:
        """Write a line with a level, which may be in a variable; -1 for a number that is none."""
        return self._leveled(run, level, line)

    @native(facility, log_level, "format", name="xlog")
    def log_to(self, run: Run, facility: str, level: int | Pv, line: Format) -> int:
        """Write a line with a syslog facility and a level."""
        return self._leveled(run, level, line, facility)

    @native("format", name="xlogl")
    def log_error_at(self, run: Run, line: Format) -> int:
        """As xlog(), with the number of the script's line."""
        return self._emit(run, L_ERR, line, "", self._place())

    @native(log_level, "format", name="xlogl")
    def log_leveled_at(self, run: Run, level: int | Pv, line: Format) -> int:
        """As xlog(), with the number of the script's line."""
        return self._leveled(run, level, line, "", self._place())

    @native(facility, log_level, "format", name="xlogl")
    def log_to_at(self, run: Run, facility: str, level: int | Pv, line: Format) -> int:
        """As xlog(), with the number of the script's line."""
        return self._leveled(run, level, line, facility, self._place())

    @native("format")
    def xdbgl(self, run: Run, line: Format) -> int:
        """As xdbg(), with the number of the script's line."""
        if self.node.settings.debug < L_DBG:
            return 1
        return self._emit(run, L_DBG, line, "", self._place())

    @native(log_level, "format")
    def xlogm(self, run: Run, level: int | Pv, line: Format) -> int:
        """As xlog(), but for messages whose method is of `methods_filter`: 1 for those, and nothing is written."""
        if run.msg.method_id & self.methods_filter:
            return 1
        return self._leveled(run, level, line)

    native_xdbg = _native_line("xdbg", L_DBG)
    native_xinfo = _native_line("xinfo", L_INFO)
    native_xnotice = _native_line("xnotice", L_NOTICE)
    native_xwarn = _native_line("xwarn", L_WARN)
    native_xerr = _native_line("xerr", L_ERR)
    native_xcrit = _native_line("xcrit", L_CRIT)
    native_xbug = _native_line("xbug", L_BUG)
    native_xalert = _native_line("xalert", L_ALERT)

    @variable("C", takes_name=True)
    def colour(self, run: Run, name: str, index: object) -> Value:
        """The terminal's sequence for a foreground and a background; null if the log goes to no terminal."""
        return escape(name) if self._terminal else None


def _level(name: str) -> int:
    return BY_LETTER.get(name[2:3], L_ERR) if name.startswith("L_") else L_ERR


def _above(level: int) -> int:
    return logging.ERROR if level == L_ERR else logging.CRITICAL if level < L_ERR else logging.DEBUG


MODULE = Xlog
