"""Literal arguments of the native language, checked once, when the cfg is loaded: see `Native` in `module`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.pv.errors import PvError
from kahea.routing.subst import parse_subst
from kahea.routing.text import wire
from kahea.sip.params import is_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.routing.module import Value
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run


def whole(node: Node, text: str) -> Callable[[Run], str]:
    """The variable that a text begins with, or else the text as it is written; either way as a function of the run."""
    if found := node.variables.leading(text):
        variable = node.variables.compile(found)
        return lambda run: _text(variable.get(run))
    return lambda _run: text


def _text(value: Value) -> str:
    return "" if value is None else str(value)


def header_name(_node: Node, text: str) -> str:
    """A header's name, long or compact. Raises ValueError."""
    name = text.strip()
    if not is_token(wire(name)):
        raise ValueError(f"{text!r} is no header name")
    return name


def substitution(node: Node, text: str) -> str:
    """An expression `/match/replacement/flags`. Raises ValueError."""
    parse_subst(text, node.variables)
    return text


def set_number(node: Node, text: str, has: Callable[[int], bool]) -> int | Pv:
    """The number of a set of relays that there is, or a variable. Raises ValueError."""
    if text.startswith("$"):
        try:
            return node.variables.compile(text)
        except PvError as error:
            raise ValueError(str(error)) from error
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number of a set") from None
    if not has(number):
        raise ValueError(f"there is no set {number}")
    return number


def output(node: Node, text: str) -> str:
    """A variable that a function writes its result to. Raises ValueError."""
    try:
        variable = node.variables.compile(text)
    except PvError as error:
        raise ValueError(str(error)) from None
    if not variable.writable:
        raise ValueError(f"{text} is read-only")
    return text
