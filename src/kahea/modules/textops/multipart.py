"""Multipart bodies (RFC 2046 §5.1): make one, and add, read, keep or remove a part.

Parts are found as Kamailio does: by a line `Content-Type: type/subtype` without parameters, anywhere in the
body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kahea.modules.textops.bodies import set_content_type
from kahea.modules.textops.content import boundary_of, is_mixed, unhexed
from kahea.routing.literals import output
from kahea.routing.module import Module, function, native
from kahea.routing.pv.errors import PvError
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Message

DEFAULT_BOUNDARY = "unique-boundary-1"


@dataclass(frozen=True, slots=True)
class Delimiter:
    """A line `--boundary`; offsets are those of the message."""

    start: int
    mark_end: int  # past the boundary
    end: int  # past the line end
    closing: bool  # `--boundary--`


@dataclass(frozen=True, slots=True)
class Found:
    """A part, by its Content-Type line."""

    line_start: int
    line_end: int  # past the line end
    before: Delimiter | None  # that opens the part
    after: Delimiter | None  # that ends it


def delimiters(msg: Message, boundary: bytes) -> list[Delimiter]:
    """The delimiters in the body, in order."""
    mark = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[^\n]*\n?", re.MULTILINE)
    width = 2 + len(boundary)
    return [
        Delimiter(m.start(), m.start() + width, m.end(), m[1] is not None)
        for m in mark.finditer(msg.raw, msg.body_start, msg.body_end)
    ]


def find_by_type(msg: Message, boundary: bytes, mime: str) -> Found | None:
    """The first part of a content type."""
    if not mime:
        return None
    line = re.compile(
        rb"^(?:content-type|c)[ \t]*:[ \t]*" + re.escape(wire(mime)) + rb"\r\n", re.IGNORECASE | re.MULTILINE
    )
    match = line.search(msg.raw, msg.body_start, msg.body_end)
    if match is None:
        return None
    marks = delimiters(msg, boundary)
    before = [d for d in marks if d.end <= match.start()]
    after = [d for d in marks if d.start >= match.end()]
    return Found(match.start(), match.end(), before[-1] if before else None, after[0] if after else None)


def tidy(msg: Message, marks: list[Delimiter]) -> None:
    """Leave out what stands before the first delimiter and behind the last one, and close the body."""
    first, last = marks[0], marks[-1]
    if first.start > msg.body_start:
        msg.delete(msg.body_start, first.start - msg.body_start)
    behind = msg.raw[last.end : msg.body_end]
    if not last.closing and behind:
        return
    if behind:
        msg.delete(last.end, len(behind))
    line_end = msg.raw[last.mark_end : last.end]
    mark = msg.raw[last.start : last.mark_end]
    if msg.edited_body().endswith(mark + b"--\r\n"):
        return
    if line_end == b"--":
        msg.insert(last.end, b"\r\n")
    elif line_end == b"\r\n":
        # The dashes stand behind the line end's first byte, so that parts can still be added before them.
        msg.delete(last.mark_end, 1)
        msg.replace(last.mark_end + 1, 1, b"--\r\n")


class Multipart(Module):
    """Bodies of several parts. Parts that were added are seen only after `msg_apply_changes`."""

    @function
    @native("text")
    def filter_body(self, run: Run, mime: str) -> int:
        """Reduce a multipart/mixed body to its first part of a type; Content-Type stays as it is.

        Header lines of the part that follow its Content-Type stay in the body, as in Kamailio.
        """
        msg = run.msg
        boundary = boundary_of(msg)
        if boundary is None or not is_mixed(msg):
            self.node.log.warning("filter_body: the body is not multipart/mixed")
            return -1
        part = find_by_type(msg, boundary, mime)
        if part is None or part.after is None:
            return -1
        start, end = part.line_end, part.after.start
        start += 2 if msg.raw.startswith(b"\r\n", start) else 0
        end = max(start, end - 2 if msg.raw.startswith(b"\r\n", end - 2) else end - 1)
        msg.delete(msg.body_start, start - msg.body_start)
        msg.delete(end, msg.body_end - end)
        return 1

    @function
    @native("str", output, routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def get_body_part(self, run: Run, mime: str, output: str) -> int:
        """Put the first part of a type into a variable: what follows its Content-Type line.

        The blank line belongs to it. A body that is not multipart is given as a whole.
        """
        return self._get(run, "get_body_part", mime, output, raw=False)

    @function
    @native("str", output, routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def get_body_part_raw(self, run: Run, mime: str, output: str) -> int:
        """As `get_body_part`, from the Content-Type line on, and with the delimiter that ends the part."""
        return self._get(run, "get_body_part_raw", mime, output, raw=True)

    def _get(self, run: Run, name: str, mime: str, output: str, *, raw: bool) -> int:
        msg = run.msg
        try:
            variable = self.node.variables.compile(output)
        except PvError as error:
            self.node.log.error("%s: %s", name, error)
            return -1
        if not variable.writable or msg.body_end <= msg.body_start:
            return -1
        boundary = boundary_of(msg)
        if boundary is None:
            return 1 if variable.set(run, text(msg.body)) else -1
        part = find_by_type(msg, boundary, mime)
        if part is None or part.after is None:
            return -1
        content = msg.raw[part.line_start : part.after.end] if raw else msg.raw[part.line_end : part.after.start]
        return 1 if variable.set(run, text(content)) else -1

    @function
    @native("str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def remove_body_part(self, run: Run, mime: str) -> int:
        """Remove the first part of a type."""
        msg = run.msg
        boundary = boundary_of(msg)
        if boundary is None:
            self.node.log.error("remove_body_part: the body is not multipart")
            return -1
        part = find_by_type(msg, boundary, mime)
        if part is None or part.before is None or part.after is None:
            return -1
        msg.delete(part.before.start, part.after.start - part.before.start)
        tidy(msg, delimiters(msg, boundary))
        return 1

    @function
    @native("str", "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def append_body_part(self, run: Run, body: str, mime: str) -> int:
        """Add a part behind the last one; `mime` may go on with header lines (`type\\r\\nName: value`)."""
        return self._append(run, "append_body_part", wire(body), mime, "")

    @function
    @native("str", "str", "str", name="append_body_part", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def append_body_part_cd(self, run: Run, body: str, mime: str, disposition: str) -> int:
        """As `append_body_part`, with a Content-Disposition."""
        return self._append(run, "append_body_part_cd", wire(body), mime, disposition)

    @function
    @native("str", "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def append_body_part_hex(self, run: Run, digits: str, mime: str) -> int:
        """As `append_body_part`, with the content in hexadecimal digits."""
        return self._append(run, "append_body_part_hex", unhexed(digits), mime, "")

    @function
    @native("str", "str", "str", name="append_body_part_hex", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def append_body_part_hex_cd(self, run: Run, digits: str, mime: str, disposition: str) -> int:
        """As `append_body_part_cd`, with the content in hexadecimal digits."""
        return self._append(run, "append_body_part_hex_cd", unhexed(digits), mime, disposition)

    def _append(self, run: Run, name: str, body: bytes | None, mime: str, disposition: str) -> int:
        msg = run.msg
        if not body or not mime:
            self.node.log.error("%s: needs a body and a content type", name)
            return -1
        boundary = boundary_of(msg)
        if boundary is None or msg.body_end <= msg.body_start:
            self.node.log.error("%s: the body is not multipart", name)
            return -1
        head = b"Content-Type: " + wire(mime) + b"\r\n"
        if disposition:
            head += b"Content-Disposition: " + wire(disposition) + b"\r\n"
        part = head + b"\r\n" + body + b"\r\n"
        mark = b"--" + boundary
        marks = delimiters(msg, boundary)
        last = marks[-1] if marks else None
        if last is None or not (last.closing or last.end == msg.body_end):
            # The last part has no end: give it one.
            msg.insert(msg.body_end, mark + b"\r\n" + part + mark + b"--\r\n")
            return 1
        msg.insert(last.mark_end, b"\r\n" + part + mark)
        tidy(msg, marks)
        return 1

    @function
    @native("str", "str", "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def set_body_multipart(self, run: Run, body: str, mime: str, boundary: str) -> int:
        """Make the body multipart/mixed with one part: the text given, or without one the body as it is.

        Where it is multipart already, Content-Type stays as it is, and without a text so does the body. The
        last delimiter is not closed yet: that comes with the next part.
        """
        return self._set_parts(run, body, mime, boundary)

    @function
    @native(name="set_body_multipart", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def set_body_multipart_mode(self, run: Run) -> int:
        """As `set_body_multipart` with the body as it is and the usual boundary."""
        return self._set_parts(run, "", "", "")

    @function
    @native("str", name="set_body_multipart", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def set_body_multipart_boundary(self, run: Run, boundary: str) -> int:
        """As `set_body_multipart` with the body as it is."""
        return self._set_parts(run, "", "", boundary)

    @function
    @native("str", "str", name="set_body_multipart", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def set_body_multipart_content(self, run: Run, body: str, mime: str) -> int:
        """As `set_body_multipart` with the usual boundary."""
        return self._set_parts(run, body, mime, "")

    def _set_parts(self, run: Run, body: str, mime: str, boundary: str) -> int:
        msg = run.msg
        content, kind = wire(body), wire(mime) or b"text/plain"
        multipart = boundary_of(msg) is not None
        if not content:
            if multipart:
                return 1
            content, kind = msg.body, msg.content_type
            if not content or not kind:
                self.node.log.warning("set_body_multipart: there is no body, or its type is not known")
                return -1
        name = wire(boundary or DEFAULT_BOUNDARY)
        mark = b"--" + name
        msg.set_body(mark + b"\r\nContent-Type: " + kind + b"\r\n\r\n" + content + b"\r\n" + mark + b"\r\n")
        if not multipart:
            set_content_type(msg, b'multipart/mixed;boundary="' + name + b'"', b"Mime-Version: 1.0\r\n")
        return 1
