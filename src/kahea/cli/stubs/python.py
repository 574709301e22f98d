"""`KSR.pyi`: the module that a Python script imports, for mypy, pyright and editors."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Iterator
from typing import Final

from kahea.cli.stubs.groups import MODF, ROUTES, WRITTEN, Group, paragraph, parameters
from kahea.engines.python import ScriptMessage
from kahea.routing.module import Function

TYPES: Final = {"int": "int", "long": "int", "str": "str", "bool": "bool", "none": "None", "xval": "Value"}
RESERVED: Final = frozenset(keyword.kwlist)

HEAD: Final = f'''"""The functions of a node, as scripts call them.

{WRITTEN}

`Message`, `Script` and `Value` are for annotations alone: where a script runs, KSR has no such names. Begin the script
with `from __future__ import annotations`, or put them in quotes.
"""

from typing import Any, Protocol, TypeAlias, type_check_only

#: What a variable has: an int, a str or None; of lists of values, a list or dict.
Value: TypeAlias = Any
'''


def stub(exported: list[Group]) -> str:
    """The text of the file."""
    return "\n".join([HEAD, *_message(), "", *_script(), "", *_groups(exported)]) + "\n"


def _groups(exported: list[Group]) -> Iterator[str]:
    top, *others = exported
    for function in top.functions:
        yield from _function(function, "", "")
    yield ""
    for group in others:
        if group.name in RESERVED:
            yield f'# KSR.{group.name} is getattr(KSR, "{group.name}"): {group.name} is a word of Python.'
            yield ""
            continue
        yield "@type_check_only"
        yield f"class _{group.name}:"
        yield f'    """{_text(group.doc)}"""'
        yield ""
        for function in group.functions:
            yield from _function(function, "self", "    ")
        yield ""
        yield f"{group.name}: _{group.name}"
        yield ""
    yield "@type_check_only"
    yield "class _x:"
    yield from _definition("modf", "self, name: str, /, *args: str | int", "int", MODF, "    ")
    yield ""
    yield "x: _x"


def _function(function: Function, owner: str, indent: str) -> Iterator[str]:
    if function.name in RESERVED:
        yield f"{indent}# {function.name} can't be written in Python: it is a word of the language."
        return
    listed = [f"{name}: {TYPES[kind]}" for name, kind in parameters(function, RESERVED)]
    everything = ", ".join([*([owner] if owner else []), *listed, *(["/"] if listed else [])])
    yield from _definition(function.name, everything, TYPES[function.ret], function.doc, indent)


def _definition(name: str, listed: str, result: str, doc: str, indent: str) -> Iterator[str]:
    yield f"{indent}def {name}({listed}) -> {result}:"
    first, *others = _text(doc).split("\n")
    lines = [f'{indent}    """{first}', *(f"{indent}    {line}".rstrip() for line in others)]
    yield from lines[:-1]
    yield f'{lines[-1]}"""'


def _text(doc: str) -> str:
    return doc.replace("\\", "\\\\").replace('"""', "'''").removesuffix('"') + (" " if doc.endswith('"') else "")


def _message() -> Iterator[str]:
    """The message that routes get, from the class that it is of."""
    yield "@type_check_only"
    yield "class Message(Protocol):"
    yield '    """The message at hand, as a route gets it."""'
    yield ""
    for name, member in vars(ScriptMessage).items():
        if isinstance(member, property) and member.fget is not None:
            yield "    @property"
            yield from _definition(name, "self", _annotation(member.fget), paragraph(member.__doc__ or ""), "    ")
        elif inspect.isfunction(member):
            signature = str(inspect.signature(member)).replace("'", "")
            listed, _, result = signature[1:].rpartition(") -> ")
            yield from _definition(name, listed, result, paragraph(member.__doc__ or ""), "    ")


def _annotation(function: object) -> str:
    return str(inspect.get_annotations(function)["return"])  # type: ignore[arg-type]


def _script() -> Iterator[str]:
    """What `mod_init()` returns; of the routes, only the one that must be there can be asked for."""
    yield "@type_check_only"
    yield "class Script(Protocol):"
    yield '    """What `mod_init()` returns: an object whose methods are the routes.'
    yield ""
    yield "    Those that need not be there, with the same parameter:"
    for name, doc in ROUTES.items():
        if name != "ksr_request_route":
            yield f"    `{name}`: {doc}"
    yield '    """'
    yield ""
    yield from _definition("child_init", "self, rank: int, /", "int", "Called once, when the node is ready.", "    ")
    yield from _definition("ksr_request_route", "self, msg: Message, /", "object", ROUTES["ksr_request_route"], "    ")
