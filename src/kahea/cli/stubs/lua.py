"""`KSR.lua`: the global table of a Lua script, with the annotations of LuaLS (lua-language-server)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kahea.cli.stubs.groups import DROP, EXIT, MODF, WRITTEN, Group, parameters
from kahea.routing.module import Function

TYPES: Final = {
    "int": "integer",
    "long": "integer",
    "str": "string",
    "bool": "boolean",
    "none": "",
    "xval": "KSR.Value",
}
_WORDS: Final = """
    and break do else elseif end false for function goto if in local nil not or repeat return then true until while
"""
RESERVED: Final = frozenset(_WORDS.split())

HEAD: Final = f"""---@meta _

-- The functions of a node, as scripts call them.
--
-- {WRITTEN}

---What a variable has: a number, a string or nil.
---@alias KSR.Value any

---@class KSR
KSR = {{}}
"""


def stub(exported: list[Group]) -> str:
    """The text of the file."""
    return "\n".join([HEAD, *_groups(exported)]) + "\n"


def _groups(exported: list[Group]) -> Iterator[str]:
    for group in exported:
        if group.name:
            yield from _table(group.name, group.doc)
        for function in group.functions:
            names = parameters(function, RESERVED)
            typed = [f"---@param {name} {TYPES[kind]}" for name, kind in names]
            listed = ", ".join(name for name, _ in names)
            yield from _function(_path(group.name, function.name), listed, typed, function)
    yield from _table("x", "")
    yield from _comment(MODF)
    yield "---@param name string"
    yield "---@param ... string|integer"
    yield "---@return integer"
    yield "function KSR.x.modf(name, ...) end\n"
    for name, doc in (("exit", EXIT), ("drop", DROP)):
        yield from _comment(doc)
        yield f"function KSR.x.{name}() end\n"


def _table(name: str, doc: str) -> Iterator[str]:
    yield from _comment(doc)
    yield f"---@class KSR.{name}"
    yield f"{_path('', name)} = {{}}\n"


def _function(path: str, listed: str, typed: list[str], function: Function) -> Iterator[str]:
    yield from _comment(function.doc)
    yield from typed
    if TYPES[function.ret]:
        yield f"---@return {TYPES[function.ret]}"
    if path.endswith("]"):
        yield f"{path} = function({listed}) end\n"
    else:
        yield f"function {path}({listed}) end\n"


def _path(group: str, name: str) -> str:
    """The name of a function or group; a word of the language can only be an index."""
    path = "KSR"
    for part in filter(None, (group, name)):
        path += f'["{part}"]' if part in RESERVED else f".{part}"
    return path


def _comment(doc: str) -> Iterator[str]:
    yield from (f"---{line}".rstrip() for line in doc.split("\n") if doc)
