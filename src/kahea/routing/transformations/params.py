"""Parameter lists, `a=1;b="x";c`, as Kamailio's parser reads them (RFC 3261 §25.1 generic-param, more or
less).

Also `{param....}`, which reads one, and `{line....}`.
"""

from __future__ import annotations

from collections.abc import Callable

from kahea.routing.module import Value
from kahea.routing.pv.chain import Transformation

Params = list[tuple[str, str]]

_SPACES = " \t\r\n"
MAX_PARAMS = 1024


def parse_params(text: str, separator: str = ";") -> Params | None:
    """Names and values, "" for a bare name; None where the list is malformed.

    A comma ends the list. White space may stand around `=` and the separator, but not first.
    """
    found: Params = []
    at, size = 0, len(text)
    if not text or text[0] in _SPACES:
        return None
    while len(found) < MAX_PARAMS:
        start = at
        while at < size and text[at] not in _SPACES and text[at] not in (separator, "=", ","):
            at += 1
        name, value = text[start:at], ""
        at = _skip(text, at)
        if at < size and text[at] == "=":
            got = _value(text, _skip(text, at + 1), separator)
            if got is None:
                return None
            value, at = got
            at = _skip(text, at)
        found.append((name, value))
        if at >= size or text[at] == ",":
            return found
        if text[at] != separator:
            return None
        after = _skip(text, at + 1)
        if after >= size:
            return found if after == at + 1 else None
        at = after
    return None


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACES:
        at += 1
    return at


def _value(text: str, at: int, separator: str) -> tuple[str, int] | None:
    if at >= len(text):
        return "", at
    quote = text[at]
    if quote in "\"'":
        end = text.find(quote, at + 1)
        return None if end < 0 else (text[at + 1 : end], end + 1)
    end = at
    while end < len(text) and text[end] not in _SPACES and text[end] not in (separator, ","):
        end += 1
    return None if end == at else (text[at:end], end)


def _find(params: Params, name: str) -> str | None:
    """The value of a name: as written first, the last of equal names, as Kamailio's list stands."""
    low = name.lower()
    for key, value in reversed(params):
        if key.lower() == low:
            return value
    return None


def _param(apply: Callable[..., Value]) -> Callable[..., Value]:
    """Parse, with the separator that may follow the other arguments."""
    wanted = apply.__code__.co_argcount - 1

    def run(text: str, *args: Value) -> Value:
        separator = str(args[wanted]) if len(args) > wanted else ";"
        params = parse_params(text, separator)
        return None if params is None else apply(params, *args[:wanted])

    return run


def _value_of(params: Params, name: str) -> Value:
    return _find(params, name) or ""


def _is_in(params: Params, name: str) -> Value:
    return int(_find(params, name) is not None)


def _value_at(params: Params, index: int) -> Value:
    return params[index][1] if -len(params) <= index < len(params) else ""


def _name_at(params: Params, index: int) -> Value:
    return params[index][0] if -len(params) <= index < len(params) else ""


def _count(params: Params) -> Value:
    return len(params)


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def _line_at(text: str, index: int) -> Value:
    if not text:
        return None
    lines = _lines(text)
    return lines[index].removesuffix("\r") if -len(lines) <= index < len(lines) else ""


def _line_starting(text: str, prefix: str) -> Value:
    if not text:
        return None
    return next((line.removesuffix("\r") for line in _lines(text) if line.startswith(prefix)), "")


PARAMS: tuple[Transformation, ...] = (
    Transformation("param.value", _param(_value_of), ("str", "char?")),
    Transformation("param.in", _param(_is_in), ("str", "char?")),
    Transformation("param.valueat", _param(_value_at), ("int", "char?")),
    Transformation("param.name", _param(_name_at), ("int", "char?")),
    Transformation("param.count", _param(_count), ("char?",)),
    Transformation("line.count", lambda text: str(len(_lines(text))) if text else None),
    Transformation("line.at", _line_at, ("int",)),
    Transformation("line.sw", _line_starting, ("str",)),
)
