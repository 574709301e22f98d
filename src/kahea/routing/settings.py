"""What a node is told before it starts: the global parameters, the modules and theirs, and the script.

They stand in `kahea.toml` beside the script, and flags on the command line come after it:

    load = ["tm", "sl"]              # optional; without it every module

    [global]
    listen = ["udp:192.0.2.1:5060", "tcp:192.0.2.1:5060 advertise sip.example.org:5060"]
    server_header = "Server: example"

    [modules.usrloc]
    db_url = "sqlite:///${STATE:-/var/lib/kahea}/location.db"
    preload = ["location", "aliases"]  # a parameter that may be given several times

    [variables.pstn]
    gw_ip = "10.0.0.1"               # of the script's own: $sel(cfg_get.pstn.gw_ip); `cfg.set` changes it

    [python]
    path = ["lib"]                   # where the script's imports are looked for, beside its own directory

`${NAME}` in a string is what `-A NAME=VALUE` defined, or else the environment's; `${NAME:-other}` has a value
for neither. Errors name the file and line.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from kahea.net.address import is_ip
from kahea.routing.global_inert import NO_SCTP
from kahea.routing.global_parameters import Given, Settings, nearest
from kahea.routing.module import ConfigError
from kahea.routing.runtime import RuntimeSettings

#: A module's parameters in the order given; a name stands as often as it was given.
ParameterList = list[tuple[str, int | str]]


class PythonOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[python]`: directories (absolute after loading) where a script's imports are looked for."""

    path: list[str] = []


@dataclass(slots=True)
class Configuration:
    """All that a node is made from. `load` None means every module that there is."""

    settings: Settings = field(default_factory=Settings)
    modules: dict[str, ParameterList] = field(default_factory=dict)
    load: list[str] | None = None
    script: Path | None = None
    #: Where modules look for the files that they are given without a folder: beside the file that the server runs.
    directory: Path = Path()
    #: The script's language, where its ending does not tell: a word of `cfgengine`, or `native`.
    language: str = ""
    #: What `-A` defined, with "" for a bare name.
    given: dict[str, str] = field(default_factory=dict)
    #: The same with what a cfg's preprocessor defined.
    defines: dict[str, str] = field(default_factory=dict)
    #: What `--subst` and its kin said, each with its directive's name.
    substitutions: list[tuple[str, str]] = field(default_factory=list)
    #: The script as its language has read it already, for the first load; None if it has not.
    program: object | None = None
    #: The names that a cfg declared for flags, and for those of AVPs.
    flags: dict[str, int] = field(default_factory=dict)
    avp_flags: dict[str, int] = field(default_factory=dict)
    #: What may change while the node runs; a cfg declares variables of its own.
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    python: PythonOptions = field(default_factory=PythonOptions)
    #: Parameters that were accepted and have no effect, each with the reason, for the operator.
    notes: list[str] = field(default_factory=list)
    #: The settings file that was read.
    toml: Path | None = None

    def set_global(self, name: str, value: Given) -> None:
        """Give a global parameter a value; raises ConfigError."""
        why = self.settings.set(name, value)
        if why:
            self.notes.append(f"{name} has no effect here: {why}")

    def set_module(self, module: str, name: str, value: Given) -> None:
        """Give a module's parameter one value, or each of a list; names are checked by the module itself."""
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, bool):
                one = int(one)
            if not isinstance(one, (int, str)):
                raise ConfigError(f"parameter {module}.{name} takes a string or an integer, not {one!r}")
            self.modules.setdefault(module, []).append((name, one))


def load(
    script: Path,
    toml: Path | None = None,
    listeners: Iterable[str] = (),
    defines: Mapping[str, str] | None = None,
) -> Configuration:
    """Read the settings for a script: `toml`, or else `kahea.toml` beside it if there is one.

    `listeners` replace the file's `listen`. Raises ConfigError with file and line.
    """
    config = Configuration(
        script=script, directory=script.parent, given=dict(defines or {}), defines=dict(defines or {})
    )
    path = toml if toml is not None else script.with_name("kahea.toml")
    if toml is not None or path.exists():
        _read(config, path)
    given = list(listeners)
    if given:
        config.settings.listen = given
    check_listeners(config)
    return config


