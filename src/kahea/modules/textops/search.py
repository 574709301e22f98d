"""Search and replace in the message as received: its lines, its headers, its body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.headers import headers_named, headers_start
from kahea.routing.literals import header_name
from kahea.routing.module import Module, function, native
from kahea.routing.regex import RegexError, compile_posix
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.linear import Pattern
    from kahea.routing.run import Run
    from kahea.sip.message import Header

FOUND, MISSED = 1, -1


class Region:
    """A part of the message as text, with the way back from its characters to the offsets of the message."""

    __slots__ = ("_plain", "start", "text")

    def __init__(self, raw: bytes, start: int, end: int) -> None:
        data = raw[start:end]
        self.start = start
        self.text = text(data)
        self._plain = len(self.text) == len(data)

    def offset(self, index: int) -> int:
        """The message's offset of the character at an index."""
        return self.start + (index if self._plain else len(wire(self.text[:index])))


def whole(run: Run) -> Region:
    """The message without its first line: what functions may change."""
    raw = run.msg.raw
    return Region(raw, headers_start(raw), run.msg.body_end)


def headers_of(run: Run) -> Region:
    """The header fields."""
    return Region(run.msg.raw, headers_start(run.msg.raw), run.msg.headers_end)


def body_of(run: Run) -> Region | None:
    """The body; None for an empty one."""
    msg = run.msg
    return Region(msg.raw, msg.body_start, msg.body_end) if msg.body_end > msg.body_start else None


def line_pattern(run: Run, name: str, pattern: str, *, newline: bool = True) -> Pattern | None:
    """Compile as the search functions do: any case, `^` and `$` at each line. None, logged, if it is bad."""
    try:
        return compile_posix(pattern, ignore_case=True, newline=newline)
    except RegexError as error:
        run.node.log.error("%s: bad regular expression %r: %s", name, pattern, error)
        return None


def chosen(headers: list[Header], flags: str) -> list[Header]:
    """The headers that `flags` asks for: `f` the first, `l` the last, anything else all."""
    which = flags[:1].lower()
    return headers[:1] if which == "f" else headers[-1:] if which == "l" else headers


