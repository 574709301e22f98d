"""Native functions called by name from other languages (`KSR.x.modf`), with arguments as a cfg would write them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kahea.routing.module import ConfigError, Kind
from kahea.routing.pv.errors import PvError
from kahea.routing.pv.values import as_int
from kahea.routing.regex import compile_posix

if TYPE_CHECKING:
    from kahea.routing.module import Native
    from kahea.routing.node import Node
    from kahea.routing.run import Run

#: What is prepared once: calls by name and arguments.
CACHE_SIZE = 1024

Argument = Callable[["Run"], Any]


class NativeCalls:
    """The native functions of one node. Arguments are read as in a cfg, and prepared once for each call written."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._prepared = lru_cache(CACHE_SIZE)(self._prepare)

    def call(self, run: Run, name: str, *arguments: str | int) -> int:
        """Call a function; its return code. Raises AttributeError for an unknown one, TypeError for arguments that it
        does not take.

        It may be called in every kind of route, as from a `route[...]` of a cfg that any route calls.
        """
        form, getters = self._prepared(name, arguments)
        code = form.call(run, *(get(run) for get in getters))
        if code is None:
            return 1
        return (1 if code else -1) if isinstance(code, bool) else int(code)

    def _prepare(self, name: str, arguments: tuple[str | int, ...]) -> tuple[Native, list[Argument]]:
        forms = self._node.registry.natives.get(name)
        if not forms:
            raise AttributeError(f"there is no function {name!r}")
        fitting = [form for form in forms if form.least <= len(arguments) <= len(form.kinds)]
        if not fitting:
            raise TypeError(f"{name}() takes other than {len(arguments)} arguments")
        form = fitting[0]
        try:
            getters = [self._argument(kind, str(a)) for kind, a in zip(form.kinds, arguments, strict=False)]
        except (ValueError, ConfigError, PvError) as error:
            raise TypeError(f"{name}(): {error}") from error
        return form, getters

    def _argument(self, kind: Kind, text: str) -> Argument:
        if callable(kind):
            return _constant(kind(self._node, text))
        if kind == "reason":
            kind, text = "str", self._node.variables.leading(text) or text
        if kind == "str":
            return self._node.variables.format(text).render if "$" in text else _constant(text)
        if kind == "format":
            return _constant(self._node.variables.format(text))
        if kind == "pv":
            return _constant(self._node.variables.compile(text))
        if kind == "int" and "$" in text:
            rendered = self._node.variables.format(text).render
            return lambda run: as_int(rendered(run))
        if kind in ("int", "flag"):
            return _constant(int(text, 0))
        if kind == "regex":
            compile_posix(text)
        return _constant(text)


def _constant(value: Any) -> Argument:
    return lambda _run: value
