"""The arguments of avpops' functions: `$avp(name)/flags`, `operator/value/flags` and the like, read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kahea.modules.pv.lists import avp_name
from kahea.routing.lists import AvpName
from kahea.routing.module import Value
from kahea.routing.pv import PvError

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

#: Gives the name of an AVP, which may be in a variable; None if it has none now.
Key = Callable[["Run"], AvpName | None]

CHECKS: Final = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "re", "fm", "and", "or", "xor"})
OPERATIONS: Final = frozenset({"add", "sub", "mul", "div", "mod", "and", "or", "xor", "not"})


@dataclass(frozen=True, slots=True)
class AvpArgument:
    """`$avp(name)` and the flags behind it, in lower case."""

    key: Key
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class AvpPair:
    """`$avp(source)[/$avp(destination)[/flags]]`; `destination` is None where it is not given."""

    source: Key
    destination: Key | None
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Operand:
    """`operator/value[/flags]`: the value of a variable, or as it is written, a number or a text."""

    operator: str
    value: Callable[[Run], Value]
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Every:
    """All AVPs, or those whose names are texts (`s`) or numbers (`i`)."""

    kind: str


def _flags(given: str, known: str) -> frozenset[str]:
    flags = frozenset(given.lower())
    if not flags <= set(known):
        raise ValueError(f"there are the flags {', '.join(known)}, not {given!r}")
    return flags


def variable(node: Node, given: str) -> Pv:
    """A variable. Raises ValueError."""
    try:
        return node.variables.compile(given)
    except PvError as error:
        raise ValueError(str(error)) from None


def _key(node: Node, given: str) -> Key:
    pv = variable(node, given)
    if pv.name != "avp" or pv.index is not None or pv.inner is None or pv.text.endswith("})"):
        raise ValueError(f"{given!r} is no AVP")
    inner = pv.inner
    if inner.startswith("$"):
        name = variable(node, inner)

        def key(run: Run) -> AvpName | None:
            found = name.get(run)
            return None if found == "" else found

        return key
    aliases: dict[str, AvpName] = node.module("pv").aliases
    try:
        fixed = aliases[inner] if inner in aliases else avp_name(inner)
    except PvError as error:
        raise ValueError(str(error)) from None
    return lambda _run: fixed


def split(given: str) -> list[str]:
    """The parts between slashes, but for those inside of variables."""
    parts, depth = [""], 0
    for c in given:
        if c == "/" and depth == 0:
            parts.append("")
            continue
        depth += (c == "(") - (c == ")")
        parts[-1] += c
    return parts


def avp_with(known: str) -> Callable[[Node, str], AvpArgument]:
    """Reads `$avp(name)[/flags]`, with flags of those known."""

    def read(node: Node, given: str) -> AvpArgument:
        parts = split(given)
        if len(parts) > 2:
            raise ValueError(f"expected $avp(name)/flags, not {given!r}")
        return AvpArgument(_key(node, parts[0]), _flags(parts[1] if len(parts) > 1 else "", known))

    return read


def avp_or_kind(node: Node, given: str) -> AvpArgument | Every:
    """`$avp(name)[/g]`, or `a`, `s` or `i` for all. Raises ValueError."""
    name = split(given)[0]
    if name.lower() in ("a", "s", "i"):
        return Every(name.lower())
    if not name.startswith("$"):
        raise ValueError(f"{name!r} is neither an AVP nor a, s or i; script flags are not supported")
    return avp_with("g")(node, given)


def pair(node: Node, given: str) -> AvpPair:
    """`$avp(source)[/$avp(destination)[/flags]]`. Raises ValueError."""
    parts = split(given)
    if len(parts) > 3:
        raise ValueError(f"expected $avp(source)/$avp(destination)/flags, not {given!r}")
    destination = _key(node, parts[1]) if len(parts) > 1 else None
    return AvpPair(_key(node, parts[0]), destination, _flags(parts[2] if len(parts) > 2 else "", "dg"))


def operand(operators: frozenset[str], known: str) -> Callable[[Node, str], Operand]:
    """Reads `operator/value[/flags]`."""

    def read(node: Node, given: str) -> Operand:
        operator, slash, rest = given.partition("/")
        if not slash or operator not in operators:
            raise ValueError(f"expected one of {', '.join(sorted(operators))} and /value, not {given!r}")
        head, _, tail = rest.rpartition("/")
        flags: frozenset[str] = frozenset()
        if head and set(tail.lower()) <= set(known):
            rest, flags = head, frozenset(tail.lower())
        return Operand(operator, _value(node, rest), flags)

    return read


def _value(node: Node, given: str) -> Callable[[Run], Value]:
    if given.startswith("$"):
        return variable(node, given).get
    fixed: Value = given
    if given[:2] in ("i:", "I:"):
        try:
            fixed = int(given[2:], 0)
        except ValueError:
            raise ValueError(f"{given[2:]!r} is no number") from None
    elif given[:2] in ("s:", "S:"):
        fixed = given[2:]
    if fixed == "":
        raise ValueError("a value is empty")
    return lambda _run: fixed
