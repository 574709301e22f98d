"""Max-Forwards: counted down at each hop, so that a loop ends (RFC 3261 §16.3 item 3 and §16.6 item 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.module import Module, Param, function
from kahea.sip.message import H_MAXFORWARDS

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Message


def _limit(value: int) -> int:
    if not 1 <= value <= 256:
        raise ValueError("must be between 1 and 256")
    return value


class Maxfwd(Module):
    """Max-Forwards."""

    name = "maxfwd"
    max_limit = Param(70, "The largest value let through; a larger one is lowered to it.", check=_limit)

    @function
    def process_maxfwd(self, run: Run, limit: int) -> int:
        """Count Max-Forwards down, or add it with the value `limit` (0..255) if there is none.

        1: counted down; 2: added; -1: it is 0 already, or `limit` is out of range; -2: it is no number.
        This server is one hop: a second call changes nothing.
        """
        if not 0 <= limit <= 255:
            self.node.log.error("process_maxfwd: %d is not between 0 and 255", limit)
            return -1
        msg = run.msg
        header = msg.header(H_MAXFORWARDS)
        if header is None:
            if "maxfwd" not in msg.facets:
                msg.prepend_header(b"Max-Forwards: %d\r\n" % limit)
                msg.facets["maxfwd"] = None
            return 2
        if "maxfwd" in msg.facets:
            return 1
        value = _value(msg, header.body)
        if value <= 0:
            return -1 if value == 0 else -2
        msg.facets["maxfwd"] = value = min(value - 1, self.max_limit)
        width = header.body_end - header.body_start
        # As wide as it was: Kamailio writes into the received bytes.
        msg.replace(header.body_start, width, b"%*d" % (width, value))
        return 1

    @function
    def is_maxfwd_lt(self, run: Run, limit: int) -> int:
        """Whether the received Max-Forwards, as counted down, is below `limit`; -2: none, -3: no number."""
        header = run.msg.header(H_MAXFORWARDS)
        if header is None:
            return -2
        value = _value(run.msg, header.body)
        if value < 0:
            return -3
        return 1 if value < limit else -1


def _value(msg: Message, body: bytes) -> int:
    """The value so far; 0 for an empty header, -1 for what is no number."""
    counted = msg.facets.get("maxfwd")
    if isinstance(counted, int):
        return counted
    if body.isdigit() and len(body) <= 10:
        return int(body)
    return -1 if body else 0


MODULE = Maxfwd