def check_listeners(config: Configuration) -> None:
    """Read all of `listen`, and leave those out that are turned off. Raises ConfigError."""
    settings = config.settings
    for text in list(settings.listen):
        if parse_listen(text).proto == "sctp":
            config.notes.append(left_out(settings, text))
            settings.listen.remove(text)


def left_out(settings: Settings, text: str) -> str:
    """Say that nothing listens on an address of SCTP, since SCTP is off.

    Raises ConfigError if it is not, and where there is no other address: a server that nobody reaches is a mistake.
    """
    if settings.enable_sctp or not any(parse_listen(one).proto != "sctp" for one in settings.listen):
        raise ConfigError(f"listen {text!r}: {NO_SCTP}; beside others, `enable_sctp = 0` leaves it out")
    return f"nothing listens on {text}: SCTP is off"


def _read(config: Configuration, path: Path) -> None:
    """Take everything from one settings file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"{path}:{line[1] if line else len(text.splitlines())}: {error}") from error
    config.toml = path
    source = _Source(path, text)
    for key, value in data.items():
        if key not in _SECTIONS:
            raise ConfigError(f"{source.place((), key)}: unknown entry {key!r}{nearest(key, _SECTIONS)}")
        value = _expand(value, config.defines, source, (key,))
        _SECTIONS[key](config, source, value)


def _read_load(config: Configuration, source: _Source, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ConfigError(f"{source.place((), 'load')}: load takes a list of module names")
    config.load = value


def _read_global(config: Configuration, source: _Source, table: Any) -> None:
    for name, value in _flat(_table(table, source, "global")):
        with source.at(("global",), name):
            if isinstance(value, (float, dict)):
                raise ConfigError(f"global parameter {name} can't be {value!r}")
            config.set_global(name, value)


def _read_modules(config: Configuration, source: _Source, tables: Any) -> None:
    for module, table in _table(tables, source, "modules").items():
        config.modules.setdefault(module, [])
        for name, value in _table(table, source, f"modules.{module}").items():
            with source.at(("modules", module), name):
                config.set_module(module, name, value)


def _read_variables(config: Configuration, source: _Source, tables: Any) -> None:
    for group, table in _table(tables, source, "variables").items():
        for name, value in _table(table, source, f"variables.{group}").items():
            with source.at(("variables", group), name):
                if isinstance(value, bool) or not isinstance(value, (int, str)):
                    raise ConfigError(f"variable {group}.{name} is an integer or a string, not {value!r}")
                config.runtime.declare(group, name, value)


def _read_python(config: Configuration, source: _Source, table: Any) -> None:
    try:
        options = msgspec.convert(table, PythonOptions)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source.place((), 'python')}: [python]: {error}") from error
    config.python = PythonOptions([str((source.path.parent / p).resolve()) for p in options.path])


_SECTIONS: Final = {
    "load": _read_load,
    "global": _read_global,
    "modules": _read_modules,
    "variables": _read_variables,
    "python": _read_python,
}


def _table(value: Any, source: _Source, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{source.place((), name)}: {name} is a table: [{name}]")
    return value


def _flat(table: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Entries of `[global]`, with `kemi.request_route_callback` and its like under their dotted names."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", v) for inner, v in value.items())
        else:
            yield name, value


_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def _expand(value: Any, defines: Mapping[str, str], source: _Source, where: tuple[str, ...]) -> Any:
    """`value` with each `${NAME}` in its strings replaced."""
    if isinstance(value, dict):
        return {k: _expand(v, defines, source, (*where, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, defines, source, where) for v in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, other = match[1], match[2]
        found = defines.get(name, os.environ.get(name, other))
        if found is None:
            raise ConfigError(
                f"{source.place(where[:-1], where[-1])}: {name} is not defined; give it by -A {name}=VALUE"
            )
        return found

    return _REFERENCE.sub(replace, value)


class _Source:
    """A settings file's text, to find the line of an entry: tomllib does not tell."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
                table = _split(header[1])
                self._lines.setdefault(table, number)
            elif entry := re.match(r"""\s*([\w."'-]+)\s*=""", line):
                self._lines.setdefault((*table, *_split(entry[1])), number)

    def place(self, table: tuple[str, ...], name: str) -> str:
        """`file:line` of an entry; of its table, or the file alone, where it has no line of its own."""
        key = (*table, *name.split("."))
        while key and key not in self._lines:
            key = key[:-1]
        return f"{self.path}:{self._lines[key]}" if key else str(self.path)

    def at(self, table: tuple[str, ...], name: str) -> _Place:
        """A context that puts the entry's place before the message of a ConfigError."""
        return _Place(self.place(table, name))


