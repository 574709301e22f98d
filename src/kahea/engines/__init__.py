"""Script languages: each turns a script into routes, and none knows another. Here is which one a script is in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kahea.routing.module import ConfigError
from kahea.routing.settings import Configuration, load

if TYPE_CHECKING:
    from kahea.routing.libraries import Library
    from kahea.routing.node import Engine, Node

#: The languages by the ending of a file, in the words of `cfgengine`.
LANGUAGES: Final = {
    ".cfg": "native",
    ".py": "python",
    ".lua": "lua",
    ".js": "jsdt",
    ".sq": "sqlang",
    ".nut": "sqlang",
}
#: How a cfg may begin, whatever it is called.
_MARKS: Final = ("#!KAMAILIO", "#!KAHEA", "#!SER", "#!OPENSER", "#!ALL", "#!MAXCOMPAT")


def language_of(script: Path) -> str:
    """The language of a script, by its ending or its first line. Raises ConfigError."""
    language = LANGUAGES.get(script.suffix)
    if language is not None:
        return language
    try:
        with script.open(encoding="utf-8", errors="replace") as file:
            if file.readline(100).startswith(_MARKS):
                return "native"
    except OSError as error:
        raise ConfigError(f"{script}: {error.strerror}") from error
    raise ConfigError(f"{script}: can't tell the language by its ending; a cfg ends in .cfg, a script in Python in .py")


def configure(
    script: Path,
    toml: Path | None = None,
    listeners: Iterable[str] = (),
    defines: Mapping[str, str] | None = None,
    substitutions: Sequence[tuple[str, str]] = (),
) -> Configuration:
    """All that a node is made from: what a cfg says itself, or for other languages the settings file beside the script.

    `listeners` replace those of the file; `substitutions` are for a cfg, before its first line: each the name of a
    directive (`subst`, ...) and what it says. Raises ConfigError.
    """
    if language_of(script) != "native":
        if substitutions:
            raise ConfigError(f"--{substitutions[0][0]} changes a cfg; a script of another language has none")
        return load(script, toml, listeners, defines)
    if toml is not None:
        raise ConfigError(f"{script}: a cfg has its settings in itself, and takes none from {toml}")
    from kahea.engines.native.load import load as load_cfg
    from kahea.engines.native.parser import parse_file

    program = parse_file(script, defines, substitutions)
    configuration = load_cfg(program, script, listeners, defines)
    configuration.substitutions = list(substitutions)
    return configuration


def engine_for(node: Node) -> Engine:
    """What runs the script of a node's configuration; lets the node have libraries in every language. Raises
    ConfigError."""
    configuration = node.configuration
    script = configuration.script
    if script is None:
        raise ConfigError("there is no script to run")
    node.languages = {"python": _python, "lua": _lua, "jsdt": _javascript, "sqlang": _squirrel}
    language = configuration.language or language_of(script)
    if language == "native":
        from kahea.engines.native.engine import NativeEngine

        return NativeEngine(node, script, configuration.given, configuration.substitutions)
    if language == "python":
        from kahea.engines.python import PythonEngine

        return PythonEngine(node, script)
    if language == "lua":
        from kahea.engines.lua import LuaEngine

        return LuaEngine(node, script)
    if language == "jsdt":
        from kahea.engines.javascript import JavaScriptEngine

        return JavaScriptEngine(node, script)
    if language == "sqlang":
        from kahea.engines.squirrel import SquirrelEngine

        return SquirrelEngine(node, script)
    raise ConfigError(f"{script}: there is no language {language}")


def _python(node: Node, scripts: Sequence[Path]) -> Library:
    from kahea.engines.python import PythonLibrary

    return PythonLibrary(node, scripts)


def _lua(node: Node, scripts: Sequence[Path]) -> Library:
    from kahea.engines.lua import LuaState

    return LuaState(node, scripts)


def _javascript(node: Node, scripts: Sequence[Path]) -> Library:
    from kahea.engines.javascript import Contexts

    return Contexts(node, scripts)


def _squirrel(node: Node, scripts: Sequence[Path]) -> Library:
    from kahea.engines.squirrel import Squirrel

    return Squirrel(node, scripts)


__all__ = ["LANGUAGES", "configure", "engine_for", "language_of"]
