"""How a transformation is declared, and how the `{...}` after a variable become one function.

Values inside a chain are byte strings in disguise: text beyond ASCII is held as Latin-1, one character for
one byte of UTF-8, since Kamailio counts, cuts and hashes bytes. `Chain` converts on the way in and out
only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kahea.routing.module import Value
from kahea.routing.pv.errors import PvError, suggestion
from kahea.routing.pv.syntax import skip_spaces
from kahea.routing.pv.values import decimal

if TYPE_CHECKING:
    from kahea.routing.pv.table import VariableTable
    from kahea.routing.run import Run

#: One step of a chain: the value so far in, the next out; None ends the chain with $null.
Step = Callable[["Run", Value], Value]
Argument = Callable[["Run"], Value]

_STOPS = frozenset(",}")


@dataclass(frozen=True, slots=True)
class Transformation:
    """One `{class.function,...}`.

    `apply(value, *arguments)` gets the value as text (as it is if `raw`; null too if `null`), and gives
    None where Kamailio fails. `params` are the kinds of its parameters: `int`, `str`, `text` (its first
    character may be a comma or brace), `char` (one character), or `rest` (all up to the closing brace); `?`
    marks optional ones. `check` may raise ValueError for arguments known at compile time. `build` is for
    those that need the run: it gets the table and the `rest` text, and gives the step.
    """

    name: str
    apply: Callable[..., Value]
    params: tuple[str, ...] = ()
    doc: str = ""
    raw: bool = False
    null: bool = False
    check: Callable[..., object] | None = None
    build: Callable[[VariableTable, str], Step] | None = None
    #: What the parameters are called.
    names: tuple[str, ...] = ()


def narrow(text: str) -> str:
    """Text as bytes in disguise: each byte of its UTF-8 one Latin-1 character."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte: from JSON, say
        return text.encode("utf-8", "surrogatepass").decode("latin-1")


def widen(data: str) -> str:
    """The inverse of `narrow`."""
    return data if data.isascii() else data.encode("latin-1").decode("utf-8", "surrogateescape")


def failed(*_: Value) -> Value:
    """What a transformation that only has a `build` has in place of `apply`."""
    raise NotImplementedError


