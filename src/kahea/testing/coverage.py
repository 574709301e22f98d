"""A plugin for coverage.py that knows which lines of a kamailio.cfg can be run, so that a report says what was not.

In the configuration of coverage:

    [run]
    plugins = kahea.testing.coverage
    concurrency = greenlet

    [kahea.testing.coverage]
    defines = WITH_AUTH DBURL="sqlite:////tmp/test.db"

`defines` are what the cfg is run with (`-A`), separated by spaces.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coverage import CoveragePlugin, FileReporter, FileTracer

from kahea.engines.native.parser import parse_file
from kahea.engines.native.tree import If, Program, Statement, Switch, While

if TYPE_CHECKING:
    from coverage.plugin_support import Plugins
    from coverage.types import TLineNo


class CfgPlugin(CoveragePlugin):
    """Takes the files that end in `.cfg`."""

    def __init__(self, defines: Mapping[str, str]) -> None:
        self._defines = dict(defines)

    def file_tracer(self, filename: str) -> FileTracer | None:
        """What follows a code object of this file; None for files of others."""
        return CfgTracer(filename) if filename.endswith(".cfg") else None

    def file_reporter(self, filename: str) -> FileReporter | str:
        """What a report needs to know of a file."""
        return CfgReporter(filename, self._defines)


class CfgTracer(FileTracer):
    """Code objects of a cfg carry its own lines: there is nothing to translate."""

    def __init__(self, filename: str) -> None:
        self._filename = filename

    def source_filename(self) -> str:
        """The cfg."""
        return self._filename


class CfgReporter(FileReporter):
    """The lines of one file on which a statement begins."""

    def __init__(self, filename: str, defines: Mapping[str, str]) -> None:
        super().__init__(filename)
        self._defines = tuple(sorted(defines.items()))

    def lines(self) -> set[TLineNo]:
        """The lines that can be run."""
        program = _program(self.filename, self._defines)
        places = (each.place for route in program.routes() for each in statements(route.body))
        return {place.line for place in places if Path(place.file) == Path(self.filename)}


@lru_cache
def _program(filename: str, defines: tuple[tuple[str, str], ...]) -> Program:
    return parse_file(Path(filename), dict(defines))


def statements(body: Sequence[Statement]) -> Iterator[Statement]:
    """Those of a block, and all in them."""
    for each in body:
        yield each
        if isinstance(each, If):
            yield from statements(each.body)
            yield from statements(each.orelse)
        elif isinstance(each, While):
            yield from statements(each.body)
        elif isinstance(each, Switch):
            for case in each.cases:
                yield from statements(case.body)


def coverage_init(registry: Plugins, options: Mapping[str, Any]) -> None:
    """Called by coverage."""
    pairs = (text.partition("=") for text in shlex.split(str(options.get("defines", ""))))
    registry.add_file_tracer(CfgPlugin({name: value for name, _, value in pairs}))
