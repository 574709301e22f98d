"""Pages on every module: functions, parameters, variables, commands and events, from their declarations.

`make docs` writes them into `docs/reference/`; a test says when they are behind.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from kahea.cli.stubs.groups import paragraph
from kahea.routing.checks import Unless
from kahea.routing.module import ConfigError, Function, Module, Native, Param, Variable
from kahea.routing.node import Node
from kahea.routing.rpc.calls import usage
from kahea.routing.run import ROUTE_NAMES

TRANSFORMATIONS: Final = "transformations"

INDEX_HEAD: Final = """# Reference

What each module has, under Kamailio's names. The pages are written by `kahea reference` from the declarations that the
functions themselves come from, so they say what this version does. How scripts are called is in
[scripts.md](../scripts.md), a cfg in [native.md](../native.md), management in [management.md](../management.md).

A function has one line for scripts (`KSR.tm.t_reply(code: int, reason: str) -> int`), the same in each of their
languages, and one for each form that a cfg may call (`t_reply(code, reason)`). A result above 0 means yes, below 0 no,
and 0 ends a cfg's route; `bool` is true or false, `xval` a number, a text, null, or a list of such. In the forms of a
cfg, what a parameter takes stands behind it where it is no text or number:

| | |
|---|---|
| `literal` | text as written: variables in it are not evaluated |
| `variable` | a variable, such as `$var(x)` |
| `regex` | a regular expression as written |
| `flag` | a flag's number, or the name that it was declared with |
| `as written` | text in quotes in which no variable is evaluated, or a variable |
| `reason` | text in which variables are evaluated; of one that begins with a variable, that variable alone |
| `socket` | `proto:host:port` |
| `branch route`, `failure route`, ... | the name of such a route |
| `[optional]` | may be left out |

"""

#: How a native form's kinds of parameters are called, where that is not plain.
KINDS: Final = {
    "text": "literal",
    "raw": "as written",
    "reason": "reason",
    "pv": "variable",
    "regex": "regex",
    "flag": "flag",
    "avpflag": "AVP flag",
    "socket": "socket",
}


def write(directory: Path) -> list[Path]:
    """Write all pages into a directory, and remove those of modules that are gone; the paths. Raises ConfigError."""
    made = pages()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in directory.glob("*.md"):
            if path.name not in made:
                path.unlink()
        for name, text in made.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    return [directory / name for name in made]


def pages() -> dict[str, str]:
    """The text of each page by its file's name."""
    node = Node()
    modules = sorted(node.registry.modules.values(), key=lambda module: module.name)
    made = {f"{module.name}.md": _page(node, module) for module in modules}
    made[f"{TRANSFORMATIONS}.md"] = "\n".join(_transformations(node)) + "\n"
    made["README.md"] = INDEX_HEAD + "\n".join(_index(modules)) + "\n"
    return made


def _index(modules: list[Module]) -> Iterator[str]:
    yield "| module | |"
    yield "|---|---|"
    for module in modules:
        yield f"| [{module.name}]({module.name}.md) | {_cell(paragraph(type(module).__doc__ or ''))} |"
    yield f"\n[Transformations]({TRANSFORMATIONS}.md) are what may stand in braces behind a variable's name."


def _page(node: Node, module: Module) -> str:
    lines = [f"# {module.name}", "", inspect.getdoc(type(module)) or "", ""]
    if module.needs:
        lines += [f"Needs: {', '.join(f'[{name}]({name}.md)' for name in module.needs)}.", ""]
    for title, part in (
        ("Functions", _functions(node, module)),
        ("Parameters", _parameters(type(module))),
        ("Variables", _variables(module)),
        ("Event routes", _events(module)),
        ("Commands", _commands(module)),
    ):
        if found := list(part):
            lines += [f"## {title}", "", *found, ""]
    return "\n".join(lines).rstrip() + "\n"


# ---- functions


def _functions(node: Node, module: Module) -> Iterator[str]:
    """Each method as one entry, under the name that scripts or else a cfg call it by."""
    exported = list(module.functions())
    forms = list(module.natives())
    declared = {form.name for each in node.registry.modules.values() for form in each.natives()}
    for function in exported:
        # Those that the registry made, since none was declared.
        if function.name not in declared:
            forms += [each for each in node.registry.natives.get(function.name, ()) if each.doc == function.doc]
    entries: dict[str, tuple[list[Function], list[Native]]] = {}
    for function in exported:
        entries.setdefault(function.name, ([], []))[0].append(function)
    for form in forms:
        same = [function.name for function in exported if function.doc == form.doc and _same(function, form)]
        entries.setdefault(same[0] if same else form.name, ([], []))[1].append(form)
    for name in sorted(entries):
        yield from _entry(name, *entries[name])


def _same(function: Function, form: Native) -> bool:
    """Whether a native form calls the function."""
    return function.call == form.call or function.name == form.name


