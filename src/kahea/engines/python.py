"""KEMI scripts in Python, as Kamailio's `app_python3` and `app_python3s` run them.

A script is a Python file that imports `KSR`. Either its `mod_init()` returns an object whose methods are the routes
(`ksr_request_route(self, msg)`), or the routes are plain functions (`ksr_request_route()`). A route ends by returning,
or at once by `exit()`; -255 as its value means the same.
"""

from __future__ import annotations

import inspect
import logging
import sys
import traceback
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kahea.routing.dispatch import Method, View
from kahea.routing.generation import Generation, Route, event_message
from kahea.routing.module import ConfigError
from kahea.routing.registry import explain
from kahea.routing.run import EVENT_ROUTE, Run, current
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


class PythonEngine:
    """Loads one script for one node; `load` may be called again to read it anew."""

    def __init__(self, node: Node, script: Path) -> None:
        self.node = node
        self.script = script
        self.ksr = node.registry.ksr()

    def load(self) -> Generation:
        """Run the script's file and find its routes. Raises ConfigError; what ran before is untouched."""
        try:
            source = self.script.read_bytes()
        except OSError as error:
            raise ConfigError(f"{self.script}: {error.strerror}") from error
        try:
            code = compile(source, str(self.script), "exec")
        except (SyntaxError, ValueError) as error:
            raise ConfigError(_syntax(self.script, error)) from error
        handler = self._start(code)
        settings = self.node.settings
        request = self._route(handler, settings.kemi_request_route_callback)
        if request is None:
            raise ConfigError(f"{self.script}: there is no {settings.kemi_request_route_callback} in it")
        return Generation(
            lambda name: self._route(handler, name),
            request=request,
            reply=self._optional(handler, settings.kemi_reply_route_callback),
            onsend=self._optional(handler, settings.kemi_onsend_route_callback),
            pre_routing=self._optional(handler, settings.kemi_pre_routing_callback),
            received=self._optional(handler, settings.kemi_received_route_callback),
            events=lambda name: self._event(handler, name),
            source=source,
            files=(self.script,),
            close=lambda: sys.modules.pop(self._name(handler), None),
        )

    @staticmethod
    def _name(handler: object) -> str:
        """The name that the script's module has among Python's."""
        return handler.__name__ if isinstance(handler, ModuleType) else type(handler).__module__

    def _start(self, code: Any) -> object:
        """Execute the file, `mod_init` and `child_init`; the object that has the routes."""
        module = ModuleType(f"kahea_script_{next(_numbers)}")
        module.__file__ = str(self.script)
        paths = [str(self.script.parent), *self.node.configuration.python.path]
        sys.path[:0] = [p for p in paths if p not in sys.path]
        sys.modules["KSR"] = self.ksr
        sys.modules[module.__name__] = module
        run = Run(self.node, event_message(), EVENT_ROUTE, "mod_init")
        saved, current.run = current.run, run
        handler: object = module
        try:
            exec(code, vars(module))
            init = vars(module).get("mod_init")
            if init is not None:
                made = init()
                if hasattr(made, self.node.settings.kemi_request_route_callback):
                    handler = made
            child_init = getattr(handler, "child_init", None)
            if child_init is not None and (code := _accepts(child_init, FIRST_WORKER)(FIRST_WORKER)) not in (
                0,
                None,
            ):
                raise ConfigError(f"{self.script}: child_init returned {code!r}")
        except ConfigError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(_trace(self.script, error)) from error
        finally:
            current.run = saved
        return handler

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
