"""Header fields by name, by expression, by index and by content; and the Privacy header."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kahea.routing.common import remove_named, remove_present
from kahea.routing.headers import headers_named
from kahea.routing.literals import header_name
from kahea.routing.module import Module, function, native
from kahea.routing.regex import RegexError, compile_posix
from kahea.routing.text import text, wire
from kahea.sip.message import H_PRIVACY

if TYPE_CHECKING:
    from kahea.routing.linear import Pattern
    from kahea.routing.node import Node
    from kahea.routing.run import Run

#: The privacy values of RFC 3323 §4.2, RFC 3325 §9.3 and RFC 4244 §3.3.1.
_PRIVACY = frozenset({"user", "header", "session", "none", "critical", "id", "history"})


def privacy_value(node: Node, text: str) -> str:
    """A value of the Privacy header. Raises ValueError."""
    if text.lower() not in _PRIVACY:
        raise ValueError(f"{text!r} is no privacy value: {', '.join(sorted(_PRIVACY))}")
    return text


class Headers(Module):
    """Tests and removes header fields. What is removed is still there for the tests, until it is sent."""

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Nearly every script removes the Routes that loose_route() left."""
        return {**super().compiled(), "remove_hf": remove_named, "remove_hf_native": remove_present}

    def _pattern(self, name: str, pattern: str) -> Pattern | None:
        try:
            return compile_posix(pattern, ignore_case=True)
        except RegexError as error:
            self.node.log.error("%s: bad regular expression %r: %s", name, pattern, error)
            return None

    @function
    @native(header_name)
    @native("str", name="is_present_hf_pv")
    def is_present_hf(self, run: Run, name: str) -> int:
        """Whether there is a header of that name, long or compact."""
        return 1 if headers_named(run, name) else -1

    @function
    @native("regex")
    @native("str", name="is_present_hf_re_pv")
    def is_present_hf_re(self, run: Run, pattern: str) -> int:
        """Whether the expression matches a header's name as it stands in the message."""
        regex = self._pattern("is_present_hf_re", pattern)
        if regex is None:
            return -1
        return 1 if any(regex.search(text(h.name)) for h in run.msg.headers()) else -1

    @native(header_name, name="remove_hf")
    @native("str", name="remove_hf_pv")
    def remove_hf_native(self, run: Run, name: str) -> int:
        """Remove all headers of a name; -1 if there are none."""
        return remove_present(run, name)

    @function
    def remove_hf(self, run: Run, name: str) -> int:
        """Remove all headers of a name; 1 also if there are none, -1 for a bad name."""
        return remove_named(run, name)

    @function
    @native("regex")
    @native("str", name="remove_hf_re_pv")
    def remove_hf_re(self, run: Run, pattern: str) -> int:
        """Remove the headers whose names the expression matches; -1 if there are none."""
        return self._remove_matching(run, "remove_hf_re", pattern, None)

    @function
    @native("regex", "regex")
    @native("str", "str", name="remove_hf_exp_pv")
    def remove_hf_exp(self, run: Run, pattern: str, keep: str) -> int:
        """Remove the headers whose names match the first expression and not the second; -1 if none do."""
        return self._remove_matching(run, "remove_hf_exp", pattern, keep)

    def _remove_matching(self, run: Run, name: str, pattern: str, keep: str | None) -> int:
        regex = self._pattern(name, pattern)
        kept = self._pattern(name, keep) if keep is not None else None
        if regex is None or (keep is not None and kept is None):
            return -1
        result = -1
        for header in run.msg.headers():
            own = text(header.name)
            if regex.search(own) and not (kept is not None and kept.search(own)):
                run.msg.remove_header(header)
                result = 1
        return result

    @function
    @native("str", "int")
    def remove_hf_idx(self, run: Run, name: str, index: int) -> int:
        """Remove the header of a name at an index, -1 being the last one.

        Where there is none, 2 for an index that is not negative and 1 for one that is; -1 for a bad name.
        """
        found = headers_named(run, name)
        if found is None:
            return -1
        if -len(found) <= index < len(found):
            run.msg.remove_header(found[index])
            return 1
        return 2 if index >= 0 else 1

    @function
    @native("str", "str", "str")
    def remove_hf_match(self, run: Run, name: str, op: str, value: str) -> int:
        """Remove the headers of a name by their body.

        `op`: `eq` equal, `ne` not equal, `in` contains, `re` matches as a regular expression. -2 if none is
        removed, -1 for a bad name, operator or expression.
        """
        found = headers_named(run, name)
        regex = self._pattern("remove_hf_match", value) if op == "re" else None
        if op not in ("eq", "ne", "in", "re"):
            self.node.log.error("remove_hf_match: there is no operator %r", op)
            return -1
        if found is None or (op == "re" and regex is None):
            return -1
        result = -2
        for header in found:
            if _matches(header.body, op, wire(value), regex):
                run.msg.remove_header(header)
                result = 1
        return result

    @function
    @native(privacy_value)
    def is_privacy(self, run: Run, value: str) -> int:
        """Whether the first Privacy header (RFC 3323 §4.2) has the value.

        -1 also where the header has anything that is no privacy value.
        """
        wanted = value.lower()
        if wanted not in _PRIVACY:
            self.node.log.error("is_privacy: %r is no privacy value", value)
            return -1
        header = run.msg.header(H_PRIVACY)
        if header is None:
            return -1
        values = [v.strip().lower() for v in text(header.body).split(";")]
        return 1 if wanted in values and _PRIVACY.issuperset(values) else -1


def _matches(body: bytes, op: str, value: bytes, regex: Pattern | None) -> bool:
    if regex is not None:
        return regex.search(text(body)) is not None
    if op == "in":
        return bool(value) and value in body
    return (body == value) == (op == "eq")