def _entry(name: str, functions: list[Function], forms: list[Native]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield "```"
    for function in functions:
        listed = ", ".join(f"{n}: {kind}" for n, kind in zip(function.names, function.params, strict=True))
        path = f"{function.module}.{function.name}".lstrip(".")
        yield f"KSR.{path}({listed}) -> {function.ret}"
    for form in forms:
        yield f"{form.name}({_listed(form)})"
    yield "```"
    yield ""
    first = functions[0].doc if functions else forms[0].doc
    yield first
    where = {_where(form.routes) for form in forms}
    if where - {""}:
        yield ""
        for form in forms:
            if routes := _where(form.routes):
                of_form = f"`{form.name}` " if len(where) > 1 else ""
                yield f"In a cfg {of_form}may stand in {routes}."
                if len(where) == 1:
                    break
    yield ""


def _listed(form: Native) -> str:
    """The parameters of a native form."""
    listed = []
    for place, (name, kind) in enumerate(zip(form.names, form.kinds, strict=True)):
        word = KINDS.get(kind, "") if isinstance(kind, str) else "literal"
        if isinstance(kind, str) and kind.startswith("route:"):
            word = f"{kind.removeprefix('route:')} route"
        text = f"{name}: {word}" if word else name
        listed.append(f"[{text}]" if place >= form.least else text)
    return ", ".join(listed)


def _where(routes: int) -> str:
    """The kinds of routes of a mask; an empty text for all."""
    return ", ".join(f"`{name}`" for kind, name in ROUTE_NAMES.items() if routes & kind)


# ---- the other parts


def _parameters(module: type[Module]) -> Iterator[str]:
    found = module.params()
    if not found:
        return
    yield "| name | type | default | |"
    yield "|---|---|---|---|"
    for name in sorted(found):
        yield f"| `{name}` | {_type(found[name])} | {_default(found[name])} | {_cell(_meaning(found[name]))} |"


def _type(param: Param[Any]) -> str:
    return f"{param.type.__name__}, several times" if param.many else param.type.__name__


def _default(param: Param[Any]) -> str:
    default = param.default
    if default in (None, "", []):
        return ""
    shown = str(int(default) if isinstance(default, bool) else default)
    return "`" + _cell(shown.replace("\r", "\\r").replace("\n", "\\n")) + "`"


def _meaning(param: Param[Any]) -> str:
    said = [_told(param.doc)] if param.doc else []
    if isinstance(param.check, Unless):
        said.append(f"Any other value is refused: {param.check.why}.")
    if param.inert:
        said.append(f"It has no effect here: {param.inert}.")
    if param.runtime:
        own = f" as `{param.runtime}`" if isinstance(param.runtime, str) else ""
        said.append(f"May change while the node runs{own}.")
    return " ".join(said)


def _variables(module: Module) -> Iterator[str]:
    found = sorted(module.variables(), key=lambda variable: (variable.name.lower(), variable.name))
    if not found:
        return
    yield "| | | |"
    yield "|---|---|---|"
    for variable in found:
        writable = "writable" if variable.set is not None else ""
        yield f"| `{_cell(_written(variable))}` | {writable} | {_cell(_told(variable.doc))} |"


def _written(variable: Variable) -> str:
    name = f"{variable.name}(name)" if variable.takes_name else variable.name
    return f"$({name}[index])" if variable.takes_index else f"${name}"


def _events(module: Module) -> Iterator[str]:
    if not module.events:
        return
    yield "| | |"
    yield "|---|---|"
    for name, doc in module.events.items():
        yield f"| `event_route[{name}]` | {_cell(doc)} |"


def _commands(module: Module) -> Iterator[str]:
    found = sorted(module.rpcs(), key=lambda command: command.name)
    if not found:
        return
    yield "| | |"
    yield "|---|---|"
    for command in found:
        yield f"| `{_cell(f'{command.name} {usage(command)}'.strip())}` | {_cell(_told(command.doc))} |"


def _transformations(node: Node) -> Iterator[str]:
    yield "# Transformations"
    yield ""
    yield "What may stand in braces behind a variable's name, one after the other: `$(ru{uri.user}{s.len})`. Text that"
    yield "one can't do its work on gives null. Parameters in brackets may be left out."
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, each in sorted(node.variables.transformations.items()):
        listed = []
        for place, kind in enumerate(each.params):
            called = each.names[place] if place < len(each.names) else kind.rstrip("?")
            listed.append(f"[,{called}]" if kind.endswith("?") else f",{called}")
        yield f"| `{_cell(name + ''.join(listed))}` | {_cell(each.doc)} |"


def _told(doc: str) -> str:
    return re.sub(r"\s+", " ", doc.strip())


def _cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


__all__ = ["pages", "write"]
