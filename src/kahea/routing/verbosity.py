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


L_DBG: Final = 3
#: The levels of scripts by the third letter of `L_...`, which is all that Kamailio looks at.
BY_LETTER: Final = {"A": -5, "B": -4, "C": -2, "E": -1, "W": 0, "N": 1, "I": 2, "D": L_DBG}


def named_level(text: str) -> int:
    """The level that `L_INFO` and its kin name. Raises ValueError."""
    level = BY_LETTER.get(text[2:3]) if text.startswith("L_") else None
    if level is None:
        raise ValueError(f"{text!r} is no level: L_ALERT, L_BUG, L_CRIT, L_ERR, L_WARN, L_NOTICE, L_INFO, L_DBG")
    return level


def level_of(debug: int) -> int:
    """The level of `logging` for a value of `debug`."""
    return LEVELS[min(debug, 3)] if debug >= -1 else logging.CRITICAL


def set_debug(node: Node, debug: int) -> None:
    """Change `debug`, for scripts and for the server's own log."""
    node.settings.debug = debug
    logging.getLogger("kahea").setLevel(level_of(debug))


__all__ = ["BY_LETTER", "HIGHEST", "LEVELS", "LOWEST", "L_DBG", "NOTICE", "level_of", "named_level", "set_debug"]
