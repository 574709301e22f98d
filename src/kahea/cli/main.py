"""The command line: what the options mean and how errors end the process. Others do the work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kahea.routing.settings import ConfigError, Configuration, check_listeners
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

#: The exit code after a ConfigError; typer uses 2 for a wrong command line.
BAD_CONFIGURATION: Final = 1


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kahea {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A SIP signalling server that runs Kamailio's routing scripts."""


@app.command()
def run(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="The routing script, or settings (.toml) for http_router; the default script without one.",
        ),
    ] = None,
    script: Annotated[Path | None, typer.Option("-f", metavar="FILE", help="The same as FILE.")] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option("-l", metavar="udp:ADDR:PORT", help="Listen here, in place of the file's listeners."),
    ] = None,
    define: Annotated[
        list[str] | None,
        typer.Option("-A", metavar="NAME[=VALUE]", help="Define a name for the script and its settings."),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="In place of kahea.toml beside the script."),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Give a global parameter a value.")
    ] = None,
    modparam: Annotated[
        list[str] | None,
        typer.Option("--modparam", metavar="MODULE:NAME:s|i:VALUE", help="Give a module's parameter a value."),
    ] = None,
    to_stderr: Annotated[bool, typer.Option("-E", help="Log to stderr, whatever the file says.")] = False,
    verbose: Annotated[int, typer.Option("-d", count=True, help="Log more; may be repeated.")] = 0,
    pid_file: Annotated[
        Path | None, typer.Option("-P", metavar="FILE", help="Keep the process's number in this file.")
    ] = None,
    user: Annotated[str, typer.Option("-u", metavar="NAME", help="As --set user=NAME.")] = "",
    group: Annotated[str, typer.Option("-g", metavar="NAME", help="As --set group=NAME.")] = "",
    workdir: Annotated[str, typer.Option("-w", metavar="DIR", help="As --set workdir=DIR.")] = "",
    run_dir: Annotated[str, typer.Option("-Y", metavar="DIR", help="As --set rundir=DIR.")] = "",
    foreground: Annotated[int, typer.Option("-D", count=True, hidden=True)] = 0,  # noqa: ARG001  what happens anyway
    tuning: Annotated[list[str] | None, typer.Option("-m", "-M", "-n", "-N", "-x", "-X", "-L", hidden=True)] = None,
    trace: Annotated[
        str,
        typer.Option(
            "--trace",
            metavar="FILTER",
            help="Print each line of a cfg that messages pass: all, or those of callid=TEXT,method=NAME,src=ADDRESS.",
        ),
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Reload whenever a file of the script changes.")] = False,
) -> None:
    """Run a routing script in the foreground until SIGTERM. SIGHUP reloads it."""
    if file is not None and script is not None:
        raise typer.BadParameter("give the script as FILE or by -f, not both")
    from kahea.cli import logs, process, server
    from kahea.cli.check import every_error

    # As named: what a link stands for may be exchanged, and includes are looked for beside the name.
    path, toml = (each.absolute() if each is not None else None for each in (file or script, settings))

    def read() -> Configuration:
        config = configure(path, listen or (), define or (), toml)
        for name, value in (("user", user), ("group", group), ("workdir", workdir), ("rundir", run_dir)):
            if value:
                config.set_global(name, value)
        for text in set_ or ():
            name, _, value = text.partition("=")
            config.set_global(name, value)
        for text in modparam or ():
            _modparam(config, text)
        check_listeners(config)
        config.settings.debug += verbose
        config.settings.log_stderror |= to_stderr
        return config

    with every_error(path, _defines(define or ())) if path is not None else nullcontext():
        config = read()
        if config.settings.workdir:
            os.chdir(config.settings.workdir)
        if tuning:
            config.notes.append(
                "-m, -M, -n, -N, -x, -X and -L have no effect here: there is one process, with Python's memory"
            )
        if note := logs.set_up(config.settings):
            config.notes.append(note)
        with process.number_in(pid_file):
            raise typer.Exit(server.run(config, announce, read, watch=watch, trace=tracing(config, trace)))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The routing script.")],
    define: Annotated[
        list[str] | None, typer.Option("-A", metavar="NAME[=VALUE]", help="Define a name for the script.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="In place of kahea.toml beside the script."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", metavar="text|json", help="For people or for programs.")] = "text",
    strict: Annotated[
        bool, typer.Option("--strict", "--warnings-as-errors", help="Fail on warnings, too.", show_default=False)
    ] = False,
) -> None:
    """Say all that is wrong with a routing script, without running it. The exit code is 1 if there is an error."""
    from kahea.cli import check as checking

    if format_ not in ("text", "json"):
        raise typer.BadParameter("it is text or json", param_hint="--format")
    report = checking.report(file, _defines(define or ()), settings)
    typer.echo(report.json() if format_ == "json" else report.text())
    raise typer.Exit(BAD_CONFIGURATION if report.failed(strict=strict) else 0)


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

    result = conversion.converted(file, _defines(define or ()))
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
    listen: tuple[str, ...] | list[str],
    define: tuple[str, ...] | list[str],
    toml: Path | None,
) -> Configuration:
    """The configuration that a command line asks for. Raises ConfigError."""
    defines = _defines(define)
    if script is not None and script.suffix == ".toml" and toml is None:
        return _without_script(script, listen, defines)
    if script is None:
        script = Path(str(files("kahea") / "default" / "kahea.py"))
        defines.setdefault("KAHEA_STATE", str(state_directory()))
    elif not script.is_file():
        raise ConfigError(f"{script}: there is no such file")
    from kahea.engines import configure as configuration_of

    return configuration_of(script.absolute(), toml, listen, defines)


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


def _defines(given: Iterable[str]) -> dict[str, str]:
    """What `-A` defined, by name."""
    defined = {}
    for text in given:
        name, _, value = text.partition("=")
        if not name:
            raise typer.BadParameter(f"{text}: it is NAME or NAME=VALUE", param_hint="-A")
        defined[name] = value
    return defined


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
