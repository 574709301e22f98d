"""`KSR.d.ts`: the global object of a JavaScript script, for TypeScript's checker and editors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kahea.cli.stubs.groups import DROP, EXIT, MODF, WRITTEN, Group, parameters
from kahea.routing.module import Function

TYPES: Final = {
    "int": "number",
    "long": "number",
    "str": "string",
    "bool": "boolean",
    "none": "void",
    "xval": "KSR.Value",
}
#: Words that can't name a parameter.
_WORDS: Final = """
    arguments await break case catch class const continue debugger default delete do else enum eval export extends
    false finally for function if implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof var void while with yield
"""
RESERVED: Final = frozenset(_WORDS.split())

HEAD: Final = f"""// The functions of a node, as scripts call them.
//
// {WRITTEN}

declare namespace KSR {{
	/** What a variable has: a number, a string or null. */
	type Value = any;
	/** A route: `ksr_request_route` and its kin, those that `t_on_branch()` and its kin name. */
	type Route = () => any;
	/** The route of events, which gets the event's name. */
	type EventRoute = (event: string) => any;
"""

TAIL: Final = """
/** What a file beside the script exports, as CommonJS has it. */
declare function require(id: string): any;
declare const module: { id: string; exports: any };
declare const exports: any;"""


def stub(exported: list[Group]) -> str:
    """The text of the file."""
    return "\n".join([HEAD, *_groups(exported), TAIL]) + "\n"


def _groups(exported: list[Group]) -> Iterator[str]:
    top, *others = exported
    for group in others:
        yield from _comment(group.doc, "\t")
        yield f"\tinterface {_interface(group.name)} {{"
        for function in group.functions:
            yield from _function(function, "\t\t")
        yield "\t}\n"
    yield "\tinterface X {"
    for name, listed, result, doc in (
        ("modf", "name: string, ...args: (string | number)[]", "number", MODF),
        ("exit", "", "never", EXIT),
        ("drop", "", "never", DROP),
    ):
        yield from _member(name, listed, result, doc, "\t\t")
    yield "\t}\n"
    yield "\tinterface Functions {"
    for function in top.functions:
        yield from _function(function, "\t\t")
    for name in (*(group.name for group in others), "x"):
        yield f"\t\treadonly {name}: {_interface(name)};"
    yield "\t}"
    yield "}\n"
    yield "declare const KSR: KSR.Functions;"


def _interface(group: str) -> str:
    return group.capitalize()


def _function(function: Function, indent: str) -> Iterator[str]:
    listed = ", ".join(f"{name}: {TYPES[kind]}" for name, kind in parameters(function, RESERVED))
    yield from _member(function.name, listed, TYPES[function.ret], function.doc, indent)


def _member(name: str, listed: str, result: str, doc: str, indent: str) -> Iterator[str]:
    yield from _comment(doc, indent)
    yield f"{indent}{name}({listed}): {result};"


def _comment(doc: str, indent: str) -> Iterator[str]:
    first, *others = doc.replace("*/", "* /").split("\n")
    if not others:
        yield f"{indent}/** {first} */"
        return
    yield f"{indent}/** {first}"
    yield from (f"{indent} * {line}".rstrip() for line in others)
    yield f"{indent} */"
