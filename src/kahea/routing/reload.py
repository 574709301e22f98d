"""Reloading a node's script, in whatever language, and going back.

The next generation is read and checked beside the one that runs; only then a single reference is swapped
(`Node.use`). Transactions under way keep the generation that they began with. A reload that fails changes nothing and
says why. The last few generations are kept, so that `rollback` needs no file.
"""

from __future__ import annotations

import gc
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kahea.routing.changes import Changes, apply_changes
from kahea.routing.libraries import Library, ScriptModule
from kahea.routing.module import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from kahea.routing.generation import Generation
    from kahea.routing.node import Engine, Node
    from kahea.routing.settings import Configuration

log = logging.getLogger("kahea.reload")

#: Generations that are kept, the running one included.
KEPT: Final = 5


@dataclass(frozen=True, slots=True)
class Loaded:
    """A generation, the configuration read with it, and when (Unix time)."""

    generation: Generation
    configuration: Configuration
    at: float


class Reloader:
    """The generations of one node. `read()` reads the configuration anew; without it only the script is."""

    def __init__(self, node: Node, engine: Engine, read: Callable[[], Configuration] | None = None) -> None:
        self.node = node
        self.engine = engine
        self._read = read
        self._history: deque[Loaded] = deque(maxlen=KEPT)
        self._running: Loaded | None = None
        self._started: Configuration | None = None
        #: Whether a reload is under way.
        self.busy = False
        #: Where the last reload was stopped by an error: files that may not be the running generation's.
        self.broken_files: Sequence[Path] = ()
        #: When the last reload began to read (Unix time).
        self.read_at = 0.0

    def start(self) -> None:
        """Load the script for the first time. Raises ConfigError."""
        # As it was read: commands may change what runs.
        given = self.node.configuration
        modules = {module: list(parameters) for module, parameters in given.modules.items()}
        kept = replace(given, settings=copy(given.settings), modules=modules, program=None)
        self._started = kept
        self._take(Loaded(self._load(), kept, self.node.wall()))

    def _load(self, libraries: Mapping[str, Library] | None = None) -> Generation:
        """The next generation, with its libraries: those given, others anew. Raises ConfigError."""
        generation = self.engine.load()
        for module in self.node.registry.modules.values():
            if isinstance(module, ScriptModule) and module.language not in generation.libraries:
                library = (libraries or {}).get(module.language) or module.make()
                if library is not None:
                    generation.add(module.language, library)
        return generation

    @property
    def running(self) -> Loaded:
        """What runs."""
        if self._running is None:
            raise RuntimeError("nothing was loaded yet")
        return self._running

    def reload(self) -> Changes:
        """Read everything anew and swap it in. Raises ConfigError, and then all stays as it is.

        Called in a worker, it lets messages through while it works.
        """
        if self.busy:
            raise ConfigError("a reload is under way")
        self.busy = True
        self.read_at = self.node.wall()
        try:
            configuration = self._configuration()
            self.node.configuration.program, configuration.program = configuration.program, None
            loaded = Loaded(self._load(), configuration, self.node.wall())
        except ConfigError as error:
            self.broken_files = error.files
            log.warning("reload failed, generation %d goes on: %s", self.running.generation.number, error)
            raise
        finally:
            self.node.configuration.program = None
            self.busy = False
        return self._swap(loaded)

    def reload_language(self, module: ScriptModule) -> None:
        """Read only the scripts of a module anew, and the routes if they are in its language. Raises ConfigError, and
        then all stays as it is."""
        if self.busy:
            raise ConfigError("a reload is under way")
        running = self.running
        self.busy = True
        try:
            generation = running.generation
            if generation.language == module.language:
                generation = self._load(generation.libraries)
            else:
                library = module.make()
                if library is None:
                    raise ConfigError(f"{module.name} has no script to reload")
                generation = generation.with_library(module.language, library)
        except ConfigError as error:
            log.warning("reload failed, generation %d goes on: %s", running.generation.number, error)
            raise
        finally:
            self.busy = False
        self._swap(Loaded(generation, running.configuration, self.node.wall()))

    def rollback(self, number: int = 0) -> Changes:
        """Go back to a generation that is kept, by its number, or to the one before. Raises ConfigError."""
        if self.busy:
            raise ConfigError("a reload is under way")
        kept = list(self._history)
        if number:
            found = next((each for each in kept if each.generation.number == number), None)
            if found is None:
                raise ConfigError(f"generation {number} is not kept")
        else:
            at = kept.index(self.running)
            if at == 0:
                raise ConfigError("there is no generation before this one")
            found = kept[at - 1]
        return self._swap(found)

    def generations(self) -> list[Loaded]:
        """Those that are kept, the oldest first."""
        return list(self._history)

    def _configuration(self) -> Configuration:
        if self._read is None:
            return self.running.configuration
        configuration = self._read()
        running = self.node.configuration
        if configuration.language != running.language or configuration.script != running.script:
            raise ConfigError(f"another script ({configuration.script}) needs a restart")
        return configuration

    def _swap(self, loaded: Loaded) -> Changes:
        running = self.running.configuration
        changes = apply_changes(self.node, self._started or running, running, loaded.configuration)
        before = self.running.generation.number
        self.broken_files = ()
        self._take(loaded)
        log.info("generation %d (%s) runs in place of %d", loaded.generation.number, loaded.generation.hash, before)
        for name in changes.restart:
            log.warning("%s differs from what runs, which needs a restart", name)
        return changes

    def _take(self, loaded: Loaded) -> None:
        dropped = self._history[0] if len(self._history) == KEPT and loaded not in self._history else None
        if loaded not in self._history:
            self._history.append(loaded)
        self._running = loaded
        self.node.use(loaded.generation)
        if dropped is not None:
            dropped.generation.close()
            # Routes and what they refer to form a circle: nothing but the collector frees them.
            gc.collect()
