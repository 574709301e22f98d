"""Internal flags of a message, which Kamailio's own functions set; a script may look at them, and seldom set them.

Nothing here depends on them: what `USE_UAC_FROM` and `USE_UAC_TO` ask for, that local ACK and CANCEL be made from the
request as it was sent, is always so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kahea.routing.module import Module, native

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

FACET: Final = "corex.internal_flags"
NAMES: Final = frozenset({"USE_UAC_FROM", "USE_UAC_TO", "UAC_AUTH", "MSG_APPLY_CHANGES"})
MAX_FLAG: Final = 63


def flag_name(_node: Node, text: str) -> str:
    """One of the names, or a number from 0 to 63. Raises ValueError."""
    if text in NAMES or (text.isascii() and text.isdigit() and int(text) <= MAX_FLAG):
        return text
    raise ValueError(f"{text!r} is no internal flag; there are {', '.join(sorted(NAMES))}")


class InternalFlags(Module):
    """See the module's docstring."""

    @native(flag_name)
    def msg_iflag_set(self, run: Run, flag: str) -> bool:
        """Set an internal flag."""
        run.msg.facets[FACET] = self._flags(run) | {flag}
        return True

    @native(flag_name)
    def msg_iflag_reset(self, run: Run, flag: str) -> bool:
        """Clear an internal flag."""
        run.msg.facets[FACET] = self._flags(run) - {flag}
        return True

    @native(flag_name)
    def msg_iflag_is_set(self, run: Run, flag: str) -> int:
        """1 if an internal flag is set, else -2."""
        return 1 if flag in self._flags(run) else -2

    @staticmethod
    def _flags(run: Run) -> frozenset[str]:
        found = run.msg.facets.get(FACET)
        return found if isinstance(found, frozenset) else frozenset()
