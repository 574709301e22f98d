"""The command line: what the options mean and how errors end the process. Others do the work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kahea.cli import options as opt
from kahea.routing.settings import ConfigError, Configuration
from kahea.version import __version__

if TYPE_CHECKING:
    from kahea.cli.server import Server
    from kahea.cli.tracing import Trace

app = typer.Typer(
    name="kahea",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

#: What runs where no script is named.
DEFAULT: Final = Path(str(files("kahea") / "default" / "kahea.py"))
#: The exit code after a ConfigError; typer uses 2 for a wrong command line.
BAD_CONFIGURATION: Final = 1


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kahea {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", "-v", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A SIP signalling server that runs Kamailio's routing scripts."""


@app.command()
def run(
    file: opt.File = None,
    script: opt.Script = None,
    listen: opt.Listen = None,
    define: opt.Define = None,
    subst: opt.Subst = None,
    substdef: opt.SubstDef = None,
    substdefs: opt.SubstDefs = None,
    settings: opt.Toml = None,
    set_: opt.Set = None,
    loadmodule: opt.LoadModule = None,
    modparam: opt.ModParam = None,
    only_check: opt.Check = False,
    to_stderr: opt.ToStderr = False,
    verbose: opt.Verbose = 0,
    debug: opt.Debug = "",
    pid_file: opt.PidFile = None,
    group_file: opt.GroupFile = None,
    user: opt.User = "",
    group: opt.Group = "",
    workdir: opt.WorkDir = "",
    run_dir: opt.RunDir = "",
    alias: opt.Alias = None,
    auto_aliases: opt.AutoAliases = "",
    maxbuffer: opt.Buffer = "",
    server_id: opt.ServerId = "",
    check_via: opt.CheckVia = False,
    disable_tcp: opt.NoTcp = False,
    foreground: opt.Foreground = 0,  # noqa: ARG001  what happens anyway
    tuning: opt.Tuning = None,
    switches: opt.Switches = 0,
    trace: opt.Trace = "",
    watch: opt.Watch = False,
) -> None:
    """Run a routing script in the foreground until SIGTERM. SIGHUP reloads it."""
    if file is not None and script is not None:
        raise typer.BadParameter("give the script as FILE or by -f, not both")
    given = opt.defines(define or ()), opt.substitutions(subst, substdef, substdefs)
    # As named: what a link stands for may be exchanged, and includes are looked for beside the name.
    path, toml = (each.absolute() if each is not None else None for each in (file or script, settings))
    from kahea.cli.check import every_error

    if only_check:
        raise typer.Exit(_checked(path or DEFAULT, given, toml))
    parameters = {
        "user": user, "group": group, "workdir": workdir, "rundir": run_dir, "maxbuffer": maxbuffer,
        "auto_aliases": auto_aliases, "debug": debug, "server_id": server_id, "check_via": check_via and "yes",
        "disable_tcp": disable_tcp and "yes",
    }  # fmt: skip
    overrides = opt.Overrides(
        parameters, alias or (), set_ or (), loadmodule or (), modparam or (), verbose, to_stderr, tuning or switches
    )

    def read() -> Configuration:
        config = configure(path, opt.listeners(listen or ()), *given, toml)
        overrides.apply(config)
        return config

    with every_error(path, *given):
        raise typer.Exit(_serve(read, trace, pid_file, group_file, watch=watch))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The routing script.")],
    define: opt.Define = None,
    subst: opt.Subst = None,
    substdef: opt.SubstDef = None,
    substdefs: opt.SubstDefs = None,
    settings: opt.Toml = None,
    format_: Annotated[str, typer.Option("--format", metavar="text|json", help="For people or for programs.")] = "text",
    strict: Annotated[
        bool, typer.Option("--strict", "--warnings-as-errors", help="Fail on warnings, too.", show_default=False)
    ] = False,
) -> None:
    """Say all that is wrong with a routing script, without running it. The exit code is 1 if there is an error."""
    if format_ not in ("text", "json"):
        raise typer.BadParameter("it is text or json", param_hint="--format")
    given = opt.defines(define or ()), opt.substitutions(subst, substdef, substdefs)
    raise typer.Exit(_checked(file, given, settings, as_json=format_ == "json", strict=strict))


