"""How a module is declared: once, and every language has it.

A module is one class. Its functions, parameters, pseudo-variables and RPC commands are typed Python
declarations; from them come `KSR.<module>.<function>` in each language, the native function, the settings
check, the reference page and the type stubs.

    class Maxfwd(Module):
        '''Max-Forwards (RFC 3261 §16.3 item 3).'''

        name = "maxfwd"
        max_limit = Param(70, "The largest value let through.")

        @function
        def process_maxfwd(self, run: Run, limit: int) -> int:
            '''Decrement Max-Forwards, or add it with `limit`; -1 when it reached 0.'''
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, Union, overload

from kahea.routing.caller import ask

if TYPE_CHECKING:
    from pathlib import Path

    from kahea.routing.node import Node

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

#: What a script may pass and get: KEMI's int, str, null, and xval (any of them).
Value = int | str | None

#: How the native language reads an argument: a word, or a function that prepares it (see `Native`).
Kind = Union[str, "Callable[[Node, str], Any]"]


class ConfigError(Exception):
    """A setting, parameter or script that can't be used; the message is for the operator."""

    #: The files in which it may be mended, as far as they are known.
    files: Sequence[Path] = ()


class Param(Generic[T]):
    """A module parameter: a default, which gives its type, and what it means.

    `many` collects every value given (Kamailio parameters that may be set several times). `check` may
    raise ValueError or return a converted value. The value is read as a plain attribute of the module. `inert` says
    why a parameter has no effect here: its value is accepted, and the operator told. `runtime` names the variable under
    which management may change it while the node runs (`cfg.set`), True for its own name; the module must read it anew
    each time, or override `changed`.
    """

    def __init__(
        self,
        default: T,
        doc: str,
        *,
        many: bool = False,
        check: Callable[[Any], Any] | None = None,
        inert: str = "",
        runtime: bool | str = False,
    ) -> None:
        self.default = default
        self.runtime = runtime
        self.inert = inert
        self.doc = doc
        self.many = many
        self.check = check
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Param[T]: ...
    @overload
    def __get__(self, instance: Module, owner: type) -> T: ...
    def __get__(self, instance: Module | None, owner: type) -> Any:
        if instance is None:
            return self
        return self.default

    @property
    def type(self) -> type:
        """`int` or `str`; a default of None means `str`, of a list the type that `many` collects."""
        if isinstance(self.default, int):
            return int
        return str

    def convert(self, module: str, value: object) -> object:
        """A value as the parameter keeps it; raises ConfigError where it does not fit."""
        where = f"{module}.{self.name}"
        if self.type is int:
            if isinstance(value, bool) or (isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value)):
                value = int(value)
            elif not isinstance(value, int):
                raise ConfigError(f"parameter {where} takes an integer, not {value!r}")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        elif not isinstance(value, str):
            raise ConfigError(f"parameter {where} takes a string, not {value!r}")
        if self.check is None:
            return value
        try:
            return self.check(value)
        except ValueError as error:
            raise ConfigError(f"parameter {where}: {error}") from error

    def set(self, module: Module, value: object) -> None:
        """Give the parameter a value; raises ConfigError where it does not fit."""
        value = self.convert(module.name, value)
        if self.inert:
            where = f"{module.name}.{self.name}"
            module.node.configuration.notes.append(f"{where} has no effect here: {self.inert}")
        if self.many:
            module.__dict__.setdefault(self.name, []).append(value)
        else:
            module.__dict__[self.name] = value


