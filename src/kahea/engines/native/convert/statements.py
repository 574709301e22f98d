"""Routes as Python functions, line by line, with the comments that stood beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from kahea.engines.native.constants import fold
from kahea.engines.native.convert.calls import ENDING, HARMLESS
from kahea.engines.native.convert.code import BOOL, COMPARE, Code, infix, literal
from kahea.engines.native.convert.comments import Comments
from kahea.engines.native.convert.expressions import Expressions
from kahea.engines.native.convert.flow import BY_NAME, Flow
from kahea.engines.native.convert.names import Names
from kahea.engines.native.tree import (
    Assign,
    Break,
    Call,
    Case,
    Comment,
    Drop,
    Evaluate,
    Exit,
    Expression,
    If,
    Number,
    Place,
    Program,
    Return,
    Route,
    RouteCall,
    Statement,
    String,
    Switch,
    Unary,
    While,
)
from kahea.engines.native.walk import ends

INDENT: Final = "    "
#: Ends the script, wherever it stands.
EXIT: Final = "sys.exit()"
#: How long a line with several conditions may be: what ruff takes when it is told nothing.
_LINE: Final = 88


@dataclass
class _Function:
    """The function being written."""

    route: Route
    lines: list[str] = field(default_factory=list)
    #: What `exit` is here: the engine's own routes just return.
    leave: str = "return"
    #: Whether its value is read.
    valued: bool = False
    #: How many loops and switches are around the statement at hand.
    loops: int = 0


class Statements:
    """Prints the routes of one program."""

    def __init__(
        self, names: Names, flow: Flow, expressions: Expressions, program: Program, comments: Comments
    ) -> None:
        self._names = names
        self._flow = flow
        self._expressions = expressions
        self._sources = program.sources
        self._comments = comments
        #: What was declared before each route, where that is a route of the same file, by identity.
        self._before_route: dict[int, Route] = {}
        self._last: Route | None = None
        for declaration in program.declarations:
            before: Route | None = self._last
            self._last = declaration if isinstance(declaration, Route) else None
            if before is not None and self._last is not None and before.place.file == self._last.place.file:
                self._before_route[id(self._last)] = before

    def function(self, route: Route) -> list[str]:
        """One route."""
        called = route.kind == "request" and bool(route.name)
        self._f = _Function(
            route,
            leave=EXIT if called else "return",
            valued=called and not self._flow.valued.isdisjoint((route.name, BY_NAME)),
        )
        self._expressions.keeps_code = self._flow.keeps(route)
        if self._expressions.keeps_code and id(route) in self._flow.inherits:
            self._f.lines.append(f"{INDENT}rc = 1")
        name = self._names.route(route.kind, route.name)
        above = self._above(route)
        body_at = Place(route.place.file, route.place.line, route.place.column, 0, 0)
        self._block(route.body, INDENT, body_at, route.end_line)
        lines = self._f.lines
        if any(line.lstrip().startswith(EXIT) for line in lines):
            self._expressions.imports.add("sys")
        if self._f.valued and not ends(route.body):
            if lines == [f"{INDENT}pass"]:
                lines.clear()
            lines.append(f"{INDENT}return 1")
        elif not self._f.valued and _returns_last(lines):
            lines.pop()
        while lines and not lines[-1]:
            lines.pop()
        if not any(line.strip() and not line.strip().startswith("#") for line in lines):
            lines.append(f"{INDENT}pass")
        return [*above, f"def {name}():", *lines]

    # ---- comments

    def _above(self, route: Route) -> list[str]:
        """The comments between a route and the one before it; those right above it, where that is something else."""
        before = self._before_route.get(id(route))
        found = self._comments.above(route.place, before.end_line if before is not None else None)
        return self._apart(found, route.place.line)

    def _apart(self, comments: list[Comment], line: int) -> list[str]:
        """Comments, with empty lines where the cfg has some between them, and before what stands on a line."""
        out: list[str] = []
        lines_after = [*(comment.place.line for comment in comments), line][1:]
        for comment, following in zip(comments, lines_after, strict=True):
            out += self._comments.take(comment)
            if out and out[-1] and comment.place.end_line < following - 1:
                out += [""] if following != line else ["", ""]
        return out

    def rest(self) -> list[str]:
        """The comments behind the last route of the file."""
        last = self._last
        if last is None:
            return []
        found = [comment for comment in self._comments.left(last.place.file) if comment.place.line > last.end_line]
        return self._apart(found, 0)

    def _before(self, file: str, first: int, line: int, indent: str) -> None:
        """The comments of their own between two lines."""
        for comment in self._comments.left(file):
            if first < comment.place.line < line:
                self._blank(file, comment.place.line)
                self._f.lines += [indent + text for text in self._comments.take(comment)]

    def _blank(self, file: str, line: int) -> None:
        """An empty line where the cfg has one above, but not at the start of a block."""
        lines = self._sources.get(file, [])
        last = self._f.lines[-1] if self._f.lines else ":"
        if (
            2 <= line <= len(lines)
            and not lines[line - 2].strip()
            and last
            and not last.partition("  #")[0].endswith(":")
        ):
            self._f.lines.append("")

    # ---- statements

    def _block(self, body: tuple[Statement, ...], indent: str, after: Place, until: int) -> None:
        """Statements, down to the first that control never passes."""
        start = len(self._f.lines)
        line = after.line
        for index, statement in enumerate(body):
            self._before(statement.place.file, line, statement.place.line, indent)
            self._blank(statement.place.file, statement.place.line)
            self._statement(statement, indent)
            line = statement.place.end_line
            if ends(body[: index + 1]):
                break
        else:
            if body:
                self._before(body[-1].place.file, line, until, indent)
        if not any(not text.strip().startswith("#") for text in self._f.lines[start:]):
            self._f.lines.append(f"{indent}pass")

    def _put(self, indent: str, text: str, place: Place) -> None:
        self._f.lines.append(f"{indent}{text}{self._comments.beside(place)}")

    def _statement(self, statement: Statement, indent: str) -> None:
        place = statement.place
        match statement:
            case Evaluate(value=Call() as call):
                self._call(call, indent, place)
            case Evaluate(value=value):
                expressions = self._expressions
                code = (expressions.invoke(value) if isinstance(value, RouteCall) else expressions.value(value)).text
                self._put(indent, code[1:-1].replace("rc :=", "rc =") if code.startswith("(rc :=") else code, place)
            case Assign():
                self._put(indent, self._expressions.assign(statement), place)
            case If():
                self._if(statement, indent, "if")
            case While(condition=condition, body=body):
                self._put(
                    indent, f"while {self._expressions.truth(condition)}:", Place(place.file, 0, 0, place.line, 0)
                )
                self._f.loops += 1
                self._block(body, indent + INDENT, place, place.end_line)
                self._f.loops -= 1
            case Switch():
                self._f.loops += 1
                self._switch(statement, indent)
                self._f.loops -= 1
            case Break():
                alone = "return 0" if self._f.valued else "return"
                self._put(indent, "break" if self._f.loops else alone, place)
            case Return(value=value):
                self._return(value, indent, place)
            case Exit():
                self._put(indent, self._f.leave, place)
            case Drop():
                self._f.lines.append(f"{indent}KSR.set_drop()")
                self._put(indent, self._f.leave, place)

    def _call(self, call: Call, indent: str, place: Place) -> None:
        code = self._expressions.invoke(call).text
        if call.name in ENDING - HARMLESS and id(call) not in self._flow.kept:
            self._put(indent, f"if {code} == 0:", place)
            self._f.lines.append(f"{indent}{INDENT}{self._f.leave}")
        else:
            self._put(indent, code[1:-1].replace("rc :=", "rc =", 1) if code.startswith("(rc :=") else code, place)

    def _if(self, statement: If, indent: str, word: str) -> None:
        place = statement.place
        checked = self._ending(statement)
        if checked is None:
            statement, operator, conditions = self._with_inner(statement, indent, word)
        else:
            operator, conditions = self._expressions.conditions(statement.condition)
            conditions = [conditions[0].replace(checked, "rc", 1)]
            self._f.lines += [f"{indent}rc = {checked}", f"{indent}if rc == 0:", f"{indent}{INDENT}{self._f.leave}"]
        head = Place(place.file, 0, 0, statement.condition.place.end_line, 0)
        line = f"{indent}{word} {f' {operator} '.join(conditions)}:"
        if len(line) > _LINE and len(conditions) > 1:
            self._f.lines += [f"{indent}{word} (", f"{indent}{INDENT}{conditions[0]}"]
            self._f.lines += [f"{indent}{INDENT}{operator} {each}" for each in conditions[1:]]
            line = f"{indent}):"
        self._put("", line, head)
        after = statement.condition.place
        following = self._else_line(statement) if statement.orelse else statement.place.end_line
        self._block(statement.body, indent + INDENT, after, following)
        if not statement.orelse:
            return
        if len(statement.orelse) == 1 and isinstance(statement.orelse[0], If) and not self._ending(statement.orelse[0]):
            self._if(statement.orelse[0], indent, "elif")
        else:
            self._f.lines.append(f"{indent}else:")
            self._block(statement.orelse, indent + INDENT, Place(place.file, following - 1, 0, 0, 0), place.end_line)

    def _with_inner(self, statement: If, indent: str, word: str) -> tuple[If, str, list[str]]:
        """An `if` and its conditions; one that holds nothing but another `if` is that one with both conditions, and
        comments between them stand above."""
        operator, conditions = self._expressions.conditions(statement.condition)
        while not statement.orelse and len(statement.body) == 1:
            inner = statement.body[0]
            if not isinstance(inner, If) or inner.orelse or self._ending(inner):
                break
            if self._commented(statement, inner, between=word != "if"):
                break
            self._before(inner.place.file, statement.condition.place.end_line, inner.place.line, indent)
            both = (operator, conditions), self._expressions.conditions(inner.condition)
            alone = [[f"({' or '.join(each)})"] if joint == "or" else each for joint, each in both]
            statement, operator, conditions = inner, "and", alone[0] + alone[1]
        return statement, operator, conditions

    def _commented(self, outer: If, inner: If, *, between: bool) -> bool:
        """Whether comments in an `if` would lose their place without it: those beside its head, behind the only other
        one that it holds, and perhaps `between` them."""
        first, last = outer.condition.place.end_line, outer.place.end_line
        return any(
            line == first < inner.place.line
            or inner.place.end_line < line <= last
            or (between and first < line < inner.place.line)
            for line in self._comments.lines_of(outer.place.file)
        )

    def _else_line(self, statement: If) -> int:
        """The line that `else` stands on."""
        first = statement.orelse[0].place
        start = statement.body[-1].place.end_line if statement.body else statement.condition.place.end_line
        lines = self._sources.get(first.file, [])
        for line in range(min(first.line, len(lines)), start - 1, -1):
            if re.search(r"\belse\b", lines[line - 1].partition("#")[0]):
                return line
        return first.line

    def _ending(self, statement: If) -> str | None:
        """The function call of a condition whose 0 would end the script here and not in Python."""
        match statement.condition:
            case Call() as call:
                pass
            case Unary(operator="!", operand=Call() as call):
                pass
            case _:
                return None
        if call.name not in ENDING - HARMLESS or id(call) in self._flow.kept:
            return None
        return str(self._expressions.invoke(call))

    def _return(self, value: Expression | None, indent: str, place: Place) -> None:
        known = 1 if value is None else fold(value)
        if known is None and value is not None:
            self._return_what_comes(value, indent, place)
        elif known == 0:
            self._put(indent, self._f.leave, place)
        elif self._f.valued:
            self._put(indent, "return 1" if value is None else f"return {self._expressions.number(value)}", place)
        else:
            self._put(indent, "return", place)

    def _return_what_comes(self, value: Expression, indent: str, place: Place) -> None:
        """A value that is known only then: 0 ends the script."""
        result = "return"
        if isinstance(value, Call | RouteCall):
            test = self._expressions.truth(Unary(operator="!", operand=value, place=place)).text
            result += " 1" if self._f.valued else ""
        elif self._f.valued:
            self._f.lines.append(f"{indent}code = {self._expressions.number(value)}")
            test, result = "code == 0", "return code"
        else:
            test = infix("==", COMPARE, self._expressions.number(value), Code("0"), BOOL).text
        self._f.lines += [f"{indent}if {test}:", f"{indent}{INDENT}{self._f.leave}"]
        self._put(indent, result, place)

    # ---- switch

    def _switch(self, statement: Switch, indent: str) -> None:
        """A match statement; where a `break` stands inside another statement, in a loop that runs once."""
        nested = any(
            isinstance(s, Break) and s is not case.body[-1] for case in statement.cases for s in _own(case.body)
        )
        if nested:
            self._f.lines.append(f"{indent}while True:")
            indent += INDENT
        labels = [case.value for case in statement.cases if case.value is not None]
        numbers = bool(labels) and all(isinstance(label, Number) for label in labels)
        subject = self._expressions.number(statement.subject) if numbers else self._expressions.text(statement.subject)
        self._f.lines.append(f"{indent}match {subject}:")
        for cases, body in _grouped(statement.cases):
            self._f.lines.append(f"{indent}{INDENT}case {self._label(cases)}:")
            kept = body[:-1] if body and isinstance(body[-1], Break) and not nested else body
            self._block(kept, indent + 2 * INDENT, cases[-1].place, statement.place.end_line)
        if nested:
            self._f.lines.append(f"{indent}break")

    def _label(self, cases: list[Case]) -> str:
        if any(case.value is None for case in cases):
            return "_"
        patterns = [self._expressions.value(c.value).text for c in cases if c.value is not None and not c.regex]
        guards = [c.value.text for c in cases if c.regex and isinstance(c.value, String)]
        if not guards:
            # A bare name would be bound, not compared.
            names = [p for p in patterns if p.isidentifier()]
            if not names:
                return " | ".join(patterns)
            return f"value if value in ({', '.join(patterns)}{',' if len(patterns) == 1 else ''})"
        self._expressions.imports.add("re")
        tests = [f"value == {p}" for p in patterns] + [f"re.search({literal(g)}, value, re.IGNORECASE)" for g in guards]
        return f"value if {' or '.join(tests)}"


def _returns_last(lines: list[str]) -> bool:
    """Whether the last line is a `return` that could as well not be there."""
    if not lines or lines[-1].strip() != "return":
        return False
    indent = _indent(lines[-1])
    if indent == len(INDENT):
        return True
    if _indent(lines[-2]) != indent or lines[-2].lstrip().startswith("#"):
        return False  # its block would be empty
    for line in reversed(lines):
        if line and _indent(line) < indent:
            indent = _indent(line)
            if line.lstrip().startswith("while "):
                return False
    return True


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _own(body: tuple[Statement, ...]) -> list[Statement]:
    """The statements of a switch's case that a `break` inside would belong to the switch in."""
    out: list[Statement] = []
    for statement in body:
        out.append(statement)
        if isinstance(statement, If):
            out += _own(statement.body) + _own(statement.orelse)
    return out


def _grouped(cases: tuple[Case, ...]) -> list[tuple[list[Case], tuple[Statement, ...]]]:
    """Labels that share a body together; what falls through continues with the next body. The default comes last."""
    groups: list[tuple[list[Case], tuple[Statement, ...]]] = []
    waiting: list[Case] = []
    for index, case in enumerate(cases):
        waiting.append(case)
        if not case.body:
            continue
        body = case.body
        for following in cases[index + 1 :]:
            if ends(body):
                break
            body += following.body
        groups.append((waiting, body))
        waiting = []
    if waiting:
        groups.append((waiting, ()))
    return sorted(groups, key=lambda group: any(case.value is None for case in group[0]))
