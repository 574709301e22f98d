"""A diagram of what passed over the network, for people who look for a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kahea.testing.network import Packet

_WIDTH = 26


def ladder(packets: Iterable[Packet], name_of: Callable[[Packet, bool], str]) -> str:
    """One line per packet, in columns by endpoint; lost ones end in `x`. `name_of(packet, of_source)`."""
    rows = [(p, name_of(p, True), name_of(p, False)) for p in packets]
    names = list(dict.fromkeys(name for _, a, b in rows for name in (a, b)))
    column = {name: i * _WIDTH for i, name in enumerate(names)}
    lines = [" " * 11 + "".join(name[: _WIDTH - 1].ljust(_WIDTH) for name in names).rstrip()]
    for packet, source, destination in rows:
        lines.append(f"{packet.sent_at:10.3f} " + _arrow(packet, column[source], column[destination], column.values()))
    return "\n".join(lines)


def _arrow(packet: Packet, start: int, end: int, columns: Iterable[int]) -> str:
    cells = [" "] * (max(columns) + 1)
    for position in columns:
        cells[position] = "|"
    text = _label(packet)
    if start == end:
        return "".join(cells).rstrip() + f"  {text} (to itself)"
    low, high = min(start, end), max(start, end)
    for i in range(low + 1, high):
        cells[i] = "-"
    fate_shown = {"lost": "x", "refused": "x", "too large": "x"}.get(packet.fate)
    cells[high - 1 if end > start else low + 1] = fate_shown or (">" if end > start else "<")
    label = f" {text} "[: high - low - 5]
    begin = low + 2
    cells[begin : begin + len(label)] = label
    return "".join(cells).rstrip()


def _label(packet: Packet) -> str:
    try:
        return packet.message.summary
    except (KeyError, IndexError, ValueError):
        return f"{len(packet.data)} bytes"