def _checked(file: Path, given: opt.Given, toml: Path | None, *, as_json: bool = False, strict: bool = False) -> int:
    """Print what is wrong with a script; the exit code."""
    from kahea.cli.check import report

    found = report(file, given[0], toml, given[1])
    typer.echo(found.json() if as_json else found.text())
    return BAD_CONFIGURATION if found.failed(strict=strict) else 0


def _serve(
    read: Callable[[], Configuration], trace: str, pid_file: Path | None, group_file: Path | None, *, watch: bool
) -> int:
    """Run a server of the configuration that is read, to its end; the exit code. Raises ConfigError."""
    from kahea.cli import logs, process, server

    config = read()
    if config.settings.workdir:
        os.chdir(config.settings.workdir)
    if note := logs.set_up(config.settings):
        config.notes.append(note)
    with process.number_in(pid_file, os.getpid()), process.number_in(group_file, os.getpgrp()):
        return server.run(config, announce, read, watch=watch, trace=tracing(config, trace))


def tracing(config: Configuration, wanted: str) -> Trace | None:
    """The trace that `--trace` asks for. Raises ConfigError."""
    if not wanted:
        return None
    from kahea.cli.tracing import Trace, parse_filter

    if config.program is None:
        raise ConfigError("--trace follows the lines of a cfg; a script of another language has tools of its own")
    return Trace(parse_filter(wanted), sys.stdout)


@app.command()
def functions(
    json: Annotated[bool, typer.Option("--json", help="As JSON, with types: a list of objects.")] = False,
) -> None:
    """Print every function that a script can call."""
    from kahea.cli.functions import listing

    typer.echo(listing(as_json=json))


@app.command()
def stubs(
    lang: Annotated[
        list[str] | None,
        typer.Option("--lang", metavar="LANGUAGE", help="python, javascript or lua; may be repeated. All without it."),
    ] = None,
    output: Annotated[Path, typer.Option("-o", metavar="DIR", help="Where to write them.")] = Path(),
) -> None:
    """Write the types of KSR for editors and type checkers: KSR.pyi, KSR.d.ts, KSR.lua."""
    from kahea.cli import stubs as typing

    for path in typing.write(output, lang or []):
        typer.echo(f"wrote {path}", err=True)


@app.command()
def new(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it; new or empty.")],
    lang: Annotated[
        str, typer.Option("--lang", metavar="LANGUAGE", help="python, lua, javascript, squirrel or native.")
    ],
) -> None:
    """Write a starting project: a script, its settings, tests that pass."""
    from kahea.cli import new as project

    for path in project.create(directory, lang):
        typer.echo(f"wrote {path}", err=True)


@app.command()
def reference(
    output: Annotated[Path, typer.Option("-o", metavar="DIR", help="Where to write them.")] = Path("reference"),
) -> None:
    """Write pages on every module: functions, parameters, variables, events, commands."""
    from kahea.cli import reference as pages

    typer.echo(f"wrote {len(pages.write(output))} pages into {output}", err=True)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A kamailio.cfg.")],
    define: Annotated[
        list[str] | None, typer.Option("-A", metavar="NAME[=VALUE]", help="Define a name for the preprocessor.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", metavar="DIR", help="Write the script, and its kahea.toml, into this directory."),
    ] = None,
    settings: Annotated[bool, typer.Option("--settings", help="Print the settings in place of the script.")] = False,
) -> None:
    """Print a kamailio.cfg as the KEMI script in Python that does the same."""
    from kahea.cli import convert as conversion

    result = conversion.converted(file, opt.defines(define or ()))
    if output is not None:
        for path in conversion.write(result, output, file.stem):
            typer.echo(f"wrote {path}", err=True)
    else:
        typer.echo(result.settings if settings else result.script, nl=False)


