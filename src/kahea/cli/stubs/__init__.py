"""Type stubs of `KSR` for a script's author: what an editor completes by, and a type checker checks by.

They say what the registry says, in a file of each language's own kind, with the functions' own descriptions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from kahea.cli.stubs import javascript, lua, python
from kahea.cli.stubs.groups import Group, groups
from kahea.routing.module import ConfigError
from kahea.routing.node import Node

#: The file of each language, and what writes it.
FILES: Final[dict[str, tuple[str, Callable[[list[Group]], str]]]] = {
    "python": ("KSR.pyi", python.stub),
    "javascript": ("KSR.d.ts", javascript.stub),
    "lua": ("KSR.lua", lua.stub),
}


def write(directory: Path, languages: list[str]) -> list[Path]:
    """Write the stubs of some languages, or of all; the paths. Raises ConfigError."""
    for language in languages:
        if language not in FILES:
            raise ConfigError(f"there are no stubs for {language!r}, but for {', '.join(FILES)}")
    exported = groups(Node())
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for language in languages or FILES:
            name, stub = FILES[language]
            path = directory / name
            path.write_text(stub(exported), encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    return written


__all__ = ["FILES", "write"]
