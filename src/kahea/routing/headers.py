"""Header fields by the names that scripts give: what modules hdr, textops and textopsx share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.text import wire
from kahea.sip.params import is_token

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Header


def headers_named(run: Run, name: str) -> list[Header] | None:
    """The header fields of that name, long or compact and in any case, in order.

    None, and a line in the log, for what can be no header name.
    """
    raw = wire(name)
    if not is_token(raw.replace(b" ", b"")):
        run.node.log.error("%r is no header name", name)
        return None
    return run.msg.headers_named(raw)


def remove_named(run: Run, name: str) -> int:
    """Remove every header of that name; 1 whether there were some or not, -1 for a bad name."""
    found = headers_named(run, name)
    if found is None:
        return -1
    for header in found:
        run.msg.remove_header(header)
    return 1


def headers_start(raw: bytes) -> int:
    """The offset of the first header field: past the first line."""
    return raw.find(b"\n") + 1


def whole_lines(headers: str) -> bytes:
    """Header lines as they go into a message: each ended by CRLF, and none empty, which would end the headers."""
    return b"".join(wire(line) + b"\r\n" for line in headers.replace("\r\n", "\n").split("\n") if line.strip())
