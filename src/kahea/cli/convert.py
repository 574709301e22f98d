"""`kahea convert`: prints a cfg as a KEMI script in Python, or writes it with its settings into a directory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kahea.engines.native.convert import Converted, convert
from kahea.engines.native.load import read
from kahea.engines.native.parser import parse_file
from kahea.routing.module import ConfigError
from kahea.routing.node import Node
from kahea.routing.registry import available
from kahea.routing.settings import Configuration


def converted(file: Path, defines: Mapping[str, str]) -> Converted:
    """The conversion of a cfg. Raises CfgError where the cfg can't be read.

    What the cfg gets wrong outside of its routes is for `kahea check`: its modules are taken as far as they exist.
    """
    program = parse_file(file, defines)
    configuration, _ = read(program, file)
    if configuration.settings.return_mode:
        raise ConfigError(
            f"{file}: with return_mode = 1, calls have other values than in the script that this would make"
        )
    loaded = [name for name in configuration.load or [] if name in available()]
    with _quiet():
        return convert(program, Node(Configuration(load=loaded)), file.name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep modules from telling in the log of what they miss without their parameters."""
    log, handler = logging.getLogger("kahea"), logging.NullHandler()
    propagate = log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate


def write(result: Converted, directory: Path, name: str) -> list[Path]:
    """Write script and settings; the files. Raises ConfigError, and touches nothing that is there."""
    files = {directory / f"{name}.py": result.script, directory / "kahea.toml": result.settings}
    for path in files:
        if path.exists():
            raise ConfigError(f"{path} exists already; give another directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    return list(files)
