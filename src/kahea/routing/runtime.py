"""Settings that change while the node runs: Kamailio's configuration framework, by group and name.

A cfg declares variables of its own (`pstn.gw_ip = "10.0.0.1" desc "..."`) and reads them by `$sel(cfg_get.pstn.gw_ip)`;
the core and modules expose theirs. The `cfg` RPC lists and sets them all. A variable may have instances
(`pstn[2].gw_ip = ...`), which a script chooses by `cfg_select`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kahea.routing.module import ConfigError

if TYPE_CHECKING:
    from kahea.routing.module import Module, Param

#: The values that there are: Kamailio has 32-bit integers and strings.
RuntimeValue = int | str

#: Where a run keeps the instances that `cfg_select` chose, by group: `run.state[SELECTED]`.
SELECTED: Final = "runtime.selected"

LOWEST: Final = -(2**31)
HIGHEST: Final = 2**31 - 1

#: Instances that one group may have.
MAX_INSTANCES: Final = 1000


@dataclass(slots=True)
class RuntimeVariable:
    """One variable. `read` and `write` reach its value where it is kept elsewhere; `write` None makes it read-only."""

    group: str
    name: str
    kind: type[int] | type[str]
    doc: str
    read: Callable[[], RuntimeValue]
    write: Callable[[RuntimeValue], object] | None
    low: int = LOWEST
    high: int = HIGHEST
    #: The value that a reset brings back.
    initial: RuntimeValue = 0
    instances: dict[int, RuntimeValue] = field(default_factory=dict)

    @property
    def read_only(self) -> bool:
        """Whether it can't be changed while the node runs."""
        return self.write is None

    def checked(self, value: RuntimeValue) -> RuntimeValue:
        """The value, if the variable takes it. Raises ConfigError."""
        where = f"{self.group}.{self.name}"
        if self.write is None:
            raise ConfigError(f"{where} can't be changed while the server runs")
        if isinstance(value, bool) or not isinstance(value, self.kind):
            raise ConfigError(f"{where} takes {'an integer' if self.kind is int else 'a string'}, not {value!r}")
        if isinstance(value, int) and not self.low <= value <= self.high:
            raise ConfigError(f"{where} is from {self.low} to {self.high}, not {value}")
        return value


class RuntimeSettings:
    """All of a node's runtime variables."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, RuntimeVariable]] = {}
        self._own: set[str] = set()
        self._instances: dict[str, set[int]] = {}

    def declare(self, group: str, name: str, value: RuntimeValue, doc: str = "", instance: int | None = None) -> None:
        """A variable of the cfg's own, or the value that one has in an instance. Raises ConfigError."""
        known = self._groups.get(group, {}).get(name)
        if instance is not None and known is not None:
            known.instances[instance] = known.checked(value)
            self.add_instance(group, instance)
            return
        if known is not None:
            raise ConfigError(f"{group}.{name} is declared already")
        if instance is not None:
            raise ConfigError(f"{group}[{instance}].{name}: {group}.{name} must be declared before")
        kept = [value]

        def write(new: RuntimeValue) -> None:
            kept[0] = new

        kind = int if isinstance(value, int) else str
        self.expose(RuntimeVariable(group, name, kind, doc, lambda: kept[0], write))
        self._own.add(group)

    def adopt(self, variable: RuntimeVariable) -> None:
        """Take over a variable that a cfg declared for its own."""
        self.expose(variable)
        self._own.add(variable.group)

    def expose(self, variable: RuntimeVariable) -> None:
        """Make a variable known; its value now is what a reset brings back."""
        variable.initial = variable.read()
        self._groups.setdefault(variable.group, {})[variable.name] = variable

    def groups(self) -> list[str]:
        """The groups' names, in order of declaration."""
        return list(self._groups)

    def is_own(self, group: str) -> bool:
        """Whether the cfg declared the group, rather than the core or a module."""
        return group in self._own

    def variables(self, group: str | None = None) -> Iterator[RuntimeVariable]:
        """The variables of a group, or all."""
        for name, members in self._groups.items():
            if group in (None, name):
                yield from members.values()

    def add_instance(self, group: str, instance: int) -> None:
        """Let a group have an instance, whose values are the general ones until it gets its own. Raises ConfigError."""
        if group not in self._groups:
            raise ConfigError(f"there is no group {group!r}")
        known = self._instances.setdefault(group, set())
        if instance not in known and len(known) >= MAX_INSTANCES:
            raise ConfigError(f"group {group} has {MAX_INSTANCES} instances already")
        known.add(instance)

    def remove_instance(self, group: str, instance: int) -> None:
        """Forget an instance with its values. Raises ConfigError."""
        if not self.has_instance(group, instance):
            raise ConfigError(f"there is no instance {group}[{instance}]")
        self._instances[group].discard(instance)
        for variable in self.variables(group):
            variable.instances.pop(instance, None)

    def has_instance(self, group: str, instance: int) -> bool:
        """Whether a group has an instance."""
        return instance in self._instances.get(group, ())

    def find(self, group: str, name: str) -> RuntimeVariable | None:
        """A variable, or None."""
        return self._groups.get(group, {}).get(name)

    def get(self, group: str, name: str, instance: int | None = None) -> RuntimeValue | None:
        """A value, in an instance the general one where it has none of its own; None if there is no such variable."""
        variable = self.find(group, name)
        if variable is None:
            return None
        if instance is not None and instance in variable.instances:
            return variable.instances[instance]
        return variable.read()

    def set(self, group: str, name: str, value: RuntimeValue, instance: int | None = None) -> None:
        """Change a value. Raises ConfigError for an unknown or read-only variable, or a value that it does not take."""
        variable = self._must(group, name)
        value = variable.checked(value)
        if instance is not None:
            if not self.has_instance(group, instance):
                raise ConfigError(f"there is no instance {group}[{instance}]")
            variable.instances[instance] = value
        elif variable.write is not None:
            variable.write(value)

    def reset(self, group: str, name: str, instance: int | None = None) -> None:
        """Back to the value of the start; an instance loses its own. Raises ConfigError."""
        variable = self._must(group, name)
        if instance is not None:
            variable.instances.pop(instance, None)
        else:
            self.set(group, name, variable.initial)

    def _must(self, group: str, name: str) -> RuntimeVariable:
        variable = self.find(group, name)
        if variable is None:
            raise ConfigError(f"there is no variable {group}.{name}")
        return variable


def expose_parameters(runtime: RuntimeSettings, module: Module) -> None:
    """Make a module's parameters that may change while it runs known."""
    for name, param in module.params().items():
        if not param.runtime:
            continue
        shown = name if param.runtime is True else str(param.runtime)
        if runtime.find(module.name, shown) is not None:
            continue

        def write(value: RuntimeValue, param: Param[Any] = param, name: str = name) -> None:
            param.set(module, value)
            module.changed(name)

        read = partial(getattr, module, name)
        kind = int if param.type is int else str
        runtime.expose(RuntimeVariable(module.name, shown, kind, param.doc, read, write))
