"""What the getters of this package share: guarding against malformed messages, and tables of plain
variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kahea.routing.caller import quiet
from kahea.routing.module import Value
from kahea.routing.pv import Bound, Plain, PvError, plain
from kahea.routing.pv.errors import suggestion

if TYPE_CHECKING:
    from kahea.routing.run import Run

Get = Callable[["Run"], Value]
Put = Callable[["Run", Value], None]
#: Name, getter, meaning.
Row = tuple[str, Get, str]


def text(data: bytes) -> str:
    """Bytes of a message as a script sees them."""
    return data.decode("utf-8", "surrogateescape")


def some(data: bytes | None) -> str | None:
    """The same, but null where there is nothing."""
    return data.decode("utf-8", "surrogateescape") if data else None


def table(rows: Iterable[Row]) -> list[Plain]:
    """Read-only variables, guarded."""
    return [plain(name, quiet(get), doc=doc) for name, get, doc in rows]


def keyed(variable: str, keys: dict[str, Get], *, guard: bool = True) -> Callable[[Value, object], Bound]:
    """The `bind` of a variable whose name is one of a few keys."""
    getters = {key: quiet(get) if guard else get for key, get in keys.items()}

    def bind(name: Value, _index: object) -> Bound:
        found = getters.get(str(name))
        if found is None:
            raise PvError(unknown_key(variable, str(name), getters))
        return Bound(found)

    return bind


def unknown_key(variable: str, name: str, keys: Iterable[str]) -> str:
    """The message for a key that a variable does not have."""
    known = list(keys)
    return f"${variable} has no {name!r}, but {', '.join(known)}{suggestion(name, known)}"


def want_text(value: Value, what: str) -> str:
    """The value if it is text; raises PvError."""
    if not isinstance(value, str):
        raise PvError(f"{what} takes text")
    return value


def want_int(value: Value, what: str) -> int:
    """The value if it is a number, 0 for null; raises PvError."""
    if value is None:
        return 0
    if not isinstance(value, int):
        raise PvError(f"{what} takes a number")
    return value
