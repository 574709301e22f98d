"""Functions of scripts in other languages, called by name: what `lua_run()` and its kin need.

A node has one script that has its routes, and beside it may have scripts in other languages, which the `load` parameter
of `app_lua` and its kin names. Those of one language are a library. It belongs to a generation, so that a transaction
keeps the functions that it began with; the engine that runs the routes is its language's library as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from kahea.routing.checks import between
from kahea.routing.generation import Generation
from kahea.routing.module import ConfigError, Module, Native, Param, RpcCommand, RpcError, function, native, rpc
from kahea.routing.run import EndRoute, Run, ScriptError

if TYPE_CHECKING:
    from kahea.routing.generation import Route
    from kahea.routing.node import Node

log = logging.getLogger("kahea.script")


#: Files of one script that are watched and kept in mind.
MOST_FILES: Final = 1000


def read_all(files: Iterable[Path]) -> bytes:
    """What files that a script loaded say, for the hash of its generation; nothing for those that are gone."""
    found = b""
    for file in files:
        with suppress(OSError):
            found += file.read_bytes()
    return found


class ScriptExit(EndRoute):
    """A script ended itself (`KSR.x.exit()`): where it was called by name, its caller goes on."""


class Library(Protocol):
    """The functions of one language's scripts."""

    source: bytes

    @property
    def files(self) -> Sequence[Path]:
        """What it was read from so far: its functions may load more."""

    def call(self, run: Run, name: str, *args: str) -> object:
        """Call a function; what it returned. Raises ScriptExit, ScriptError, and EndRoute where something that it
        called ended all."""

    def evaluate(self, run: Run, source: str, name: str) -> None:
        """Run a text of the language; `name` stands for it in errors. Raises as `call`."""


#: Makes the library of some files, or an empty one. Raises ConfigError.
LibraryFactory = Callable[["Node", Sequence[Path]], Library]


class RouteLibrary(Library, Protocol):
    """A library whose functions are routes, too: the script of a node that is in its language."""

    def route(self, name: str) -> Route | None:
        """The route that a function is, or None."""

    def event(self, callback: str, name: str) -> Route | None:
        """An event's route: a function named for it, or the callback that gets its name."""


def generation_of(node: Node, script: Path, library: RouteLibrary, language: str) -> Generation:
    """The routes of a script that was loaded, by the names that the settings give them. Raises ConfigError."""
    settings = node.settings

    def optional(name: str) -> Route | None:
        return None if name in ("", "none") else library.route(name)

    request = library.route(settings.kemi_request_route_callback)
    if request is None:
        raise ConfigError(f"{script}: there is no {settings.kemi_request_route_callback} in it")
    event = settings.kemi_event_route_callback
    return Generation(
        library.route,
        request=request,
        reply=optional(settings.kemi_reply_route_callback),
        onsend=optional(settings.kemi_onsend_route_callback),
        pre_routing=optional(settings.kemi_pre_routing_callback),
        received=optional(settings.kemi_received_route_callback),
        events=lambda name: library.event(event, name),
        source=library.source,
        files=lambda: library.files,
        language=language,
        libraries={language: library},
    )


class ScriptModule(Module):
    """Base of the modules that run scripts: `app_lua` and its kin."""

    #: The language, in the words of `cfgengine`.
    language: ClassVar[str]

    def scripts(self) -> list[Path]:
        """The files that the module's parameters name."""
        return [Path(name) for name in getattr(self, "load", ())]

    def make(self) -> Library | None:
        """The library of its scripts, anew; None without any. Raises ConfigError."""
        scripts = self.scripts()
        return self.fresh(scripts) if scripts else None

    def fresh(self, scripts: Sequence[Path] = ()) -> Library:
        """A library of its own. Raises ConfigError."""
        return self.node.languages[self.language](self.node, scripts)

    def library(self, run: Run) -> Library:
        """The library that a run calls. Raises ConfigError."""
        libraries = run.generation.libraries
        if self.language not in libraries:
            libraries[self.language] = self.fresh()
        return libraries[self.language]

    def attempt(self, work: Callable[..., object], *args: object) -> int:
        """1 where a script ends well or by its exit; -1 for an error, which is logged."""
        try:
            work(*args)
        except ScriptExit:
            pass  # as good an end as any
        except (ConfigError, ScriptError) as error:
            log.error("%s: %s", self.name, error, exc_info=error.__cause__)
            return -1
        return 1

    def run_function(self, run: Run, function: str, *args: str) -> int:
        """Call a script's function."""
        return self.attempt(lambda: self.library(run).call(run, function, *args))

    def run_text(self, run: Run, text: str) -> int:
        """Run a text where the scripts are."""
        return self.attempt(lambda: self.library(run).evaluate(run, text, f"{self.name}: text"))

    def do_text(self, run: Run, text: str, name: str = "") -> int:
        """Run a text apart from the scripts: what it leaves there, only later texts and files see."""
        return self.attempt(lambda: self._apart().evaluate(run, text, name or f"{self.name}: text"))

    def do_file(self, run: Run, path: str) -> int:
        """Run a file apart from the scripts, read anew each time."""
        try:
            text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
        except (OSError, ValueError) as error:
            log.error("%s: %s: %s", self.name, path, getattr(error, "strerror", None) or error)
            return -1
        return self.do_text(run, text, path)

    def _apart(self) -> Library:
        if not hasattr(self, "_own"):
            self._own = self.fresh()
        return self._own

    # ---- commands

    def reload_scripts(self) -> dict[str, object]:
        """Read the scripts anew; the generations before and after. Raises RpcError, and then the old ones go on."""
        reloader = self.node.reloader
        if reloader is None:
            raise RpcError(500, "this node has no script that could be reloaded")
        before = reloader.running.generation.number
        try:
            reloader.reload_language(self)
        except ConfigError as error:
            raise RpcError(500, str(error)) from error
        return {"old": before, "new": reloader.running.generation.number}

    def api_list(self) -> dict[str, object]:
        """Every function of KSR, as Kamailio lists them."""
        found = [
            {"func": {"ret": f.ret, "module": group, "name": name, "params": ", ".join(f.params) or "none"}}
            for (group, name), f in sorted(self.node.registry.functions.items())
        ]
        return {"msize": len(found), "methods": found}


