"""Ways through the tree: every statement of a route, every expression of a statement. None recurses, however long a
chain of `else if` or `||` is."""

from __future__ import annotations

from collections.abc import Iterator

from kahea.engines.native.tree import (
    Assign,
    Binary,
    Break,
    Call,
    Case,
    Choice,
    Drop,
    Evaluate,
    Exit,
    Expression,
    If,
    Number,
    Return,
    RouteCall,
    Statement,
    String,
    Switch,
    Unary,
    While,
    Word,
)


def expressions(statement: Statement) -> Iterator[Expression]:
    """The expressions of one statement, those of statements inside it not included, in order of evaluation."""
    match statement:
        case Evaluate(value=value) | Assign(value=value):
            yield value
        case If(condition=value) | While(condition=value):
            yield value
        case Switch(subject=value):
            yield value
        case Return(value=value) | Exit(value=value) | Drop(value=value):
            if value is not None:
                yield value


def parts(expression: Expression) -> tuple[Expression, ...]:
    """What an expression is made of, in order of evaluation."""
    match expression:
        case Unary(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Call(arguments=arguments):
            return arguments
        case RouteCall(target=target):
            return (target,)
        case Choice(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case Assign(value=value):
            return (value,)
    return ()


def inside(expression: Expression) -> Iterator[Expression]:
    """An expression and all that it is made of, in order of evaluation."""
    waiting: list[tuple[Expression, bool]] = [(expression, False)]
    while waiting:
        one, seen = waiting.pop()
        inner = () if seen else parts(one)
        if inner:
            waiting.append((one, True))
            waiting += [(part, False) for part in reversed(inner)]
        else:
            yield one


def target_name(call: RouteCall) -> str:
    """The name of the route called, "" if it is known only when it is called."""
    match call.target:
        case String(text=name) | Word(text=name):
            return "" if "$" in name else name
        case Number(value=value):
            return str(value)
    return ""


def blocks(statement: Statement) -> list[tuple[Statement, ...]]:
    """The statements inside a statement."""
    match statement:
        case If(body=body, orelse=orelse):
            return [body, orelse]
        case While(body=body):
            return [body]
        case Switch(cases=cases):
            return [case.body for case in cases]
    return []


def walk(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements in the order of the text, those inside others too."""
    waiting = list(reversed(body))
    while waiting:
        statement = waiting.pop()
        yield statement
        for block in reversed(blocks(statement)):
            waiting += reversed(block)


def ends(body: tuple[Statement, ...]) -> bool:
    """Whether control never leaves the end of these statements."""
    while body:
        match body[-1]:
            case Return() | Exit() | Drop() | Break():
                return True
            case If(body=first, orelse=second):
                if not ends(first):
                    return False
                body = second
            case Switch(cases=cases):
                return any(case.value is None for case in cases) and ends(cases[-1].body) and not _broken(cases)
            case _:
                return False
    return False


def _broken(cases: tuple[Case, ...]) -> bool:
    """Whether a `break` leads out of a switch."""
    waiting = [statement for case in cases for statement in case.body]
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, Break):
            return True
        if isinstance(statement, If):
            waiting += (*statement.body, *statement.orelse)
    return False
