"""Expressions of a script as Python's: as they are where the text tells the types, else as calls of the run-time."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.compiler import build
from kahea.engines.squirrel.compiler.kinds import BOOL, INTEGER, NULL, NUMBERS, PLAIN, STRING, TABLE, Kinds, ksr_path
from kahea.engines.squirrel.compiler.variables import RESERVED, FunctionScope, Variable, ksr_name
from kahea.engines.squirrel.compiler.within import changes, register_of
from kahea.engines.squirrel.runtime.numbers import MAX, MIN

if TYPE_CHECKING:
    from kahea.engines.squirrel.compiler.functions import Functions

_COMPARISONS: Final[dict[str, tuple[type[ast.cmpop], str]]] = {
    "<": (ast.Lt, "less"),
    "<=": (ast.LtE, "less_or_equal"),
    ">": (ast.Gt, "greater"),
    ">=": (ast.GtE, "greater_or_equal"),
}
_OPERATIONS: Final = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "%": "modulo",
    "&": "bits_and",
    "|": "bits_or",
    "^": "bits_xor",
    "<<": "shift_left",
    ">>": "shift_right",
    ">>>": "shift_right_unsigned",
    "<=>": "three_way",
    "in": "exists",
    "instanceof": "instance_of",
}
#: What Python does alike with integers that stay in 64 bits.
_DIRECT: Final[dict[str, type[ast.operator]]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult}
_UNARY: Final = {
    "-": "negate",
    "~": "invert",
    "typeof": "type_of",
    "resume": "resume",
    "clone": "clone",
}
THIS: Final = "this"


class Expressions:
    """The expressions of one function."""

    def __init__(
        self, scope: FunctionScope, kinds: Kinds, functions: Functions, ksr: Mapping[str, str], inner: bool
    ) -> None:
        """`ksr` has the paths of KSR's functions; `inner` says whether this is a function in a file."""
        self.scope = scope
        self.kinds = kinds
        self._functions = functions
        self._ksr = ksr
        self._inner = inner
        #: Statements that must run before the one in hand: definitions of functions.
        self.before: list[ast.stmt] = []
        self._temporaries = 0

    def temporary(self) -> str:
        """A name that is used nowhere else in the function."""
        self._temporaries += 1
        return f"{RESERVED}{self._temporaries}"

    # ---- the two ways to evaluate

    def value(self, node: tree.Expression) -> ast.expr:
        """An expression's value."""
        made = self._value(node)
        build.located([made], node)
        return made

    def test(self, node: tree.Expression) -> ast.expr:
        """An expression as a condition: Python's truth of it is the script's."""
        made = self._test(node)
        build.located([made], node)
        return made

    def _test(self, node: tree.Expression) -> ast.expr:
        if isinstance(node, tree.Logic):
            joined = ast.And() if node.operator == "&&" else ast.Or()
            return ast.BoolOp(joined, [self.test(node.left), self.test(node.right)])
        if isinstance(node, tree.Unary) and node.operator == "!":
            return build.negated(self.test(node.operand))
        if self.kinds.of(node) in PLAIN:
            return self.value(node)
        if isinstance(node, tree.Name) and node.variable is not None and not node.variable.boxed:
            return self._truth(self.value(node), node.variable.python)
        kept = self.temporary()
        return self._truth(build.keep(kept, self.value(node)), kept)

    @staticmethod
    def _truth(value: ast.expr, name: str) -> ast.expr:
        """Python's truth, but that an empty string is true."""
        return ast.BoolOp(ast.Or(), [value, build.compare(build.name(name), ast.Eq(), build.constant(""))])

    def _value(self, node: tree.Expression) -> ast.expr:
        match node:
            case tree.Literal() | tree.Constant():
                return build.constant(node.value)
            case tree.Name():
                assert node.variable is not None
                return self._read(node.variable)
            case tree.This():
                return build.name(THIS)
            case tree.Base():
                return build.helper("base") if self._inner else build.constant(None)
            case tree.Root():
                return build.helper("root")
            case tree.Member():
                return self._member(node)
            case tree.Index():
                return build.use("index", self.value(node.object), self.value(node.key))
            case tree.Call():
                return self._call(node)
            case tree.RawCall():
                function, *arguments = map(self.value, node.arguments)
                return build.call(function, *arguments)
            case tree.Function():
                return self._functions.closure(node, self)
            case tree.Class():
                return self._class(node)
            case tree.ArrayLiteral():
                return build.use("Array", ast.List([self.value(v) for v in node.values], ast.Load()))
            case tree.TableLiteral():
                return self._table(node)
            case tree.Unary():
                return self._unary(node)
            case tree.Binary():
                return self._binary(node)
            case tree.Logic():
                return self._logic(node)
            case tree.Ternary():
                return ast.IfExp(self.test(node.test), self.value(node.then), self.value(node.otherwise))
            case tree.Assign():
                return self._assign(node)
            case tree.Increment():
                return self._increment(node)
            case tree.Delete():
                return build.use("delete", *self._place(node.target))
            case tree.Comma():
                return build.last(*map(self.value, node.values))

    # ---- variables and slots

    @staticmethod
    def _read(variable: Variable) -> ast.expr:
        return build.box(variable.python, ast.Load()) if variable.boxed else build.name(variable.python)

    def _member(self, node: tree.Member) -> ast.expr:
        name = build.constant(node.name)
        if isinstance(node.object, tree.This):
            # Where `this` is the root table, as in routes, it is one look-up; a missing one raises.
            found = ast.Subscript(build.helper("root"), name, ast.Load())
            otherwise = build.use("named", build.name(THIS), build.constant(node.name), build.helper("root"))
            return ast.IfExp(build.is_(build.name(THIS), build.helper("root")), found, otherwise)
        if self.kinds.of(node.object) == TABLE:
            return ast.Subscript(self.value(node.object), name, ast.Load())
        if isinstance(node.object, tree.Name) and node.object.variable and not node.object.variable.boxed:
            python = node.object.variable.python
            found = ast.Subscript(build.name(python), name, ast.Load())
            otherwise = build.use("member", build.name(python), build.constant(node.name))
            return ast.IfExp(build.typed(build.name(python), "Table"), found, otherwise)
        return build.use("member", self.value(node.object), name)

    def _place(self, node: tree.Name | tree.Member | tree.Index) -> tuple[ast.expr, ast.expr]:
        """The object and the key of a slot."""
        assert not isinstance(node, tree.Name)
        key = build.constant(node.name) if isinstance(node, tree.Member) else self.value(node.key)
        return self.value(node.object), key

    # ---- calls

    def _call(self, node: tree.Call) -> ast.expr:
        path = ksr_path(node.callee)
        if path and path in self._ksr:
            made: ast.expr = build.call(build.helper(ksr_name(path)), *map(self.value, node.arguments))
        else:
            function, this = self._callee(node.callee)
            build.located([function, this], node.callee)
            made = build.call(function, this, *map(self.value, node.arguments))
        if not node.slots:
            return made
        slots = [build.pair(self.value(key), self.value(value)) for key, value in node.slots]
        return build.use("initialise", made, build.pair(*slots))

    def _callee(self, node: tree.Expression) -> tuple[ast.expr, ast.expr]:
        """A function and its `this`."""
        if not isinstance(node, tree.Member | tree.Index) or isinstance(node.object, tree.This | tree.Base):
            return self.value(node), build.name(THIS)
        of = node.object
        if isinstance(of, tree.Name) and of.variable is not None and not of.variable.boxed:
            return self.value(node), build.name(of.variable.python)
        if isinstance(of, tree.Root):
            return self.value(node), build.helper("root")
        kept = self.temporary()
        value = build.keep(kept, self.value(of))
        if isinstance(node, tree.Member):
            return build.use("member", value, build.constant(node.name)), build.name(kept)
        return build.use("index", value, self.value(node.key)), build.name(kept)

    # ---- tables and classes

    def _table(self, node: tree.TableLiteral) -> ast.expr:
        if all(isinstance(slot.key, tree.Literal) and type(slot.key.value) in (str, int) for slot in node.slots):
            keys: list[ast.expr | None] = [self.value(slot.key) for slot in node.slots]
            return build.use("Table", ast.Dict(keys, [self.value(slot.value) for slot in node.slots]))
        slots = [build.pair(self.value(slot.key), self.value(slot.value)) for slot in node.slots]
        return build.use("make_table", build.pair(*slots))

    def _class(self, node: tree.Class) -> ast.expr:
        base = build.constant(None) if node.base is None else self.value(node.base)
        slots = [
            build.pair(
                self.value(slot.key), self.value(slot.value), build.constant(slot.static), self._own(slot.attributes)
            )
            for slot in node.slots
        ]
        return build.use("make_class", base, self._own(node.attributes), build.pair(*slots))

    def _own(self, attributes: tree.TableLiteral | None) -> ast.expr:
        return build.constant(None) if attributes is None else self.value(attributes)

    # ---- operators

    def _unary(self, node: tree.Unary) -> ast.expr:
        if node.operator == "!":
            return build.negated(self.test(node.operand))
        return build.use(_UNARY[node.operator], self.value(node.operand))

    def _logic(self, node: tree.Logic) -> ast.expr:
        both = node.operator == "&&"
        right = self.value(node.right)
        if self.kinds.of(node.left) in PLAIN:
            return ast.BoolOp(ast.And() if both else ast.Or(), [self.value(node.left), right])
        kept = self.temporary()
        test = self._truth(build.keep(kept, self.value(node.left)), kept)
        left = build.name(kept)
        return ast.IfExp(test, right, left) if both else ast.IfExp(test, left, right)

    def _binary(self, node: tree.Binary) -> ast.expr:
        return self._reading(node, register_of(node.left, self.scope))

    def _reading(self, node: tree.Binary, register: Variable | None) -> ast.expr:
        """An operation whose left side is a variable that is read in its own place, if one is given."""
        if register is None or not changes(node.right, register):
            return self._operation(node.operator, node.left, self.value(node.left), node.right, self.value(node.right))
        # The machine has a variable on the left read only when both sides are evaluated.
        kept = self.temporary()
        right = build.keep(kept, self.value(node.right))
        made = self._operation(node.operator, node.left, self._read(register), node.right, build.name(kept))
        return build.last(self.value(node.left), right, made)

    def _operation(
        self, operator: str, left_node: tree.Expression, left: ast.expr, right_node: tree.Expression, right: ast.expr
    ) -> ast.expr:
        kinds = self.kinds.of(left_node), self.kinds.of(right_node)
        if operator in ("==", "!="):
            return self._equality(operator == "==", (left_node, right_node), kinds, left, right)
        if operator in _COMPARISONS:
            direct, slow = _COMPARISONS[operator]
            if NUMBERS.issuperset(kinds) or kinds == (STRING, STRING):
                return build.compare(left, direct(), right)
            return build.use(slow, left, right)
        if operator in _DIRECT and kinds == (INTEGER, INTEGER):
            return self._in_64_bits(ast.BinOp(left, _DIRECT[operator](), right))
        if operator == "+" and STRING in kinds:
            parts = [
                value if kind == STRING else build.use("text_of", value)
                for value, kind in zip((left, right), kinds, strict=True)
            ]
            return build.use("joined", *parts)
        return build.use(_OPERATIONS[operator], left, right)

    def _in_64_bits(self, value: ast.expr) -> ast.expr:
        kept = self.temporary()
        bounds = ast.Compare(
            build.constant(MIN), [ast.LtE(), ast.LtE()], [build.keep(kept, value), build.constant(MAX)]
        )
        return ast.IfExp(bounds, build.name(kept), build.use("wrapped", build.name(kept)))

    @staticmethod
    def _equality(
        same: bool,
        nodes: tuple[tree.Expression, tree.Expression],
        kinds: tuple[str, str],
        left: ast.expr,
        right: ast.expr,
    ) -> ast.expr:
        if kinds[1] == NULL and isinstance(nodes[1], tree.Literal):
            return build.compare(left, ast.Is() if same else ast.IsNot(), right)
        # Python takes true for 1 and false for 0; all else that equals there equals here.
        apart = STRING in kinds or NUMBERS.issuperset(kinds) or kinds == (BOOL, BOOL)
        if not apart:
            apart = any(isinstance(n, tree.Literal) and type(n.value) is int and n.value not in (0, 1) for n in nodes)
        if apart:
            return build.compare(left, ast.Eq() if same else ast.NotEq(), right)
        found = build.use("equal", left, right)
        return found if same else build.negated(found)

    # ---- assignments

    def assigned(self, node: tree.Assign) -> tuple[Variable, ast.expr] | None:
        """The variable that is assigned, and its new value; None for a slot."""
        if not isinstance(node.target, tree.Name):
            return None
        variable = node.target.variable
        assert variable is not None
        if node.operator == "=":
            return variable, self.value(node.value)
        operation = tree.Binary(node.line, node.column, node.operator[0], node.target, node.value)
        made = self._reading(operation, variable)
        build.located([made], node)
        return variable, made

    def stepped(self, node: tree.Increment) -> tuple[Variable, ast.expr] | None:
        """As `assigned`, for `++` and `--`."""
        if not isinstance(node.target, tree.Name):
            return None
        one = tree.Literal(node.line, node.column, 1)
        operator = "+" if node.by > 0 else "-"
        assert node.target.variable is not None
        return node.target.variable, self.value(tree.Binary(node.line, node.column, operator, node.target, one))

    def _stored(self, variable: Variable, value: ast.expr) -> ast.expr:
        """Assign a variable, in an expression."""
        if variable.boxed:
            return build.use("put", build.name(variable.python), value)
        return build.keep(variable.python, value)

    def _assign(self, node: tree.Assign) -> ast.expr:
        if (assigned := self.assigned(node)) is not None:
            return self._stored(*assigned)
        assert not isinstance(node.target, tree.Name)
        registers = [register_of(node.target.object, self.scope)]
        if isinstance(node.target, tree.Index):
            registers.append(register_of(node.target.key, self.scope))
        if all(register is None or not changes(node.value, register) for register in registers):
            of, key = self._place(node.target)
            return self._slot_set(node, of, key, self.value(node.value))
        kept = self.temporary()
        value = build.keep(kept, self.value(node.value))
        of, key = self._place(node.target)
        return build.last(value, self._slot_set(node, of, key, build.name(kept)))

    def _slot_set(self, node: tree.Assign, of: ast.expr, key: ast.expr, value: ast.expr) -> ast.expr:
        if node.operator == "<-":
            return build.use("new_slot", of, key, value)
        own = isinstance(node.target, tree.Member) and isinstance(node.target.object, tree.This)
        if node.operator == "=":
            return (
                build.use("set_named", of, key, value, build.helper("root"))
                if own
                else build.use("set_member", of, key, value)
            )
        operation = build.helper(_OPERATIONS[node.operator[0]])
        if own:
            return build.use("change_named", of, key, operation, value, build.helper("root"))
        return build.use("change", of, key, operation, value)

    def _increment(self, node: tree.Increment) -> ast.expr:
        if (stepped := self.stepped(node)) is not None:
            variable, value = stepped
            if not node.postfix:
                return self._stored(variable, value)
            return build.first(self._read(variable), self._stored(variable, value))
        of, key = self._place(node.target)
        by = build.constant(node.by)
        own = isinstance(node.target, tree.Member) and isinstance(node.target.object, tree.This)
        if node.postfix:
            return build.use("step_named", of, key, by, build.helper("root")) if own else build.use("step", of, key, by)
        operation = build.helper("add")
        if own:
            return build.use("change_named", of, key, operation, by, build.helper("root"))
        return build.use("change", of, key, operation, by)
