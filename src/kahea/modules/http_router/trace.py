"""W3C Trace Context: the call's place in a distributed trace, passed from SIP to the service and on to the callee."""

from __future__ import annotations

import re
import secrets
from typing import Final, NamedTuple

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
#: The longest tracestate passed on (W3C Trace Context §3.3.1.5 asks for at least this).
MAX_STATE: Final = 512


class Trace(NamedTuple):
    """One span of a trace."""

    trace: str
    span: str
    flags: str
    state: str

    @property
    def parent(self) -> str:
        """The header's value for whom this span calls."""
        return f"00-{self.trace}-{self.span}-{self.flags}"


def continued(parent: str, state: str) -> Trace:
    """A new span, in the trace that came with a request if its header is good, else in one of its own."""
    match = _PARENT.fullmatch(parent.strip())
    good = (
        match is not None
        and match[1] != "ff"
        and not (match[1] == "00" and match[5])
        and match[2] != "0" * 32
        and match[3] != "0" * 16
    )
    span = secrets.token_hex(8)
    if match is None or not good:
        return Trace(secrets.token_hex(16), span, "01", "")
    # Only the sampled flag is known; a later version's others are not passed on (§3.2.2.5).
    flags = f"{int(match[4], 16) & 1:02x}"
    return Trace(match[2], span, flags, state if len(state) <= MAX_STATE and state.isprintable() else "")
