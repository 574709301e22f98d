"""append_branch(), the extended flags, and small questions about the message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kahea.routing.module import Module, function, native
from kahea.routing.run import FAILURE_ROUTE, REQUEST_ROUTE
from kahea.routing.text import wire
from kahea.sip.message import H_USERAGENT, Target
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Message

MAX_XFLAG = 63
_Q = re.compile(r"\s*0*([01])?(?:\.(\d{1,3})\d*)?\s*")


def parse_q(text: str) -> int | None:
    """A q value (RFC 3261 §20.10) in thousandths, or None if it is none."""
    found = _Q.fullmatch(text)
    if found is None or not any(c.isdigit() for c in text):
        return None
    value = int(found[1] or 0) * 1000 + int((found[2] or "0").ljust(3, "0"))
    return value if value <= 1000 else None


class Branches(Module):
    """Branches and flags."""

    @function
    def append_branch(self, run: Run) -> int:
        """Add the current target as one more branch; `$du`, path, flags and socket start anew."""
        return self._append(run.msg, b"", -1)

    @function
    def append_branch_uri(self, run: Run, uri: str) -> int:
        """Add a branch to `uri` with the current `$du`, path, flags and socket."""
        return self._append(run.msg, wire(uri), -1)

    @function
    def append_branch_uri_q(self, run: Run, uri: str, q: str) -> int:
        """As append_branch_uri(), with a q value ("0.5"); -1 if it is none."""
        value = parse_q(q) if q else -1
        if value is None:
            self.node.log.error("append_branch_uri_q: %r is no q value", q)
            return -1
        return self._append(run.msg, wire(uri), value)

    @native("str", "str", name="append_branch", least=0, routes=REQUEST_ROUTE | FAILURE_ROUTE)
    def append_branch_native(self, run: Run, uri: str = "", q: str = "") -> int:
        """As append_branch_uri_q(), both optional."""
        return self.append_branch_uri_q(run, uri, q)

    def _append(self, msg: Message, uri: bytes, q: int) -> int:
        if len(msg.branches) >= self.node.settings.max_branches - 1:
            self.node.log.error("append_branch: there are %d branches already", len(msg.branches) + 1)
            return -1
        branch = Target(
            uri or msg.uri,
            dst_uri=msg.dst_uri,
            path=msg.path,
            q=q,
            flags=msg.bflags,
            sock=msg.send_sock,
            ruid=msg.ruid,
            instance=msg.instance,
            location_ua=msg.location_ua,
            reg_id=msg.reg_id,
        )
        msg.branches.append(branch)
        if not uri:
            msg.dst_uri = msg.path = msg.send_sock = None
            msg.bflags = msg.reg_id = 0
            msg.ruid = msg.instance = msg.location_ua = b""
        return 1

    @native("int")
    @function
    def setxflag(self, run: Run, flag: int) -> int:
        """Set an extended transaction flag, 0..63."""
        if not 0 <= flag <= MAX_XFLAG:
            return -1
        if run.msg.xflags is None:
            run.msg.xflags = [0, 0]
        run.msg.xflags[flag >> 5] |= 1 << (flag & 31)
        return 1

    @native("int")
    @function
    def resetxflag(self, run: Run, flag: int) -> int:
        """Clear an extended transaction flag, 0..63."""
        if not 0 <= flag <= MAX_XFLAG:
            return -1
        if run.msg.xflags is not None:
            run.msg.xflags[flag >> 5] &= ~(1 << (flag & 31))
        return 1

    @native("int")
    @function
    def isxflagset(self, run: Run, flag: int) -> int:
        """Whether an extended transaction flag is set."""
        flags = run.msg.xflags
        if flags is None or not 0 <= flag <= MAX_XFLAG:
            return -1
        return 1 if flags[flag >> 5] >> (flag & 31) & 1 else -1

    @function
    def has_ruri_user(self, run: Run) -> int:
        """Whether the Request-URI has a user (or is a tel number)."""
        return 1 if run.msg.is_request and parse_uri(run.msg.uri).user else -1

    @function
    def has_user_agent(self, run: Run) -> int:
        """Whether there is a User-Agent that says something."""
        header = run.msg.header(H_USERAGENT)
        return 1 if header is not None and header.body else -1

    @native()
    @function
    def is_faked_msg(self, run: Run) -> int:
        """Whether this is the made-up message of an event route, not one from the network."""
        return 1 if run.msg.faked and run.msg.listener is None else -1
