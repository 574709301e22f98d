"""Lists of `attribute=value;...`, as parameters of modules define tables, queues and timers by them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

_PART: Final = re.compile(r"""\s*(\w+)\s*=\s*("[^"]*"|'[^']*'|[^;]*?)\s*(?:;|\Z)""")


def iter_attributes(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value, without quotes, in order. Raises ValueError."""
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise ValueError(f"expected attribute=value at {text[at:]!r}")
        at = part.end()
        yield part[1], part[2].strip("\"'")


def parse_attributes(text: str, known: Collection[str], what: str) -> dict[str, str]:
    """The values by name, of these names only; `what` has them, in words for the operator. Raises ValueError."""
    found: dict[str, str] = {}
    for name, value in iter_attributes(text.strip()):
        if name not in known:
            raise ValueError(f"{what} has no attribute {name!r}; there are: {', '.join(known)}")
        found[name] = value
    return found


def attribute_number(name: str, value: str) -> int:
    """A value that is a whole number. Raises ValueError."""
    if not re.fullmatch(r"-?[0-9]{1,10}", value):
        raise ValueError(f"{name} takes a number, not {value!r}")
    return int(value)