@app.command(context_settings={"ignore_unknown_options": True})
def ctl(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND [ARGUMENT]...", help="`s:` before an argument that is a number makes it text."),
    ] = None,
    where: Annotated[
        str, typer.Option("-s", metavar="SOCKET", help="A node's control socket; the node that runs here without it.")
    ] = "",
    list_: Annotated[
        bool, typer.Option("--list", help="The commands, those alone whose names begin with COMMAND.")
    ] = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="table|json", help="For people or for programs.")
    ] = "table",
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="Wait so long for an answer.")] = 10.0,
) -> None:
    """Manage a running node: ask it, change its settings, stop it."""
    from kahea.cli import ctl as client

    if format_ not in ("table", "json"):
        raise typer.BadParameter("it is table or json", param_hint="--format")
    if not words and not list_:
        raise typer.BadParameter("name a command; `kahea ctl --list` has them", param_hint="COMMAND")
    as_json = format_ == "json"
    if list_:
        code, out, err = client.listing(where, words[0] if words else "", as_json=as_json, timeout=timeout)
    else:
        assert words
        code, out, err = client.run(client.Request(words[0], tuple(words[1:]), where, as_json, timeout))
    if out:
        typer.echo(out)
    if err:
        typer.echo(err, err=True)
    raise typer.Exit(code)


@app.command()
def demo() -> None:
    """Start the server and two user agents, place a call between them, and print it."""
    from kahea.cli import demo as demonstration

    raise typer.Exit(demonstration.run())


def configure(
    script: Path | None,
    listen: Iterable[str],
    defines: Mapping[str, str],
    substitutions: Sequence[tuple[str, str]],
    toml: Path | None,
) -> Configuration:
    """The configuration that a command line asks for. Raises ConfigError."""
    defines = dict(defines)
    if script is not None and script.suffix == ".toml" and toml is None:
        return _without_script(script, listen, defines)
    if script is None:
        script = DEFAULT
        defines.setdefault("KAHEA_STATE", str(state_directory()))
    elif not script.is_file():
        raise ConfigError(f"{script}: there is no such file")
    from kahea.engines import configure as configuration_of

    return configuration_of(script.absolute(), toml, listen, defines, substitutions)


def _without_script(toml: Path, listen: Iterable[str], defines: dict[str, str]) -> Configuration:
    """Settings alone: an HTTP service says where calls go. Raises ConfigError."""
    if not toml.is_file():
        raise ConfigError(f"{toml}: there is no such file")
    from kahea.engines import configure as configuration_of

    script = Path(str(files("kahea") / "default" / "http_router.py"))
    defines.setdefault("KAHEA_STATE", str(state_directory()))
    config = configuration_of(script, toml.absolute(), listen, defines)
    if not any(name == "url" for name, _ in config.modules.get("http_router", ())):
        raise ConfigError(
            f"{toml}: settings without a script run http_router, which wants url in [modules.http_router]"
        )
    return config


def state_directory() -> Path:
    """Where the default script keeps its locations: `KAHEA_STATE`, or where the system's conventions say."""
    if given := os.environ.get("KAHEA_STATE"):
        path = Path(given)
    elif os.geteuid() == 0:
        path = Path("/var/lib/kahea")
    else:
        path = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "kahea"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; set KAHEA_STATE to another directory") from error
    return path


def announce(server: Server) -> None:
    """Say on stderr that the server answers, and where."""
    listeners = " ".join(listener.uri for listener in server.listeners)
    typer.echo(f"kahea {__version__} runs {server.configuration.script} on {listeners}", err=True)
    for note in server.configuration.notes:
        typer.echo(f"note: {note}", err=True)


def main() -> int:
    """Entry point of `kahea` and `python -m kahea`."""
    try:
        app()
    except ConfigError as error:
        typer.echo(f"kahea: {error}", err=True)
        return BAD_CONFIGURATION
    return 0
