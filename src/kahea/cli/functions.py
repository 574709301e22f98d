"""The registry as a listing: what `KSR` offers a script."""

from __future__ import annotations

import json
from typing import Any

from kahea.routing.node import Node


def listing(*, as_json: bool) -> str:
    """Every exported function, sorted: a JSON list of objects, or one line each."""
    entries: list[dict[str, Any]] = list(Node().registry.listing())
    if as_json:
        return json.dumps(entries, indent=1)
    return "\n".join(_line(e) for e in entries)


def _line(entry: dict[str, Any]) -> str:
    group = f"{entry['module']}." if entry["module"] else ""
    return f"KSR.{group}{entry['name']}({', '.join(entry['params'])}) -> {entry['ret']}"
