"""A starting project: a script that works, its settings, a test that passes, and what an editor needs to know KSR."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from kahea.cli import stubs
from kahea.routing.module import ConfigError


@dataclass(frozen=True, slots=True)
class Language:
    """What a project in one language has beside the README and the test."""

    script: str
    about: str
    #: The language of its stub, "" where there is none.
    stub: str = ""
    #: The file that tells an editor of it, and what that says.
    editor: str = ""
    options: dict[str, object] | None = None
    #: How to check the script.
    check: str = "`kahea check @SCRIPT@` says what is wrong with the script before it runs."


LANGUAGES: Final = {
    "python": Language(
        "router.py",
        "the script, in Python",
        "python",
        "pyrightconfig.json",
        {"reportMissingModuleSource": False},
        "`mypy router.py` or `pyright` finds what is misspelt before a call does; write `KSR.pyi` anew by "
        "`kahea stubs --lang python` where Kahea is another.",
    ),
    "lua": Language(
        "router.lua",
        "the script, in Lua",
        "lua",
        ".luarc.json",
        {"runtime.version": "LuaJIT", "diagnostics.disable": ["lowercase-global"]},
        "An editor with lua-language-server marks what is misspelt; write `KSR.lua` anew by `kahea stubs --lang lua` "
        "where Kahea is another.",
    ),
    "javascript": Language(
        "router.js",
        "the script, in JavaScript",
        "javascript",
        "jsconfig.json",
        {
            "compilerOptions": {
                "checkJs": True,
                "strict": True,
                "noImplicitAny": False,
                "noEmit": True,
                "target": "es2022",
                "lib": ["es2022"],
                "types": [],
            },
            "include": ["*.js", "KSR.d.ts"],
        },
        "`tsc -p jsconfig.json`, or an editor, finds what is misspelt before a call does; write `KSR.d.ts` anew by "
        "`kahea stubs --lang javascript` where Kahea is another.",
    ),
    "squirrel": Language("router.sq", "the script, in Squirrel"),
    "native": Language("router.cfg", "the script, in Kamailio's own language, with its settings"),
}


def create(directory: Path, language: str) -> list[Path]:
    """Write a project into a directory that is new or empty; the paths. Raises ConfigError."""
    if language not in LANGUAGES:
        raise ConfigError(f"there is no project in {language!r}, but in {', '.join(LANGUAGES)}")
    chosen = LANGUAGES[language]
    try:
        if directory.exists() and any(directory.iterdir()):
            raise ConfigError(f"{directory}: it is not empty")
        directory.mkdir(parents=True, exist_ok=True)
        written = [_write(directory / name, text) for name, text in _texts(directory, chosen).items()]
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    return [*written, *(stubs.write(directory, [chosen.stub]) if chosen.stub else ())]


def _texts(directory: Path, language: Language) -> dict[str, str]:
    """The files by name, but for the stub."""
    about = {language.script: language.about}
    if language.script != "router.cfg":
        about["kahea.toml"] = "its settings"
    about["test_router.py"] = "its tests"
    texts = {name: _template(name) for name in about}
    if language.editor:
        texts[language.editor] = json.dumps(language.options, indent=2) + "\n"
        about[f"{stubs.FILES[language.stub][0]}, {language.editor}"] = "what `KSR` has, for editors and type checkers"
    texts["README.md"] = _template("README.md").replace("@CHECK@", language.check)
    rows = "\n".join(f"| `{names.replace(', ', '`, `')}` | {what} |" for names, what in about.items())
    name = directory.resolve().name
    return {
        file: text.replace("@FILES@", rows).replace("@SCRIPT@", language.script).replace("@NAME@", name)
        for file, text in texts.items()
    }


def _template(name: str) -> str:
    return (files("kahea.cli.new") / "templates" / name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


__all__ = ["LANGUAGES", "create"]
