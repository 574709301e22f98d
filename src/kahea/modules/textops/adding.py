"""Adding header fields, as the native language does it; from other languages, module hdr does."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from kahea.routing.literals import header_name
from kahea.routing.module import Module, native
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE
from kahea.routing.text import wire

if TYPE_CHECKING:
    from kahea.routing.run import Run

_REQUESTS = REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE


class Adding(Module):
    """Adds header lines to the message, or to replies to it."""

    @native("str", header_name, least=1)
    def append_hf(self, run: Run, line: str, name: str = "") -> int:
        """Add a header line after the last header, or after the last of a name if there is one; -1 for no line."""
        if not line:
            return -1
        found = run.msg.headers_named(wire(name)) if name else []
        if found:
            run.msg.insert(found[-1].end, wire(line))
        else:
            run.msg.append_header(wire(line))
        return 1

    @native("str", header_name, least=1)
    def insert_hf(self, run: Run, line: str, name: str = "") -> int:
        """Add a header line before the first header, or before the first of a name if there is one; -1 for no line."""
        if not line:
            return -1
        found = run.msg.headers_named(wire(name)) if name else []
        if found:
            run.msg.insert(found[0].start, wire(line))
        else:
            run.msg.prepend_header(wire(line))
        return 1

    @native("str", routes=_REQUESTS)
    def append_to_reply(self, run: Run, line: str) -> int:
        """Add a header line to the replies that the server makes to this request; -1 for no line."""
        if not line:
            return -1
        run.msg.reply_edits.append(wire(line))
        return 1

    @native("text", "text", routes=_REQUESTS)
    def append_urihf(self, run: Run, prefix: str, suffix: str) -> int:
        """Add the Request-URI as it was received after the last header, between two texts."""
        run.msg.append_header(wire(prefix) + run.msg.original_uri + wire(suffix))
        return 1

    def _date(self) -> bytes:
        return b"Date: %b\r\n" % formatdate(self.node.wall(), usegmt=True).encode()

    @native(routes=_REQUESTS)
    def append_time(self, run: Run) -> int:
        """Add Date to the replies that the server makes to this request."""
        run.msg.reply_edits.append(self._date())
        return 1

    @native()
    def append_time_to_request(self, run: Run) -> int:
        """Add Date after the first header."""
        headers = run.msg.headers()
        if not headers:
            return -1
        run.msg.insert(headers[0].end, self._date())
        return 1
