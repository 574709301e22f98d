"""A Squirrel of its own: a root table, constants, and the functions that texts are compiled with."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from kahea.engines.squirrel.compiler import MAIN, Constants, compiled
from kahea.engines.squirrel.compiler.variables import RESERVED, ksr_name
from kahea.engines.squirrel.diagnostics import SyntaxFault
from kahea.engines.squirrel.runtime import arithmetic, comparison, numbers, slots
from kahea.engines.squirrel.runtime.comparison import text_of, truth
from kahea.engines.squirrel.runtime.errors import CATCHABLE, Thrown, caught, latin
from kahea.engines.squirrel.runtime.limits import Tick, checked_size
from kahea.engines.squirrel.runtime.mathematics import math_library
from kahea.engines.squirrel.runtime.parameters import checked, refused
from kahea.engines.squirrel.runtime.strings import string_library
from kahea.engines.squirrel.runtime.threads import Thread, suspend
from kahea.engines.squirrel.runtime.values import Array, Based, Bound, Generating, Table, key_of, type_name
from kahea.routing.libraries import MOST_FILES
from kahea.routing.text import text

log = logging.getLogger("kahea.script")

#: As in Kamailio 5.6.3.
VERSION: Final = "Squirrel 3.2 stable"
VERSION_NUMBER: Final = 320

_BLOCKS: Final = "it would stop the node; KSR has functions for this"
_FILES: Final = "scripts read and write no files; KSR has functions for what is kept"
_ONE: Final = "there is one machine, whose errors are logged with their trace"
#: Functions of Squirrel's libraries that are not here, by the reason.
_REFUSED: Final = {
    _BLOCKS: ("system",),
    _FILES: ("file", "blob", "remove", "rename", "writeclosuretofile", "stream", "getenv"),
    _ONE: ("seterrorhandler", "setdebughook", "enabledebuginfo", "getstackinfos", "setroottable", "setconsttable"),
    "it is C's": ("castf2i", "casti2f", "swap2", "swap4", "swapfloat"),
    "Python collects": ("collectgarbage", "resurrectunreachable"),
}


def _resume(value: Any) -> Any:
    if type(value) is not Generating:
        raise Thrown(f"trying to resume a '{type_name(value)}',only genenerator can be resumed")
    return value.resume()


def _defaulting(function: Any, defaults: tuple[Any, ...]) -> Any:
    """A function with the defaults of its last parameters."""
    if type(function) is Based:
        make = function.make
        return Based(lambda base: _defaulting(make(base), defaults))
    return FunctionType(function.__code__, function.__globals__, function.__name__, defaults, function.__closure__)


def _generator(function: Any) -> Callable[..., Generating]:
    def start(this: Any, *args: Any) -> Generating:
        return Generating(function(this, *args))

    start.generating = function  # type: ignore[attr-defined]
    return start


def _put(box: list[Any], value: Any) -> Any:
    box[0] = value
    return value


#: What compiled code names of the operations.
_OPERATIONS: Final = """
    add bits_and bits_or bits_xor change change_named clone delete divide each equal exists greater greater_or_equal
    index initialise instance_of invert joined less less_or_equal make_class make_table member modulo multiply named
    negate new_slot set_member set_named shift_left shift_right shift_right_unsigned step step_named subtract text_of
    three_way type_of
