"""Answers of management commands for people: tables where things are alike, else names and values.

PROTO  NAME       PORT          version   kahea 0.1.0
udp    127.0.0.1  5060          compiler  GCC 12.2.0
"""

from __future__ import annotations

from typing import Any

_GAP = "  "
#: A wider table is shown as names and values, one thing after the other.
WIDEST = 160


def shown(value: Any) -> str:
    """A result in lines; nothing for nothing."""
    return "\n".join(_lines(value))


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return _members(value)
    if isinstance(value, list):
        return _items([_unwrapped(item) for item in value])
    return [] if value is None else str(value).splitlines() or [""]


def _members(value: dict[str, Any]) -> list[str]:
    """Names and values; what has parts of its own goes below its name."""
    width = max((len(name) for name, inner in value.items() if _is_plain(inner)), default=0)
    out: list[str] = []
    for name, inner in value.items():
        if _is_plain(inner):
            out.append(f"{name.ljust(width)}{_GAP}{_cell(inner)}".rstrip())
        elif not inner:
            out.append(f"{name}: none")
        else:
            out += [f"{name}:", *(_GAP + line for line in _lines(inner))]
    return out


def _items(items: list[Any]) -> list[str]:
    """A table if all are structures of the same plain members; else one after the other."""
    if items and all(isinstance(item, dict) and all(map(_is_flat, item.values())) for item in items):
        names = list(dict.fromkeys(name for item in items for name in item))
        if all(list(item) == names for item in items):
            table = _table([names, *([_cell(item[name]) for name in names] for item in items)])
            if max(map(len, table)) <= WIDEST:
                return table
    out: list[str] = []
    for item in items:
        lines = _lines(item)
        if out and isinstance(item, (dict, list)):
            out.append("")
        out += lines
    return out


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _unwrapped(item: Any) -> Any:
    """What stands in a structure of one member only: `{"socket": {...}}`."""
    if isinstance(item, dict) and len(item) == 1:
        inner = next(iter(item.values()))
        if isinstance(inner, dict):
            return inner
    return item


def _is_plain(value: Any) -> bool:
    return not isinstance(value, (dict, list))


def _is_flat(value: Any) -> bool:
    """Whether a table's cell can show a value: a plain one, or a structure of one such."""
    return _is_plain(value) or (isinstance(value, dict) and len(value) == 1 and all(map(_is_plain, value.values())))


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return _cell(next(iter(value.values())))
    return "" if value is None else str(value).replace("\r", "").replace("\n", "\\n")
