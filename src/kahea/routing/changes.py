"""What differs between two configurations of a node, and which of it can take effect while the node runs.

A setting that is one of the runtime variables (`runtime.py`) is changed at once. Everything else was taken up when the
node started: it is named, and waits for a restart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from kahea.routing.module import ConfigError
from kahea.routing.settings import Configuration, Settings

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.runtime import RuntimeVariable

#: Settings that are lists, by what an operator calls them.
_LISTS = {"listen": "listeners", "alias": "aliases"}


@dataclass(slots=True)
class Changes:
    """What became of the differences: `applied` are in effect, `restart` need one."""

    applied: list[str] = field(default_factory=list)
    restart: list[str] = field(default_factory=list)


def apply_changes(node: Node, earlier: Configuration, later: Configuration) -> Changes:
    """Bring a node from one configuration to another as far as that goes while it runs."""
    changes = Changes()
    for each in fields(Settings):
        old, new = getattr(earlier.settings, each.name), getattr(later.settings, each.name)
        if old != new:
            _set(node, changes, "core", each.name, new, _LISTS.get(each.name, each.name))
    _modules(node, changes, earlier, later)
    _own(node, changes, earlier, later)
    running = node.configuration
    running.defines, running.flags, running.avp_flags = later.defines, later.flags, later.avp_flags
    return changes


def _set(node: Node, changes: Changes, group: str, name: str, value: Any, shown: str) -> None:
    """One setting: changed if it may change now."""
    variable = node.configuration.runtime.find(group, name)
    if variable is not None and not variable.read_only:
        try:
            node.configuration.runtime.set(group, name, int(value) if isinstance(value, bool) else value)
        except ConfigError:
            pass  # an expression of the value that only the start takes
        else:
            changes.applied.append(shown)
            return
    changes.restart.append(shown)


def _modules(node: Node, changes: Changes, earlier: Configuration, later: Configuration) -> None:
    for name in sorted(set(later.load or ()) ^ set(earlier.load or ())):
        verb = "loaded" if name in (later.load or ()) else "left out"
        changes.restart.append(f"module {name} ({verb})")
    for module in sorted(set(earlier.modules) | set(later.modules)):
        old, new = _parameters(earlier, module), _parameters(later, module)
        for name in sorted(set(old) | set(new)):
            if old.get(name) == new.get(name):
                continue
            shown = f"{module}.{name}"
            values = new.get(name)
            if values is not None and len(values) == 1:
                _set(node, changes, module, name, values[0], shown)
            else:
                changes.restart.append(shown)


def _parameters(configuration: Configuration, module: str) -> dict[str, list[int | str]]:
    found: dict[str, list[int | str]] = {}
    for name, value in configuration.modules.get(module, ()):
        found.setdefault(name, []).append(value)
    return found


def _own(node: Node, changes: Changes, earlier: Configuration, later: Configuration) -> None:
    """Variables that the script declares itself; what a command set since stays where the script did not change."""
    running = node.configuration.runtime
    for variable in later.runtime.variables():
        if not later.runtime.is_own(variable.group):
            continue  # of the core or a module, which shows it in the configuration that it started with
        before = earlier.runtime.find(variable.group, variable.name)
        shown = f"{variable.group}.{variable.name}"
        if before is not None and _values(before) == _values(variable):
            continue
        known = running.find(variable.group, variable.name)
        if known is None:
            running.adopt(variable)
        elif known.kind is variable.kind:
            running.set(variable.group, variable.name, variable.initial)
            known.initial = variable.initial
            known.instances.update(variable.instances)
        else:
            changes.restart.append(shown)
            continue
        changes.applied.append(shown)


def _values(variable: RuntimeVariable) -> tuple[object, ...]:
    return variable.kind, variable.initial, dict(variable.instances)
