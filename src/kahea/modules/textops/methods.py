"""`is_method` of the native language: its names become bits when the cfg is loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kahea.routing.caller import ask
from kahea.routing.common import MethodList
from kahea.routing.module import Module, native
from kahea.sip.message import M_OTHER, method_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from kahea.routing.node import Node
    from kahea.routing.run import Run

#: Methods that Kamailio knows by number and this server by name; all others may not stand in a list.
_KNOWN = frozenset({b"KDMQ", b"GET", b"POST", b"PUT", b"DELETE"})


def methods(node: Node, text: str) -> MethodList:
    """`INVITE|ACK`, in any case, commas too. Raises ValueError."""
    names = [name.strip().upper().encode() for name in re.split(r"[|,]", text)]
    if not all(re.fullmatch(rb"[-.!%*_+`'~0-9A-Z]+", name) for name in names):
        raise ValueError(f"{text!r} is no list of methods: INVITE|ACK")
    bits = 0
    others = []
    for name in names:
        bit = method_id(name)
        if bit != M_OTHER:
            bits |= bit
        elif len(names) > 1 and name not in _KNOWN:
            raise ValueError(f"{name.decode()} is no known method, and can't stand in a list")
        else:
            others.append(name)
    return MethodList(bits, frozenset(others))


class Methods(Module):
    """The method of a message."""

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """What nearly every script asks, and often."""
        return {**super().compiled(), "is_method": ask}

    @native(methods)
    def is_method(self, run: Run, wanted: MethodList) -> bool:
        """Whether the method is one of a list; a reply counts by its CSeq."""
        return ask(run, wanted)
