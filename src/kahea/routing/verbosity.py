"""How much is logged: Kamailio's `debug` over Python's levels, also while the node runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kahea.routing.node import Node

#: The values that `debug` takes.
LOWEST: Final = -5
HIGHEST: Final = 9

#: Kamailio's L_NOTICE has no counterpart in `logging`; it lies between information and warning.
NOTICE: Final = 25

#: `debug` (Kamailio's level) and the least level of `logging` that is then shown.
LEVELS: Final = {
    -1: logging.ERROR,
    0: logging.WARNING,
    1: NOTICE,
    2: logging.INFO,
    3: logging.DEBUG,
}


def level_of(debug: int) -> int:
    """The level of `logging` for a value of `debug`."""
    return LEVELS[min(debug, 3)] if debug >= -1 else logging.CRITICAL


def set_debug(node: Node, debug: int) -> None:
    """Change `debug`, for scripts and for the server's own log."""
    node.settings.debug = debug
    logging.getLogger("kahea").setLevel(level_of(debug))


__all__ = ["HIGHEST", "LEVELS", "LOWEST", "NOTICE", "level_of", "set_debug"]
