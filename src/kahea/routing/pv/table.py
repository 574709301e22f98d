"""The node's variables: compiles expressions and formats, once each, into closures.

A module declares its variables as `Variable`s (`routing/module.py`). Those of the core and of module pv,
which are on every call's path, use two leaner forms: `Plain` (neither name nor index), whose getter is
called as it is, and `Named`, which is bound to its name once, when the expression is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from kahea.routing.module import Value, Variable
from kahea.routing.pv.chain import Chain, Transformation, transformed
from kahea.routing.pv.errors import PvError, suggestion
from kahea.routing.pv.format import Format
from kahea.routing.pv.syntax import Expression, scan
from kahea.routing.pv.values import decimal
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.routing.run import Run

Index = int | Literal["*"] | None
Get = Callable[["Run"], Value]
Put = Callable[["Run", Value], None]

CACHE_SIZE = 4096  # expressions, and formats, kept compiled
MAX_DEPTH = 32  # variables inside of variables
BOUND_SIZE = 256  # bindings kept for one expression whose name or index varies


@dataclass(frozen=True, slots=True)
class Bound:
    """A variable with its name and index settled. `put` raises PvError for a value that it does not take."""

    get: Get
    put: Put | None = None


@dataclass(frozen=True, slots=True)
class Plain(Variable):
    """A variable with neither name nor index."""

    bound: Bound | None = None


@dataclass(frozen=True, slots=True)
class Named(Variable):
    """A variable that is bound to its inner name: `bind(name, index)`, which raises PvError for a bad name.

    The name is literal, or, if `dynamic`, may be given by a variable (then a number stays a number).
    """

    bind: Callable[[Value, Index], Bound] | None = None
    dynamic: bool = False


def plain(name: str, get: Get, put: Put | None = None, doc: str = "") -> Plain:
    """Declare `$name`."""
    setter = None if put is None else lambda run, _name, _index, value: put(run, value)
    return Plain(name, lambda run, _name, _index: get(run), setter, doc=doc, bound=Bound(get, put))


def named(
    name: str,
    bind: Callable[[Value, Index], Bound],
    *,
    index: bool = False,
    writable: bool = False,
    dynamic: bool = False,
    doc: str = "",
) -> Named:
    """Declare `$name(inner)`, or with `index` `$(name(inner)[index])`."""

    def put(run: Run, inner: Value, at: Index, value: Value) -> None:
        bound = bind(inner, at)
        if bound.put is None:
            raise PvError(f"${name}({inner}) is read-only")
        bound.put(run, value)

    return Named(
        name,
        lambda run, inner, at: bind(inner, at).get(run),
        put if writable else None,
        True,
        index,
        doc,
        bind,
        dynamic,
    )


class Pv:
    """A compiled expression. `get(run)` gives its value and never raises for what a message holds.

    `text` is the expression; `name`, `inner` and `index` are its parts as written.
    """

    __slots__ = ("_put", "get", "index", "inner", "name", "text")

    get: Get

    def __init__(self, text: str, parts: Expression, get: Get, put: Put | None) -> None:
        self.text = text
        self.name = parts.name
        self.inner = parts.inner
        self.index = parts.index
        self.get = get
        self._put = put

    @property
    def writable(self) -> bool:
        """Whether a value can be assigned."""
        return self._put is not None

    def set(self, run: Run, value: Value) -> bool:
        """Assign; None is $null. False, and a line in the log, where the variable does not take the value."""
        if self._put is None:
            run.node.log.error("%s is read-only", self.text)
            return False
        try:
            self._put(run, value)
        except (PvError, ParseError) as error:
            run.node.log.error("%s can't be set to %r: %s", self.text, value, error)
            return False
        return True

    def __repr__(self) -> str:
        return f"Pv({self.text!r})"


class VariableTable:
    """What `$...` means on this node."""

    def __init__(self) -> None:
        # Imported here, since both packages build on this one.
        from kahea.routing.pv.core import CORE
        from kahea.routing.transformations import STANDARD

        self._variables: dict[str, Variable] = {}
        self.transformations: dict[str, Transformation] = {}
        self._depth = 0
        #: As `compile`, but gives the error that it would raise.
        self.compiled = lru_cache(CACHE_SIZE)(self._compile)
        self._formats = lru_cache(CACHE_SIZE)(self._format)
        for variable in CORE:
            self.register(variable)
        for transformation in STANDARD:
            self.register_transformation(transformation)

    def register(self, variable: Variable) -> None:
        """Add a variable; one of the same name is replaced."""
        self._variables[variable.name] = variable
        self.forget()

    def register_transformation(self, transformation: Transformation) -> None:
        """Add a transformation; one of the same name is replaced."""
        self.transformations[transformation.name] = transformation
        self.forget()

    def forget(self) -> None:
        """Drop what was compiled."""
        self.compiled.cache_clear()
        self._formats.cache_clear()

    def variables(self) -> dict[str, Variable]:
        """The declared variables by name."""
        return dict(self._variables)

    def compile(self, text: str) -> Pv:
        """The variable that the whole of `text` is; raises PvError."""
        found = self.compiled(text)
        if found.__class__ is Pv:
            return found
        raise found.with_traceback(None)  # type: ignore[union-attr]

    def format(self, text: str) -> Format:
        """Text with variables in it; raises PvError."""
        found = self._formats(text)
        if found.__class__ is Format:
            return found
        raise found.with_traceback(None)  # type: ignore[union-attr]

    def leading(self, text: str) -> str:
        """The variable that a text begins with, as it is written there, "" for none: where Kamailio takes a variable or
        text, it reads no further."""
        begun = text.lstrip(" \t\r\n")
        if not begun.startswith("$"):
            return ""
        try:
            return begun[: self.compile_at(begun, 0)[1]]
        except PvError:
            return ""

    def compile_at(self, text: str, start: int) -> tuple[Pv, int]:
        """The variable that begins at `start` of a longer text, and the offset past it; raises PvError."""
        parts = scan(text, start)
        if self._depth >= MAX_DEPTH:
            raise PvError("variables are nested too deeply", text, start)
        self._depth += 1
        try:
            get, put = self._bind(text, parts)
        finally:
            self._depth -= 1
        return Pv(text[start : parts.end], parts, get, put), parts.end

    def _compile(self, text: str) -> Pv | PvError:
        try:
            pv, end = self.compile_at(text, 0)
            if end != len(text):
                raise PvError("expected the end of the variable", text, end)
        except PvError as error:
            return error
        return pv

    def _format(self, text: str) -> Format | PvError:
        try:
            return Format.parse(text, self)
        except PvError as error:
            return error

    def _bind(self, text: str, parts: Expression) -> tuple[Get, Put | None]:
        variable = self._lookup(text, parts)
        try:
            bound = self._bound(variable, text, parts)
        except PvError as error:
            if error.text:
                raise
            raise PvError(error.message, text, parts.inner_at) from None
        if parts.chain < 0:
            return bound.get, bound.put
        steps = Chain(self, text, parts.chain, parts.stop).steps()
        return transformed(bound.get, steps), None

    def _lookup(self, text: str, parts: Expression) -> Variable:
        variable = self._variables.get(parts.name)
        if variable is None:
            near = suggestion(parts.name, self._variables, "$")
            raise PvError(f"unknown variable ${parts.name}{near}", text, parts.name_at)
        if variable.takes_name:
            if not parts.inner:
                raise PvError(
                    f"${parts.name} needs a name: ${parts.name}(name)",
                    text,
                    max(parts.inner_at, parts.name_at),
                )
        elif parts.inner is not None:
            raise PvError(f"${parts.name} takes no name in parentheses", text, parts.inner_at)
        if parts.index is not None:
            if not variable.takes_index:
                raise PvError(f"${parts.name} takes no index", text, parts.index_at)
            if not parts.index:
                raise PvError("expected an index: a number, a variable or *", text, parts.index_at)
        return variable

    def _bound(self, variable: Variable, text: str, parts: Expression) -> Bound:
        index, index_get = self._index(text, parts)
        if isinstance(variable, Plain) and variable.bound is not None and index is None and index_get is None:
            return variable.bound
        name_get = self._name_getter(variable, text, parts)
        bind = _binder(variable)
        if name_get is None and index_get is None:
            return bind(parts.inner or "", index)
        literal = parts.inner or ""
        return _dynamic(
            lru_cache(BOUND_SIZE)(bind),
            name_get or (lambda _run: literal),
            index_get or (lambda _run: index),
            variable.set is not None,
        )

    def _index(self, text: str, parts: Expression) -> tuple[Index, Callable[[Run], Index] | None]:
        raw = parts.index
        if raw is None:
            return None, None
        if raw == "*":
            return "*", None
        if raw[0] == "$":
            pv, end = self.compile_at(text, parts.index_at)
            if end != parts.index_at + len(raw):
                raise PvError("expected ] after the variable", text, end)
            return None, _index_getter(pv.get)
        number = decimal(raw)
        if number is None or raw[0] == "+":
            raise PvError("expected an index: a number, a variable or *", text, parts.index_at)
        return number, None

    def _name_getter(self, variable: Variable, text: str, parts: Expression) -> Get | None:
        """How to evaluate an inner name that holds variables; None if it is literal."""
        inner = parts.inner
        if inner is None or "$" not in inner:
            return None
        if isinstance(variable, Named):
            if not variable.dynamic or inner[0] != "$":
                return None
            pv, end = self.compile_at(text, parts.inner_at)
            if end != parts.inner_at + len(inner):
                raise PvError("expected ) after the variable", text, end)
            return pv.get
        if inner[0] == "$" and scan(inner).end == len(inner):
            return self.compile_at(text, parts.inner_at)[0].get
        return Format.parse(inner, self).render


def _binder(variable: Variable) -> Callable[[Value, Index], Bound]:
    if isinstance(variable, Named) and variable.bind is not None:
        return variable.bind
    get, put = variable.get, variable.set

    def bind(name: Value, index: Index) -> Bound:
        inner = name if isinstance(name, str) else str(name)

        def read(run: Run) -> Value:
            try:
                return get(run, inner, index)
            except ParseError:
                return None

        return Bound(read, None if put is None else lambda run, value: put(run, inner, index, value))

    return bind


def _index_getter(get: Get) -> Callable[[Run], Index]:
    def index(run: Run) -> Index:
        value = get(run)
        if isinstance(value, str):
            value = decimal(value)
        if value is None:
            raise PvError("the index is no number")
        return value

    return index


def _dynamic(bind: Callable[[Value, Index], Bound], name: Get, index: Callable[[Run], Index], writable: bool) -> Bound:
    """A variable whose name or index is known only when it is used."""

    def settled(run: Run) -> Bound:
        inner = name(run)
        if inner is None or inner == "":
            raise PvError("the name is null or empty")
        return bind(inner, index(run))

    def get(run: Run) -> Value:
        try:
            return settled(run).get(run)
        except PvError as error:
            run.node.log.error("%s", error)
            return None

    def put(run: Run, value: Value) -> None:
        bound = settled(run)
        if bound.put is None:
            raise PvError("read-only")
        bound.put(run, value)

    return Bound(get, put if writable else None)
