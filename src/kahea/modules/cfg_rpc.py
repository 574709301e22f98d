"""Module cfg_rpc: settings changed while the node runs, by management (`cfg.*`).

What may change is in `node.configuration.runtime`: the cfg's own variables, and those of the core and the modules. A
delayed change waits, with others, for `cfg.commit`. Faults begin with Kamailio's words and go on with the reason.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.routing.module import ConfigError, Module, RpcError, rpc
from kahea.routing.runtime import RuntimeSettings, RuntimeValue, RuntimeVariable
from kahea.routing.settings import Settings

if TYPE_CHECKING:
    from kahea.routing.node import Node

_GROUP: Final = re.compile(r"([^\[\]]+)(?:\[(\d{1,9})\])?")
#: Changes that may wait for a commit.
MAX_PENDING: Final = 1000

#: A variable in an instance of its group.
Key = tuple[str, str, int | None]


class CfgRpc(Module):
    """Settings that change while the node runs, by management."""

    name = "cfg_rpc"

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        #: Changes that wait for a commit; None for "the instance loses its own value".
        self._pending: dict[Key, RuntimeValue | None] = {}

    @property
    def _runtime(self) -> RuntimeSettings:
        return self.node.configuration.runtime

    # ---- looking

    @rpc("cfg.list")
    def rpc_list(self, group: str | None = None) -> list[str]:
        """The variables, of one group or all."""
        return [f"{one.group}: {one.name}" for one in self._runtime.variables(group)]

    @rpc("cfg.get")
    def rpc_get(self, group: str | None = None, name: str | None = None) -> RuntimeValue | dict[str, RuntimeValue]:
        """The value of a variable, or all of a group."""
        if group is None:
            raise RpcError(500, "Failed to get the parameters")
        what = "Failed to get the variable"
        base, instance = self._instance(group, what)
        if name is None:
            found = {one.name: self._value(one, instance) for one in self._runtime.variables(base)}
            if not found:
                raise RpcError(400, f"{what}: there is no group {base!r}")
            return found
        return self._value(self._variable(base, name, what), instance)

    @rpc("cfg.help")
    def rpc_help(self, group: str, name: str) -> tuple[str, str]:
        """What a variable means, and its type."""
        one = self._variable(_split(group)[0], name, "Failed to get the variable description")
        kind = "integer" if one.kind is int else "string"
        return one.doc or "(no description)", f"(parameter type is {kind})"

    @rpc("cfg.diff")
    def rpc_diff(self) -> tuple[dict[str, object], ...]:
        """The changes that wait for a commit."""
        shown = []
        for (group, name, instance), value in self._pending.items():
            one = self._variable(group, name, "Failed to get the changes")
            entry: dict[str, object] = {"group name": group}
            if instance is not None:
                entry["group id"] = instance
            entry["variable name"] = name
            entry["old value"] = self._value(one, instance)
            entry["new value"] = one.read() if value is None else value
            shown.append(entry)
        return tuple(shown)

    # ---- changing at once

    @rpc("cfg.set")
    def rpc_set(self, group: str, name: str, value: int | str) -> None:
        """Change a variable."""
        self._set(group, name, value)

    @rpc("cfg.seti")
    def rpc_seti(self, group: str, name: str, value: int) -> None:
        """Change a variable to a number."""
        self._set(group, name, value)

    @rpc("cfg.set_now_int")
    def rpc_set_now_int(self, group: str, name: str, value: int) -> None:
        """Change a variable to a number."""
        self._set(group, name, value)

    @rpc("cfg.sets")
    def rpc_sets(self, group: str, name: str, value: str) -> None:
        """Change a variable to a text."""
        self._set(group, name, value)

    @rpc("cfg.set_now_string")
    def rpc_set_now_string(self, group: str, name: str, value: str) -> None:
        """Change a variable to a text."""
        self._set(group, name, value)

    def _set(self, group: str, name: str, value: RuntimeValue) -> None:
        base, instance, value = self._change(group, name, value)
        self._apply(base, name, value, instance, "Failed to set the variable")

    @rpc("cfg.reset")
    def rpc_reset(self, group: str) -> None:
        """Give all variables of a group their values of the start."""
        base, instance = self._instance(group, "Reset failed", 500)
        found = [one for one in self._runtime.variables(base) if not one.read_only]
        if not found:
            raise RpcError(500, f"Reset failed: there is no group {base!r}")
        try:
            for one in found:
                self._runtime.reset(base, one.name, instance)
        except ConfigError as error:
            raise RpcError(500, f"Reset failed: {error}") from error

    @rpc("cfg.del")
    def rpc_del(self, group: str, name: str) -> None:
        """Let an instance have the general value again."""
        base, instance = self._must_be_instance(group, "Failed to delete the variable")
        self._variable(base, name, "Failed to delete the variable")
        self._runtime.reset(base, name, instance)

    # ---- changing together

    @rpc("cfg.set_delayed")
    def rpc_set_delayed(self, group: str, name: str, value: int | str) -> None:
        """Prepare a change, for cfg.commit."""
        self._prepare(group, name, value)

    @rpc("cfg.set_delayed_int")
    def rpc_set_delayed_int(self, group: str, name: str, value: int) -> None:
        """Prepare a change to a number, for cfg.commit."""
        self._prepare(group, name, value)

    @rpc("cfg.set_delayed_string")
    def rpc_set_delayed_string(self, group: str, name: str, value: str) -> None:
        """Prepare a change to a text, for cfg.commit."""
        self._prepare(group, name, value)

    def _prepare(self, group: str, name: str, value: RuntimeValue) -> None:
        base, instance, value = self._change(group, name, value)
        self._keep((base, name, instance), value)

    @rpc("cfg.del_delayed")
    def rpc_del_delayed(self, group: str, name: str) -> None:
        """Prepare that an instance has the general value again."""
        base, instance = self._must_be_instance(group, "Failed to delete the variable")
        self._variable(base, name, "Failed to delete the variable")
        self._keep((base, name, instance), None)

    def _keep(self, key: Key, value: RuntimeValue | None) -> None:
        if key not in self._pending and len(self._pending) >= MAX_PENDING:
            raise RpcError(500, f"Failed to set the variable: {MAX_PENDING} changes wait already")
        self._pending[key] = value

    @rpc("cfg.commit")
    def rpc_commit(self) -> None:
        """Carry out the changes that wait."""
        pending, self._pending = self._pending, {}
        for (group, name, instance), value in pending.items():
            if value is None:
                self._runtime.reset(group, name, instance)
            else:
                self._apply(group, name, value, instance, "Failed to commit the changes")

    @rpc("cfg.rollback")
    def rpc_rollback(self) -> None:
        """Drop the changes that wait."""
        self._pending.clear()

    # ---- instances

    @rpc("cfg.add_group_inst")
    def rpc_add_group_inst(self, group: str) -> None:
        """Add an instance to a group: `group[id]`."""
        base, instance = _split(group)
        if instance is None:
            raise RpcError(400, 'Wrong group syntax. Use "group[id]"')
        try:
            self._runtime.add_instance(base, instance)
        except ConfigError as error:
            raise RpcError(400, f"Failed to add the group instance: {error}") from error

    @rpc("cfg.del_group_inst")
    def rpc_del_group_inst(self, group: str) -> None:
        """Remove an instance of a group: `group[id]`."""
        base, instance = self._must_be_instance(group, "Failed to delete the group instance")
        self._runtime.remove_instance(base, instance)
        self._pending = {key: v for key, v in self._pending.items() if (key[0], key[2]) != (base, instance)}

    # ---- what they share

    def _variable(self, group: str, name: str, what: str) -> RuntimeVariable:
        """A variable. Raises RpcError, which says why where Kamailio has one of that name."""
        found = self._runtime.find(group, name)
        if found is not None:
            return found
        setting = name if group == "core" else f"{group}_{name}"
        try:
            why = Settings.explain(setting) if group in ("core", "tcp") else ""
        except ConfigError:
            why = ""
        why = f"it can't change while the server runs ({why})" if why else f"there is no {group}.{name}"
        raise RpcError(400, f"{what}: {why}")

    def _value(self, one: RuntimeVariable, instance: int | None) -> RuntimeValue:
        value = self._runtime.get(one.group, one.name, instance)
        assert value is not None
        return value

    def _instance(self, group: str, what: str, code: int = 400) -> tuple[str, int | None]:
        """`group` or `group[id]`, whose instance must be there. Raises RpcError."""
        base, instance = _split(group)
        if instance is not None and not self._runtime.has_instance(base, instance):
            raise RpcError(code, f"{what}: there is no instance {group}")
        return base, instance

    def _must_be_instance(self, group: str, what: str) -> tuple[str, int]:
        base, instance = _split(group)
        if instance is None:
            raise RpcError(400, 'Wrong group syntax. Use "group[id]"')
        self._instance(group, what)
        return base, instance

    def _change(self, group: str, name: str, value: RuntimeValue) -> tuple[str, int | None, RuntimeValue]:
        """A change, checked: a number may come as text, and the other way round. Raises RpcError."""
        what = "Failed to set the variable"
        base, instance = self._instance(group, what)
        one = self._variable(base, name, what)
        if one.kind is str:
            value = str(value)
        elif isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
            value = int(value)
        try:
            return base, instance, one.checked(value)
        except ConfigError as error:
            raise RpcError(400, f"{what}: {error}") from error

    def _apply(self, group: str, name: str, value: RuntimeValue, instance: int | None, what: str) -> None:
        try:
            self._runtime.set(group, name, value, instance)
        except ConfigError as error:
            raise RpcError(400, f"{what}: {error}") from error


def _split(group: str) -> tuple[str, int | None]:
    """A group's name and the number in brackets behind it."""
    found = _GROUP.fullmatch(group)
    if found is None:
        raise RpcError(400, 'Wrong group syntax. Use "group[id]"')
    return found[1], int(found[2]) if found[2] else None


MODULE = CfgRpc