@dataclass(frozen=True, slots=True)
class Function:
    """One exported function. `params` and `ret` use KEMI's words: int, long, str; int, bool, xval, none."""

    module: str
    name: str
    params: tuple[str, ...]
    ret: str
    call: Callable[..., Any]  # call(run, *args)
    doc: str = ""
    #: What the parameters are called, as many as `params`.
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Native:
    """How a function is called in the native language (`native` declares it).

    `kinds` has one word per argument, of which the first `least` must be given:

    - `str`: text whose variables are evaluated at each call; the function gets a `str`
    - `reason`: as `str`, but text that begins with a variable is that variable alone
    - `int`: a number, a name that stands for one, or a variable; the function gets an `int`
    - `text`: a literal, as written; nothing in it is evaluated
    - `raw`: text in quotes as written, else a variable's value ("" for $null)
    - `pv`: a variable itself; the function gets its `Pv`
    - `format`: text with variables that the function renders itself; it gets a `Format`
    - `regex`: a literal regular expression, as written, checked when the cfg is loaded
    - `route:KIND`: the name of a route of that kind, as written, checked when the cfg is loaded
    - `flag`: a flag's number or declared name (`flags`); the function gets its number
    - `avpflag`: as `flag`, of those that `avpflags` declares
    - `socket`: `proto:host:port` as written, quoted or not
    - a function `(node, text)`: a literal (a variable as its own text), which it prepares once, when the cfg is loaded;
      what it returns is the argument. It raises ValueError where the text won't do

    `routes` has the route kinds (`routing.run.*_ROUTE`) it may be called in, 0 for all. `call(run, *arguments)` returns
    Kamailio's code, a bool (False is -1) or None (1).
    """

    module: str
    name: str
    kinds: tuple[Kind, ...]
    least: int
    routes: int
    call: Callable[..., Any]
    doc: str = ""
    #: What `call` gives: `int`, `bool`, or `none`.
    ret: str = "int"
    #: What the parameters are called, as many as `kinds`.
    names: tuple[str, ...] = ()
    #: What the last of them are when they are not given.
    defaults: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A pseudo-variable class: `get(run, name, index)` and, if writable, `set(run, name, index, value)`.

    `name` is the inner name of `$x(name)`, "" without one; `index` is None, an int, or "*". For an inner name
    that is itself a variable (`$avp($var(x))`), the name is evaluated before the call.
    """

    name: str
    get: Callable[..., Value]
    set: Callable[..., None] | None = None
    takes_name: bool = False
    takes_index: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class RpcCommand:
    """A management command: `call(*params)` returns what msgspec can encode; raises RpcError."""

    name: str
    call: Callable[..., Any]
    doc: str = ""


class RpcError(Exception):
    """An RPC command's failure: a code (as in HTTP) and a text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def _kind(annotation: object, *, ret: bool) -> str:
    if annotation is type(None) or annotation is None:
        return "none"
    if annotation is int or annotation is str or (annotation is bool and ret):
        return annotation.__name__
    if ret and annotation == Value:
        return "xval"
    raise TypeError(f"not a KEMI type: {annotation!r}")


@overload
def function(f: F) -> F: ...
@overload
def function(
    *,
    name: str | None = None,
    params: tuple[str, ...] | None = None,
    ret: str | None = None,
    group: str | None = None,
) -> Callable[[F], F]: ...
def function(
    f: Any = None,
    *,
    name: str | None = None,
    params: tuple[str, ...] | None = None,
    ret: str | None = None,
    group: str | None = None,
) -> Any:
    """Export a method `(self, run, ...)` to scripts; types come from its annotations.

    `params`/`ret` override them, `name` the method's name, `group` the module's name under KSR
    (one class may export into two: `pv` and `pvx`).
    """

    def mark(target: Any) -> Any:
        target.__kahea_function__ = (name or target.__name__, params, ret, group)
        return target

    return mark(f) if f is not None else mark


def native(
    *kinds: Kind, name: str | None = None, least: int | None = None, routes: int = 0, module: str = ""
) -> Callable[[F], F]:
    """Declare how the native language calls a method: see `Native`. Given several times, each is a name or form of its
    own. An exported function without it is called natively under its own name, with the kinds of its types.

    `module` is the one that Kamailio has it in, if that is another.
    """

    def mark(target: Any) -> Any:
        form = (name or target.__name__, kinds, len(kinds) if least is None else least, routes, module)
        target.__kahea_native__ = (form, *getattr(target, "__kahea_native__", ()))
        return target

    return mark


def variable(name: str, *, takes_name: bool = False, takes_index: bool = False) -> Callable[[F], F]:
    """Declare the getter of pseudo-variable `$name`: a method `(self, run, name, index) -> Value`."""

    def mark(target: Any) -> Any:
        target.__kahea_variable__ = (name, takes_name, takes_index)
        return target

    return mark


def variable_setter(name: str) -> Callable[[F], F]:
    """Declare the setter of `$name`: a method `(self, run, name, index, value) -> None`."""

    def mark(target: Any) -> Any:
        target.__kahea_setter__ = name
        return target

    return mark


def rpc(name: str) -> Callable[[F], F]:
    """Declare an RPC command `module.command`: a method `(self, *params)`."""

    def mark(target: Any) -> Any:
        target.__kahea_rpc__ = name
        return target

    return mark


