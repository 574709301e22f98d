"""The tree of a `kamailio.cfg`: what the parser makes, and all that the other parts of this room read.

Rules of this room:

1. `preprocess` turns files into one stream of tokens, each of which knows its file, line and column; `parser` turns
   that into this tree. Neither knows what a name means: `setflag`, `xlog` and a misspelt word are all a `Call`.
2. `load` reads the declarations (global parameters, modules, listeners) into a `Configuration`; `compiler` turns the
   routes into Python code objects on the cfg's own lines; `check` reports on both; `convert` prints them as Python.
3. Every node has a `Place`, so that each error and each line of a traceback names the cfg's own file and line.

Nodes are plain data and compare by value, places aside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kahea.engines.native.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in its own file: lines and columns from 1, the end exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = Place("", 0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Base of all nodes."""

    place: Place = field(default=NOWHERE, compare=False, repr=False)


# ---- expressions


@dataclass(frozen=True, slots=True)
class Number(Node):
    """An integer literal, decimal, hexadecimal (`0x1f`), octal (`017`) or binary (`101b`), of any size. `yes`, `on` and
    their kin are numbers in expressions, and `Word`s as values of parameters."""

    value: int


@dataclass(frozen=True, slots=True)
class String(Node):
    """A quoted string, unescaped. Whether `$` in it is a variable depends on who reads it."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """A pseudo-variable as written: `$ru`, `$(hdr(Route)[-1]{s.len})`."""

    text: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    """A select as written, `@via[1].host`."""

    text: str


@dataclass(frozen=True, slots=True)
class Word(Node):
    """A bare word: an operand (`method`, `src_ip`, `myself`, `udp`), a flag's name, `max_len`; also an unquoted IP
    address or network (`10.0.0.0/8`, `[2001:db8::1]`) and a socket (`udp:192.0.2.1:5060`), as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function called by name, core or module. `parentheses` is False where it was written without (`force_rport;`).
    No argument holds a call."""

    name: str
    arguments: tuple[Expression, ...] = ()
    parentheses: bool = True


@dataclass(frozen=True, slots=True)
class RouteCall(Node):
    """`route(NAME)`, `route("name")`, `route($var(x))`."""

    target: Expression


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`!` (also `not`), `-`, `~`, `(int)`, `(str)`, `defined`, `strlen`, `strempty`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Operators in one spelling each: `&&` (also `and`), `||` (`or`), `==`, `!=`, `ieq`, `ine`, `eq`, `ne`, `=~`,
    `<`, `<=`, `>`, `>=`, `+`, `-`, `*`, `/`, `mod`, `&`, `|`, `^`, `<<`, `>>`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """`selval(condition, then, otherwise)`: one of two values, the other one not evaluated."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """`$x = expression`: a statement, or in parentheses an expression, which is 1 if the variable took the value."""

    target: Variable
    value: Expression


Expression = Number | String | Variable | Select | Word | Call | RouteCall | Unary | Binary | Choice | Assign


# ---- statements


@dataclass(frozen=True, slots=True)
class Evaluate(Node):
    """An expression as a statement: mostly a `Call` or a `RouteCall`."""

    value: Expression


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if (condition) ... else ...`; an `else if` is an `If` alone in `orelse`."""

    condition: Expression
    body: tuple[Statement, ...]
    orelse: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Case(Node):
    """One label of a switch: `case constant:`, `case /"regex":` (`regex` True), or `default:` (`value` None)."""

    value: Expression | None
    body: tuple[Statement, ...]
    regex: bool = False


@dataclass(frozen=True, slots=True)
class Switch(Node):
    """`switch (subject) { case ... }`; a body without `break` falls through to the next."""

    subject: Expression
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class While(Node):
    """`while (condition) ...`."""

    condition: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Break(Node):
    """`break`: out of the innermost loop or switch."""


@dataclass(frozen=True, slots=True)
class Return(Node):
    """`return`, `return expression`."""

    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Exit(Node):
    """`exit`, `exit(code)`."""

    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Drop(Node):
    """`drop`, `drop(code)`."""

    value: Expression | None = None


Statement = Evaluate | Assign | If | Switch | While | Break | Return | Exit | Drop


# ---- declarations, in the order of the file


@dataclass(frozen=True, slots=True)
class GlobalParameter(Node):
    """`name = value`. A custom one (`group.name = 5 desc "..."`) has its `group`, which may have an instance:
    `pstn[2]`. `alias` may hold several values, as they are written."""

    name: str
    values: tuple[Expression, ...]
    group: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Socket(Node):
    """One address of `listen=...` with its attributes, and `socket = { bind = ..., advertise = ... }`."""

    bind: str
    advertise: str = ""
    name: str = ""
    agname: str = ""
    virtual: bool = False
    vrf: str = ""
    workers: int = 0


@dataclass(frozen=True, slots=True)
class LoadModule(Node):
    """`loadmodule "tm.so"` (also `loadmodulex`, with `options`)."""

    file: str
    options: str = ""


@dataclass(frozen=True, slots=True)
class LoadPath(Node):
    """`loadpath` (also `mpath`): directories, colon-separated."""

    path: str


@dataclass(frozen=True, slots=True)
class ModParam(Node):
    """`modparam("a|b", "name", value)` (also `modparamx`, whose value is evaluated: `evaluated` True)."""

    modules: str
    name: str
    value: Expression
    evaluated: bool = False


@dataclass(frozen=True, slots=True)
class CfgEngine(Node):
    """`cfgengine "lua"`: hands the active part to a KEMI script."""

    engine: str


@dataclass(frozen=True, slots=True)
class Flags(Node):
    """`flags a:1, b` and `avpflags ...` (`avp` True): names for flags, with a number where one was given."""

    names: tuple[tuple[str, int | None], ...]
    avp: bool = False


@dataclass(frozen=True, slots=True)
class Route(Node):
    """A route block. `kind` is one of `request`, `reply` (onreply_route and reply_route without a name are the
    node's own; with a name a transaction's), `failure`, `branch`, `onsend`, `event`; `name` is "" for the main one,
    also called 0. `route[X]` is of kind `request` with the name `X`; a number's name is its decimal form. Main blocks
    of one kind are put together, in their order. `place` is the head's, `end_line` that of the closing brace."""

    kind: str
    name: str
    body: tuple[Statement, ...]
    end_line: int = 0


Declaration = GlobalParameter | Socket | LoadModule | LoadPath | ModParam | CfgEngine | Flags | Route


@dataclass(frozen=True, slots=True)
class Comment(Node):
    """A comment as written, its marks included; kept for `convert`."""

    text: str


@dataclass(slots=True)
class Program:
    """One cfg with all that it includes."""

    declarations: list[Declaration]
    #: The files read, the main one first, with their lines as they are on disk: for diagnostics. One that was to be
    #: included and is not there has no lines.
    sources: dict[str, list[str]]
    #: Every comment in the order of the text.
    comments: list[Comment] = field(default_factory=list)
    #: Names that the preprocessor defined, with their values, when it was done.
    defines: dict[str, str] = field(default_factory=dict)
    #: What is not wrong but looks so.
    warnings: list[Diagnostic] = field(default_factory=list)

    def routes(self) -> list[Route]:
        """The route blocks, in order."""
        return [d for d in self.declarations if isinstance(d, Route)]
