"""The syntax tree of a script. What names mean is added by `compiler.resolve`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kahea.engines.squirrel.compiler.variables import FunctionScope, Variable

Value = str | int | float | bool | None


@dataclass(slots=True, eq=False)
class Node:
    """Any part of a script, with the place where it begins."""

    line: int
    column: int


# ---- expressions


@dataclass(slots=True, eq=False)
class Literal(Node):
    """A number, string, true, false or null."""

    value: Value


@dataclass(slots=True, eq=False)
class Name(Node):
    """A name: a local variable, a constant, or a slot of `this` or of the root table."""

    text: str
    variable: Variable | None = None


@dataclass(slots=True, eq=False)
class Constant(Node):
    """A name that was found to be a constant: what `resolve` makes of it."""

    value: Value


@dataclass(slots=True, eq=False)
class This(Node):
    """`this`."""


@dataclass(slots=True, eq=False)
class Base(Node):
    """`base`."""


@dataclass(slots=True, eq=False)
class Root(Node):
    """What stands left of a leading `::`."""


@dataclass(slots=True, eq=False)
class Member(Node):
    """`object.name`."""

    object: Expression
    name: str


@dataclass(slots=True, eq=False)
class Index(Node):
    """`object[key]`."""

    object: Expression
    key: Expression


@dataclass(slots=True, eq=False)
class Call(Node):
    """`callee(arguments)`; `slots` are set in the result (`f() { a = 1 }`)."""

    callee: Expression
    arguments: list[Expression]
    slots: list[tuple[Expression, Expression]]


@dataclass(slots=True, eq=False)
class RawCall(Node):
    """`rawcall(function, this, arguments)`."""

    arguments: list[Expression]


@dataclass(slots=True, eq=False)
class Function(Node):
    """A function; `name` is empty for one without."""

    name: str
    parameters: list[str]
    defaults: list[Expression]
    variadic: bool
    body: Statement
    #: What `function[env]` binds it to.
    env: Expression | None = None
    #: What `resolve` finds of it.
    scope: FunctionScope | None = None


@dataclass(slots=True, eq=False)
class Slot(Node):
    """A slot of a table or class in the making."""

    key: Expression
    value: Expression
    static: bool = False
    attributes: TableLiteral | None = None


@dataclass(slots=True, eq=False)
class Class(Node):
    """A class."""

    base: Expression | None
    attributes: TableLiteral | None
    slots: list[Slot]


@dataclass(slots=True, eq=False)
class ArrayLiteral(Node):
    """`[a, b]`."""

    values: list[Expression]


@dataclass(slots=True, eq=False)
class TableLiteral(Node):
    """`{a = 1}`."""

    slots: list[Slot]


@dataclass(slots=True, eq=False)
class Unary(Node):
    """`-`, `!`, `~`, `typeof`, `resume`, `clone`."""

    operator: str
    operand: Expression


@dataclass(slots=True, eq=False)
class Binary(Node):
    """All that evaluates both sides."""

    operator: str
    left: Expression
    right: Expression


@dataclass(slots=True, eq=False)
class Logic(Node):
    """`&&`, `||`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(slots=True, eq=False)
class Ternary(Node):
    """`test ? then : otherwise`."""

    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(slots=True, eq=False)
class Assign(Node):
    """`=`, `<-`, and `+=` and its kin."""

    operator: str
    target: Name | Member | Index
    value: Expression


@dataclass(slots=True, eq=False)
class Increment(Node):
    """`++` and `--`, by 1 or -1."""

    target: Name | Member | Index
    by: int
    postfix: bool


@dataclass(slots=True, eq=False)
class Delete(Node):
    """`delete`."""

    target: Name | Member | Index


@dataclass(slots=True, eq=False)
class Comma(Node):
    """`a, b`."""

    values: list[Expression]


Expression = (
    Literal | Name | Constant | This | Base | Root | Member | Index | Call | RawCall | Function | Class | ArrayLiteral
    | TableLiteral | Unary | Binary | Logic | Ternary | Assign | Increment | Delete | Comma
)  # fmt: skip

# ---- statements


@dataclass(slots=True, eq=False)
class Evaluate(Node):
    """An expression as a statement."""

    value: Expression


@dataclass(slots=True, eq=False)
class Block(Node):
    """`{ ... }`."""

    body: list[Statement]


@dataclass(slots=True, eq=False)
class If(Node):
    """`if`."""

    test: Expression
    then: Statement
    otherwise: Statement | None


@dataclass(slots=True, eq=False)
class While(Node):
    """`while`."""

    test: Expression
    body: Statement


@dataclass(slots=True, eq=False)
class DoWhile(Node):
    """`do ... while`."""

    body: Statement
    test: Expression


@dataclass(slots=True, eq=False)
class For(Node):
    """`for`."""

    start: Statement | None
    test: Expression | None
    step: Expression | None
    body: Statement


@dataclass(slots=True, eq=False)
class ForEach(Node):
    """`foreach`."""

    key: str | None
    value: str
    container: Expression
    body: Statement
    variables: list[Variable | None] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Case(Node):
    """A `case`, or the `default` (no test), of a switch."""

    test: Expression | None
    body: list[Statement]


@dataclass(slots=True, eq=False)
class Switch(Node):
    """`switch`."""

    value: Expression
    cases: list[Case]


@dataclass(slots=True, eq=False)
class Local(Node):
    """`local a = 1, b`; also `local function`."""

    names: list[str]
    values: list[Expression | None]
    variables: list[Variable] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Return(Node):
    """`return`."""

    value: Expression | None


@dataclass(slots=True, eq=False)
class Yield(Node):
    """`yield`."""

    value: Expression | None


@dataclass(slots=True, eq=False)
class Break(Node):
    """`break`."""


@dataclass(slots=True, eq=False)
class Continue(Node):
    """`continue`."""


@dataclass(slots=True, eq=False)
class Throw(Node):
    """`throw`."""

    value: Expression


@dataclass(slots=True, eq=False)
class Try(Node):
    """`try ... catch`."""

    body: Statement
    name: str
    handler: Statement
    variable: Variable | None = None


@dataclass(slots=True, eq=False)
class Const(Node):
    """`const` and `enum`: known while the script is compiled."""

    name: str
    value: Value | dict[str, Value]


Statement = (
    Evaluate | Block | If | While | DoWhile | For | ForEach | Switch | Local | Return | Yield | Break | Continue
    | Throw | Try | Const
)  # fmt: skip
