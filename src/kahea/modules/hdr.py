"""KSR.hdr: the header functions of Kamailio's core, there without loading a module.

Edits show in what is sent, not in what these functions read. Header names match in any case, and in their
compact form as well as in the long one. Text to add is taken as it is: it carries its own CRLF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kahea.routing.common import remove_named
from kahea.routing.headers import headers_named
from kahea.routing.module import Module, Value, function
from kahea.routing.pv.values import NULL_TEXT
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kahea.routing.run import Run

#: How `match_content` compares a header's body with its value, both as bytes.
_OPERATORS: dict[str, Callable[[bytes, bytes], bool]] = {
    "eq": lambda body, value: body.lower() == value.lower(),
    "ne": lambda body, value: body.lower() != value.lower(),
    "sw": lambda body, value: body.lower().startswith(value.lower()),
    "in": lambda body, value: value.lower() in body.lower(),
}


class Hdr(Module):
    """Header fields: add, remove, read, compare."""

    name = "hdr"

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Nearly every script removes the Routes that loose_route() left."""
        return {**super().compiled(), "remove": remove_named}

    @function
    def append(self, run: Run, line: str) -> int:
        """Add a header line after the last header."""
        run.msg.append_header(wire(line))
        return 1

    @function
    def append_hf(self, run: Run, line: str) -> int:
        """The old name of `append`."""
        return self.append(run, line)

    @function
    def insert(self, run: Run, line: str) -> int:
        """Add a header line before the first header."""
        run.msg.prepend_header(wire(line))
        return 1

    @function
    def append_after(self, run: Run, line: str, name: str) -> int:
        """Add a header line after the first header of a name, else at the end; -1 for a bad name."""
        found = headers_named(run, name)
        if found is None:
            return -1
        if found:
            run.msg.insert(found[0].end, wire(line))
        else:
            run.msg.append_header(wire(line))
        return 1

    @function
    def insert_before(self, run: Run, line: str, name: str) -> int:
        """Add a header line before the first header of a name, else at the top; -1 for a bad name."""
        found = headers_named(run, name)
        if found is None:
            return -1
        if found:
            run.msg.insert(found[0].start, wire(line))
        else:
            run.msg.prepend_header(wire(line))
        return 1

    @function
    def append_to_reply(self, run: Run, line: str) -> int:
        """Add a header line to the replies that the server makes to this request."""
        run.msg.reply_edits.append(wire(line))
        return 1

    @function
    def remove(self, run: Run, name: str) -> int:
        """Remove all headers of a name; 1 also if there are none, -1 for a bad name."""
        return remove_named(run, name)

    @function
    def rmappend(self, run: Run, name: str, line: str) -> int:
        """Remove all headers of a name, and add a line after the last header."""
        result = remove_named(run, name)
        return self.append(run, line) if result > 0 else result

    @function
    def rminsert(self, run: Run, name: str, line: str) -> int:
        """Remove all headers of a name, and add a line before the first header."""
        result = remove_named(run, name)
        return self.insert(run, line) if result > 0 else result

    @function
    def is_present(self, run: Run, name: str) -> int:
        """Whether there is a header of that name."""
        return 1 if headers_named(run, name) else -1

    @function
    def get(self, run: Run, name: str) -> Value:
        """The body of the first header of a name, or null."""
        return self._body(run, name, 0)

    @function
    def get_idx(self, run: Run, name: str, index: int) -> Value:
        """The body of the header of a name at an index, or null; -1 is the last one."""
        return self._body(run, name, index)

    @function
    def gete(self, run: Run, name: str) -> Value:
        """As `get`, with an empty text in place of null."""
        return self._body(run, name, 0) or ""

    @function
    def gete_idx(self, run: Run, name: str, index: int) -> Value:
        """As `get_idx`, with an empty text in place of null."""
        return self._body(run, name, index) or ""

    @function
    def getw(self, run: Run, name: str) -> Value:
        """As `get`, with the text `<null>` in place of null."""
        return self.getw_idx(run, name, 0)

    @function
    def getw_idx(self, run: Run, name: str, index: int) -> Value:
        """As `get_idx`, with the text `<null>` in place of null."""
        body = self._body(run, name, index)
        return NULL_TEXT if body is None else body

    def _body(self, run: Run, name: str, index: int) -> str | None:
        found = headers_named(run, name)
        if not found or not -len(found) <= index < len(found):
            return None
        return text(found[index].body)

    @function
    def match_content(self, run: Run, name: str, op: str, value: str, mode: str) -> bool:
        """Compare the bodies of the headers of a name with a value.

        `op`: `eq` equal, `ne` not equal, `sw` begins with, `in` contains, all in any case. `mode`: `f` the
        first header, `l` the last, `a` all of them, `o` at least one. False where there is no such header.
        Kamailio knows `re` as well, but has not built it.
        """
        found = headers_named(run, name)
        compare = _OPERATORS.get(op)
        if compare is None:
            self.node.log.error("match_content: there is no operator %r", op)
            return False
        if not found:
            return False
        matched = [compare(header.body, wire(value)) for header in found]
        outcome = {"f": matched[0], "l": matched[-1], "a": all(matched), "o": any(matched)}.get(mode[:1])
        if outcome is None:
            self.node.log.error("match_content: there is no mode %r", mode)
            return False
        return outcome


MODULE = Hdr
