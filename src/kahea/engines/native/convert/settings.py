"""What a cfg declares outside of its routes, as the `kahea.toml` that belongs to the converted script."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from kahea.engines.native.convert.code import literal
from kahea.engines.native.convert.comments import Comments
from kahea.engines.native.tree import (
    Expression,
    GlobalParameter,
    LoadModule,
    ModParam,
    Node,
    Number,
    Program,
    Socket,
    String,
    Word,
)
from kahea.routing.module import ConfigError
from kahea.routing.registry import canonical, module_class

#: Global parameters of which each line adds to those before; of the others, the last one counts.
_ADDING = ("alias", "domain")
_YES, _NO = ("yes", "true", "on", "enable"), ("no", "false", "off", "disable")


class _Given:
    """What one name was given, with the comments that stood at it."""

    def __init__(self) -> None:
        self.above: list[str] = []
        self.values: list[str] = []
        self.beside = ""

    def add(self, declaration: Node, values: Iterable[str], comments: Comments, *, adds: bool = False) -> None:
        """One declaration of it, which adds to those before or takes their place."""
        for comment in comments.above(declaration.place):
            self.above += comments.take(comment)
        self.beside = comments.beside(declaration.place) or self.beside
        self.values = [*(self.values if adds else ()), *values]

    def lines(self, name: str, *, several: bool = False) -> list[str]:
        """The lines of the file."""
        value = _list(self.values) if several or len(self.values) > 1 else self.values[0]
        return [*self.above, f"{_key(name)} = {value}{self.beside}"]


#: Names with what they were given, in the order of the first.
_Table = defaultdict[str, _Given]


def settings(program: Program, comments: Comments) -> str:
    """The settings file."""
    modules: list[str] = []
    listen = _Given()
    plain = _Table(_Given)
    parameters: defaultdict[str, _Table] = defaultdict(lambda: _Table(_Given))
    own: defaultdict[str, _Table] = defaultdict(lambda: _Table(_Given))
    for declaration in program.declarations:
        match declaration:
            case LoadModule(file=file):
                name = canonical(file.rsplit("/", 1)[-1].removesuffix(".so"))
                if name not in modules:
                    modules.append(name)
            case Socket():
                listen.add(declaration, [literal(_socket(declaration))], comments, adds=True)
            case GlobalParameter(name=name, values=values, group=""):
                given = [_value(v) for v in values or (Number(1),)]
                plain[name].add(declaration, given, comments, adds=name in _ADDING)
            case GlobalParameter(name=name, values=(value, *_), group=group):
                own[group][name].add(declaration, [_value(value)], comments)
            case ModParam(modules=names, name=name, value=value):
                for module in _named(names, modules):
                    adds = _is_collected(module, name)
                    parameters[module][name].add(declaration, [_value(value)], comments, adds=adds)
    out = [f"load = {_list([literal(m) for m in modules])}"] if modules else []
    if listen.values or plain:
        out += ["", "[global]"]
        if listen.values:
            out += listen.lines("listen", several=True)
        out += _lines(plain)
    for group, variables in own.items():
        out += ["", f"[variables.{_key(group)}]", *_lines(variables)]
    for module, table in parameters.items():
        out += ["", f"[modules.{module}]", *_lines(table)]
    return "\n".join(out).lstrip("\n") + "\n"


def _lines(table: _Table) -> list[str]:
    return [line for name, given in table.items() for line in given.lines(name)]


def _is_collected(module: str, name: str) -> bool:
    """Whether all values of a module's parameter count; the last one does where module or parameter are not known."""
    try:
        known = module_class(module).params().get(name)
    except ConfigError:
        return False
    return known is not None and known.many


def _named(pattern: str, modules: list[str]) -> list[str]:
    """The modules that a `modparam` names: by a regular expression, or by names with `|` between them."""
    names = [canonical(name) for name in pattern.split("|")]
    return [module for module in modules if module in names or re.fullmatch(pattern, module)]


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else literal(name)


def _value(value: Expression) -> str:
    match value:
        case Number(value=number):
            return str(number)
        case Word(text=word) if word in _YES:
            return "true"
        case Word(text=word) if word in _NO:
            return "false"
        case String(text=text) | Word(text=text):
            return _string(text)
    raise TypeError(f"not a constant: {value!r}")


def _string(text: str) -> str:
    """A TOML string; `${` would be taken for a reference to a name."""
    if "'" not in text and text.isprintable() and ("\\" in text or '"' in text):
        return f"'{text}'"
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)
    return f'"{escaped}"'


def _socket(socket: Socket) -> str:
    out = socket.bind
    if socket.advertise:
        out += f" advertise {socket.advertise}"
    if socket.name:
        out += f' name "{socket.name}"'
    if socket.agname:
        out += f' agname "{socket.agname}"'
    if socket.vrf:
        out += f' vrf "{socket.vrf}"'
    return out + (" virtual" if socket.virtual else "")


def _list(items: list[str]) -> str:
    one_line = f"[{', '.join(items)}]"
    if len(one_line) <= 100:
        return one_line
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"
