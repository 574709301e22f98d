"""Calling a management command: its parameters made to fit, its work where it may wait, its failure as a fault.

What a parameter takes is its annotation: `int`, `float`, `str`; anything else takes any value. A parameter with a
default may be left out, `*rest` takes any number. What is given beyond that is ignored, as in Kamailio.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kahea.routing.module import RpcCommand, RpcError

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.rpc")

#: Told the result, or the fault and None as result.
Done = Callable[[Any, RpcError | None], object]

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")
_DECIMAL = re.compile(r"\s*[+-]?[0-9]{1,18}(\.[0-9]{0,18})?\s*")
_WORDS = {"int": "integer", "float": "float", "str": "string"}


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter: `kind` is int, float, str or any."""

    kind: str
    required: bool
    default: object = None


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a command in order, and the kind of those that may follow."""

    slots: tuple[Slot, ...]
    rest: str | None


@lru_cache(maxsize=1024)
def _signature(function: Callable[..., Any]) -> Signature:
    slots = []
    rest = None
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        text = str(parameter.annotation)
        parts = [part.strip() for part in text.split("|") if part.strip() != "None"]
        kind = parts[0] if len(parts) == 1 and parts[0] in _WORDS else "any"
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = kind
        else:
            required = parameter.default is parameter.empty
            slots.append(Slot(kind, required, None if required else parameter.default))
    return Signature(tuple(slots), rest)


def signature(command: RpcCommand) -> Signature:
    """What a command takes."""
    return _signature(command.call.__func__)  # type: ignore[attr-defined]


def usage(command: RpcCommand) -> str:
    """A command's parameters for people: `table aor [expires] [more...]`."""
    words = []
    for parameter in inspect.signature(command.call).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            words.append(f"[{parameter.name}...]")
        else:
            words.append(parameter.name if parameter.default is parameter.empty else f"[{parameter.name}]")
    return " ".join(words)


def bind(command: RpcCommand, given: Sequence[object], *, exact: bool = False) -> list[object]:
    """The arguments for a command. Raises RpcError for one that is missing or does not fit.

    With `exact`, a number is not read out of a text. A text is always made of a number: which of both `1001` is,
    the sender can't always tell.
    """
    wanted = signature(command)
    arguments = []
    for number, slot in enumerate(wanted.slots):
        if number < len(given) and (given[number] is not None or slot.required):
            arguments.append(_fit(given[number], slot.kind, number, exact=exact))
        elif slot.required:
            raise _wrong(number, slot.kind, "end of packet encountered")
        else:
            arguments.append(slot.default)
    if wanted.rest is not None:
        first = len(wanted.slots)
        arguments += [_fit(v, wanted.rest, first + i, exact=exact) for i, v in enumerate(given[first:])]
    return arguments


def _wrong(number: int, kind: str, why: str) -> RpcError:
    """The fault for a parameter, in Kamailio's words."""
    return RpcError(400, f"error at parameter {number}: expected {_WORDS.get(kind, 'any')} type but {why}")


def _fit(value: object, kind: str, number: int, *, exact: bool) -> object:
    """A value as `int`, `float` or `str`."""
    if isinstance(value, bool):
        value = int(value)
    if kind == "any" and isinstance(value, (int, float, str)):
        return value
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "str" and isinstance(value, (int, float)):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if kind == "int" and isinstance(value, int):
        return value
    if kind == "float" and isinstance(value, (int, float)):
        return float(value)
    if not exact and kind == "int" and (isinstance(value, float) or _INTEGER.fullmatch(str(value))):
        return int(value)  # type: ignore[call-overload]
    if not exact and kind == "float" and _DECIMAL.fullmatch(str(value)):
        return float(value)  # type: ignore[arg-type]
    raise _wrong(number, kind, "record doesn't match type")


def start(node: Node, command: RpcCommand, given: Sequence[object], done: Done, *, exact: bool = False) -> None:
    """Carry out a command where it may wait; `done` is called once, at once or later. Never raises."""

    def work() -> None:
        result, fault = None, None
        try:
            result = command.call(*bind(command, given, exact=exact))
        except RpcError as error:
            fault = error
        except Exception:
            log.exception("command %s failed", command.name)
            fault = RpcError(500, "Internal Server Error")
        try:
            done(result, fault)
        except Exception:
            log.exception("the answer of %s could not be given", command.name)

    if not node.pool.run(work):
        done(None, RpcError(503, "too many runs are in flight"))


__all__ = ["Done", "Signature", "Slot", "bind", "signature", "start", "usage"]