class Module:
    """Base of all modules. `needs` names the modules it binds to; they are made and started before it. `events` has the
    event routes that it runs, and when.

    Life: `__init__` (parameters not set yet), parameters set, `start()` (raise ConfigError; other modules are
    reachable by `self.node.module(name)`), runs, `stop()`.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    events: ClassVar[Mapping[str, str]] = {}

    def __init__(self, node: Node) -> None:
        self.node = node

    def start(self) -> None:
        """Check parameters and bind to others. No I/O that waits: that belongs to `open`."""

    def changed(self, name: str) -> None:
        """Management changed a parameter that may change while the node runs."""

    async def open(self) -> None:
        """Connect, load: awaited in order of dependence before the node takes traffic."""

    async def stop(self) -> None:
        """Flush and release; called once, in reverse order."""

    def keep_defaults(self) -> None:
        """Make the parameters that were not given plain attributes: where every message reads them, this is faster."""
        for name, param in self.params().items():
            self.__dict__.setdefault(name, [] if param.many else param.default)

    @classmethod
    def missing(cls) -> str:
        """What this module needs on this machine and does not find, for the operator who loads it; "" if nothing."""
        return ""

    @classmethod
    def params(cls) -> dict[str, Param[Any]]:
        """The declared parameters by name."""
        found: dict[str, Param[Any]] = {}
        for klass in reversed(cls.__mro__):
            found.update({k: v for k, v in vars(klass).items() if isinstance(v, Param)})
        return found

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Compiled functions `(run, *args)` that scripts call in place of these methods, which do the same:
        for what every message asks. Called once, before parameters are set."""
        return {}

    def functions(self) -> Iterator[Function]:
        """The exported functions, bound to this instance."""
        compiled = self.compiled()
        for attribute, member in inspect.getmembers(type(self), inspect.isfunction):
            mark = getattr(member, "__kahea_function__", None)
            if mark is None:
                continue
            name, params, ret, group = mark
            if params is None or ret is None:
                hints = _hints(member)
                order = list(inspect.signature(member).parameters)[2:]
                params = params or tuple(_kind(hints[p], ret=False) for p in order)
                ret = ret or _kind(hints.get("return"), ret=True)
            group = self.name if group is None else group
            call = compiled.get(attribute) or member.__get__(self)
            doc = inspect.getdoc(member) or ""
            yield Function(group, name, params, ret, call, doc, _names(member, len(params)))

    def natives(self) -> Iterator[Native]:
        """The functions as the native language calls them, bound to this instance."""
        compiled = self.compiled()
        for attribute, member in inspect.getmembers(type(self), inspect.isfunction):
            for name, kinds, least, routes, module in getattr(member, "__kahea_native__", ()):
                call = compiled.get(attribute) or member.__get__(self)
                doc, ret = inspect.getdoc(member) or "", _native_ret(member, call)
                names = _names(member, len(kinds))
                defaults = inspect.unwrap(member).__defaults__ or ()
                yield Native(module or self.name, name, kinds, least, routes, call, doc, ret, names, defaults)

    def variables(self) -> Iterator[Variable]:
        """The declared pseudo-variables, bound to this instance."""
        setters = {
            m.__kahea_setter__: m
            for _, m in inspect.getmembers(type(self), inspect.isfunction)
            if hasattr(m, "__kahea_setter__")
        }
        for _, member in inspect.getmembers(type(self), inspect.isfunction):
            mark = getattr(member, "__kahea_variable__", None)
            if mark is None:
                continue
            name, takes_name, takes_index = mark
            setter = setters.get(name)
            bound = setter.__get__(self) if setter is not None else None
            yield Variable(name, member.__get__(self), bound, takes_name, takes_index, inspect.getdoc(member) or "")

    def rpcs(self) -> Iterator[RpcCommand]:
        """The declared RPC commands, bound to this instance."""
        for _, member in inspect.getmembers(type(self), inspect.isfunction):
            name = getattr(member, "__kahea_rpc__", None)
            if name is not None:
                yield RpcCommand(name, member.__get__(self), inspect.getdoc(member) or "")


def _names(member: Callable[..., Any], count: int) -> tuple[str, ...]:
    """What the first parameters after `self` and `run` are called; those that `*rest` takes are numbered."""
    code = inspect.unwrap(member).__code__
    names: tuple[str, ...] = code.co_varnames[2 : code.co_argcount]
    if code.co_flags & inspect.CO_VARARGS:
        rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
        names += tuple(f"{rest}{number}" for number in range(1, count - len(names) + 1))
    return names[:count]


def _native_ret(member: Callable[..., Any], call: Callable[..., Any]) -> str:
    """What a native function gives, by its annotation; a compiled one that takes its place gives a code, but `ask`."""
    if not inspect.ismethod(call) and call is not ask:
        return "int"
    return {"bool": "bool", "None": "none"}.get(str(member.__annotations__.get("return")), "int")


def _hints(member: Callable[..., Any]) -> dict[str, Any]:
    """Annotations without those of `self` and `run`, whose types live in rooms imported for typing only."""
    raw = {k: v for k, v in member.__annotations__.items() if k != "run"}
    names = {"Value": Value, "int": int, "str": str, "bool": bool, "None": None}
    out: dict[str, Any] = {}
    for key, text in raw.items():
        out[key] = names[text] if isinstance(text, str) and text in names else text
    return out


__all__ = [
    "ConfigError",
    "Function",
    "Kind",
    "Module",
    "Native",
    "Param",
    "RpcCommand",
    "RpcError",
    "Value",
    "Variable",
    "function",
    "native",
    "rpc",
    "variable",
    "variable_setter",
]
