"""What a cfg declares outside of its routes, as the `kahea.toml` that belongs to the converted script."""

from __future__ import annotations

from kahea.engines.native.convert.code import literal
from kahea.engines.native.tree import (
    Expression,
    GlobalParameter,
    LoadModule,
    ModParam,
    Number,
    Program,
    Socket,
    String,
    Word,
)

_YES, _NO = ("yes", "true", "on", "enable"), ("no", "false", "off", "disable")


def settings(program: Program) -> str:
    """The settings file."""
    modules: list[str] = []
    listen: list[str] = []
    plain: dict[str, list[str]] = {}
    parameters: dict[str, dict[str, list[str]]] = {}
    own: dict[str, dict[str, str]] = {}
    for declaration in program.declarations:
        match declaration:
            case LoadModule(file=file):
                name = file.rsplit("/", 1)[-1].removesuffix(".so")
                if name not in modules:
                    modules.append(name)
            case Socket():
                listen.append(literal(_socket(declaration)))
            case GlobalParameter(name=name, values=values, group=""):
                plain.setdefault(name, []).extend(_value(v) for v in values or (Number(1),))
            case GlobalParameter(name=name, values=(value, *_), group=group):
                own.setdefault(group, {})[name] = _value(value)
            case ModParam(modules=names, name=name, value=value):
                for module in names.split("|"):
                    parameters.setdefault(module, {}).setdefault(name, []).append(_value(value))
    out = [f"load = {_list([literal(m) for m in modules])}"] if modules else []
    if listen or plain:
        out += ["", "[global]"]
        if listen:
            out.append(f"listen = {_list(listen)}")
        out += [f"{_key(name)} = {values[0] if len(values) == 1 else _list(values)}" for name, values in plain.items()]
    for group, variables in own.items():
        out += ["", f"[variables.{_key(group)}]"]
        out += [f"{_key(name)} = {value}" for name, value in variables.items()]
    for module, given in parameters.items():
        out += ["", f"[modules.{module}]"]
        out += [f"{_key(name)} = {values[0] if len(values) == 1 else _list(values)}" for name, values in given.items()]
    return "\n".join(out).lstrip("\n") + "\n"


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