class Search(Module):
    """Regular expressions over the message. They match in any case, and not across the ends of lines."""

    @function
    @native("regex")
    def search(self, run: Run, pattern: str) -> int:
        """Whether the expression matches anywhere in the message, the first line included."""
        regex = line_pattern(run, "search", pattern)
        region = Region(run.msg.raw, 0, run.msg.body_end)
        return FOUND if regex is not None and regex.search(region.text) else MISSED

    @function
    @native("regex")
    def search_body(self, run: Run, pattern: str) -> int:
        """Whether the expression matches in the body."""
        region = body_of(run)
        regex = line_pattern(run, "search_body", pattern)
        return FOUND if region is not None and regex is not None and regex.search(region.text) else MISSED

    @function
    @native("str", "str")
    def search_str(self, run: Run, subject: str, pattern: str) -> int:
        """Whether the expression matches in a text; 2 for no expression, -2 for a bad one or no text."""
        if not pattern:
            return 2
        if not subject:
            return -2
        regex = line_pattern(run, "search_str", pattern)
        if regex is None:
            return -2
        return FOUND if regex.search(subject) else MISSED

    @function
    @native(header_name, "regex", "text")
    def search_hf(self, run: Run, name: str, pattern: str, flags: str) -> int:
        """Whether the expression matches a header's body; `flags`: `f` the first, `l` the last, `a` any."""
        if not pattern:
            return MISSED
        found = headers_named(run, name)
        regex = line_pattern(run, "search_hf", pattern)
        if not found or regex is None:
            return MISSED
        return FOUND if any(regex.search(text(h.body)) for h in chosen(found, flags)) else MISSED

    @function
    @native("regex", "text")
    def search_append(self, run: Run, pattern: str, addition: str) -> int:
        """Add text after the expression's first match; the first line is left out."""
        return _first(run, "search_append", whole(run), pattern, addition, keep=True)

    @function
    @native("regex", "text")
    def search_append_body(self, run: Run, pattern: str, addition: str) -> int:
        """Add text after the expression's first match in the body."""
        return _first(run, "search_append_body", body_of(run), pattern, addition, keep=True)

    @function
    @native("regex", "text")
    def replace(self, run: Run, pattern: str, replacement: str) -> int:
        """Replace the expression's first match; the first line is left out."""
        return _first(run, "replace", whole(run), pattern, replacement)

    @function
    @native("regex", "text")
    def replace_body(self, run: Run, pattern: str, replacement: str) -> int:
        """Replace the expression's first match in the body."""
        return _first(run, "replace_body", body_of(run), pattern, replacement)

    @function
    @native("regex", "text")
    def replace_hdrs(self, run: Run, pattern: str, replacement: str) -> int:
        """Replace the expression's first match in the headers."""
        return _first(run, "replace_hdrs", headers_of(run), pattern, replacement)

    @function
    @native("regex", "text")
    def replace_all(self, run: Run, pattern: str, replacement: str) -> int:
        """Replace every match of the expression; the first line is left out."""
        return _every(run, "replace_all", whole(run), pattern, replacement)

    @function
    @native("regex", "text")
    def replace_body_all(self, run: Run, pattern: str, replacement: str) -> int:
        """Replace every match of the expression in the body."""
        return _every(run, "replace_body_all", body_of(run), pattern, replacement)

    @function
    def replace_body_atonce(self, run: Run, pattern: str, replacement: str) -> int:
        """As `replace_body_all`. From KEMI, Kamailio matches by line here too, whatever the name says."""
        return _every(run, "replace_body_atonce", body_of(run), pattern, replacement)

    @native("regex", "text", name="replace_body_atonce")
    def replace_body_at_once(self, run: Run, pattern: str, replacement: str) -> int:
        """Replace every match of the expression in the body, taken as one line."""
        return _every(run, "replace_body_atonce", body_of(run), pattern, replacement, newline=False)

    @function
    @native("str", "str", "str")
    def replace_str(self, run: Run, match: str, replacement: str, mode: str) -> int:
        """Replace a text in headers and body: the first with mode `f`, else all; 1 also if there is none."""
        msg = run.msg
        _replace_text(run, headers_start(msg.raw), msg.body_end, msg.body_end, match, replacement, mode)
        return FOUND

    @function
    @native("str", "str", "str")
    def replace_body_str(self, run: Run, match: str, replacement: str, mode: str) -> int:
        """Replace a text in the body, as `replace_str`; -1 without a body."""
        msg = run.msg
        if msg.body_end <= msg.body_start:
            return MISSED
        _replace_text(run, msg.body_start, msg.body_end, msg.body_end, match, replacement, mode)
        return FOUND

    @function
    @native("str", "str", "str")
    def replace_hdrs_str(self, run: Run, match: str, replacement: str, mode: str) -> int:
        """Replace a text in the headers, as `replace_str`.

        As in Kamailio, where all are replaced and the headers have one, those of the body are replaced, too.
        """
        msg = run.msg
        _replace_text(run, headers_start(msg.raw), msg.headers_end, msg.body_end, match, replacement, mode)
        return FOUND


def _first(run: Run, name: str, region: Region | None, pattern: str, replacement: str, *, keep: bool = False) -> int:
    """Replace the first match, or with `keep` add after it."""
    regex = line_pattern(run, name, pattern)
    match = regex.search(region.text) if regex is not None and region is not None else None
    if region is None or match is None:
        return MISSED
    end = region.offset(match.end())
    start = end if keep else region.offset(match.start())
    run.msg.replace(start, end - start, wire(replacement))
    return FOUND


def _every(run: Run, name: str, region: Region | None, pattern: str, replacement: str, *, newline: bool = True) -> int:
    """Replace every match. One of no length is an error; what was replaced before it stays so."""
    regex = line_pattern(run, name, pattern, newline=newline)
    if regex is None or region is None:
        return MISSED
    result = MISSED
    for match in regex.finditer(region.text):
        if match.start() == match.end():
            run.node.log.error("%s: %r matches the empty text", name, pattern)
            return MISSED
        start = region.offset(match.start())
        run.msg.replace(start, region.offset(match.end()) - start, wire(replacement))
        result = FOUND
    return result


def _replace_text(run: Run, start: int, first_end: int, end: int, match: str, replacement: str, mode: str) -> None:
    """Replace a text from `start` on: the first one must end before `first_end`, all others before `end`."""
    wanted, data = wire(match), wire(replacement)
    if not wanted:
        return
    at = run.msg.raw.find(wanted, start, first_end)
    while at >= 0:
        run.msg.replace(at, len(wanted), data)
        if mode == "f":
            return
        at = run.msg.raw.find(wanted, at + len(wanted), end)
