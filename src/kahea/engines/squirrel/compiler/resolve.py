"""Finds what each name of a script means: a local variable, a constant, or a slot of `this`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.compiler.variables import FunctionScope, Variable
from kahea.engines.squirrel.diagnostics import SyntaxFault

#: What the constants are known by: a value, or the values of an enumeration.
Constants = dict[str, tree.Value | dict[str, tree.Value]]


class Resolver:
    """Goes through one file in the order of its text. Raises SyntaxFault."""

    def __init__(self, source: str, file: str, constants: Constants) -> None:
        """`constants` are those of texts before; those of this one are added."""
        self._source = source
        self._file = file
        self._constants = constants
        self._function = FunctionScope(None)
        self._scopes: list[dict[str, Variable]] = [{}]
        #: How many loops, and how many loops or switches, are around; of this function.
        self._loops = 0
        self._breakable = 0
        self.variables: list[Variable] = []

    def file(self, body: list[tree.Statement]) -> FunctionScope:
        """The whole file."""
        self._function.vargv = self._declare("vargv", opaque=True)
        self._statements(body)
        return self._function

    def _refuse(self, message: str, node: tree.Node) -> SyntaxFault:
        return SyntaxFault(self._file, self._source, node.line, node.column, message)

    # ---- variables

    def _declare(self, name: str, value: tree.Expression | None = None, *, opaque: bool = False) -> Variable:
        function = self._function
        made = Variable(name, function.python_name(name), function, self._loops > 0, [value], opaque)
        self._scopes[-1][name] = made
        self.variables.append(made)
        return made

    def _find(self, name: str) -> Variable | None:
        for scope in reversed(self._scopes):
            if name in scope:
                found = scope[name]
                self._function.use(found)
                return found
        return None

    def _within(self, work: Callable[[], None]) -> None:
        self._scopes.append({})
        work()
        self._scopes.pop()

    # ---- statements

    def _statements(self, body: Iterable[tree.Statement]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, node: tree.Statement) -> None:
        getattr(self, f"_{type(node).__name__.lower()}")(node)

    def _scoped(self, node: tree.Statement) -> None:
        self._within(lambda: self._statement(node))

    def _looped(self, body: tree.Statement) -> None:
        self._loops += 1
        self._breakable += 1
        self._scoped(body)
        self._loops -= 1
        self._breakable -= 1

    def _evaluate(self, node: tree.Evaluate) -> None:
        node.value = self._expression(node.value)

    def _block(self, node: tree.Block) -> None:
        self._within(lambda: self._statements(node.body))

    def _if(self, node: tree.If) -> None:
        node.test = self._expression(node.test)
        self._statement(node.then)
        if node.otherwise is not None:
            self._statement(node.otherwise)

    def _while(self, node: tree.While) -> None:
        node.test = self._expression(node.test)
        self._looped(node.body)

    def _dowhile(self, node: tree.DoWhile) -> None:
        self._looped(node.body)
        node.test = self._expression(node.test)

    def _for(self, node: tree.For) -> None:
        self._scopes.append({})
        if node.start is not None:
            self._statement(node.start)
        if node.test is not None:
            node.test = self._expression(node.test)
        if node.step is not None:
            node.step = self._expression(node.step)
        self._looped(node.body)
        self._scopes.pop()

    def _foreach(self, node: tree.ForEach) -> None:
        self._scopes.append({})
        node.container = self._expression(node.container)
        key = self._declare(node.key, opaque=True) if node.key is not None else None
        node.variables = [key, self._declare(node.value, opaque=True)]
        self._looped(node.body)
        self._scopes.pop()

    def _switch(self, node: tree.Switch) -> None:
        node.value = self._expression(node.value)
        self._breakable += 1
        for case in node.cases:
            if case.test is not None:
                case.test = self._expression(case.test)
            self._within(lambda body=case.body: self._statements(body))  # type: ignore[misc]
        self._breakable -= 1

    def _local(self, node: tree.Local) -> None:
        for place, name in enumerate(node.names):
            value = node.values[place]
            if value is not None:
                value = node.values[place] = self._expression(value)
            node.variables.append(self._declare(name, value))

    def _return(self, node: tree.Return) -> None:
        if node.value is not None:
            node.value = self._expression(node.value)

    def _yield(self, node: tree.Yield) -> None:
        self._function.generates = True
        if node.value is not None:
            node.value = self._expression(node.value)

    def _break(self, node: tree.Break) -> None:
        if not self._breakable:
            raise self._refuse("'break' has to be in a loop block", node)

    def _continue(self, node: tree.Continue) -> None:
        if not self._loops:
            raise self._refuse("'continue' has to be in a loop block", node)

    def _throw(self, node: tree.Throw) -> None:
        node.value = self._expression(node.value)

    def _try(self, node: tree.Try) -> None:
        self._scoped(node.body)
        self._scopes.append({})
        node.variable = self._declare(node.name, opaque=True)
        self._statement(node.handler)
        self._scopes.pop()

    def _const(self, node: tree.Const) -> None:
        self._constants[node.name] = node.value

    # ---- expressions

    def _expression(self, node: tree.Expression) -> tree.Expression:
        """The expression to take for it: itself, unless it is a name of something else."""
        name = type(node).__name__.lower()
        if name in _LEAVES:
            return node
        found: tree.Expression = getattr(self, f"_at_{name}")(node)
        return found

    def _all(self, nodes: list[tree.Expression]) -> None:
        nodes[:] = [self._expression(node) for node in nodes]

    def _at_name(self, node: tree.Name) -> tree.Expression:
        node.variable = self._find(node.text)
        if node.variable is not None:
            return node
        if node.text in self._constants:
            value = self._constants[node.text]
            if isinstance(value, dict):
                raise self._refuse(f"{node.text} is an enumeration: one of its names must follow", node)
            return tree.Constant(node.line, node.column, value)
        return tree.Member(node.line, node.column, tree.This(node.line, node.column), node.text)

    def _at_base(self, node: tree.Base) -> tree.Expression:
        self._function.based = True
        return node

    def _at_member(self, node: tree.Member) -> tree.Expression:
        of = node.object
        if isinstance(of, tree.Name) and isinstance(self._constants.get(of.text), dict) and self._find(of.text) is None:
            values = self._constants[of.text]
            assert isinstance(values, dict)
            if node.name not in values:
                raise self._refuse(f"invalid constant [{of.text}.{node.name}]", node)
            return tree.Constant(node.line, node.column, values[node.name])
        node.object = self._expression(of)
        return node

    def _at_index(self, node: tree.Index) -> tree.Expression:
        node.object = self._expression(node.object)
        node.key = self._expression(node.key)
        return node

    def _at_call(self, node: tree.Call) -> tree.Expression:
        self._function.calls = True
        node.callee = self._expression(node.callee)
        self._all(node.arguments)
        node.slots = [(self._expression(key), self._expression(value)) for key, value in node.slots]
        return node

    def _at_rawcall(self, node: tree.RawCall) -> tree.Expression:
        self._function.calls = True
        self._all(node.arguments)
        return node

    def _at_function(self, node: tree.Function) -> tree.Expression:
        if node.env is not None:
            node.env = self._expression(node.env)
        self._all(node.defaults)
        outer = self._function, self._loops, self._breakable
        self._function = node.scope = FunctionScope(outer[0])
        self._loops = self._breakable = 0
        self._scopes.append({})
        node.scope.parameters = [self._declare(name, opaque=True) for name in node.parameters]
        if node.variadic:
            node.scope.vargv = self._declare("vargv", opaque=True)
        self._statement(node.body)
        self._scopes.pop()
        self._function, self._loops, self._breakable = outer
        return node

    def _at_class(self, node: tree.Class) -> tree.Expression:
        if node.base is not None:
            node.base = self._expression(node.base)
        if node.attributes is not None:
            self._expression(node.attributes)
        self._slots(node.slots)
        return node

    def _slots(self, slots: list[tree.Slot]) -> None:
        for slot in slots:
            if slot.attributes is not None:
                self._expression(slot.attributes)
            slot.key = self._expression(slot.key)
            slot.value = self._expression(slot.value)

    def _at_arrayliteral(self, node: tree.ArrayLiteral) -> tree.Expression:
        self._all(node.values)
        return node

    def _at_tableliteral(self, node: tree.TableLiteral) -> tree.Expression:
        self._slots(node.slots)
        return node

    def _at_unary(self, node: tree.Unary) -> tree.Expression:
        node.operand = self._expression(node.operand)
        return node

    def _at_binary(self, node: tree.Binary | tree.Logic) -> tree.Expression:
        node.left = self._expression(node.left)
        node.right = self._expression(node.right)
        return node

    _at_logic = _at_binary

    def _at_ternary(self, node: tree.Ternary) -> tree.Expression:
        node.test = self._expression(node.test)
        node.then = self._expression(node.then)
        node.otherwise = self._expression(node.otherwise)
        return node

    def _target(self, node: tree.Name | tree.Member | tree.Index) -> tree.Name | tree.Member | tree.Index:
        """What is assigned. Raises SyntaxFault for a constant."""
        found = self._expression(node)
        if not isinstance(found, tree.Name | tree.Member | tree.Index):
            raise self._refuse("can't assign expression", node)
        return found

    def _assigned(self, variable: Variable, value: tree.Expression) -> None:
        variable.values.append(value)
        if variable.owner is not self._function:
            self._function.assigned[variable] = None

    def _at_assign(self, node: tree.Assign) -> tree.Expression:
        node.target = self._target(node.target)
        node.value = self._expression(node.value)
        if isinstance(node.target, tree.Name):
            if node.operator == "<-":
                raise self._refuse("can't 'create' a local slot", node)
            value = node.value
            if node.operator != "=":
                value = tree.Binary(node.line, node.column, node.operator[0], node.target, value)
            assert node.target.variable is not None
            self._assigned(node.target.variable, value)
        return node

    def _at_increment(self, node: tree.Increment) -> tree.Expression:
        node.target = self._target(node.target)
        if isinstance(node.target, tree.Name):
            one = tree.Literal(node.line, node.column, 1)
            assert node.target.variable is not None
            self._assigned(
                node.target.variable, tree.Binary(node.line, node.column, "+" if node.by > 0 else "-", node.target, one)
            )
        return node

    def _at_delete(self, node: tree.Delete) -> tree.Expression:
        node.target = self._target(node.target)
        if isinstance(node.target, tree.Name):
            raise self._refuse("cannot delete an (outer) local", node)
        return node

    def _at_comma(self, node: tree.Comma) -> tree.Expression:
        self._all(node.values)
        return node


#: Expressions in which there are no names.
_LEAVES: Final = frozenset({"literal", "constant", "this", "root"})
