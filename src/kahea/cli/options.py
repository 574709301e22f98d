"""The options of `kahea run`, under the names that Kamailio has for them, and what they make of a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from kahea.routing.myself import parse_alias
from kahea.routing.registry import canonical, module_class
from kahea.routing.settings import ConfigError, Configuration, check_listeners

_LONG: Final = ("--atexit", "--log-engine")

File = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE", help="The routing script, or settings (.toml) for http_router; the default script without one."
    ),
]
Script = Annotated[Path | None, typer.Option("-f", metavar="FILE", help="The same as FILE.")]
Listen = Annotated[
    list[str] | None,
    typer.Option("-l", metavar="udp:ADDR:PORT", help="Listen here, in place of the file's listeners."),
]
Define = Annotated[
    list[str] | None,
    typer.Option("-A", metavar="NAME[=VALUE]", help="Define a name for the script and its settings."),
]
Subst = Annotated[
    list[str] | None, typer.Option("--subst", metavar="/WHAT/BY WHAT/", help="As #!subst at the beginning of a cfg.")
]
SubstDef = Annotated[
    list[str] | None,
    typer.Option("--substdef", metavar="/NAME/VALUE/", help="As #!substdef at the beginning of a cfg."),
]
SubstDefs = Annotated[
    list[str] | None, typer.Option("--substdefs", metavar="/NAME/VALUE/", help="The same, its value in quotes.")
]
Toml = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="In place of kahea.toml beside the script.")
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Give a global parameter a value.")]
LoadModule = Annotated[
    list[str] | None, typer.Option("--loadmodule", metavar="NAME", help="Load a module, as the script could.")
]
ModParam = Annotated[
    list[str] | None,
    typer.Option("--modparam", metavar="MODULE:NAME:s|i:VALUE", help="Give a module's parameter a value."),
]
Check = Annotated[bool, typer.Option("-c", help="Check the script and end, as `kahea check` does.")]
ToStderr = Annotated[bool, typer.Option("-E", help="Log to stderr, whatever the file says.")]
Verbose = Annotated[int, typer.Option("-d", count=True, help="Log more; may be repeated.")]
PidFile = Annotated[Path | None, typer.Option("-P", metavar="FILE", help="Keep the process's number in this file.")]
GroupFile = Annotated[
    Path | None, typer.Option("-G", metavar="FILE", help="Keep the number of the process's group in this file.")
]
User = Annotated[str, typer.Option("-u", metavar="NAME", help="As --set user=NAME.")]
Group = Annotated[str, typer.Option("-g", metavar="NAME", help="As --set group=NAME.")]
WorkDir = Annotated[str, typer.Option("-w", metavar="DIR", help="As --set workdir=DIR.")]
RunDir = Annotated[str, typer.Option("-Y", metavar="DIR", help="As --set rundir=DIR.")]
Alias = Annotated[list[str] | None, typer.Option("--alias", metavar="NAME", help="A name of this server.")]
AutoAliases = Annotated[str, typer.Option("-a", metavar="yes|no", help="As --set auto_aliases=yes|no.")]
Buffer = Annotated[str, typer.Option("-b", metavar="BYTES", help="As --set maxbuffer=BYTES.")]
Debug = Annotated[str, typer.Option("--debug", metavar="LEVEL", help="As --set debug=LEVEL.")]
ServerId = Annotated[str, typer.Option("--server-id", metavar="NUMBER", help="As --set server_id=NUMBER.")]
CheckVia = Annotated[bool, typer.Option("-K", help="As --set check_via=yes.")]
NoTcp = Annotated[bool, typer.Option("-T", help="As --set disable_tcp=yes.")]
Trace = Annotated[
    str,
    typer.Option(
        "--trace",
        metavar="FILTER",
        help="Print each line of a cfg that messages pass: all, or those of callid=TEXT,method=NAME,src=ADDRESS.",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="Reload whenever a file of the script changes.")]
Foreground = Annotated[int, typer.Option("-D", count=True, hidden=True)]
#: Options of Kamailio that have nothing to tune here: with a value, and without.
Tuning = Annotated[
    list[str] | None,
    typer.Option("-m", "-M", "-n", "-N", "-x", "-X", "-L", "-O", "-Q", "-W", "-t", *_LONG, hidden=True),
]
Switches = Annotated[int, typer.Option("-e", "-r", "-R", "-S", count=True, hidden=True)]

#: What is said of them.
NO_TUNING: Final = (
    "-e, -L, -m, -M, -n, -N, -O, -Q, -r, -R, -S, -t, -W, -x, -X, --atexit and --log-engine have no effect here: there"
    " is one process, with Python's memory, log and event loop, and modules are part of it"
)
#: What the command line gives a cfg's preprocessor: names by `-A`; substitutions, each with its directive.
Given = tuple[Mapping[str, str], Sequence[tuple[str, str]]]
_SEVERAL: Final = re.compile(r"((?:\w+:)?)\(([^()]*)\)(.*)")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a command line says beside the script, in the words of its options."""

    #: Global parameters; one that is empty, or False, was not given.
    parameters: Mapping[str, str | bool]
    aliases: Iterable[str]
    sets: Iterable[str]
    modules: Iterable[str]
    modparams: Iterable[str]
    verbose: int
    to_stderr: bool
    #: Options that have no effect here: their values, or how many they are.
    tuning: list[str] | int

    def apply(self, config: Configuration) -> None:
        """Change a configuration. Raises ConfigError."""
        for name, value in self.parameters.items():
            if value:
                config.set_global(name, value)
        for alias in self.aliases:
            parse_alias(alias)
            config.set_global("alias", alias)
        for text in self.sets:
            name, _, given = text.partition("=")
            config.set_global(name, given)
        for name in map(canonical, self.modules):
            module_class(name)
            if config.load is not None and name not in config.load:
                config.load.append(name)
        for text in self.modparams:
            _modparam(config, text)
        check_listeners(config)
        config.settings.debug += self.verbose
        config.settings.log_stderror |= self.to_stderr
        if self.tuning:
            config.notes.append(NO_TUNING)


