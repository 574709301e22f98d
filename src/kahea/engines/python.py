"""KEMI scripts in Python, as Kamailio's `app_python3` and `app_python3s` run them.

A script is a Python file that imports `KSR`. Either its `mod_init()` returns an object whose methods are the routes
(`ksr_request_route(self, msg)`), or the routes are plain functions (`ksr_request_route()`). A route ends by returning,
or at once by `exit()`; -255 as its value means the same.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import PathEntryFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from kahea.routing.dispatch import Method, View
from kahea.routing.generation import Generation, Route, event_message
from kahea.routing.libraries import ScriptExit, read_all
from kahea.routing.module import ConfigError
from kahea.routing.registry import explain
from kahea.routing.run import EVENT_ROUTE, Run, ScriptError, current
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.script")

_numbers = count(1)

#: What app_python3 tells child_init: the first SIP worker.
FIRST_WORKER = 1


class ScriptMessage(View):
    """The `msg` argument of app_python3's routes."""

    __slots__ = ()

    @property
    def Type(self) -> str:
        """`SIP_REQUEST` or `SIP_REPLY`."""
        return "SIP_REQUEST" if self._run.msg.is_request else "SIP_REPLY"

    @property
    def Method(self) -> str | None:
        """The method of a request."""
        return text(self._run.msg.method) if self._run.msg.is_request else None

    @property
    def Status(self) -> str | None:
        """The status line of a reply."""
        msg = self._run.msg
        return None if msg.is_request else f"{msg.status} {text(msg.reason)}"

    @property
    def RURI(self) -> str | None:
        """The current Request-URI."""
        return text(self._run.msg.uri) if self._run.msg.is_request else None

    @property
    def src_address(self) -> tuple[str, int]:
        """Where the message came from."""
        return self._run.msg.src_ip.decode(), self._run.msg.src_port

    @property
    def dst_address(self) -> tuple[str, int]:
        """Where it arrived."""
        return self._run.msg.dst_ip.decode(), self._run.msg.dst_port

    def getHeader(self, name: str) -> str | None:
        """The body of the first header of that name."""
        header = self._run.msg.header_named(wire(name))
        return None if header is None else text(header.body)

    def rewrite_ruri(self, uri: str) -> bool:
        """Set the Request-URI."""
        self._run.msg.set_uri(wire(uri))
        return True

    def set_dst_uri(self, uri: str) -> bool:
        """Set the destination URI."""
        self._run.msg.dst_uri = wire(uri)
        return True

    def call_function(self, name: str, *args: Any) -> Any:
        """Call an exported function by its name alone."""
        return sys.modules["KSR"].x.modf(name, *args)


def _message(run: Run) -> ScriptMessage:
    made = ScriptMessage()
    made._run = run
    return made


class PythonScript:
    """A script that was read, executed and initialised: `handler` is the object that has its functions."""

    def __init__(self, node: Node, path: Path, options: Options) -> None:
        """Raises ConfigError; what ran before is untouched."""
        self.path = path
        try:
            self.source = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        try:
            code = compile(self.source, str(path), "exec")
        except (SyntaxError, ValueError) as error:
            raise ConfigError(_syntax(path, error)) from error
        self.module = ModuleType(f"kahea_script_{next(_numbers)}")
        self.module.__file__ = str(path)
        directories = [str(path.parent), *node.configuration.python.path]
        sys.path[:] = [*directories, *(d for d in sys.path if d not in directories)]
        sys.modules["KSR"] = ksr_of(node)
        sys.modules[self.module.__name__] = self.module
        run = Run(node, event_message(), EVENT_ROUTE, "mod_init")
        saved, current.run = current.run, run
        with _fresh_imports(directories):
            try:
                self.handler = self._start(code, options)
            except ConfigError:
                raise
            except (Exception, SystemExit) as error:
                raise ConfigError(_trace(path, error)) from error
            finally:
                current.run = saved
        self.source += read_all(self.files[1:])

    @property
    def files(self) -> list[Path]:
        """The script, and what it has imported so far."""
        return [self.path, *(Path(str(module.__file__)) for module in _imported().values())]

    def _start(self, code: Any, options: Options) -> object:
        exec(code, vars(self.module))
        handler: object = self.module
        init = vars(self.module).get(options.init)
        if init is not None:
            made = init()
            # app_python3 takes whatever object it returns; a script of functions may return a number.
            if made is not None and not isinstance(made, (int, str)):
                handler = made
        child_init = getattr(handler, options.child_init, None)
        if child_init is not None and (code := _accepts(child_init, FIRST_WORKER)(FIRST_WORKER)) not in (0, None):
            raise ConfigError(f"{self.path}: {options.child_init} returned {code!r}")
        return handler

    def close(self) -> None:
        """Nothing will look the script's module up any more."""
        sys.modules.pop(self.module.__name__, None)


