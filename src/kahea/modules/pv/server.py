"""The server itself: process, version, statistics, constants, position in the script."""

from __future__ import annotations

import itertools
import os
import platform
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get, Row, keyed, table
from kahea.routing.module import Value, Variable
from kahea.routing.place import script_place
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.pv.table import Index
from kahea.version import __version__

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

#: The Kamailio whose script interface this is: what a script that asks for the version wants to know.
COMPATIBLE = "6.2.0"

ERROR_FACET = "error"  # what an error route is told: a dict of the keys of $err.*
ASYNC_FACET = "atkv"  # what event_route[core:tkv] is told: a dict of the keys of $atkv

_CHARACTERS = {
    "Eb": "\\", "Ec": ",", "Ei": ":", "Ej": ";", "Ek": "'", "En": "\n",
    "Eq": '"', "Er": "\r", "Es": " ", "Et": "\t", "Ev": "`",
}  # fmt: skip


def _constant(value: Value) -> Get:
    return lambda _run: value


def _version_number() -> int:
    major, minor, patch = (int(part) for part in COMPATIBLE.split("."))
    return major * 1_000_000 + minor * 1_000 + patch


_FULL = f"kahea {__version__} for kamailio {COMPATIBLE} ({platform.machine()}/{sys.platform})"
_VERSION: dict[str, Get] = {
    "num": _constant(COMPATIBLE),
    "full": _constant(_FULL),
    "hash": _constant(__version__),
}
_KSR: dict[str, Get] = {"ver": _constant(COMPATIBLE), "verval": _constant(_version_number())}

_CFG: dict[str, Get] = {
    "route": lambda run: run.name or None,
    "line": lambda _run: script_place()[1],
    "name": lambda _run: script_place()[0] or None,
    "file": lambda _run: script_place()[0] or None,
}


def _from_facet(facet: str, key: str) -> Get:
    def get(run: Run) -> Value:
        told = run.msg.facets.get(facet)
        value = told.get(key) if isinstance(told, dict) else None
        return value if isinstance(value, (int, str)) else None

    return get


_ERROR_KEYS = ("class", "info", "level", "rcode", "rreason")
_ATKV: dict[str, Get] = {key: _from_facet(ASYNC_FACET, key) for key in ("type", "key", "val", "gname")}


def _stat(name: Value, _index: Index) -> Bound:
    """A counter by its name alone, or `group.name`, where several groups have one of that name."""
    group, dot, counter = str(name).rpartition(".")

    def get(run: Run) -> Value:
        statistics = run.node.statistics
        found = statistics.named(str(name)) or (statistics.find(group, counter) if dot else None)
        return None if found is None else found.value

    return Bound(get)


def _unique_ids() -> Callable[[Run], Value]:
    """`$sruid`: srid-server-start-pid-count, unlike any other of this or another server."""
    count = itertools.count(1)

    def get(run: Run) -> Value:
        server = getattr(run.node.settings, "server_id", 0)
        return f"srid-{server}-{int(run.node.started):x}-{os.getpid():x}-{next(count):x}"

    return get


def _server_id(run: Run) -> Value:
    number = getattr(run.node.settings, "server_id", 0)
    return number if isinstance(number, int) else None


def _bind_custom(custom: dict[str, Value]) -> Callable[[Value, Index], Bound]:
    """`$ccp(group.name)`: the script's own global parameters."""

    def bind(name: Value, _index: Index) -> Bound:
        key = str(name)
        if key not in custom:
            raise PvError(f"no custom parameter {key!r} is declared")

        def put(run: Run, value: Value) -> None:
            if type(value) is not type(custom[key]):
                raise PvError(f"{key} holds {'a number' if isinstance(custom[key], int) else 'text'}")
            custom[key] = value

        return Bound(lambda _run: custom[key], put)

    return bind


_ROWS: tuple[Row, ...] = (
    ("pp", lambda _run: os.getpid(), "The process id."),
    ("sid", _server_id, "The server's id (server_id)."),
    ("true", _constant(1), "1."),
    *((name, _constant(char), f"The character {char!r}.") for name, char in _CHARACTERS.items()),
    *((f"err.{key}", _from_facet(ERROR_FACET, key), f"In an error route: its {key}.") for key in _ERROR_KEYS),
)


def variables(_node: Node, custom: dict[str, Value]) -> list[Variable]:
    """The server's variables; `custom` holds the script's own global parameters."""
    return [
        *table([*_ROWS, ("sruid", _unique_ids(), "A new id, unlike any other.")]),
        named(
            "version",
            keyed("version", _VERSION),
            doc="The version of the script interface (num), or in full.",
        ),
        named(
            "ksr",
            keyed("ksr", _KSR),
            doc="The version of the script interface: text (ver) or number (verval).",
        ),
        named("cfg", keyed("cfg", _CFG), doc="The position in the script."),
        named("atkv", keyed("atkv", _ATKV), doc="In event_route[core:tkv]: what happened."),
        named("stat", _stat, dynamic=True, doc="A statistic."),
        named("ccp", _bind_custom(custom), writable=True, doc="A custom global parameter of the script."),
    ]