def listeners(given: Iterable[str]) -> list[str]:
    """What `-l` says, its lists taken apart: `udp:(eth0, 127.0.0.1):5065` is two."""
    found: list[str] = []
    for text in given:
        match = _SEVERAL.fullmatch(text)
        if match is None:
            found.append(text)
        else:
            found += [f"{match[1]}{host.strip()}{match[3]}" for host in match[2].split(",")]
    return found


def defines(given: Iterable[str]) -> dict[str, str]:
    """What `-A` defined, by name."""
    defined = {}
    for text in given:
        name, _, value = text.partition("=")
        if not name:
            raise typer.BadParameter(f"{text}: it is NAME or NAME=VALUE", param_hint="-A")
        defined[name] = value
    return defined


def substitutions(
    subst: Iterable[str] | None, substdef: Iterable[str] | None, substdefs: Iterable[str] | None
) -> list[tuple[str, str]]:
    """What `--subst` and its kin say: each with its directive's name."""
    given = {"subst": subst, "substdef": substdef, "substdefs": substdefs}
    return [(directive, text) for directive, texts in given.items() for text in texts or ()]


def _modparam(config: Configuration, text: str) -> None:
    """One `--modparam`, in Kamailio's form."""
    parts = text.split(":", 3)
    if len(parts) != 4 or parts[2] not in ("s", "i"):
        raise ConfigError(f"--modparam {text}: it is MODULE:NAME:TYPE:VALUE, with s or i for TYPE")
    module, name, kind, value = parts
    try:
        config.set_module(module, name, int(value) if kind == "i" else value)
    except ValueError:
        raise ConfigError(f"--modparam {text}: {value!r} is no integer") from None
