"""Pieces of Python text that know how tightly they bind and what type they have, so that parentheses stand only where
they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# How tightly an expression binds, loosest first, as Python's grammar has it.
OR: Final = 1
AND: Final = 2
NOT: Final = 3
COMPARE: Final = 4
BIT_OR: Final = 5
BIT_XOR: Final = 6
BIT_AND: Final = 7
SHIFT: Final = 8
SUM: Final = 9
PRODUCT: Final = 10
SIGN: Final = 11
ATOM: Final = 12

INT: Final = "int"
STR: Final = "str"
BOOL: Final = "bool"
#: Either: what a variable holds is known when it is read.
ANY: Final = "any"


@dataclass(frozen=True, slots=True)
class Code:
    """One Python expression."""

    text: str
    binds: int = ATOM
    type: str = ANY

    def within(self, level: int) -> str:
        """The text as an operand of an operator that binds so tightly."""
        return self.text if self.binds >= level else f"({self.text})"

    def __str__(self) -> str:
        return self.text


def literal(text: str) -> str:
    """A Python string literal, in double quotes where that needs no escapes."""
    if '"' in text and "'" not in text:
        return repr(text)
    inner = repr("'" + text)[2:-1] if '"' not in text else repr(text + "'")[1:-2]
    return '"' + inner.replace("\\'", "'").replace('"', '\\"') + '"'


def infix(operator: str, binds: int, left: Code, right: Code, kind: str) -> Code:
    """`left operator right`; comparisons don't chain, all others group to the left."""
    least = binds + 1 if binds == COMPARE else binds
    return Code(f"{left.within(least)} {operator} {right.within(binds + 1)}", binds, kind)


def negated(code: Code) -> Code:
    """The opposite of a condition, by the opposite comparison where it is one."""
    if code.binds == COMPARE:
        for word, opposite in _OPPOSITES:
            left, found, right = code.text.partition(f" {word} ")
            if found and not any(f" {other} " in right for other, _ in _OPPOSITES):
                return Code(f"{left} {opposite} {right}", COMPARE, BOOL)
    if code.text.startswith("not ") and code.binds == NOT:
        return Code(code.text[4:], COMPARE, BOOL)
    return Code(f"not {code.within(NOT)}", NOT, BOOL)


_OPPOSITES: Final = (("==", "!="), ("!=", "=="), ("not in", "in"), ("in", "not in"))
