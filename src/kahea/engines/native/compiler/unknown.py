"""What to say of a name that is nothing here: where it belongs, if Kamailio knows it, or what it was meant to be."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.engines.native.diagnostics import nearest
from kahea.engines.native.reserved import OPERANDS
from kahea.engines.native.tree import Place
from kahea.routing.kamailio_exports import modules_with_function, modules_with_variable
from kahea.routing.pv import PvError
from kahea.routing.pv.syntax import name_end
from kahea.routing.registry import available, module_class

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.registry import Registry

_UNKNOWN_VARIABLE: Final = re.compile(r"unknown variable \$(\S+)")


class Unknown(NamedTuple):
    """What to say of a name: the fields of a `Diagnostic`."""

    code: str
    message: str
    hint: str = ""
    module: str = ""


def function(name: str, registry: Registry) -> Unknown:
    """Of a function that is not there."""
    for module in available():
        if module not in registry.modules and name in _functions(module_class(module)):
            message = f"{name}() belongs to module {module}, which is not loaded"
            return Unknown("not-loaded", message, f'loadmodule "{module}.so"', module)
    owners = modules_with_function(name)
    if owners:
        which = _owner(owners, registry)
        if which in registry.modules:
            return Unknown("unsupported-function", f"{name}() of Kamailio's module {which} is not supported yet")
        message = f"{name}() belongs to Kamailio's module {which}, which is not supported yet"
        return Unknown("unsupported-function", message, module=which)
    elsewhere = {n: m for n, m in _all_functions().items() if m not in registry.modules}
    return Unknown("unknown-function", f"there is no function {name}()", _likely(name, registry.natives, elsewhere))


def variable(error: PvError, registry: Registry) -> Unknown:
    """Of a variable that can't be compiled."""
    message, _, hint = error.message.partition("; ")
    unknown = _UNKNOWN_VARIABLE.fullmatch(message)
    if unknown is None:
        return Unknown("bad-variable", message, hint)
    name = unknown[1]
    for module in available():
        if module not in registry.modules and name in _variables(module_class(module)):
            message = f"${name} belongs to module {module}, which is not loaded"
            return Unknown("not-loaded", message, f'loadmodule "{module}.so"', module)
    owners = modules_with_variable(name)
    if not owners:
        elsewhere = {n: m for n, m in _all_variables().items() if m not in registry.modules}
        known = hint.removeprefix("did you mean $").removesuffix("?")
        hint = _likely(name, [known] if known else [], elsewhere, "$")
        return Unknown("unknown-variable", f"there is no variable ${name}", hint)
    which = _owner(owners, registry)
    of = f"${name} of Kamailio's module {which}" if which != "core" else f"Kamailio's ${name}"
    return Unknown("unsupported-variable", f"{of} is not supported yet", hint, which)


def _likely(name: str, loaded: Iterable[str], elsewhere: Mapping[str, str], before: str = "") -> str:
    """A hint at the names that come next to this one, and at the module if it is not loaded."""
    loaded = set(loaded)
    hint = nearest(name, {*loaded, *elsewhere}, before)
    meant = [n for n in re.findall(r"[\w.]+", hint.removeprefix("did you mean ")) if n in elsewhere and n not in loaded]
    if not meant:
        return hint
    return f"{hint} It belongs to module {elsewhere[meant[0]]}, which is not loaded"


def word(name: str, node: Node) -> str:
    """A hint for a word that is no value."""
    if name in node.registry.natives:
        return f"a call has parentheses: {name}()"
    if name in OPERANDS:
        return f"{name} can be compared, and nothing else"
    if name.lower() == "null":
        return "a variable begins with $: $null"
    try:
        node.variables.compile(f"${name}")
    except PvError:
        return "is its #!define missing?" if name.isupper() else ""
    return f"a variable begins with $: ${name}"


def inside(place: Place, lines: list[str], text: str, offset: int) -> Place | None:
    """The place of a name in a text that stands at `place`, None where the text is not there as it was written."""
    if not 1 <= place.line <= place.end_line <= len(lines):
        return None
    offset = max(offset, 0)
    piece = text[offset : max(name_end(text, offset), offset + 1)]
    *before, last = lines[place.line - 1 : place.end_line]
    region = "\n".join((*before, last[: place.end_column - 1]))
    written = region[place.column - 1 :]
    if not piece or text.count(piece) != written.count(piece):
        return None
    start = place.column - 2
    for _ in range(text.count(piece, 0, offset) + 1):
        start = region.find(piece, start + 1)
    line = place.line + region.count("\n", 0, start)
    column = start - region.rfind("\n", 0, start)
    return Place(place.file, line, column, line, column + len(piece))


def _owner(owners: tuple[str, ...], registry: Registry) -> str:
    """The module that is meant: one that is loaded, else one that could be."""
    built = available()
    return next((m for m in owners if m in registry.modules), next((m for m in owners if m in built), owners[0]))


@cache
def _all_functions() -> dict[str, str]:
    """Every native function that there is, with its module."""
    return {name: module for module in available() for name in _functions(module_class(module))}


@cache
def _all_variables() -> dict[str, str]:
    """Every variable that there is, with its module."""
    return {name: module for module in available() for name in _variables(module_class(module))}


def _functions(klass: type) -> set[str]:
    """The native functions that a class of module declares, or those it exports."""
    found: set[str] = set()
    for attribute, member in inspect.getmembers(klass, inspect.isfunction):
        forms = getattr(member, "__kahea_native__", ())
        found |= {form[0] for form in forms}
        if not forms and hasattr(member, "__kahea_function__"):
            found.add(member.__kahea_function__[0] or attribute)
    return found


def _variables(klass: type) -> set[str]:
    """The variables that a class of module declares."""
    marks = (getattr(member, "__kahea_variable__", None) for _, member in inspect.getmembers(klass, inspect.isfunction))
    return {mark[0] for mark in marks if mark is not None}