"""
#: What compiled code names, without the prefix.
_HELPERS: Final[dict[str, Any]] = {
    **{
        name: next(getattr(m, name) for m in (slots, arithmetic, comparison) if hasattr(m, name))
        for name in _OPERATIONS.split()
    },
    "Array": Array,
    "Based": Based,
    "CATCHABLE": CATCHABLE,
    "Table": Table,
    "Thrown": Thrown,
    "bind": Bound,
    "caught": caught,
    "defaulting": _defaulting,
    "generator": _generator,
    "put": _put,
    "resume": _resume,
    "type": type,
    "wrapped": numbers.wrapped,
}


class Machine:
    """Runs texts that share a root table."""

    def __init__(
        self,
        tick: Tick,
        wall: Callable[[], float] = time.time,
        ksr: Mapping[str, Callable[..., Any]] | None = None,
        kinds: Mapping[str, str] | None = None,
        directories: Sequence[Path] = (),
    ) -> None:
        """`tick` is called all the time. `ksr` has functions by their path below `KSR`, which take no `this`; `kinds`
        says what each gives. `directories` are where `dofile` looks for what the working directory has not."""
        self._wall = wall
        self._kinds = dict(kinds or {})
        self._directories = directories
        self.constants: Constants = {}
        self.root = Table()
        #: The files that were read by scripts themselves.
        self.files: list[Path] = []
        self.root.update(string_library())
        self.root.update(math_library())
        self.root.update(self._base_library())
        self._names = {f"{RESERVED}{name}": value for name, value in _HELPERS.items()}
        self._names |= {f"{RESERVED}root": self.root, f"{RESERVED}tick": tick}
        for path, function in (ksr or {}).items():
            self._names[RESERVED + ksr_name(path)] = function

    def load(self, source: bytes, file: str) -> Callable[[], Any]:
        """A text as a function that runs it. Raises SyntaxFault."""
        function = self._compiled(source.decode("latin-1"), file)
        return lambda: function(self.root)

    def _compiled(self, source: str, file: str) -> Callable[..., Any]:
        if source.startswith("\xef\xbb\xbf"):
            source = source[3:]
        code = compiled(source, file, self.constants, self._kinds)
        names = dict(self._names)
        exec(code, names)
        made: Callable[..., Any] = names[MAIN]
        return made

    # ---- the functions of every root table

    def _base_library(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "array": checked("n.", self._array),
            "assert": self._assert,
            "callee": self._callee,
            "clock": lambda _this: numbers.single(time.process_time()),
            "compilestring": checked("ss", self._compilestring),
            "date": checked("nn", self._date),
            "dofile": checked("s.", self._dofile),
            "dummy": lambda _this, *_args: None,
            "error": self._error,
            "getconsttable": self._getconsttable,
            "getroottable": lambda _this: self.root,
            "loadfile": checked("s.", self._loadfile),
            "newthread": checked("c", self._newthread),
            "print": self._print,
            "printf": checked("s", self._printf),
            "suspend": suspend,
            "time": lambda _this: int(self._wall()),
            "type": lambda _this, value: type_name(value),
            "_version_": VERSION,
            "_versionnumber_": VERSION_NUMBER,
            "_charsize_": 1,
            "_intsize_": 8,
            "_floatsize_": 4,
        }
        for why, names in _REFUSED.items():
            made |= {name: refused(name, why) for name in names}
        return made

    @staticmethod
    def _array(_this: Any, size: Any, fill: Any = None) -> Array:
        count = checked_size(numbers.to_integer(size))
        return Array([fill] * count)

    @staticmethod
    def _assert(_this: Any, value: Any, message: Any = "assertion failed") -> None:
        if not truth(value):
            raise Thrown(text_of(message))

    @staticmethod
    def _callee(_this: Any) -> Any:
        raise Thrown("callee() is not available: name the function that calls itself")

    @staticmethod
    def _print(_this: Any, value: Any) -> None:
        log.info("%s", text(text_of(value).encode("latin-1")))

    def _printf(self, _this: Any, pattern: str, *args: Any) -> None:
        self._print(None, self.root["format"](None, pattern, *args))

    @staticmethod
    def _error(_this: Any, value: Any) -> None:
        log.error("%s", text(text_of(value).encode("latin-1")))

    def _getconsttable(self, _this: Any) -> Table:
        made = Table()
        for name, value in self.constants.items():
            made[key_of(name)] = Table(value) if isinstance(value, dict) else value
        return made

    def _newthread(self, _this: Any, function: Any) -> Thread:
        return Thread(function, self.root)

    def _date(self, _this: Any, at: Any = None, form: Any = 0) -> Table:
        seconds = int(self._wall()) if at is None else numbers.to_integer(at)
        try:
            now = time.gmtime(seconds) if form == ord("u") else time.localtime(seconds)
        except (OverflowError, OSError, ValueError):
            raise Thrown("crt api failure") from None
        return Table(
            {
                "sec": now.tm_sec,
                "min": now.tm_min,
                "hour": now.tm_hour,
                "day": now.tm_mday,
                "month": now.tm_mon - 1,
                "year": now.tm_year,
                "wday": (now.tm_wday + 1) % 7,
                "yday": now.tm_yday - 1,
            }
        )

    def _compilestring(self, _this: Any, source: str, name: str = "unnamedbuffer") -> Any:
        try:
            return self._compiled(source, name)
        except SyntaxFault as error:
            raise Thrown(latin(error.message)) from error

    def _loadfile(self, _this: Any, name: str, _raise: Any = False) -> Any:
        path = self._found(text(name.encode("latin-1")))
        try:
            source = path.read_bytes()
        except (OSError, ValueError) as error:
            raise Thrown(latin(f"cannot open the file {path}: {getattr(error, 'strerror', None) or error}")) from error
        if path not in self.files and len(self.files) < MOST_FILES:
            self.files.append(path)
        try:
            return self._compiled(source.decode("latin-1"), str(path))
        except SyntaxFault as error:
            raise Thrown(latin(str(error))) from error

    def _dofile(self, this: Any, name: str, _raise: Any = False) -> Any:
        return self._loadfile(this, name)(this)

    def _found(self, name: str) -> Path:
        """Where a file is: as named, or beside the scripts."""
        places = [Path(name), *(directory / name for directory in self._directories)]
        return next((place for place in places if place.is_file()), places[0])


def frames_of(error: BaseException) -> list[tuple[str, int, str]]:
    """The scripts' own frames of an exception, the outermost first: file, line, function."""
    found = []
    at = error.__traceback__
    while at is not None:
        if f"{RESERVED}root" in at.tb_frame.f_globals:
            code = at.tb_frame.f_code
            found.append((code.co_filename, at.tb_lineno, code.co_name))
        at = at.tb_next
    return found
