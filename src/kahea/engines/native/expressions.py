"""Expressions: operators by precedence, operands, calls. Precedence and associativity are Kamailio's, where `==` binds
tighter than `&`, and `!` tighter than either."""

from __future__ import annotations

from typing import Final

from kahea.engines.native.cursor import Cursor
from kahea.engines.native.reserved import BARE_CALLS, NUMBERS, OPERANDS, RESERVED
from kahea.engines.native.source import CAST, IP, NUMBER, NUMERAL, SELECT, STRING, VARIABLE, WORD, Token
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

#: How tightly an operator binds, and the one spelling that the tree has for it.
_SIGNS: Final[dict[str, tuple[int, str]]] = {
    "||": (2, "||"),
    "&&": (3, "&&"),
    "|": (4, "|"),
    "&": (5, "&"),
    "^": (6, "^"),
    "<<": (7, "<<"),
    ">>": (8, ">>"),
    **{sign: (9, sign) for sign in ("==", "!=", "=~")},
    **{sign: (10, sign) for sign in ("<", "<=", ">", ">=")},
    "+": (11, "+"),
    "-": (11, "-"),
    "*": (12, "*"),
    "/": (12, "/"),
}
_WORDS: Final[dict[str, tuple[int, str]]] = {
    "or": (2, "||"),
    "and": (3, "&&"),
    **{word: (9, word) for word in ("eq", "ne", "ieq", "ine")},
    "mod": (12, "mod"),
}
_UNARY: Final = {"!": (13, "!"), "not": (13, "!"), "~": (13, "~"), "-": (13, "-"), "defined": (14, "defined")}
_COMPARISONS: Final = frozenset({"==", "!=", "=~", "<", "<=", ">", ">=", "eq", "ne", "ieq", "ine"})
_TEXTS: Final = frozenset({"method", "uri", "from_uri", "to_uri", "status"})
_ADDRESSES: Final = frozenset({"src_ip", "dst_ip", "snd_ip", "to_ip"})
#: What a word begins that is more than the word.
_OWN_WORDS: Final = OPERANDS - {"myself"} | BARE_CALLS | NUMBERS.keys() | _UNARY.keys()
_CAST_BINDS: Final = 15
#: Nothing sane nests deeper, and it ends here instead of in Python's stack.
DEEPEST: Final = 60
#: Decimal digits; what fits in no machine word is no number either.
_LONGEST_NUMBER: Final = 80


