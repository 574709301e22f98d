"""From the declarations of a cfg to a `Configuration`: what it says outside of its routes.

Every declaration is read, whatever is wrong with those before it, so that one run tells of all errors. Types are as
strict as Kamailio's: a number in quotes is a string, and no parameter takes it for a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from kahea.engines.native.constants import wrapped
from kahea.engines.native.diagnostics import ERROR, NOTE, CfgError, Diagnostic, nearest
from kahea.engines.native.kinds import (
    ADDRESSES,
    ANY,
    CHOICES,
    COREPARAMS,
    HOSTS,
    NO,
    NUMBERS_OR_WORDS,
    PROTOCOLS,
    SIGNED,
    STRINGS,
    WORDS,
    YES,
)
from kahea.engines.native.tree import (
    CfgEngine,
    Expression,
    Flags,
    GlobalParameter,
    LoadModule,
    LoadPath,
    ModParam,
    Node,
    Number,
    Place,
    Program,
    Socket,
    String,
    Unary,
    Word,
)
from kahea.routing.module import ConfigError, Param
from kahea.routing.myself import parse_alias
from kahea.routing.pv import PvError, VariableTable
from kahea.routing.registry import available, canonical, module_class
from kahea.routing.settings import Configuration, Settings, check_listeners, left_out, parse_listen

#: The script languages of `cfgengine`, each with Kamailio's modules that run it.
ENGINES: Final = {
    "python": ("app_python3", "app_python3s"),
    "lua": ("app_lua",),
    "jsdt": ("app_jsdt",),
    "sqlang": ("app_sqlang",),
}
#: What `cfgengine` may name for the cfg's own routes.
NATIVE: Final = ("native", "default")
#: Parameters of Kamailio that take a number as well as a string.
_EITHER: Final = {("jsonrpcs", name) for name in ("fifo_user", "fifo_group", "dgram_user", "dgram_group")}
#: A message has 32 flags.
_FLAGS: Final = 32

_NO_PATH: Final = "modules are part of the server; no directory is searched for them"
_INDEXED: Final = re.compile(r"(\w+)\[(\w+)\]")


def load(
    program: Program, script: Path, listeners: Iterable[str] = (), defines: Mapping[str, str] | None = None
) -> Configuration:
    """The configuration that a cfg describes. Raises CfgError with every error.

    `listeners` replace those of the cfg; `defines` are those of the command line.
    """
    configuration, found = read(program, script)
    if any(d.level == ERROR for d in found):
        raise CfgError([d for d in found if d.level == ERROR], program.sources)
    configuration.given = dict(defines or {})
    configuration.program = program
    given = list(listeners)
    if given:
        configuration.settings.listen = given
        check_listeners(configuration)
    return configuration


def read(program: Program, script: Path) -> tuple[Configuration, list[Diagnostic]]:
    """As `load`, with all that there is to say of it, errors and notes, instead of an exception."""
    loader = _Loader(program, script)
    loader.read()
    return loader.configuration, loader.diagnostics


class _Loader:
    """One reading of a program's declarations."""

    def __init__(self, program: Program, script: Path) -> None:
        self.program = program
        self.diagnostics: list[Diagnostic] = []
        self.configuration = Configuration(script=script, directory=script.parent, defines=program.defines)
        self._modules: dict[str, LoadModule] = {}
        #: The loaded modules that there are here, with their parameters.
        self._params: dict[str, dict[str, Param[Any]]] = {}
        self._engine: CfgEngine | None = None
        self._engine_scripts: dict[str, ModParam] = {}
        #: Listeners of SCTP, which may be turned off after them.
        self._sctp: list[Socket] = []

    def read(self) -> None:
        """Take every declaration, in order."""
        instances: list[GlobalParameter] = []
        readers: dict[type[Node], Callable[[Any], None]] = {
            GlobalParameter: lambda node: self._parameter(node, instances),
            Socket: self._socket,
            LoadModule: self._load,
            LoadPath: lambda node: self._note(node, f"loadpath has no effect here: {_NO_PATH}"),
            ModParam: self._modparam,
            CfgEngine: self._cfgengine,
            Flags: self._flags,
        }
        for declaration in self.program.declarations:
            reader = readers.get(type(declaration))
            if reader is not None:
                reader(declaration)
        self.configuration.settings.mcast = ""  # one that no listener follows
        for socket in self._sctp:
            with self._errors_at(socket, "bad-value"):
                self._note(socket, left_out(self.configuration.settings, socket.bind))
        for node in instances:
            self._own(node)
        self.configuration.load = list(self._params)
        self._choose_engine()

    # ---- what is said of it

    def _error(self, node: Node | Place, code: str, message: str, hint: str = "") -> None:
        place = node if isinstance(node, Place) else node.place
        self.diagnostics.append(Diagnostic(ERROR, code, message, place, hint))

    def _note(self, node: Node, message: str) -> None:
        self.diagnostics.append(Diagnostic(NOTE, "no-effect", message, node.place))
        self.configuration.notes.append(f"{node.place}: {message}")

    @contextmanager
    def _errors_at(self, node: Node, code: str) -> Iterator[None]:
        """Note a ConfigError as one at this node; a hint behind a semicolon stands apart."""
        try:
            yield
        except ConfigError as error:
            message, _, hint = str(error).partition("; did you mean ")
            self._error(node, code, message, f"did you mean {hint}" if hint else "")

    # ---- global parameters

    def _parameter(self, node: GlobalParameter, instances: list[GlobalParameter]) -> None:
        name = f"{node.group}.{node.name}" if node.group else node.name
        indexed = _INDEXED.fullmatch(node.name)
        if node.group and node.group != "kemi":
            if _INDEXED.fullmatch(node.group) or indexed:
                instances.append(node)
            else:
                self._own(node)
        elif indexed and indexed[1] == "coreparam":
            if indexed[2] in COREPARAMS:
                self._set_global(node, indexed[2], node.values[0])
            else:
                hint = nearest(indexed[2], COREPARAMS)
                self._error(node, "unknown-parameter", f"there is no coreparam {indexed[2]}", hint)
        elif name in ("alias", "domain"):
            for value in node.values:
                text = value.text  # type: ignore[union-attr]  # the parser gives nothing but words here
                with self._errors_at(value, "bad-value"):
                    parse_alias(text)
                    self.configuration.set_global(name, text)
        elif name not in Settings.names() or name in COREPARAMS:
            hint = f"it is coreparam[{name}]" if name in COREPARAMS else nearest(name, Settings.names())
            self._error(node, "unknown-parameter", f"there is no global parameter {name}", hint)
        else:
            self._set_global(node, name, node.values[0])

    def _set_global(self, node: GlobalParameter, name: str, value: Expression) -> None:
        given = self._global_value(name, value)
        if given is None:
            return
        with self._errors_at(value, "bad-value"):
            count = len(self.configuration.notes)
            self.configuration.set_global(name, given)
            for note in self.configuration.notes[count:]:
                self.diagnostics.append(Diagnostic(NOTE, "no-effect", note, node.place))
                self.configuration.notes[-1] = f"{node.place}: {note}"

    def _global_value(self, name: str, value: Expression) -> bool | int | str | None:
        """A value as its parameter takes it; None after an error."""
        if name in STRINGS or name.startswith("kemi."):
            if isinstance(value, String):
                return value.text
            wanted = "a string in quotes"
        elif name in CHOICES:
            kinds = Word if name == "tls_method" else (Word, String)
            if isinstance(value, kinds) and value.text.lower() in map(str.lower, CHOICES[name]):
                return value.text
            wanted = f"one of {', '.join(CHOICES[name])}"
        elif name in WORDS or name in HOSTS or name in PROTOCOLS or name in ADDRESSES:
            if isinstance(value, String) and (name in WORDS or name in HOSTS):
                return value.text
            if isinstance(value, Word) and not (name in WORDS and value.text in YES | NO):
                return value.text
            wanted = "udp, tcp or tls" if name in PROTOCOLS else "a bare address" if name in ADDRESSES else "a name"
        else:
            number = _number(value)
            if number is not None and (number >= 0 or name in SIGNED or name in ANY):
                kind = Settings.kind(name)
                return bool(number) if kind is bool else str(number) if kind is str else number
            if isinstance(value, Word if name in NUMBERS_OR_WORDS else (Word, String)) and (
                name in ANY or name in NUMBERS_OR_WORDS
            ):
                return value.text
            wanted = "yes or no" if Settings.kind(name) is bool else "a number"
            if isinstance(value, String) and re.fullmatch(r"-?\d+", value.text):
                self._error(value, "bad-value", f"{name} takes {wanted}, not a string", "leave out the quotes")
                return None
        self._error(value, "bad-value", f"{name} takes {wanted}, not {_shown(value)}")
        return None

    def _own(self, node: GlobalParameter) -> None:
        """A variable of the cfg's own, by `group.name` or `group[instance].name`."""
        group, instance = _instance(node.group)
        value = node.values[0]
        given: int | str | None = value.text if isinstance(value, String) else _number(value)
        if given is None:
            self._error(value, "bad-value", f"{node.group}.{node.name} takes a number or a string in quotes")
            return
        with self._errors_at(node, "bad-value"):
            self.configuration.runtime.declare(group, node.name, given, node.description, instance)

    def _socket(self, node: Socket) -> None:
        parts = [node.bind]
        if node.advertise:
            parts.append(f"advertise {node.advertise}")
        parts += [f'{key} "{text}"' for key, text in _named(node) if text]
        if node.virtual:
            parts.append("virtual")
        settings = self.configuration.settings
        if settings.mcast:
            # It is for the next listener only.
            parts.append(f'mcast "{settings.mcast}"')
            settings.mcast = ""
        text = " ".join(parts)
        if node.workers:
            self._note(node, f"workers has no effect here: {Settings.explain('socket_workers').partition(': ')[2]}")
        with self._errors_at(node, "bad-value"):
            if parse_listen(text).proto == "sctp":
                self._sctp.append(node)
            else:
                settings.listen.append(text)

    def _flags(self, node: Flags) -> None:
        known = self.configuration.avp_flags if node.avp else self.configuration.flags
        for name, number in node.names:
            if name in known:
                self._error(node, "bad-flag", f"flag {name} is declared already")
                continue
            taken = set(known.values())
            if number is None:
                number = next((n for n in range(_FLAGS) if n not in taken), _FLAGS)
            if number >= _FLAGS:
                self._error(node, "bad-flag", f"flag {name}: flags are numbered from 0 to {_FLAGS - 1}")
            elif number in taken:
                self._error(node, "bad-flag", f"flag {name}: number {number} has another name already")
            else:
                known[name] = number

    # ---- modules

    def _load(self, node: LoadModule) -> None:
        name = canonical(Path(self._evaluated(node, node.file)).name.removesuffix(".so"))
        if name in self._modules:
            self._error(
                node, "bad-module", f"module {name} is loaded already, on line {self._modules[name].place.line}"
            )
            return
        self._modules[name] = node
        if node.options:
            self._note(node, "the options of loadmodule have no effect here: they are those of a shared library")
        try:
            klass = module_class(name)
            self._params[name] = klass.params()
            if why := klass.missing():
                self._error(node, "missing", f"module {name}: {why}")
        except ConfigError as error:
            message, _, hint = str(error).partition("; ")
            self._error(node, "unknown-module", message, hint)

    def _modparam(self, node: ModParam) -> None:
        pattern = self._evaluated(node, node.modules) if node.evaluated else node.modules
        name = self._evaluated(node, node.name) if node.evaluated else node.name
        try:
            matches = re.compile(pattern).fullmatch
        except re.error as error:
            self._error(node, "bad-module", f"{pattern!r} does not name modules: {error}")
            return
        names = [canonical(part) for part in pattern.split("|")]
        found = [module for module in self._modules if matches(module) or module in names]
        if not found:
            self._not_loaded(node, pattern)
        given = self._module_value(node)
        if given is None:
            return
        for module in found:
            if module in self._params:
                self._module_parameter(node, module, name, given)

    def _not_loaded(self, node: ModParam, pattern: str) -> None:
        later = next(
            (d for d in self.program.declarations if isinstance(d, LoadModule) and _module_of(d) == pattern), None
        )
        if later is not None:
            hint = f"it is loaded after this, on line {later.place.line}"
        else:
            hint = nearest(pattern, self._modules) or (
                f'loadmodule "{pattern}.so" must come before this' if pattern in available() else ""
            )
        self._error(node, "module-not-loaded", f"module {pattern} is not loaded", hint)

    def _module_value(self, node: ModParam) -> int | str | None:
        value = node.value
        if isinstance(value, String):
            return self._evaluated(node, value.text) if node.evaluated else value.text
        number = _number(value)
        if number is None:
            hint = f"{value.text} is not defined" if isinstance(value, Word) and value.text.isupper() else ""
            what = f"{node.name} takes a number or a string in quotes, not {_shown(value)}"
            self._error(value, "bad-value", what, hint)
        return number

    def _module_parameter(self, node: ModParam, module: str, name: str, given: int | str) -> None:
        known = self._params[module]
        if name not in known:
            self._error(node, "unknown-parameter", f"module {module} has no parameter {name!r}", nearest(name, known))
            return
        param = known[name]
        if not isinstance(given, param.type) and (module, name) not in _EITHER:
            wanted = "a number" if param.type is int else "a string in quotes"
            digits = isinstance(given, str) and re.fullmatch(r"-?\d+", given)
            self._error(
                node.value,
                "bad-value",
                f"parameter {module}.{name} takes {wanted}, not {given!r}",
                "leave out the quotes" if digits else "",
            )
            return
        if name in ("load", "script_name") and any(module in modules for modules in ENGINES.values()):
            self._engine_scripts[module] = node
            if not Path(str(given)).is_file():
                self._error(node.value, "no-script", f"there is no file {given}")
        with self._errors_at(node.value, "bad-value"):
            param.convert(module, given)
            self.configuration.set_module(module, name, given)

    def _evaluated(self, node: Node, text: str) -> str:
        """A text with those variables replaced that have a value before the server runs (`modparamx`)."""
        if "$" not in text:
            return text
        stand_in: Any = SimpleNamespace(node=SimpleNamespace(configuration=self.configuration))
        try:
            return VariableTable().format(text).render(stand_in)
        except PvError as error:
            self._error(node, "bad-value", f"{error}", "only definitions and the environment have values by now")
            return text

    # ---- the script

    def _cfgengine(self, node: CfgEngine) -> None:
        if node.engine in NATIVE:
            self._engine = None
        elif node.engine in ENGINES:
            self._engine = node
        else:
            self._error(
                node, "unknown-engine", f"there is no script language {node.engine!r}",
                nearest(node.engine, (*ENGINES, *NATIVE)),
            )  # fmt: skip

    def _choose_engine(self) -> None:
        """What runs the routes: this cfg, or the script that the module of its language was told to load."""
        engine = self._engine
        if engine is None:
            return
        wanted = ENGINES[engine.engine]
        chosen = [self._engine_scripts[m] for m in wanted if m in self._engine_scripts]
        if not chosen:
            names = " or ".join(wanted)
            self._error(engine, "no-script", f'cfgengine "{engine.engine}" needs modparam("{names}", "load", FILE)')
            return
        self.configuration.script = Path(str(self._module_value(chosen[-1])))
        self.configuration.language = engine.engine


def _named(node: Socket) -> tuple[tuple[str, str], ...]:
    """The attributes of a socket that have a name."""
    return ("name", node.name), ("agname", node.agname), ("vrf", node.vrf)


def _module_of(node: LoadModule) -> str:
    return Path(node.file).name.removesuffix(".so")


def _number(value: Expression) -> int | None:
    """The value of a number in 32 bits, or of a word that is one."""
    if isinstance(value, Number):
        return wrapped(value.value)
    if isinstance(value, Unary) and value.operator == "-" and isinstance(value.operand, Number):
        return wrapped(-value.operand.value)
    if isinstance(value, Word):
        return 1 if value.text in YES else 0 if value.text in NO else None
    return None


def _instance(group: str) -> tuple[str, int | None]:
    """`pstn[2]` as its name and number."""
    found = _INDEXED.fullmatch(group)
    return (group, None) if found is None else (found[1], int(found[2]))


def _shown(value: Expression) -> str:
    if isinstance(value, String):
        return "a string"
    if isinstance(value, Word):
        return value.text
    return str(_number(value)) if _number(value) is not None else "an expression"


__all__ = ["ENGINES", "load", "read"]