@dataclass(frozen=True, slots=True)
class Options:
    """The functions that a script is started by."""

    init: str = "mod_init"
    child_init: str = "child_init"

    @classmethod
    def of(cls, node: Node) -> Options:
        """As the module says that the configuration names."""
        for name in ("app_python3", "app_python3s"):
            module = node.module(name)
            if module is not None and node.asked_for(name):
                return cls(module.mod_init_function, module.child_init_method)
        return cls()


_ksr: WeakKeyDictionary[Node, ModuleType] = WeakKeyDictionary()


def ksr_of(node: Node) -> ModuleType:
    """The `KSR` that a node's scripts import."""
    if node not in _ksr:
        _ksr[node] = node.registry.ksr()
    return _ksr[node]


#: Where scripts import from, of any node: directories with a slash at the end.
_roots: set[str] = set()


def _imported() -> dict[str, ModuleType]:
    """The modules that came from scripts' directories."""
    roots = tuple(_roots)
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or not file.startswith(roots) or "/site-packages/" in file:
            continue
        if not name.startswith(("kahea_script_", "kahea.", "__main__")):
            found[name] = module
    return found


class _Source(SourceFileLoader):
    """Compiles each time: Python tells what it cached of a module from the source by size and whole seconds alone, and
    an edit may leave both the same."""

    def get_code(self, fullname: str) -> CodeType:
        """The module's code. Raises ImportError."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


_find = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (_Source, SOURCE_SUFFIXES))


def _finder(directory: str) -> PathEntryFinder:
    """Finds modules in a script's directory."""
    if not f"{directory}/".startswith(tuple(_roots)) or "/site-packages" in directory:
        raise ImportError("it is not a script's")
    return _find(directory)


@contextlib.contextmanager
def _fresh_imports(directories: list[str]) -> Iterator[None]:
    """Within, modules from scripts' directories are imported anew, those of other scripts with the same names included;
    after an error, they are as before."""
    _roots.update(f"{path}/" for d in directories for path in (Path(d), Path(d).resolve()))
    if _finder not in sys.path_hooks:
        sys.path_hooks.insert(0, _finder)
    for directory in [d for d in sys.path_importer_cache if f"{d}/".startswith(tuple(_roots))]:
        del sys.path_importer_cache[directory]
    before = _imported()
    for name in before:
        del sys.modules[name]
    try:
        yield
    except BaseException:
        for name in _imported():
            del sys.modules[name]
        sys.modules.update(before)
        raise


class PythonLibrary:
    """The functions of Python scripts, called by name."""

    def __init__(self, node: Node, paths: Sequence[Path], ready: PythonScript | None = None) -> None:
        """`ready` is a script that was loaded already. Raises ConfigError."""
        options = Options.of(node)
        loaded = [PythonScript(node, path, options) for path in paths if ready is None or path != ready.path]
        self._scripts = [*loaded, ready] if ready is not None else loaded
        self._texts = ModuleType("kahea_texts")
        vars(self._texts)["KSR"] = ksr_of(node)
        self.source = b"".join(script.source for script in self._scripts)

    @property
    def files(self) -> list[Path]:
        """What the scripts were read from so far."""
        return [file for script in self._scripts for file in script.files]

    def call(self, run: Run, name: str, *args: str) -> object:
        """Call a function or method; what it returned. Raises ScriptExit, EndRoute, ScriptError."""
        for script in reversed(self._scripts):
            function = getattr(script.handler, name, None)
            if callable(function):
                given = (_message(run), *args) if _positional(function) else args
                return self._guarded(f"{script.path}: {name}", function, *given)
        raise ScriptError(f"there is no function {name} in the script")

    def evaluate(self, run: Run, source: str, name: str) -> None:  # noqa: ARG002 - the run is the one in progress
        """Execute statements where the script is. Raises as `call`."""
        scope = vars(self._scripts[-1].module if self._scripts else self._texts)
        self._guarded(name, lambda: exec(compile(source, name, "exec"), scope))

    @staticmethod
    def _guarded(where: str, work: Callable[..., object], *args: Any) -> object:
        try:
            return work(*args)
        except SystemExit:
            raise ScriptExit from None
        except Exception as error:
            raise ScriptError(f"{where}: {type(error).__name__}: {error}") from error