class Expressions(Cursor):
    """Reads expressions."""

    depth = 0
    #: The call whose arguments are being read.
    calling = ""

    def deeper(self, token: Token) -> None:
        """Count one level more of nesting."""
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"nested more than {DEEPEST} deep", token.place)

    def expression(self, binds: int = 0) -> Expression:
        """An expression whose operators bind tighter than `binds`."""
        first = self.token
        self.deeper(first)
        left = self._operand()
        while True:
            token = self.token
            found = _SIGNS.get(token.kind) or (_WORDS.get(token.text) if token.kind == WORD else None)
            if found is None or found[0] <= binds:
                break
            self.advance()
            right = self.expression(found[0])
            left = Binary(operator=found[1], left=left, right=right, place=self.since(first))
        self.depth -= 1
        return left

    def _operand(self) -> Expression:
        token = self.token
        kind = token.kind
        if kind == STRING:
            return self.string()
        if kind == VARIABLE:
            self.advance()
            return Variable(text=token.text, place=token.place)
        if kind == NUMBER:
            return self.number() if self.peek().kind != "." else self._dotted()
        if kind == WORD:
            return self._word(token)
        if kind == "(":
            return self._parenthesis(token)
        if kind in _UNARY:
            return self._unary(token)
        if kind == CAST:
            self.advance()
            operand = self.expression(_CAST_BINDS - 1)
            return Unary(operator=token.text, operand=operand, place=self.since(token))
        if kind == SELECT:
            return self._select()
        if kind != IP:
            self._no_operand(token)
        return self.address()

    def _no_operand(self, token: Token) -> None:
        if token.kind == NUMERAL:
            self.fail(f"{token.text} is neither a number nor a name", token.place)
        self.missing("an expression")

    # ---- literals

    def number(self) -> Number:
        """A number."""
        token = self.advance()
        if len(token.text) > _LONGEST_NUMBER:
            self.fail(f"a number of {len(token.text)} digits", token.place)
        return Number(value=integer(token.text), place=token.place)

    def string(self) -> String:
        """A string."""
        token = self.advance()
        if self.token.kind == STRING:
            self.fail("expected an operator between two strings", self.token.place, "+ puts strings together")
        return String(text=token.text, place=token.place)

    def address(self, *, port: bool = True) -> Word:
        """An IP address, or a network: `10.0.0.0/8`, `10.0.0.0/255.0.0.0`. A port may follow: `192.0.2.1:5060`."""
        first = self.advance()
        text = first.text
        if "." in text and ":" not in text and any(int(part[:4]) > 255 for part in text.split(".")):
            self.fail(f"{text} is no IP address: each of its numbers must be below 256", first.place)
        if self.token.kind == "/" and self.peek().kind in (NUMBER, IP):
            self.advance()
            mask = self.advance()
            if mask.kind == NUMBER and (len(mask.text) > 3 or integer(mask.text) > (128 if ":" in text else 32)):
                self.fail(f"a network's prefix has at most {128 if ':' in text else 32} bits", mask.place)
            text += "/" + mask.text
        elif port and self.token.kind == ":" and self.joined(0) and self.peek().kind == NUMBER and self.joined():
            self.advance()
            text += ":" + self.advance().text
        return Word(text=text, place=self.since(first))

    def _select(self) -> Select:
        """A select; what follows the name that a definition stands for belongs to it."""
        first = self.advance()
        text = first.text
        while self.token.kind == "." and self.peek().kind == WORD:
            self.advance()
            text += "." + self.advance().text
        return Select(text=text, place=self.since(first))

    def _dotted(self) -> Word:
        """An IP address whose parts come from definitions."""
        first = self.token
        text = self.advance().text
        while self.token.kind == "." and self.peek().kind in (NUMBER, NUMERAL):
            self.advance()
            text += "." + self.advance().text
        if text.count(".") != 3:
            self.fail(f"{text} is neither a number nor an IP address", self.since(first))
        return Word(text=text, place=self.since(first))

    # ---- operators before their operand

    def _unary(self, token: Token) -> Expression:
        binds, operator = _UNARY[token.text]
        self.advance()
        operand = self.expression(binds - 1)
        if operator == "-" and isinstance(operand, Number):
            return Number(value=-operand.value, place=self.since(token))
        return Unary(operator=operator, operand=operand, place=self.since(token))

    def _parenthesis(self, token: Token) -> Expression:
        self.advance()
        inside: Expression
        if self.token.kind == VARIABLE and self.peek().kind == "=":
            inside = self.assignment()
        else:
            inside = self.expression()
        self.close(token)
        return inside

    def assignment(self) -> Assign:
        """`$x = expression`."""
        first = self.advance()
        target = Variable(text=first.text, place=first.place)
        if self.token.kind != "=":
            self.missing("=", f"after {first.text}", self._instead_of_assigning(first.text))
        self.advance()
        value = self.expression()
        return Assign(target=target, value=value, place=self.since(first))

    def _instead_of_assigning(self, name: str) -> str:
        """A hint for what stands after a variable where `=` has to."""
        sign, after = self.token.kind, self.peek().kind
        if sign == "==":
            return "== compares; a statement assigns, calls or branches"
        if sign in ("+", "-", "*", "/", "|") and after in (sign, "="):
            return f"write {name} = {name} {sign} {'1' if after == sign else '...'};"
        return "= assigns" if sign == ":" and after == "=" else ""

    def close(self, opening: Token) -> None:
        """Take the parenthesis that closes one."""
        if self.take(")"):
            return
        if self.token.kind == "=":
            hint = "== compares" if self.last().kind != VARIABLE else "== compares; (... = ...) assigns"
            self.fail("= can't stand here", self.token.place, hint)
        line = opening.source.position(opening.start)[0]
        reason = self._reason() or f"the ( is on line {line}"
        if self.token.kind == "!" and self.peek().kind == "~":
            reason = "there is no !~: write !(... =~ ...)"
        self.missing(")", hint=reason)

    # ---- words and calls

    def _word(self, token: Token) -> Expression:
        text = token.text
        if text in _UNARY:
            return self._unary(token)
        if self.peek().kind == "(":
            if text in ("strlen", "strempty"):
                self.advance()
                opening = self.advance()
                operand = self.expression()
                self.close(opening)
                return Unary(operator=text, operand=operand, place=self.since(token))
            return self._choice(token) if text == "selval" else self._call(token)
        if text in NUMBERS:
            self.advance()
            return Number(value=NUMBERS[text], place=token.place)
        if text in BARE_CALLS:
            self.advance()
            self._no_nested_call(text, token)
            return Call(name=text, parentheses=False, place=token.place)
        return self._compared(token) if text in OPERANDS else self.word()

    def _compared(self, first: Token) -> Expression:
        """`uri == myself`: what stands before such a word, as in `!uri == myself`, takes the whole comparison."""
        self.advance()
        left = Word(text=first.text, place=first.place)
        sign = self.token
        found = _SIGNS.get(sign.kind) or (_WORDS.get(sign.text) if sign.kind == WORD else None)
        if found is None or found[1] not in _COMPARISONS:
            return left
        self.advance()
        if found[1] not in _operators(first.text):
            self.fail(f"{first.text} can't be compared by {sign.text}", sign.place)
        right: Expression
        if self.token.kind == IP:
            right = self.address(port=False)
        elif self.token.kind == WORD and self.peek().kind != "(" and self.token.text not in _OWN_WORDS:
            right = self._compared_word(first)
        else:
            right = self.expression(found[0])
        return Binary(operator=found[1], left=left, right=right, place=self.since(first))

    def _compared_word(self, first: Token) -> Word:
        """`myself`, a method, a host, a protocol: what a word is compared with."""
        token = self.token
        right = self.word(".-")
        name = right.text
        method = first.text == "method" and name.isidentifier() and name not in RESERVED
        if first.text in _TEXTS and name != "myself" and not method:
            hint = "put it in quotes, if it is text; a variable begins with $"
            self.fail(f"{first.text} can't be compared with the word {name}", token.place, hint)
        return right

    def _choice(self, token: Token) -> Choice:
        self.advance()
        opening = self.advance()
        condition = self.expression()
        self.expect(",", "after the condition of selval")
        then = self.expression()
        self.expect(",", "after the first value of selval")
        otherwise = self.expression()
        self.close(opening)
        return Choice(condition=condition, then=then, otherwise=otherwise, place=self.since(token))

    def _no_nested_call(self, name: str, token: Token) -> None:
        if self.calling:
            message = f"{name}() can't be called in the arguments of {self.calling}()"
            self.fail(message, token.place, "assign what it returns to a variable first")

    def _call(self, token: Token) -> Expression:
        self.advance()
        self._no_nested_call(token.text, token)
        opening = self.advance()
        if token.text == "route":
            return self._route_call(token, opening)
        self.calling = token.text
        arguments = self._arguments(opening)
        self.calling = ""
        return Call(name=token.text, arguments=tuple(arguments), place=self.since(token))

    def _route_call(self, token: Token, opening: Token) -> RouteCall:
        if self.token.kind == ")":
            self.missing("the name of a route", "in route()")
        target = self.expression()
        if isinstance(target, Word) and (not target.text.isidentifier() or target.text in RESERVED):
            self.fail(f"{target.text} is no name for a route", target.place, f'in quotes it is: route("{target.text}")')
        if self.token.kind == ",":
            self.fail("route() takes the name of a route, and nothing else", self.token.place)
        self.close(opening)
        return RouteCall(target=target, place=self.since(token))

    def _arguments(self, opening: Token) -> list[Expression]:
        arguments: list[Expression] = []
        if self.take(")"):
            return arguments
        while True:
            if self.token.kind == ",":
                arguments.append(String(text="", place=self.token.place))
            else:
                arguments.append(self.expression())
            if not self.take(","):
                break
        self.close(opening)
        return arguments

    def word(self, signs: str = ".:-") -> Word:
        """A word with what is written to it without a space: `a.example.com`, `udp:192.0.2.1:5060`."""
        first = self.advance()
        text = first.text
        while self.token.kind in signs and self.joined(0) and self.joined():
            if self.peek().kind not in (WORD, NUMBER, NUMERAL, IP, STRING):
                break
            text += self.advance().text + self.advance().text
        return Word(text=text, place=self.since(first))


def _operators(word: str) -> frozenset[str]:
    """The comparisons that the grammar has for an operand."""
    if word in _TEXTS:
        return frozenset({"==", "!=", "=~", "eq", "ne"})
    if word in _ADDRESSES:
        return frozenset({"==", "!=", "=~"})
    if word == "myself" or "proto" in word:
        return frozenset({"==", "!="})
    return frozenset({"==", "!=", "<", "<=", ">", ">="})


def integer(text: str) -> int:
    """The value of a number as it is written."""
    if text.startswith("0x"):
        return int(text, 16)
    if text.endswith("b"):
        return int(text[:-1], 2)
    return int(text, 8 if text[0] == "0" else 10)
