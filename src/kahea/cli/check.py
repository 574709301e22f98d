"""`kahea check`: says all that is wrong with a script and its settings, without running it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kahea.engines import configure, language_of
from kahea.engines.native.diagnostics import ERROR, NOTE, WARNING, CfgError, Diagnostic, printable
from kahea.engines.native.tree import NOWHERE, Place
from kahea.net.service import group_id, user_id
from kahea.routing.module import ConfigError
from kahea.routing.settings import Configuration

#: Of the JSON form; a reader may count on the fields that this version has.
SCHEMA: Final = 1


@dataclass(slots=True)
class Report:
    """What was found in one script, and the lines of its files."""

    script: Path
    diagnostics: list[Diagnostic] = field(default_factory=list)
    sources: Mapping[str, list[str]] = field(default_factory=dict)

    def count(self, level: str) -> int:
        """How many findings there are of a level."""
        return sum(d.level == level for d in self.diagnostics)

    def failed(self, *, strict: bool) -> bool:
        """Whether the script can't be used; if strict, whether there is a warning, too."""
        return bool(self.count(ERROR) or (strict and self.count(WARNING)))

    def text(self) -> str:
        """For people: every finding with its line, and their number."""
        parts = [d.render(dict(self.sources)) for d in self.diagnostics]
        counts = [(self.count(level), level) for level in (ERROR, WARNING, NOTE)]
        said = [f"{n} {level}{'' if n == 1 else 's'}" for n, level in counts if n]
        parts.append(f"{self.script}: {', '.join(said) if said else 'nothing to say against it'}")
        return "\n".join(parts)

    def json(self) -> str:
        """For programs; docs/native.md has the fields."""
        found = {
            "version": SCHEMA,
            "file": str(self.script),
            "errors": self.count(ERROR),
            "warnings": self.count(WARNING),
            "notes": self.count(NOTE),
            "diagnostics": [self._entry(d) for d in self.diagnostics],
        }
        return json.dumps(found, indent=2)

    def _entry(self, d: Diagnostic) -> dict[str, Any]:
        lines = self.sources.get(d.place.file, [])
        return {
            "level": d.level,
            "code": d.code,
            "message": d.message,
            "hint": d.hint,
            "file": d.place.file or str(self.script),
            "line": d.place.line,
            "column": d.place.column,
            "end_line": d.place.end_line,
            "end_column": d.place.end_column,
            "source": printable(lines[d.place.line - 1]) if 1 <= d.place.line <= len(lines) else "",
        }


def report(
    script: Path,
    defines: Mapping[str, str],
    toml: Path | None = None,
    substitutions: Sequence[tuple[str, str]] = (),
) -> Report:
    """Look at a script of any language. Raises ConfigError if it can't be read or its language can't be told."""
    if language_of(script) == "native":
        if toml is not None:
            raise ConfigError(f"{script}: a cfg has its settings in itself, and takes none from {toml}")
        from kahea.engines.native.check import check

        found, sources, configuration = check(script, defines, substitutions)
        made = Report(script, found, sources)
        if configuration is not None and configuration.script not in (None, script):
            assert configuration.script is not None
            made.diagnostics += _script(configuration.script, configuration)
        return made
    try:
        configuration = configure(script, toml, (), defines)
    except CfgError as error:
        return Report(script, error.diagnostics, error.sources)
    except ConfigError as error:
        return Report(script, [_somewhere("settings", str(error))])
    found = _settings(configuration) + _script(script, configuration)
    return Report(script, found, _lines([script]))


@contextmanager
def every_error(
    script: Path | None, defines: Mapping[str, str], substitutions: Sequence[tuple[str, str]] = ()
) -> Iterator[None]:
    """Of a cfg that is refused, raise all errors that `kahea check` finds, not only those that it was refused for."""
    try:
        yield
    except CfgError as error:
        if script is None:
            raise
        found = report(script, defines, None, substitutions)
        errors = [d for d in found.diagnostics if d.level == ERROR]
        if len(errors) < len(error.diagnostics):
            raise  # it is the command line that makes the difference
        raise CfgError(errors, dict(found.sources)) from error


def _settings(configuration: Configuration) -> list[Diagnostic]:
    """The notes on settings, and what a node made of them says."""
    found = [Diagnostic(NOTE, "no-effect", note, NOWHERE) for note in configuration.notes]
    from kahea.routing.node import Node

    try:
        user_id(configuration.settings.user)
        group_id(configuration.settings.group)
        Node(configuration)
    except (ConfigError, ValueError) as error:
        found.append(_somewhere("settings", str(error)))
    return found


def _script(script: Path, configuration: Configuration) -> list[Diagnostic]:
    """What can be told of a script in another language without running it: the syntax of Python and Squirrel."""
    language = configuration.language or language_of(script)
    if language == "sqlang":
        return _squirrel(script, configuration)
    if language != "python":
        return []
    try:
        compile(script.read_bytes(), str(script), "exec", dont_inherit=True)
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        end = error.end_offset if error.end_offset and error.end_lineno == line else column + 1
        place = Place(error.filename or str(script), line, max(column, 1), line, max(end, column + 1))
        return [Diagnostic(ERROR, "syntax", error.msg, place)]
    except (OSError, ValueError) as error:
        return [_somewhere("syntax", f"can't read {script}: {error}")]
    return []


def _squirrel(script: Path, configuration: Configuration) -> list[Diagnostic]:
    from kahea.engines.squirrel import ksr_of
    from kahea.engines.squirrel.check import check
    from kahea.routing.node import Node

    try:
        functions, _ = ksr_of(Node(configuration))
        found = check(script.read_bytes(), str(script), functions)
    except ConfigError:
        return []  # the settings are told of
    except OSError as error:
        return [_somewhere("syntax", f"can't read {script}: {error}")]
    return [
        Diagnostic(ERROR, f.code, f.message, Place(str(script), f.line, f.column, f.line, f.column + 1), f.hint)
        for f in found
    ]


def _somewhere(code: str, message: str) -> Diagnostic:
    return Diagnostic(ERROR, code, message, NOWHERE)


def _lines(files: Iterable[Path]) -> dict[str, list[str]]:
    return {str(path): path.read_text("utf-8", "replace").split("\n") for path in files}
