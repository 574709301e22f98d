"""The engine of the native language: reads a cfg, compiles its routes for a node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kahea.engines.native.compiler import compile_program
from kahea.engines.native.parser import parse_file
from kahea.engines.native.tree import Program
from kahea.routing.generation import Generation
from kahea.routing.run import can_wait, wait

if TYPE_CHECKING:
    from kahea.routing.node import Node


class NativeEngine:
    """Loads one cfg for one node; `load` may be called again to read it anew."""

    def __init__(
        self,
        node: Node,
        script: Path,
        defines: Mapping[str, str] | None = None,
        substitutions: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.node = node
        self.script = script
        self.defines = dict(defines or {})
        self.substitutions = substitutions

    def load(self) -> Generation:
        """Parse and compile the cfg. Raises ConfigError; what runs is untouched."""
        configuration = self.node.configuration
        # At the start the cfg was read for its declarations.
        program, configuration.program = configuration.program, None
        if not isinstance(program, Program):
            program = parse_file(self.script, self.defines, self.substitutions)
        return compile_program(program, self.node, _Pauses() if can_wait() else _go_on)


class _Pauses:
    """Called in the course of long work: lets messages through once every `SLICE` seconds."""

    SLICE: Final = 0.005

    def __init__(self) -> None:
        self._end = time.monotonic() + self.SLICE

    def __call__(self) -> None:
        if time.monotonic() >= self._end:
            wait(asyncio.sleep(0))
            self._end = time.monotonic() + self.SLICE


def _go_on() -> None:
    """Nobody else is there to let through."""