class PythonEngine:
    """Loads one script for one node; `load` may be called again to read it anew."""

    def __init__(self, node: Node, script: Path) -> None:
        self.node = node
        self.script = script

    def load(self) -> Generation:
        """Run the script's file and find its routes. Raises ConfigError; what ran before is untouched."""
        script = PythonScript(self.node, self.script, Options.of(self.node))
        handler = script.handler
        settings = self.node.settings
        request = self._route(handler, settings.kemi_request_route_callback)
        if request is None:
            raise ConfigError(f"{self.script}: there is no {settings.kemi_request_route_callback} in it")
        library = PythonLibrary(self.node, (), script)
        return Generation(
            lambda name: self._route(handler, name),
            request=request,
            reply=self._optional(handler, settings.kemi_reply_route_callback),
            onsend=self._optional(handler, settings.kemi_onsend_route_callback),
            pre_routing=self._optional(handler, settings.kemi_pre_routing_callback),
            received=self._optional(handler, settings.kemi_received_route_callback),
            events=lambda name: self._event(handler, name),
            source=script.source,
            files=lambda: script.files,
            close=script.close,
            language="python",
            libraries={"python": library},
        )

    def _optional(self, handler: object, name: str) -> Route | None:
        return None if name in ("", "none") else self._route(handler, name)

    def _event(self, handler: object, name: str) -> Route | None:
        """An event route: `event_route_callback` gets the event's name; or a function of a name made from it, such as
        `ksr_event_tm_local_request` for `tm:local-request`."""
        own = getattr(handler, "ksr_event_" + name.replace(":", "_").replace("-", "_"), None)
        if callable(own):
            return self._wrap(own)
        callback = self.node.settings.kemi_event_route_callback
        function = getattr(handler, callback, None) if callback else None
        if not callable(function):
            return None
        return lambda run: function(_message(run), name)

    def _route(self, handler: object, name: str) -> Route | None:
        function = getattr(handler, name, None)
        return self._wrap(function) if callable(function) else None

    @staticmethod
    def _wrap(function: Callable[..., object]) -> Route:
        wanted = _positional(function)
        if wanted == 0:
            return Method(function)
        if wanted == 1:
            return Method(function, ScriptMessage)
        return lambda run: function(_message(run), run.name)


def _positional(function: Callable[..., object]) -> int:
    """How many arguments a route takes: none (app_python3s), the message, or also the event's name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)


def _accepts(function: Callable[..., Any], *_args: object) -> Callable[..., Any]:
    return function if _positional(function) else lambda *_: function()


def _syntax(script: Path, error: SyntaxError | ValueError) -> str:
    if not isinstance(error, SyntaxError):
        return f"{script}: {error}"
    where = f"{error.filename}:{error.lineno}:{error.offset}"
    line = (error.text or "").rstrip("\n")
    caret = " " * max((error.offset or 1) - 1, 0) + "^"
    return f"{where}: {error.msg}\n  {line}\n  {caret}"


def _trace(script: Path, error: BaseException) -> str:
    """The last frame of the script itself, then the whole traceback."""
    explain(error)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(script)]
    where = f"{script}:{frames[-1].lineno}" if frames else str(script)
    text_ = "".join(traceback.format_exception(error)).rstrip()
    return f"{where}: {type(error).__name__}: {error}\n{text_}"
