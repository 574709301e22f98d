"""Module pv: declares the pseudo-variables, and the functions of `KSR.pv` and `KSR.pvx`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kahea.modules.pv import (
    branches,
    clock,
    credentials,
    headers,
    lists,
    message,
    parties,
    script,
    selects,
    server,
    transport,
    uri,
)
from kahea.modules.pv.access import Access
from kahea.modules.pv.avps import AvpFunctions
from kahea.modules.pv.natives import NativeTests
from kahea.modules.pv.xavps import XavpFunctions
from kahea.routing.lists import AvpName
from kahea.routing.module import Param, RpcError, Value, Variable, rpc
from kahea.routing.pv import PvError
from kahea.routing.pv.values import decimal

if TYPE_CHECKING:
    from kahea.routing.node import Node

_PLAIN = (uri, parties, headers, credentials, message, transport, branches, clock, selects)


def parse_typed(given: str) -> tuple[str, Value]:
    """`name=i:number` or `name=s:text`; raises ValueError."""
    name, equals, typed = given.partition("=")
    kind, colon, value = typed.partition(":")
    name = name.strip()
    if not (name and equals and colon) or kind.strip() not in ("i", "s"):
        raise ValueError(f"expected name=i:number or name=s:text, not {given!r}")
    if kind.strip() == "s":
        return name, value
    number = decimal(value.strip())
    if number is None:
        raise ValueError(f"{value!r} is no number")
    return name, number


def parse_aliases(given: str) -> dict[str, AvpName]:
    """`alias=s:name;alias=i:number`; raises ValueError."""
    aliases: dict[str, AvpName] = {}
    for entry in given.split(";"):
        if not entry.strip():
            continue
        alias, equals, name = (part.strip() for part in entry.partition("="))
        if not (alias and equals and name):
            raise ValueError(f"expected alias=name, not {entry!r}")
        try:
            aliases[alias] = lists.avp_name(name)
        except PvError as error:
            raise ValueError(str(error)) from None
    return aliases


class PvModule(Access, AvpFunctions, XavpFunctions, NativeTests):
    """Pseudo-variables, and access to them and to the script's lists from every language."""

    name = "pv"
    shvset = Param("", "The first value of a $shv: name=i:number or name=s:text.", many=True, check=parse_typed)
    varset = Param(
        "",
        "The value of a $var that was not set: name=i:number or name=s:text.",
        many=True,
        check=parse_typed,
    )
    avp_aliases = Param("", "Other names for AVPs: alias=s:name;alias=i:number.", check=parse_aliases)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.initial: dict[str, Value] = {}
        self.shared = script.Shared()
        self.aliases: dict[str, AvpName] = {}
        #: The custom global parameters that the script declared, for $ccp; its engine fills it.
        self.custom: dict[str, Value] = {}

    def start(self) -> None:
        """Take up the parameters."""
        self.initial.update(self.__dict__.get("varset", []))
        for name, value in self.__dict__.get("shvset", []):
            self.shared.declare(name)
            self.shared.put(name, value)
        if isinstance(given := self.__dict__.get("avp_aliases"), dict):
            self.aliases.update(given)

    def variables(self) -> Iterator[Variable]:
        """The variables of modules pv, corex and kex."""
        table = self.node.variables
        for topic in _PLAIN:
            yield from topic.VARIABLES
        yield from lists.variables(table, self.aliases)
        yield from script.variables(table, self.initial, self.shared)
        yield from server.variables(self.node, self.custom)

    @rpc("pv.shvSet")
    def shv_set(self, name: str, kind: str, value: int | str) -> str:
        """Give a shared variable a value: `int` or `str`."""
        if kind not in ("int", "str"):
            raise RpcError(400, "the type is int or str")
        number = decimal(str(value)) if kind == "int" else None
        if kind == "int" and number is None:
            raise RpcError(400, f"{value!r} is no number")
        try:
            self.shared.declare(name)
        except PvError as error:
            raise RpcError(507, str(error)) from None
        self.shared.put(name, str(value) if number is None else number)
        return "Ok"

    @rpc("pv.shvGet")
    def shv_get_rpc(self, name: str = "") -> list[dict[str, Value]]:
        """One shared variable, or all of them."""
        values = self.shared.values
        if name and name not in values:
            raise RpcError(404, f"there is no $shv({name})")
        return [
            {"name": each, "type": "str" if isinstance(values[each], str) else "int", "value": values[each]}
            for each in ([name] if name else values)
        ]
