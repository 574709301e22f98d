"""Calls of functions and routes, their arguments, and variables: names are resolved here, once."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

from kahea.engines.native.compiler import build, unknown
from kahea.engines.native.compiler.operands import Operands
from kahea.engines.native.compiler.scope import asks_for_code
from kahea.engines.native.compiler.steps import step_of
from kahea.engines.native.constants import fold
from kahea.engines.native.diagnostics import nearest
from kahea.engines.native.tree import (
    Assign,
    Call,
    Expression,
    Number,
    RouteCall,
    Select,
    Statement,
    String,
    Variable,
    Word,
)
from kahea.routing.caller import Test, asking
from kahea.routing.module import Native
from kahea.routing.pv import PvError
from kahea.routing.regex import RegexError, compile_posix, finder
from kahea.routing.run import ROUTE_NAMES

if TYPE_CHECKING:
    from kahea.routing.pv.format import Format
    from kahea.routing.pv.table import Pv

#: Modules whose functions leave `$rc` as it is: in Kamailio they are statements of the language.
_STATEMENTS = frozenset({"", "core"})
#: Modules whose functions may read any variable, `$rc` too.
_EVALUATING = frozenset({"app_lua", "app_jsdt", "app_python3", "app_sqlang", "debugger", "evrexec"})


class Calls(Operands):
    """Compiles calls in one function."""

    # ---- variables

    def variable(self, e: Variable) -> ast.expr:
        """The value of a variable: int, str or None."""
        pv = self.resolve(e.text, e)
        if pv is None or e.text == "$null":
            return build.constant(None)
        if pv.name in ("rc", "retcode", "?") and pv.text == f"${pv.name}":
            return build.run_attribute("rc")
        return build.call(self._reader(self.state.scope.keep(pv.get, pv.name), e.text), build.name(build.RUN))

    def _reader(self, name: str, text: str) -> str:
        """A name in generated code, noted if what it evaluates asks for `$rc`."""
        if asks_for_code(text):
            self.state.scope.readers.add(name)
        return name

    def resolve(self, text: str, e: Expression) -> Pv | None:
        """A variable by its text; None, and an error, if there is no such one."""
        scope = self.state.scope
        try:
            pv = scope.node.variables.compile(text)
        except PvError as error:
            scope.bad_variable(text, error, e.place)
            return None
        scope.used[pv.text] = pv
        return pv

    def select(self, e: Select) -> ast.expr:
        """A select: text, empty where there is nothing."""
        pv = self.resolve(f"$sel({e.text[1:]})", e)
        if pv is None:
            return build.constant("")
        return build.call("text_of", build.call(self.state.scope.keep(pv.get, "sel"), build.name(build.RUN)))

    def pattern(self, e: String, flags: str = "i") -> str:
        """The name of the search function of a literal regular expression. `=~` ignores case, `case` if it says so."""
        try:
            pattern = compile_posix(e.text, ignore_case="i" in flags)  # the same one for the same text
            find = finder(e.text, ignore_case="i" in flags)
            return self.state.scope.keep(find, f"search_{e.text[:20]}", pattern)
        except RegexError as error:
            self.state.scope.error("regex", f"{e.text!r} is no regular expression: {error}", e.place)
            return "matches"

    # ---- calls

    def code(self, e: Call | RouteCall) -> ast.expr:
        """The return code of a call. What must run before, and the end of the script, is put before."""
        if self.state.scope.tracer is not None and e is not self.state.statement:
            self._run_before(self.told(e), e)
        self.forget_code(e)
        if isinstance(e, RouteCall):
            if self._is_idle(e):
                if self.state.scope.keeps_code(e):
                    self._keep_code(build.constant(1), e)
                return build.constant(1)
            return self._checked(self.route_call(e), e, keeps=self.state.scope.keeps_code(e))
        native = self.form(e)
        if native is None:
            return build.constant(1)
        made = self.invocation(native, e)
        keeps = native.module not in _STATEMENTS and self.state.scope.keeps_code(e)
        if native.ret == "none":
            self._run_before(ast.Expr(made), e)
            if keeps:
                self._keep_code(build.constant(1), e)
            return build.constant(1)
        if native.ret == "bool":
            code = build.choose(made, build.constant(1), build.constant(-1))
            if not keeps:
                return code
            kept = self.state.saved(code)
            self._keep_code(kept, e)
            return kept
        return self._checked(made, e, keeps=keeps)

    def told(self, node: Statement | Call | RouteCall) -> ast.stmt:
        """Tells the tracer of a step."""
        scope = self.state.scope
        step = step_of(node, self.state.title, scope.node.variables, self._leaves_code)
        kept = scope.keep(step, f"step_{node.place.line}")
        return ast.Expr(build.call("trace_step", build.name(build.RUN), build.name(kept)))

    def _leaves_code(self, function: str) -> bool:
        forms = self.state.scope.node.registry.natives.get(function, ())
        return any(form.module not in _STATEMENTS for form in forms)

    def _checked(self, made: ast.expr, e: Call | RouteCall, *, keeps: bool) -> ast.expr:
        """A code that may end the script: 0 of a function, None of a route."""
        build.located([made], e.place)
        kept = self.state.saved(made)
        is_route = isinstance(e, RouteCall)
        ended = build.is_none(kept) if is_route else build.negate(kept)
        end = build.constant(None) if is_route else build.call("ended_by_zero", build.name(build.RUN))
        self._run_before(ast.If(ended, [ast.Return(end)], []), e)
        if keeps:
            self._keep_code(kept, e)
        return kept

    def forget_code(self, e: Call | RouteCall | Assign) -> None:
        """`$rc` is 0 before what is called or assigned among operators; a statement leaves it as it was."""
        if e is not self.state.statement and self.state.scope.keeps_code(e, before=True):
            self._keep_code(build.constant(0), e, before=True)

    def _keep_code(self, code: ast.expr, e: Call | RouteCall | Assign, *, before: bool = False) -> None:
        """Keep a code for `$rc`."""
        statement = build.set_on_run("rc", code)
        self.state.scope.stored(statement, e, before=before)
        self._run_before(statement, e)

    def _run_before(self, statement: ast.stmt, e: Expression) -> None:
        build.located([statement], e.place)
        self.state.before.append(statement)

    def form(self, e: Call) -> Native | None:
        """The form of a function that takes these arguments; None, and an error, if there is none."""
        scope = self.state.scope
        forms = scope.node.registry.natives.get(e.name)
        if forms is None:
            self._unknown(e)
            return None
        given = len(e.arguments)
        fitting = [f for f in forms if f.least <= given <= len(f.kinds)]
        if not fitting:
            counts = sorted({n for f in forms for n in range(f.least, len(f.kinds) + 1)})
            takes = " or ".join(str(n) for n in counts)
            if len(counts) > 2 and counts[-1] - counts[0] == len(counts) - 1:
                takes = f"{counts[0]} to {counts[-1]}"
            plural = "" if counts == [1] else "s"
            scope.error("arguments", f"{e.name}() takes {takes} argument{plural}, not {given}", e.place)
            return None
        allowed = [f for f in fitting if not f.routes or f.routes & self.state.routes]
        if not allowed:
            wanted = [name for bit, name in ROUTE_NAMES.items() if any(f.routes & bit for f in fitting)]
            scope.error("route-kind", f"{e.name}() can't be called here, only in {', '.join(wanted)}", e.place)
            return None
        return allowed[0]

    def _unknown(self, e: Call) -> None:
        code, message, hint, module = unknown.function(e.name, self.state.scope.node.registry)
        self.state.scope.error(code, message, e.place, hint, module)

    def invocation(self, native: Native, e: Call) -> ast.expr:
        """The call itself, its arguments as the function declares them."""
        arguments: list[ast.expr] = [build.name(build.RUN)]
        for kind, argument in zip(native.kinds, e.arguments, strict=False):
            with self.state.aside() as before:
                made = self.argument(kind, argument, e)
            if before:
                arguments = [a if isinstance(a, ast.Name) else self.state.saved(a) for a in arguments]
                self.state.before += before
            arguments.append(made)
        if len(arguments) == 2 and (test := self._asked(arguments[1])) is not None:
            return build.call(self.state.scope.keep(asking(test, native.name), native.name, test), arguments[0])
        function = self.state.scope.keep(native.call, native.name)
        if native.module in _EVALUATING or any(asks_for_code(literal(a) or "") for a in e.arguments):
            self.state.scope.readers.add(function)
        return build.call(function, *arguments)

    def _asked(self, argument: ast.expr) -> Test | None:
        """What a function asks whose only argument is a test; None where all functions' time is measured."""
        scope = self.state.scope
        kept = scope.names.get(argument.id) if isinstance(argument, ast.Name) else None
        return kept if isinstance(kept, Test) and scope.node.settings.latency_limit_action <= 0 else None

    # ---- arguments

    def argument(self, kind: Any, e: Expression, of: Call) -> ast.expr:
        """One argument as the function wants it."""
        if callable(kind):
            return self._prepared(kind, e)
        if kind.startswith("route:"):
            return self._route_name(e)
        made: ast.expr = getattr(self, f"_argument_{kind}")(e, of)
        build.located([made], e.place)
        return made

    def _argument_str(self, e: Expression, _of: Call) -> ast.expr:
        text = literal(e)
        if text is None:
            return self.text(e, cast=True)
        if "$" not in text or isinstance(e, Number):
            return build.constant(text)
        return self._rendered(text, e)

    def _argument_reason(self, e: Expression, of: Call) -> ast.expr:
        text = literal(e)
        variable = "" if text is None else self.state.scope.node.variables.leading(text)
        return self._rendered(variable, e) if variable else self._argument_str(e, of)

    def _rendered(self, text: str, e: Expression) -> ast.expr:
        """Text with its variables in place."""
        scope = self.state.scope
        format_ = self._format(text, e)
        if format_ is None:
            return build.constant("")
        scope.used.update({part.text: part for part in format_.parts if not isinstance(part, str)})
        if format_.constant:
            return build.constant(format_.render(None))  # type: ignore[arg-type]
        return build.call(self._reader(scope.keep(format_.render, "text"), text), build.name(build.RUN))

    def _format(self, text: str, e: Expression) -> Format | None:
        """A text with its variables; None, and an error for each that there is not."""
        variables = self.state.scope.node.variables
        left, good = text, True
        while True:
            try:
                made = variables.format(left)
            except PvError as error:
                good = False
                self.state.scope.bad_variable(text, PvError(error.message, text, error.offset), e.place)
                dollar = left.rfind("$", 0, error.offset + 1)
                if dollar < 0:
                    return None
                # Look at the others, without this one.
                left = f"{left[:dollar]} {left[dollar + 1 :]}"
            else:
                return made if good else None

    def _argument_int(self, e: Expression, of: Call) -> ast.expr:
        scope = self.state.scope
        if isinstance(e, String | Word):
            text = e.text
            if text in scope.flags:
                return build.constant(scope.flags[text])
            try:
                return build.constant(int(text, 0))
            except ValueError:
                pass  # no number: see below
            if "$" not in text:
                scope.error("arguments", f"{of.name}() needs a number here, not {text!r}", e.place)
                return build.constant(0)
            return build.call("number_of", self._rendered(text, e))
        return self.number(e)

    def _argument_text(self, e: Expression, of: Call) -> ast.expr:
        text = literal(e)
        if text is None:
            self.state.scope.error("arguments", f"{of.name}() needs text as it is written here", e.place)
        return build.constant(text or "")

    _argument_socket = _argument_text

    def _argument_raw(self, e: Expression, _of: Call) -> ast.expr:
        if isinstance(e, String | Word | Number):
            return build.constant(literal(e))
        return self.text(e, cast=True)

    def _argument_pv(self, e: Expression, of: Call) -> ast.expr:
        text = literal(e)
        if text is None or not text.startswith("$"):
            self.state.scope.error("arguments", f"{of.name}() needs a variable here", e.place)
            return build.constant(None)
        pv = self.resolve(text, e)
        return build.constant(None) if pv is None else build.name(self.state.scope.keep(pv, f"variable_{pv.name}"))

    def _argument_format(self, e: Expression, of: Call) -> ast.expr:
        text = literal(e)
        if text is None:
            self.state.scope.error("arguments", f"{of.name}() needs text here", e.place)
            return build.constant(None)
        format_ = self._format(text, e)
        return build.constant(None) if format_ is None else build.name(self.state.scope.keep(format_, "format"))

    def _argument_regex(self, e: Expression, of: Call) -> ast.expr:
        text = literal(e)
        if text is None:
            self.state.scope.error("arguments", f"{of.name}() needs a regular expression here", e.place)
            return build.constant("")
        try:
            compile_posix(text)
        except RegexError as error:
            self.state.scope.error("regex", f"{text!r} is no regular expression: {error}", e.place)
        return build.constant(text)

    def _argument_flag(self, e: Expression, of: Call) -> ast.expr:
        return self._flag_number(e, of, self.state.scope.flags)

    def _argument_avpflag(self, e: Expression, of: Call) -> ast.expr:
        return self._flag_number(e, of, self.state.scope.avp_flags)

    def _flag_number(self, e: Expression, of: Call, declared: dict[str, int]) -> ast.expr:
        text = literal(e) or ""
        scope = self.state.scope
        number = declared.get(text)
        if number is None and text.isdigit():
            number = int(text)
        if number is None:
            near = nearest(text, declared)
            scope.error("flag", f"{of.name}(): there is no flag {text!r}", e.place, near)
        elif number > 31:
            scope.error("flag", f"{of.name}(): flag {number} is not one of 0 to 31", e.place)
        return build.constant(number or 0)

    def _prepared(self, prepare: Any, e: Expression) -> ast.expr:
        scope = self.state.scope
        text = literal(e)
        if text is None:
            scope.error("arguments", "text as it is written is needed here", e.place)
            return build.constant(None)
        try:
            value = prepare(scope.node, text)
        except ValueError as error:
            if isinstance(error.__cause__, PvError):
                scope.bad_variable(text, error.__cause__, e.place)
            else:
                scope.error("arguments", str(error), e.place)
            return build.constant(None)
        if value is None or isinstance(value, int | str):
            return build.constant(value)
        return build.name(scope.keep(value, "prepared"))

    # ---- routes

    def _route_name(self, e: Expression) -> ast.expr:
        """A route of another kind: one that is not there does nothing, of which `kahea check` warns."""
        name = literal(e)
        if name is None or "$" in name:
            return self._argument_str(e, Call(name="", place=e.place))
        return build.constant(name)

    def _is_idle(self, e: RouteCall) -> bool:
        """Whether a route does nothing but return: such are left of a cfg whose defines are not set. It is not even
        called, unless somebody steps through the script."""
        scope = self.state.scope
        return scope.tracer is None and sys.gettrace() is None and (literal(e.target) or "") in scope.idle_routes

    def route_call(self, e: RouteCall) -> ast.expr:
        """`route(NAME)`: the code, or None if the script ended in it."""
        scope = self.state.scope
        name = literal(e.target)
        if name == "0":
            name = ""  # the main route
        if name is not None and "$" not in name:
            if ("request", name) not in scope.route_names:
                near = nearest(name, scope.routes_of("request"))
                scope.error("unknown-route", f"there is no route[{name}]", e.target.place, near)
                return build.constant(1)
            title = scope.route_names["request", name]
            scope.calls.setdefault(self.state.title, set()).add(title)
            return build.call(title, build.name(build.RUN))
        scope.calls.setdefault(self.state.title, set()).add(None)
        target = self._argument_str(e.target, Call(name="route", place=e.place))
        return build.call("route_named", build.name(build.RUN), build.name("routes"), target)


def literal(e: Expression) -> str | None:
    """What is written: text, a number, a word, or a variable's own text, or put together from constants; None for any
    other expression."""
    if isinstance(e, String | Word | Variable | Select):
        return e.text
    if isinstance(e, Number):
        return str(e.value)
    value = fold(e)
    return None if value is None else str(value)
