"""The functions of `KSR` by the names that stand before the last dot, as every stub lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from kahea.routing.module import Function
from kahea.routing.node import Node
from kahea.version import __version__

#: What the head of each stub says.
WRITTEN: Final = f"Written by `kahea stubs` of version {__version__}; write it anew where Kahea is another."

#: Functions that each language has beside the registry's, and what they do.
MODF: Final = "Call a function by its native name: its code. Variables in the arguments are evaluated."
EXIT: Final = "End the route, and the script with it."
DROP: Final = "Drop the message (or the branch, the reply), and end the route."

#: The routes that a script may have, and what they are called for.
ROUTES: Final = {
    "ksr_request_route": "Called for each request.",
    "ksr_reply_route": "Called for each reply, before its transaction sees it.",
    "ksr_onsend_route": "Called for each message that is about to be sent.",
}


@dataclass(slots=True)
class Group:
    """The functions `KSR.<name>.*`, sorted; those of `KSR` itself have the name ""."""

    name: str
    doc: str
    functions: list[Function] = field(default_factory=list)


def groups(node: Node) -> list[Group]:
    """All groups, sorted, `KSR` itself first."""
    found = {"": Group("", "")}
    for module in node.registry.modules.values():
        for function in module.functions():
            if function.module not in found:
                found[function.module] = Group(function.module, paragraph(type(module).__doc__ or ""))
            found[function.module].functions.append(function)
    for group in found.values():
        group.functions.sort(key=lambda function: function.name)
    return [found[name] for name in sorted(found)]


def paragraph(doc: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return re.sub(r"\s+", " ", doc.strip().partition("\n\n")[0])


def parameters(function: Function, reserved: frozenset[str]) -> list[tuple[str, str]]:
    """The name and KEMI type of each parameter; a name that is a word of the language ends in an underscore."""
    return [(f"{n}_" if n in reserved else n, kind) for n, kind in zip(function.names, function.params, strict=True)]
