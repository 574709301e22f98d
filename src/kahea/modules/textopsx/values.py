"""One value of a header among several, and parameters of values: `Name[index].param`.

The values of a header are what commas separate, outside of quotes and angle brackets; those of all headers
of a name count through, from 1, and from -1 backwards. The functions that end in 2 take each header for one
value, whose parameters are separated by commas, as in Authorization.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from kahea.routing.headers import headers_named
from kahea.routing.literals import header_name
from kahea.routing.module import Module, function, native
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.text import wire
from kahea.sip.params import is_token

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run
    from kahea.sip.message import Header

T = TypeVar("T")

#: The scheme before the parameters of an Authorization header.
_SCHEME = re.compile(rb"[^\s,=\";]*[ \t]+(?=[^\s=,]+[ \t]*=)")

_TARGET = re.compile(r"(?P<name>[^\[.]+)(?:\[(?P<index>\*|-?[0-9]{1,9})\])?(?:\.(?P<param>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """What a script names: a header, which value of it (None: not said, "*": all), and a parameter or ""."""

    name: str
    index: int | str | None
    param: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """A value of a header, or a parameter of a value; offsets are the message's.

    `start` is past the separator before it, `end` at the separator behind it; `first` and `last` among its
    siblings. White space stays inside.
    """

    start: int
    end: int
    first: bool
    last: bool


def parse_target(text: str) -> Target | None:
    """Read `Name`, `Name[index]`, `Name.param` or `Name[index].param`; None for anything else."""
    found = _TARGET.fullmatch(text.strip())
    if found is None or not is_token(wire(found["name"].strip())):
        return None
    index = found["index"]
    param = wire((found["param"] or "").strip())
    if param and not is_token(param):
        return None
    return Target(found["name"].strip(), index if index in (None, "*") else int(index), param)


def split_spans(raw: bytes, start: int, end: int, separator: bytes) -> list[Span]:
    """Cut raw[start:end] at a separator, minding quotes and angle brackets."""
    cuts = [start - 1]
    quoted = angle = False
    at = start
    while at < end:
        char = raw[at : at + 1]
        if quoted:
            if char == b"\\":
                at += 1
            elif char == b'"':
                quoted = False
        elif char == b'"':
            quoted = True
        elif char == b"<":
            angle = True
        elif char == b">":
            angle = False
        elif char == separator and not angle:
            cuts.append(at)
        at += 1
    cuts.append(end)
    last = len(cuts) - 2
    return [Span(cuts[i] + 1, cuts[i + 1], i == 0, i == last) for i in range(last + 1)]


def values_of(header: Header, raw: bytes) -> list[Span]:
    """The values of a header."""
    return split_spans(raw, header.body_start, header.body_end, b",")


def _params_of(raw: bytes, value: Span) -> list[Span]:
    """The parameters of a value."""
    return split_spans(raw, value.start, value.end, b";")[1:]


def _credentials_of(raw: bytes, header: Header) -> list[Span]:
    """The parameters of a header such as Authorization: past the scheme, separated by commas."""
    scheme = _SCHEME.match(raw, header.body_start, header.body_end)
    start = scheme.end() if scheme is not None else header.body_start
    return split_spans(raw, start, header.body_end, b",") if header.body_end > start else []


def find_param(raw: bytes, params: list[Span], name: bytes) -> Span | None:
    """The parameter of that name, in any case."""
    wanted = name.lower()
    for param in params:
        if raw[param.start : param.end].partition(b"=")[0].strip().lower() == wanted:
            return param
    return None


def any_target(node: Node, text: str) -> str:
    """`Name[index].param`. Raises ValueError."""
    if parse_target(text) is None:
        raise ValueError(f"{text!r} is not `Name[index].param`")
    return text


def one_target(node: Node, text: str) -> str:
    """`Name[index]`. Raises ValueError."""
    target = parse_target(text)
    if target is None or target.param or target.index == "*":
        raise ValueError(f"{text!r} is not `Name[index]`")
    return text


class Values(Module):
    """Header values and their parameters."""

    def _target(self, name: str, text: str) -> Target | None:
        target = parse_target(text)
        if target is None:
            self.node.log.error("%s: %r is not `Name[index].param`", name, text)
        return target

    @function
    @native(one_target, "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def append_hf_value(self, run: Run, target: str, value: str) -> int:
        """Add a value behind the one at an index; without an index or such a value, a header at the end."""
        return self._add(run, "append_hf_value", target, wire(value), behind=True)

    @function
    @native(one_target, "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def insert_hf_value(self, run: Run, target: str, value: str) -> int:
        """Add a value before the one at an index; without an index a header before the first of the name.

        -1 where there is no such value, but a header at the end if there are none at all and the index is 1.
        """
        return self._add(run, "insert_hf_value", target, wire(value), behind=False)

    def _add(self, run: Run, name: str, text: str, value: bytes, *, behind: bool) -> int:
        target = self._target(name, text)
        if target is None or target.param or target.index == "*":
            self.node.log.error("%s: takes one index, and no parameter", name)
            return -1
        found = headers_named(run, target.name) or []
        line = wire(target.name) + b": " + value + b"\r\n"
        if target.index is None:
            if behind or not found:
                run.msg.append_header(line)
            else:
                run.msg.insert(found[0].start, line)
            return 1
        assert isinstance(target.index, int)
        spans = [span for header in found for span in values_of(header, run.msg.raw)]
        span = _at(spans, target.index if behind else target.index or 1)
        if span is not None:
            run.msg.insert(span.end if behind else span.start, b"," + value if behind else value + b",")
        elif behind or (not found and target.index == 1):
            run.msg.append_header(line)
        else:
            return -1
        return 1

    @function
    @native(any_target, routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def remove_hf_value(self, run: Run, target: str) -> int:
        """Remove a value, the first without an index, all for `*`, or a parameter; -1 if there is none."""
        return self._change(run, "remove_hf_value", target, None, _listed)

    @native(any_target, name="remove_hf_value2", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def remove_whole_value(self, run: Run, target: str) -> int:
        """As `remove_hf_value`, for headers like Authorization."""
        return self._change(run, "remove_hf_value2", target, None, _whole)

    @function
    def remove_hf_value2(self, run: Run, target: str, unused: str) -> int:
        """As `remove_hf_value`, for headers like Authorization. `unused` means nothing."""
        return self._change(run, "remove_hf_value2", target, None, _whole)

    @function
    @native(any_target, "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def assign_hf_value(self, run: Run, target: str, value: str) -> int:
        """Set a value, or a parameter, which is added if it is not there and removed for an empty text.

        -1 if there is no such value; `*` goes with a parameter only.
        """
        return self._assign(run, "assign_hf_value", target, value, _listed)

    @function
    @native(any_target, "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def assign_hf_value2(self, run: Run, target: str, value: str) -> int:
        """As `assign_hf_value`, for headers like Authorization."""
        return self._assign(run, "assign_hf_value2", target, value, _whole)

    def _assign(self, run: Run, name: str, text: str, value: str, kind: _Kind) -> int:
        target = self._target(name, text)
        if target is not None and target.index == "*" and not target.param:
            self.node.log.error("%s: `*` goes with a parameter only", name)
            return -1
        return self._change(run, name, text, wire(value), kind)

    def _change(self, run: Run, name: str, text: str, value: bytes | None, kind: _Kind) -> int:
        """Remove (`value` None) or set what `text` names."""
        target = self._target(name, text)
        if target is None:
            return -1
        if value is None and target.index == "*" and not target.param:
            # All values of a header are the header.
            kind = _whole
        result = -1
        for value_or_header in _chosen(list(kind(run, target.name)), target.index):
            if value_or_header.change(run, target.param, value):
                result = 1
        return result

    @function
    @native(header_name, "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def include_hf_value(self, run: Run, name: str, value: str) -> int:
        """Add a value to the first header of a name unless some header has it, in any case; 1."""
        found = headers_named(run, name)
        data = wire(value)
        if found is None or not data:
            return -1
        raw = run.msg.raw
        if not found:
            run.msg.append_header(wire(name) + b": " + data + b"\r\n")
        elif not any(_same(raw, span, data) for header in found for span in values_of(header, raw)):
            run.msg.insert(found[0].body_end, b"," + data)
        return 1

    @function
    @native(header_name, "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def exclude_hf_value(self, run: Run, name: str, value: str) -> int:
        """Remove a value, in any case, from all headers of a name; 1 whether there was one or not."""
        found = headers_named(run, name)
        data = wire(value)
        if found is None or not data:
            return -1
        for header in found:
            for span in values_of(header, run.msg.raw):
                if _same(run.msg.raw, span, data):
                    _remove_value(run, header, span)
        return 1

    @function
    @native(header_name, "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def hf_value_exists(self, run: Run, name: str, value: str) -> int:
        """Whether a header of a name has a value, in any case."""
        data = wire(value)
        found = headers_named(run, name)
        if not found or not data:
            return -1
        raw = run.msg.raw
        return 1 if any(_same(raw, span, data) for header in found for span in values_of(header, raw)) else -1


def _same(raw: bytes, span: Span, value: bytes) -> bool:
    return raw[span.start : span.end].strip().lower() == value.lower()


def _remove_value(run: Run, header: Header, span: Span) -> None:
    """Remove a value with the comma behind it, the last with the one before it, the only one as a header."""
    if span.first and span.last:
        run.msg.remove_header(header)
    elif span.last:
        run.msg.delete(span.start - 1, span.end - span.start + 1)
    else:
        run.msg.delete(span.start, span.end - span.start + 1)


def _set_param(run: Run, param: Span, value: bytes) -> None:
    """Set what follows the `=` of a parameter, which is added to a bare one."""
    raw = run.msg.raw
    text = raw[param.start : param.end]
    name, _, _ = text.partition(b"=")
    start = param.start + len(name.rstrip())
    run.msg.replace(start, param.start + len(text.rstrip()) - start, b"=" + value)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value of a header that holds several."""

    header: Header
    span: Span

    def change(self, run: Run, param: bytes, value: bytes | None) -> bool:
        """Set or remove it, or a parameter of it; False if there is no such parameter to remove."""
        raw = run.msg.raw
        if not param:
            if value is None:
                _remove_value(run, self.header, self.span)
            else:
                inner = raw[self.span.start : self.span.end]
                start = self.span.start + len(inner) - len(inner.lstrip())
                run.msg.replace(start, len(inner.strip()), value)
            return True
        found = find_param(raw, _params_of(raw, self.span), param)
        if found is not None and value:
            _set_param(run, found, value)
        elif found is not None:
            text = raw[found.start : found.end]
            run.msg.delete(found.start - 1, len(text.rstrip()) + 1)
        elif value:
            run.msg.insert(self.span.end, b";" + param + b"=" + value)
        else:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Whole:
    """A header that is one value."""

    header: Header

    def change(self, run: Run, param: bytes, value: bytes | None) -> bool:
        """As `_Value.change`, with parameters separated by commas."""
        header = self.header
        if not param:
            if value is None:
                run.msg.remove_header(header)
            else:
                run.msg.replace(header.body_start, header.body_end - header.body_start, value)
            return True
        raw = run.msg.raw
        params = _credentials_of(raw, header)
        found = find_param(raw, params, param)
        if found is not None and value:
            _set_param(run, found, value)
        elif found is not None and found.last:
            start = found.start if found.first else found.start - 1
            run.msg.delete(start, found.end - start)
        elif found is not None:
            run.msg.delete(found.start, found.end - found.start + 1)
        elif value:
            run.msg.insert(header.body_end, (b"," if params else b"") + param + b"=" + value)
        else:
            return False
        return True


_Kind = Callable[["Run", str], Iterator["_Value | _Whole"]]


def _listed(run: Run, name: str) -> Iterator[_Value | _Whole]:
    for header in headers_named(run, name) or ():
        for span in values_of(header, run.msg.raw):
            yield _Value(header, span)


def _whole(run: Run, name: str) -> Iterator[_Value | _Whole]:
    for header in headers_named(run, name) or ():
        yield _Whole(header)


def _chosen(found: list[_Value | _Whole], index: int | str | None) -> list[_Value | _Whole]:
    """Those at an index: all for `*`, the first for None and for 0."""
    if index == "*":
        return found
    one = _at(found, int(index or 1))
    return [] if one is None else [one]


def _at(found: list[T], index: int) -> T | None:
    """The item at an index that counts from 1, or from -1 backwards; 0 is the last one."""
    place = index - 1 if index > 0 else index + len(found) if index < 0 else len(found) - 1
    return found[place] if 0 <= place < len(found) else None