class _Place:
    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ConfigError):
            raise ConfigError(f"{self.place}: {error}") from error


def _split(key: str) -> tuple[str, ...]:
    """The parts of a TOML key; quotes are taken off."""
    return tuple(part.strip().strip("\"'") for part in re.findall(r""""[^"]*"|'[^']*'|[^.]+""", key))


@dataclass(frozen=True, slots=True)
class ListenSpec:
    """One listener as configured.

    `proto` "" means UDP, TCP and, with `enable_tls`, TLS; `host` may be a name or an interface; `port` 0 means the
    global `port` (of TLS `tls_port_no`), or any that is free if it was written so (`any_port`); `mcast` is the
    interface on which a multicast group is joined, "" for the global `mcast`. The address of a `virtual` one is
    this node's only while the host has it; `vrf` is the device of a Linux VRF that it belongs to.
    """

    proto: str
    host: str
    port: int = 0
    advertise: str = ""
    advertise_port: int = 0
    name: str = ""
    agname: str = ""
    any_port: bool = False
    mcast: str = ""
    virtual: bool = False
    vrf: str = ""


_PROTOS: Final = ("udp", "tcp", "tls", "sctp")
_MODIFIER: Final = re.compile(
    r"""\s*(?:(advertise|name|agname|mcast|vrf)\s+("[^"]*"|\S+)|(virtual)\b)""", re.IGNORECASE
)


def parse_listen(text: str) -> ListenSpec:
    """Read `[proto:]host[:port][/advertised[:port]]`, then any of `advertise a[:port]`, `name "n"`, `agname "n"`,
    `mcast "i"`, `vrf "device"` and `virtual`.

    Raises ConfigError for what is none.
    """
    head, _, rest = text.strip().partition(" ")
    main, _, advertised = head.partition("/")
    found: dict[str, str] = {"advertise": advertised}
    at = 0
    rest = rest.strip()
    while at < len(rest):
        match = _MODIFIER.match(rest, at)
        if match is None:
            raise ConfigError(f"listen {text!r}: don't know {rest[at:].strip()!r}")
        found[(match[1] or match[3]).lower()] = (match[2] or "yes").strip('"')
        at = match.end()
    proto, host, port = split_socket(main)
    adv_proto, adv_host, adv_port = split_socket(found["advertise"]) if found["advertise"] else ("", "", 0)
    if adv_proto:
        raise ConfigError(f"listen {text!r}: an advertised address has no protocol")
    names = found.get("name", ""), found.get("agname", "")
    any_port, mcast = main.endswith(":0"), found.get("mcast", "")
    return ListenSpec(
        proto, host, port, adv_host, adv_port, *names, any_port, mcast, "virtual" in found, found.get("vrf", "")
    )


def split_socket(text: str) -> tuple[str, str, int]:
    """Split `[proto:]host[:port]`; the host keeps no brackets. Raises ConfigError."""
    proto, colon, rest = text.partition(":")
    if not colon or proto.lower() not in _PROTOS:
        proto, rest = "", text
    match = _HOST_PORT.fullmatch(rest)
    if match is None or int(match[2] or 0) > 65535:
        raise ConfigError(f"{text!r} is no address of the form [proto:]host[:port]")
    if re.fullmatch(r"[\d.]+", match[1]) and not is_ip(match[1]):
        raise ConfigError(f"{match[1]!r} is no IP address")
    return proto.lower(), match[1].strip("[]"), int(match[2] or 0)


_HOST_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::(\d{1,5}))?")

__all__ = [
    "ConfigError",
    "Configuration",
    "ListenSpec",
    "ParameterList",
    "PythonOptions",
    "Settings",
    "check_listeners",
    "left_out",
    "load",
    "parse_listen",
    "split_socket",
]