class Chain:
    """Compiles the transformations of one variable."""

    def __init__(self, table: VariableTable, text: str, at: int, stop: int) -> None:
        self.table = table
        self.text = text
        self.at = at
        self.stop = stop

    def steps(self) -> tuple[Step, ...]:
        """The steps from the first `{` to the closing parenthesis; raises PvError."""
        steps: list[Step] = []
        while True:
            self.at = skip_spaces(self.text, self.at)
            if self.at == self.stop and steps:
                return tuple(steps)
            if self.text[self.at] != "{":
                raise PvError("expected { or )", self.text, self.at)
            self.at += 1
            steps.append(self._one())

    def _one(self) -> Step:
        begin = self.at
        while self.at < self.stop and self.text[self.at] not in _STOPS:
            self.at += 1
        name = self.text[begin : self.at]
        found = self.table.transformations.get(name)
        if found is None:
            near = suggestion(name, self.table.transformations)
            raise PvError(f"unknown transformation {{{name}}}{near}", self.text, begin)
        if found.build is not None:
            rest = self._rest(found)
            try:
                return found.build(self.table, rest)
            except ValueError as error:
                raise PvError(f"{{{name}}}: {error}", self.text, begin) from None
        arguments = self._arguments(found)
        self._close(found)
        return self._step(found, arguments, begin)

    def _close(self, found: Transformation) -> None:
        if self.at >= self.stop or self.text[self.at] != "}":
            wants = ", ".join(found.params) or "no parameters"
            raise PvError(f"expected }}: {{{found.name}}} takes {wants}", self.text, self.at)
        self.at += 1

    def _rest(self, found: Transformation) -> str:
        begin = self.at + 1
        depth = 1
        for i in range(self.at, self.stop):
            if self.text[i] == "{":
                depth += 1
            elif self.text[i] == "}":
                depth -= 1
                if depth == 0:
                    self.at = i + 1
                    return self.text[begin:i]
        raise PvError(f"expected }} after {{{found.name}", self.text, self.at)

    def _arguments(self, found: Transformation) -> list[Value | Argument]:
        arguments: list[Value | Argument] = []
        for kind in found.params:
            if self.at >= self.stop or self.text[self.at] != ",":
                if kind.endswith("?"):
                    break
                raise PvError(f"{{{found.name}}} needs a parameter ({kind})", self.text, self.at)
            self.at += 1
            if kind.startswith("char"):
                arguments.append(self._char())
            else:
                arguments.append(self._value(kind))
        return arguments

    def _char(self) -> str:
        """The one character after the comma, which may be a comma, a brace, or escaped."""
        text, at = self.text, self.at
        if at + 1 < self.stop and text[at] == "\\" and text[at + 1] in "\\tnrs":
            self.at += 2
            return {"\\": "\\", "t": "\t", "n": "\n", "r": "\r", "s": " \t\r\n"}[text[at + 1]]
        if at + 1 >= self.stop or not text[at].isascii():
            raise PvError("expected one character", text, at)
        self.at += 1
        return text[at]

    def _value(self, kind: str) -> Value | Argument:
        number = kind.startswith("int")
        if kind != "text":
            self.at = skip_spaces(self.text, self.at)
        if self.at < self.stop and self.text[self.at] == "$":
            pv, end = self.table.compile_at(self.text, self.at)
            self.at = skip_spaces(self.text, end)
            return _int_argument(pv.get) if number else _str_argument(pv.get)
        begin = self.at
        if kind == "text":
            self.at = min(self.at + 1, self.stop)
        while self.at < self.stop and self.text[self.at] not in _STOPS:
            self.at += 1
        literal = self.text[begin : self.at]
        if not number:
            return narrow(literal)
        value = decimal(literal.strip())
        if value is None:
            raise PvError("expected a number or a variable", self.text, begin)
        return value

    def _step(self, found: Transformation, arguments: list[Value | Argument], at: int) -> Step:
        apply = _prepared(found)
        if not any(callable(a) for a in arguments):
            self._check(found, arguments, at)
            if not arguments:
                return lambda _run, value: apply(value)
            constants = tuple(arguments)
            return lambda _run, value: apply(value, *constants)
        getters = [a if callable(a) else _constant(a) for a in arguments]

        def step(run: Run, value: Value) -> Value:
            given = [get(run) for get in getters]
            return None if None in given else apply(value, *given)

        return step

    def _check(self, found: Transformation, arguments: list[Any], at: int) -> None:
        if found.check is not None:
            try:
                found.check(*arguments)
            except ValueError as error:
                raise PvError(f"{{{found.name}}}: {error}", self.text, at) from None


def _prepared(found: Transformation) -> Callable[..., Value]:
    """`apply` behind the conversion of its input that it asked for."""
    apply = found.apply
    if found.null:
        return apply
    if found.raw:
        return lambda value, *args: None if value is None else apply(value, *args)

    def textual(value: Value, *args: Value) -> Value:
        if value.__class__ is not str:
            if value is None:
                return None
            value = str(value)
        return apply(value, *args)

    return textual


def _constant(value: Value) -> Argument:
    return lambda _run: value


def _int_argument(get: Argument) -> Argument:
    def number(run: Run) -> Value:
        value = get(run)
        return decimal(value) if isinstance(value, str) else value

    return number


def _str_argument(get: Argument) -> Argument:
    def textual(run: Run) -> Value:
        value = get(run)
        return narrow(value) if isinstance(value, str) else None if value is None else str(value)

    return textual


def transformed(base: Argument, steps: tuple[Step, ...]) -> Argument:
    """The getter that runs `base` through `steps`."""

    def get(run: Run) -> Value:
        value = base(run)
        if value.__class__ is str and not value.isascii():
            value = narrow(value)
        for step in steps:
            value = step(run, value)
            if value is None:
                return None
        return widen(value) if value.__class__ is str else value

    return get
