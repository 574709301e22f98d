"""What differs between two configurations of a node, and which of it can take effect while the node runs.

A setting that is one of the runtime variables (`runtime.py`) is changed at once. Everything else was taken up when the
node started: it is named, and waits for a restart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

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


def apply_changes(node: Node, started: Configuration, earlier: Configuration, later: Configuration) -> Changes:
    """Bring a node from one configuration to another as far as that goes while it runs.

    What waits for a restart is what differs from the configuration that it `started` with, however long ago it changed.
    """
    changes = Changes()
    for each in fields(Settings):
        first, old, new = (getattr(one.settings, each.name) for one in (started, earlier, later))
        _set(node, changes, _Setting("core", each.name, _LISTS.get(each.name, each.name)), first, old, new)
    _modules(node, changes, started, earlier, later)
    _own(node, changes, earlier, later)
    running = node.configuration
    running.defines, running.flags, running.avp_flags = later.defines, later.flags, later.avp_flags
    return changes


class _Setting(NamedTuple):
    """A setting by its group and name, and what an operator calls it."""

    group: str
    name: str
    shown: str


def _set(node: Node, changes: Changes, setting: _Setting, first: Any, old: Any, new: Any) -> None:
    """One setting, as the start, the configuration before and this one have it (None: not at all): changed if it may
    change now."""
    runtime = node.configuration.runtime
    variable = runtime.find(setting.group, setting.name)
    if variable is not None and not variable.read_only and (new is not None or first is None):
        if old == new:
            return
        try:
            if first == new:
                runtime.reset(setting.group, setting.name)
            else:
                runtime.set(setting.group, setting.name, int(new) if isinstance(new, bool) else new)
        except ConfigError:
            pass  # an expression of the value that only the start takes
        else:
            changes.applied.append(setting.shown)
            return
    if first != new:
        changes.restart.append(setting.shown)


def _modules(
    node: Node, changes: Changes, started: Configuration, earlier: Configuration, later: Configuration
) -> None:
    for name in sorted(set(later.load or ()) ^ set(started.load or ())):
        verb = "loaded" if name in (later.load or ()) else "left out"
        changes.restart.append(f"module {name} ({verb})")
    for module in sorted({*started.modules, *earlier.modules, *later.modules}):
        first, old, new = (_parameters(one, module) for one in (started, earlier, later))
        for name in sorted({*first, *old, *new}):
            values = [_value(each.get(name)) for each in (first, old, new)]
            _set(node, changes, _Setting(module, name, f"{module}.{name}"), *values)


def _value(given: list[int | str] | None) -> Any:
    """What a parameter was given: its value, a tuple of several, or None."""
    return given if given is None else given[0] if len(given) == 1 else tuple(given)


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
