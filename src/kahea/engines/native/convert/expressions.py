"""Expressions, by what is wanted of them: a condition, text, a number, or the value as it is."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kahea.engines.native.convert.calls import Calls, joined
from kahea.engines.native.convert.code import (
    AND,
    ANY,
    ATOM,
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    BOOL,
    COMPARE,
    INT,
    OR,
    PRODUCT,
    SHIFT,
    SIGN,
    STR,
    SUM,
    Code,
    infix,
    literal,
    negated,
)
from kahea.engines.native.reserved import RETURN_CODES
from kahea.engines.native.tree import (
    Assign,
    Binary,
    Call,
    Choice,
    Expression,
    Number,
    RouteCall,
    Select,
    String,
    Unary,
    Variable,
    Word,
)
from kahea.engines.native.walk import target_name

if TYPE_CHECKING:
    from kahea.engines.native.convert.flow import Flow
    from kahea.engines.native.convert.names import Names
from kahea.engines.native.convert.variables import may_be_null
from kahea.routing.module import ConfigError

#: The native operands that a variable stands for, and whether it is a number.
OPERANDS: Final = {
    "method": ("$rm", STR),
    "uri": ("$ru", STR),
    "from_uri": ("$fu", STR),
    "to_uri": ("$tu", STR),
    "src_ip": ("$si", STR),
    "dst_ip": ("$Ri", STR),
    "src_port": ("$sp", INT),
    "dst_port": ("$Rp", INT),
    "proto": ("$pr", STR),
    "status": ("$rs", INT),
    "msg:len": ("$ml", INT),
    "retcode": ("$rc", INT),
    "snd_ip": ("$snd(ip)", STR),
    "snd_port": ("$snd(port)", INT),
    "snd_proto": ("$snd(proto)", STR),
    "to_ip": ("$sndto(ip)", STR),
    "to_port": ("$sndto(port)", INT),
    "af": ("$af", STR),
}
_MYSELF: Final = {
    "uri": "KSR.is_myself_ruri()",
    "from_uri": "KSR.is_myself_furi()",
    "to_uri": "KSR.is_myself_turi()",
    "src_ip": "KSR.is_myself_srcip()",
}
_PROTOCOLS: Final = {"udp": "UDP", "tcp": "TCP", "tls": "TLS", "sctp": "SCTP", "ws": "WS", "wss": "WSS"}
_ARITHMETIC: Final = {
    "-": ("-", SUM),
    "*": ("*", PRODUCT),
    "&": ("&", BIT_AND),
    "|": ("|", BIT_OR),
    "^": ("^", BIT_XOR),
    "<<": ("<<", SHIFT),
    ">>": (">>", SHIFT),
}
#: Variables that are never negative.
_NATURAL: Final = frozenset(["$Ts", "$RANDOM", "$ml", "$bs", "$rs", "$rp", "$sp", "$Rp", "$dp", "$mi", "$pp"])
_DECIMAL: Final = re.compile(r"[+-]?\d+")
_COMPARED: Final[dict[str, Callable[[int, int], bool]]] = {
    "==": int.__eq__,
    "!=": int.__ne__,
    "<": int.__lt__,
    "<=": int.__le__,
    ">": int.__gt__,
    ">=": int.__ge__,
}
_EQUAL: Final = {"==": "==", "!=": "!=", "eq": "==", "ne": "!=", "ieq": "==", "ine": "!="}
_METHODS: Final = frozenset(
    [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "REGISTER",
        "MESSAGE",
        "SUBSCRIBE",
        "NOTIFY",
        "OPTIONS",
        "INFO",
        "PRACK",
        "UPDATE",
    ]
)


class Expressions:
    """Expressions of one program. `imports` collects the modules that they use."""

    def __init__(self, names: Names, flow: Flow, calls: Calls) -> None:
        self._names = names
        self._flow = flow
        self._calls = calls
        self.imports: set[str] = set()
        #: Whether `copy` is called, which the script then defines.
        self.copies = False
        #: Whether `call_route` is, likewise.
        self.calls_by_name = False
        #: Whether the route at hand keeps the codes of calls in `rc`.
        self.keeps_code = False

    # ---- calls

    def invoke(self, call: Call | RouteCall) -> Code:
        """A function or a route called; its code is kept in `rc` where something reads it later."""
        code = self._calls.call(call) if isinstance(call, Call) else self._route(call)
        if id(call) in self._flow.kept:
            return Code(f"(rc := {code})", ATOM, code.type)
        return code

    def _route(self, call: RouteCall) -> Code:
        name = target_name(call)
        if name:
            function = self._names.route("request", name)
            if function is not None:
                return Code(f"{function}()", type=INT)
            return Code(f"KSR.route({literal(name)})", type=INT)
        # The name is known when it is called only.
        self.calls_by_name = True
        target = call.target
        wanted = self._calls.format(target.text) if isinstance(target, String) else self.text(target).text
        return Code(f"call_route({wanted})", type=INT)

    # ---- as a condition

    def truth(self, expression: Expression) -> Code:
        """The expression as a condition."""
        match expression:
            case Unary(operator="!", operand=Call() | RouteCall() as call):
                code = self.invoke(call)
                return negated(code) if code.type == BOOL else Code(f"{code} < 0", COMPARE, BOOL)
            case Unary(operator="!", operand=operand):
                return negated(self.truth(operand))
            case Unary(operator="defined", operand=Variable(text=text)):
                return negated(Code(f"KSR.pv.is_null({literal(text)})", type=BOOL))
            case Unary(operator="strempty", operand=operand):
                return infix("==", COMPARE, self._compared(operand, String("")), Code('""'), BOOL)
            case Binary(operator="&&" | "||" as operator, left=left, right=right):
                word, binds = ("and", AND) if operator == "&&" else ("or", OR)
                return infix(word, binds, self.truth(left), self.truth(right), BOOL)
            case Binary(operator="=~" | "!~" as operator):
                return self._matches(expression, operator)
            case Binary(operator=operator, left=Call() | RouteCall() as call, right=Number(value=value)) if (
                operator in _COMPARED
            ):
                return self._compared_call(operator, call, value)
            case Binary(operator="<" | "<=" | ">" | ">=" as operator, left=left, right=right):
                return infix(operator, COMPARE, self.number(left), self.number(right), BOOL)
            case Binary(operator=operator) if operator in _EQUAL:
                return self._equal(expression)
            case Call() | RouteCall():
                code = self.invoke(expression)
                return code if code.type == BOOL else Code(f"{code} > 0", COMPARE, BOOL)
            case Number(value=value):
                return Code(str(value > 0), type=BOOL)
            case String(text=text):
                return Code(str(text.isdecimal() and int(text) > 0), type=BOOL)
        return Code(f"{self.number(expression).within(COMPARE + 1)} > 0", COMPARE, BOOL)

    def conditions(self, expression: Expression) -> tuple[str, list[str]]:
        """A condition as those that it joins, by `and` or `or`."""
        operator = expression.operator if isinstance(expression, Binary) else ""
        if operator not in ("&&", "||"):
            return "and", [self.truth(expression).text]
        word, binds = ("and", AND) if operator == "&&" else ("or", OR)
        operands: list[Expression] = []
        left = expression
        while isinstance(left, Binary) and left.operator == operator:
            operands.append(left.right)
            left = left.left
        first, *others = [self.truth(operand) for operand in (left, *reversed(operands))]
        return word, [first.within(binds), *(each.within(binds + 1) for each in others)]

    def _matches(self, expression: Binary, operator: str) -> Code:
        self.imports.add("re")
        pattern = expression.right.text if isinstance(expression.right, String) else None
        wanted = self.text(expression.right).text if pattern is None else _raw(pattern)
        found = Code(f"re.search({wanted}, {self.text(expression.left)}, re.IGNORECASE)")
        return negated(found) if operator == "!~" else found

    def _equal(self, expression: Binary) -> Code:
        sign = _EQUAL[expression.operator]
        left, right = expression.left, expression.right
        special = self._special(left, right) or self._special(right, left)
        if special is not None:
            return special if sign == "==" else negated(special)
        if expression.operator in ("ieq", "ine") or (
            expression.operator not in ("eq", "ne") and INT in (self._static(left), self._static(right))
        ):
            return infix(sign, COMPARE, self.number(left), self.number(right), BOOL)
        return infix(sign, COMPARE, self._compared(left, right), self._compared(right, left), BOOL)

    def _compared_call(self, operator: str, call: Call | RouteCall, value: int) -> Code:
        """A call compared with a number: within an expression it is 1 or 0, whatever its code is."""
        compare = _COMPARED[operator]
        if compare(1, value) == compare(0, value):
            return infix(_EQUAL.get(operator, operator), COMPARE, self.number(call), Code(str(value), type=INT), BOOL)
        return self.truth(call if compare(1, value) else Unary(operator="!", operand=call, place=call.place))

    def _compared(self, expression: Expression, other: Expression) -> Code:
        """As text, for a comparison: a number equals no text that is none."""
        if isinstance(expression, Variable) and isinstance(other, String) and not _DECIMAL.fullmatch(other.text):
            return self._read(expression.text, "gete")
        return self.text(expression)

    def _special(self, left: Expression, right: Expression) -> Code | None:
        """Comparisons that KEMI or Python have a word of their own for."""
        match left, right:
            case Variable(text=text), Variable(text="$null"):
                return Code(f"KSR.pv.is_null({literal(text)})", type=BOOL)
            case Word(text=operand), Word(text="myself") if operand in _MYSELF:
                return Code(_MYSELF[operand], type=BOOL)
            case _, Word(text="myself"):
                return Code(f"KSR.is_myself({self.text(left)})", type=BOOL)
            case Word(text="proto" | "snd_proto"), Word(text=word) if word.lower() in _PROTOCOLS:
                return infix("==", COMPARE, self.text(left), Code(literal(word.lower())), BOOL)
            case Word(text="af"), Word(text=word):
                return Code(f"KSR.is_IPv{6 if '6' in word else 4}()", type=BOOL)
            case Word(text="method"), (Word(text=word) | String(text=word)) if set(word.split("|")) <= _METHODS:
                if "|" in word:
                    return Code(f"KSR.is_method({literal(word)})", type=BOOL)
                return Code(f"KSR.is_{word}()", type=BOOL)
            case Word(text="src_ip" | "dst_ip" | "snd_ip" | "to_ip"), (Word(text=word) | String(text=word)) if (
                "/" in word
            ):
                self.imports.add("ipaddress")
                network = str(ipaddress.ip_network(word.replace("[", "").replace("]", ""), strict=False))
                return Code(
                    f"ipaddress.ip_address({self.text(left)}) in ipaddress.ip_network({literal(network)})",
                    COMPARE,
                    BOOL,
                )
        return None

    # ---- as a value

    def _static(self, expression: Expression) -> str | None:
        if isinstance(expression, Word) and expression.text in OPERANDS:
            return OPERANDS[expression.text][1]
        return self._flow.static(expression)

    def value(self, expression: Expression) -> Code:
        """The value in its own type."""
        match self._static(expression), expression:
            case _, Variable(text=text):
                return self._read(text, "get")
            case _, Select():
                return self.text(expression)
            case "int", _:
                return self.number(expression)
            case "str", _:
                return self.text(expression)
        if isinstance(expression, Binary) and expression.operator == "+":
            return self.text(expression)
        return self.number(expression)

    def _read(self, variable: str, how: str) -> Code:
        if variable in RETURN_CODES:
            return Code("rc" if self.keeps_code else 'KSR.pv.geti("$rc")', type=INT)
        kind = {"geti": INT, "gete": STR}.get(how, ANY)
        return Code(f"KSR.pv.{how}({literal(variable)})", type=kind)

    def text(self, expression: Expression) -> Code:
        """The value as text."""
        match expression:
            case String(text=text):
                return Code(self._named(expression, literal(text)), type=STR)
            case Number(value=value):
                return Code(literal(str(value)), type=STR)
            case Variable(text=text):
                code = self._read(text, "gete")
                return code if self._flow.type_of(text) == STR else Code(f"str({code})", type=STR)
            case Select(text=text):
                return Code(f"KSR.pv.gete({literal(f'$sel({text[1:]})')})", type=STR)
            case Word(text=text) if text in OPERANDS:
                variable, kind = OPERANDS[text]
                return (
                    Code(f"KSR.pv.get({literal(variable)})", type=STR)
                    if kind == STR
                    else Code(f"str(KSR.pv.get({literal(variable)}))", type=STR)
                )
            case Word(text=text):
                return Code(literal(text), type=STR)
            case Binary(operator="+") if self._flow.static(expression) != INT:
                return self._sum(expression)
            case Unary(operator="(str)", operand=operand):
                return self.text(operand)
            case Choice(condition=condition, then=then, otherwise=otherwise) if self._flow.static(expression) != INT:
                test = self.truth(condition)
                return Code(f"({self.text(then)} if {test} else {self.text(otherwise)})", type=STR)
        return Code(f"str({self.number(expression)})", type=STR)

    def _sum(self, expression: Binary) -> Code:
        parts: list[str] = []
        literals: list[bool] = []

        def add(one: Expression) -> None:
            match one:
                case Binary(operator="+", left=left, right=right) if self._flow.static(one) != INT:
                    add(left)
                    add(right)
                case String(text=text) if self._names.macro(one) is None:
                    parts.append(text)
                    literals.append(True)
                case Number(value=value) if self._names.macro(one) is None:
                    parts.append(str(value))
                    literals.append(True)
                case Variable(text=text):
                    parts.append(self._read(text, "gete").text)
                    literals.append(False)
                case _:
                    parts.append(self.value(one).text)
                    literals.append(False)

        add(expression)
        text = joined(parts, literals)
        return Code(text, ATOM if text.startswith('f"') or all(literals) else SUM, STR)

    def number(self, expression: Expression) -> Code:
        """The value as a number."""
        match expression:
            case Number(value=value):
                return Code(self._named(expression, str(value)), SIGN if value < 0 else ATOM, INT)
            case String(text=text):
                try:
                    return Code(str(int(text)), type=INT)
                except ValueError:
                    return Code("0", type=INT)
            case Variable(text=text):
                return self._read(text, "geti")
            case Word(text=text) if text in OPERANDS:
                return Code(f"KSR.pv.geti({literal(OPERANDS[text][0])})", type=INT)
            case Word(text=text, place=place):
                flag = self._names.flag(text)
                if flag is None:
                    raise ConfigError(f"{place}: {text} has no value here")
                return Code(flag, type=INT)
            case Unary(operator="-" | "~" as operator, operand=operand):
                return Code(f"{operator}{self.number(operand).within(SIGN)}", SIGN, INT)
            case Unary(operator="(int)", operand=operand):
                return self.number(operand)
            case Unary(operator="strlen", operand=operand):
                return Code(f"len({self.text(operand)})", type=INT)
            case Binary(operator="+", left=left, right=right):
                return infix("+", SUM, self.number(left), self.number(right), INT)
            case Binary(operator="/", left=left, right=right):
                quotient = infix("/", PRODUCT, self.number(left), self.number(right), INT)
                return Code(f"int({quotient})", type=INT)
            case Binary(operator="mod", left=left, right=right):
                return self._remainder(left, right)
            case Binary(operator=operator, left=left, right=right) if operator in _ARITHMETIC:
                sign, binds = _ARITHMETIC[operator]
                return infix(sign, binds, self.number(left), self.number(right), INT)
            case Select(text=text):
                return Code(f"KSR.pv.geti({literal(f'$sel({text[1:]})')})", type=INT)
            case Assign():
                return Code(self.assign(expression), type=INT)
            case Choice(condition=condition, then=then, otherwise=otherwise):
                test = self.truth(condition)
                return Code(f"({self.number(then)} if {test} else {self.number(otherwise)})", type=INT)
        return Code(f"int({self.truth(expression)})", type=INT)

    def _remainder(self, left: Expression, right: Expression) -> Code:
        """`mod`, whose sign is the left side's: Python's % where that is never negative."""
        if (isinstance(left, Variable) and left.text in _NATURAL) or (isinstance(left, Number) and left.value >= 0):
            return infix("%", PRODUCT, self.number(left), self.number(right), INT)
        self.imports.add("math")
        return Code(f"int(math.fmod({self.number(left)}, {self.number(right)}))", type=INT)

    def assign(self, statement: Assign) -> str:
        """A variable given a value, or unset by `$null`."""
        target, value = statement.target.text, statement.value
        if isinstance(value, Variable) and value.text == "$null":
            return f"KSR.pv.unset({literal(target)})"
        if isinstance(value, Variable) and may_be_null(value.text):
            self.copies = True
            return f"copy({literal(target)}, {literal(value.text)})"
        if isinstance(value, Call | RouteCall):
            code = self.invoke(value)
            return f"KSR.pv.seti({literal(target)}, {code if code.type == INT else f'1 if {code} else -1'})"
        kind = self._flow.static(value)
        code = self.value(value)
        if kind == INT or code.type in (INT, BOOL):
            return f"KSR.pv.seti({literal(target)}, {code if code.type == INT else self.number(value)})"
        return f"KSR.pv.sets({literal(target)}, {self.text(value)})"

    def _named(self, node: Expression, value: str) -> str:
        macro = self._names.macro(node)
        if macro is None:
            return value
        self._names.constants.setdefault(macro, value)
        return macro


def _raw(pattern: str) -> str:
    """A regular expression as a literal: raw where it has backslashes."""
    if "\\" in pattern and '"' not in pattern and not pattern.endswith("\\"):
        return f'r"{pattern}"'
    return literal(pattern)
