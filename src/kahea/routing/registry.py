"""The modules of a node, in order of dependence, and the one table of functions that every language is given.

`KSR` for Python is made here too: plain module objects whose functions take the run in progress by themselves, check
and convert their arguments, and turn a malformed message into the function's error value (`caller.pyx`).
"""

from __future__ import annotations

import difflib
import importlib
import logging
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from kahea.routing.caller import caller as compiled_caller
from kahea.routing.caller import guarded
from kahea.routing.dispatch import NoRun, current
from kahea.routing.latency import timed
from kahea.routing.module import ConfigError, Function, Module, Native, RpcCommand
from kahea.routing.module_names import KAMAILIO, RETIRED
from kahea.routing.native_call import NativeCalls

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.script")


#: Where modules are found. They import this room, so it knows them by name only.
PACKAGE = "kahea.modules"

#: Modules under other names, which older configurations use.
ALIASES: Final = {"app_python": "app_python3"}


def canonical(name: str) -> str:
    """The name of a module that may be called by an older one."""
    return ALIASES.get(name, name)


def available() -> list[str]:
    """The names of all modules that are built, sorted."""
    return sorted(info.name for info in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__))


def module_class(name: str) -> type[Module]:
    """The class of a module; raises ConfigError with the nearest name if there is none."""
    name = canonical(name)
    names = available()
    if name not in names:
        if name in KAMAILIO:
            raise ConfigError(f"Kamailio's module {name} is not supported yet")
        if name in RETIRED:
            raise ConfigError(f"Kamailio has no module {name!r} any more; {RETIRED[name]} does its work")
        near = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"there is no module {name!r}{hint}")
    found: type[Module] = importlib.import_module(f"{PACKAGE}.{name}").MODULE
    return found


class Registry:
    """The modules of one node and all that they export."""

    def __init__(self, node: Node, names: Iterable[str] | None = None) -> None:
        self.modules: dict[str, Module] = {}
        self._node = node
        for name in available() if names is None else ["core", "hdr", "pv", *names]:
            self._add(name, ())
        for name in names or ():
            if why := type(self.modules[name]).missing():
                raise ConfigError(f"module {name}: {why}")
        self.functions: dict[tuple[str, str], Function] = {}
        self.rpcs: dict[str, RpcCommand] = {}
        #: The native language's functions by name, each with its forms; those of exported functions that declare none
        #: are made from their types.
        self.natives: dict[str, list[Native]] = {}
        for module in self.modules.values():
            for function in module.functions():
                self.functions[function.module, function.name] = function
            for form in module.natives():
                self.natives.setdefault(form.name, []).append(self._native(form))
            for command in module.rpcs():
                self.rpcs[command.name] = command
        self._add_undeclared_natives()
        self._native_calls = NativeCalls(node)

    def _add_undeclared_natives(self) -> None:
        """Native forms of exported functions that declare none, where their name is theirs alone.

        The core declares all of its own: what KEMI has beside them (`KSR.is_method`) is no word of the language.
        """
        names = Counter(name for _, name in self.functions)
        for function in self.functions.values():
            if function.module and function.name not in self.natives and names[function.name] == 1:
                kinds = tuple("int" if kind in ("int", "long") else "str" for kind in function.params)
                ret = function.ret if function.ret in ("bool", "none") else "int"
                form = Native(
                    function.module,
                    function.name,
                    kinds,
                    len(kinds),
                    0,
                    function.call,
                    function.doc,
                    ret,
                    function.names,
                )
                self.natives[function.name] = [self._native(form)]

    def _native(self, form: Native) -> Native:
        """A native form that survives a malformed message, timed if that is wanted."""
        safe = replace(form, call=guarded(form.call, form.name, _FAILED[form.ret]))
        settings = self._node.settings
        return timed(safe, settings) if settings.latency_limit_action > 0 else safe

    def _add(self, name: str, path: tuple[str, ...]) -> None:
        name = canonical(name)
        if name in self.modules:
            return
        if name in path:
            raise ConfigError(f"modules need each other in a circle: {' -> '.join((*path, name))}")
        klass = module_class(name)
        for needed in klass.needs:
            self._add(needed, (*path, name))
        self.modules[name] = klass(self._node)

    def set_parameter(self, module: str, name: str, value: object) -> None:
        """Give a module's parameter a value; raises ConfigError."""
        module = canonical(module)
        instance = self.modules.get(module)
        if instance is None:
            module_class(module)
            raise ConfigError(f"parameter {module}.{name}: the module is not loaded")
        known = type(instance).params()
        if name not in known:
            near = difflib.get_close_matches(name, list(known), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"module {module} has no parameter {name!r}{hint}")
        known[name].set(instance, value)

    def listing(self) -> Iterator[dict[str, object]]:
        """What `kahea functions --json` prints."""
        for key in sorted(self.functions):
            f = self.functions[key]
            yield {"module": f.module, "name": f.name, "params": list(f.params), "ret": f.ret}

    def ksr(self) -> ModuleType:
        """The `KSR` object of a Python script."""
        root = ModuleType("KSR", "The functions of this node, as KEMI exports them.")
        groups: dict[str, ModuleType] = {"": root}
        for (group, name), function in self.functions.items():
            if group not in groups:
                groups[group] = ModuleType(f"KSR.{group}")
                setattr(root, group, groups[group])
            setattr(groups[group], name, caller(function))
        x = groups.setdefault("x", ModuleType("KSR.x"))
        vars(root)["x"] = x
        vars(x)["modf"] = self.modf
        return root

    def modf(self, name: str, *args: str | int) -> int:
        """KSR.x.modf: call a function by its native name; variables in the arguments are evaluated."""
        run = current.run
        if run is None:
            raise NoRun("KSR.x.modf was called outside of a running route")
        return self._native_calls.call(run, name, *args)


def explain(error: BaseException) -> None:
    """Add to an error of a script what it may have meant by a name that `KSR` does not have.

    The namespaces of KSR are plain modules, since the interpreter finds those attributes fastest: they can't say it.
    """
    space = error.obj if isinstance(error, AttributeError) else None
    if isinstance(space, ModuleType) and space.__name__.partition(".")[0] == "KSR":
        assert isinstance(error, AttributeError)
        near = difflib.get_close_matches(error.name or "", [n for n in vars(space) if not n.startswith("_")], 1)
        hint = f"; did you mean {space.__name__}.{near[0]}?" if near else ""
        error.add_note(f"{space.__name__}.{error.name} does not exist here{hint}")


def as_int(value: object, where: str) -> int:
    """A script's value for an int parameter."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        try:
            return int(value, 10)
        except ValueError:
            pass  # refused below
    raise TypeError(f"{where} takes an integer, not {value!r}")


def as_str(value: object, where: str) -> str:
    """A script's value for a str parameter."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, int):
        return str(int(value))
    raise TypeError(f"{where} takes a string, not {value!r}")


#: What a function returns that met a message it can't parse, by return type.
_FAILED = {"int": -1, "bool": False, "xval": None, "none": None}


def caller(function: Function) -> Callable[..., Any]:
    """The function as a script calls it."""
    where = f"KSR.{function.module + '.' if function.module else ''}{function.name}"
    ints = [kind in ("int", "long") for kind in function.params]
    types = [int if is_int else str for is_int in ints]
    converters: list[Callable[[object, str], object]] = [as_int if is_int else as_str for is_int in ints]
    return compiled_caller(function.call, where, types, converters, _FAILED[function.ret], function.doc)