class FunctionsByName(ScriptModule):
    """Base of `app_lua`, `app_jsdt` and `app_sqlang`, which have the same functions and commands: natively under the
    language's name (`lua_run`), as commands under the module's (`app_lua.reload`)."""

    time_limit = Param(
        1000,
        "How many ms of CPU time a script may take without waiting before it is stopped; 0 for any.",
        check=between(0, 3_600_000),
    )

    def natives(self) -> Iterator[Native]:
        """Under the language's name."""
        return (replace(form, name=f"{self.language}_{form.name}") for form in super().natives())

    def rpcs(self) -> Iterator[RpcCommand]:
        """Under the module's name."""
        return (replace(command, name=f"{self.name}.{command.name}") for command in super().rpcs())

    @native("str", "str", "str", "str", least=1)
    @function(name="run", params=("str",), ret="int")
    def run(self, run: Run, name: str, *args: str) -> int:
        """Call a function of the scripts; -1 for an error, or if there is none."""
        return self.run_function(run, name, *args)

    @function
    def run_p1(self, run: Run, name: str, first: str) -> int:
        """Call a function of the scripts with an argument; -1 for an error, or if there is none."""
        return self.run_function(run, name, first)

    @function
    def run_p2(self, run: Run, name: str, first: str, second: str) -> int:
        """Call a function of the scripts with two arguments; -1 for an error, or if there is none."""
        return self.run_function(run, name, first, second)

    @function
    def run_p3(self, run: Run, name: str, first: str, second: str, third: str) -> int:
        """Call a function of the scripts with three arguments; -1 for an error, or if there is none."""
        return self.run_function(run, name, first, second, third)

    @native("str")
    @function
    def runstring(self, run: Run, text: str) -> int:
        """Run a text in the scripts' language where the scripts are; -1 for an error."""
        return self.run_text(run, text)

    @native("str")
    @function
    def dostring(self, run: Run, text: str) -> int:
        """Run a text apart from the scripts, where only other such texts and files have been; -1 for an error."""
        return self.do_text(run, text)

    @native("str")
    @function
    def dofile(self, run: Run, path: str) -> int:
        """Run a file apart from the scripts, read anew each time; -1 for an error."""
        return self.do_file(run, path)

    @rpc("reload")
    def rpc_reload(self) -> dict[str, object] | None:
        """Read the scripts anew; the generations before and after."""
        return self.reload_scripts()

    @rpc("api_list")
    def rpc_api_list(self) -> dict[str, object]:
        """Every function that a script can call."""
        return self.api_list()


def returned_number(module: ScriptModule, run: Run, name: str, *args: str) -> int:
    """Call a function: the number that it returned; -1 for an error, its exit, 0, and anything else."""
    try:
        value = module.library(run).call(run, name, *args)
    except ScriptExit:
        return -1
    except (ConfigError, ScriptError) as error:
        log.error("%s: %s", module.name, error, exc_info=error.__cause__)
        return -1
    return int(value) or -1 if isinstance(value, int) else -1


__all__ = [
    "MOST_FILES",
    "FunctionsByName",
    "Library",
    "LibraryFactory",
    "ScriptExit",
    "ScriptModule",
    "read_all",
    "returned_number",
]
