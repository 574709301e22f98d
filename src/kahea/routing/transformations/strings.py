"""`{s....}`: lengths, parts, prefixes, case and white space of a string. Values are bytes in disguise (see
pv.chain)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from kahea.routing.module import Value
from kahea.routing.pv.chain import Transformation
from kahea.routing.pv.values import decimal

_UPPER = {c: c - 32 for c in range(ord("a"), ord("z") + 1)}
_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}
_SPACES = " \t\r\n"
_NOT_DIGITS = re.compile(r"[^0-9]+")
_BLANKS = re.compile(r"[ \t\r\n]+")
_FOLD = re.compile(r"(?:\r\n|\r|\n)+[ \t]+")
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}
_MASK = 0xFFFFFFFF

MAX_RESULT = 64 * 1024  # bytes that a transformation may make, as much as a message may hold


def _to_int(text: str) -> Value:
    return decimal(text) if text else 0


def _value_int(value: int | str) -> Value:
    """A number if it reads as one, else what it was."""
    number = decimal(value) if isinstance(value, str) else value
    return value if number is None else number


def _substr(text: str, offset: int, length: int) -> Value:
    size = len(text)
    if length < 0 or not -size <= offset < size:
        return None
    start = offset if offset >= 0 else size + offset
    return text[start:] if length == 0 else text[start : start + length]


def _not_negative(*values: Value) -> None:
    if any(isinstance(value, int) and value < 0 for value in values):
        raise ValueError("a length can't be negative")


def _check_substr(_offset: Value, length: Value) -> None:
    _not_negative(length)


def _select(text: str, index: int, separators: str) -> Value:
    fields = text.split(separators) if len(separators) == 1 else re.split(f"[{separators}]", text)
    return fields[index] if -len(fields) <= index < len(fields) else ""


def _select_spaced(text: str, index: int) -> Value:
    """Fields between runs of white space."""
    fields = _BLANKS.split(text.strip(_SPACES))
    return fields[index] if -len(fields) <= index < len(fields) else ""


def _strip(text: str, count: int) -> Value:
    return text[count:] if count > 0 else text


def _strip_tail(text: str, count: int) -> Value:
    return text[: max(0, len(text) - count)] if count > 0 else text


def _strip_to(text: str, char: str) -> Value:
    at = text.find(char[:1]) if char else -1
    return text[at:] if at >= 0 else ""


def _prefixes(quote: str) -> Callable[..., Value]:
    def apply(text: str, limit: int = 0) -> Value:
        size = min(limit, len(text)) if limit > 0 else len(text)
        if size * (size + 7) // 2 > MAX_RESULT:
            return None
        return ",".join(f"{quote}{text[:i]}{quote}" for i in range(1, size + 1))

    return apply


def _replace(text: str, match: str, by: str) -> Value:
    if not match:
        return text
    if len(by) > len(match) and len(text) + text.count(match) * (len(by) - len(match)) > MAX_RESULT:
        return None
    return text.replace(match, by)


def _remove(text: str, match: str) -> Value:
    return text.replace(match, "") if match else text


def _ftime(value: int | str, pattern: str) -> Value:
    """Local time of a Unix time; a text must be digits alone."""
    number = value if isinstance(value, int) else decimal(value) if value else 0
    if number is None or (isinstance(value, str) and number < 0):
        return None
    try:
        return time.strftime(pattern, time.localtime(number)) if pattern else ""
    except (OverflowError, OSError, ValueError):
        return None


def _unquote(value: int | str) -> Value:
    text = str(value)
    if len(text) < 2:
        return value
    if text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def _unbracket(value: int | str) -> Value:
    text = str(value)
    if len(text) < 2:
        return value
    if _BRACKETS.get(text[0]) == text[-1]:
        return text[1:-1]
    return text


def _count(text: str, char: str) -> Value:
    return text.count(char[:1]) if char else 0


def _after(text: str, char: str) -> Value:
    return text.partition(char[:1])[2] if char else ""


def _rafter(text: str, char: str) -> Value:
    _, found, after = text.rpartition(char[:1]) if char else (text, "", "")
    return after if found else ""


def _before(text: str, char: str) -> Value:
    return text.partition(char[:1])[0] if char else text


def _rbefore(text: str, char: str) -> Value:
    before, found, _ = text.rpartition(char[:1]) if char else (text, "", "")
    return before if found else text


def _lines(pad: str) -> Callable[..., Value]:
    def apply(text: str, width: int, padding: int) -> Value:
        if width <= 0 or padding < 0 or (len(text) // width + 1) * (padding + 2) > MAX_RESULT:
            return None
        pieces = (text[i : i + width] for i in range(0, len(text), width))
        return ("\r\n" + pad * padding).join(pieces)

    return apply


def _char_at(text: str, index: int) -> Value:
    return text[index] if -len(text) <= index < len(text) else None


def _byte_at(text: str, index: int) -> Value:
    return ord(text[index]) if -len(text) <= index < len(text) else None


def core_hash(text: str, second: str = "") -> int:
    """The hash that Kamailio's tables use: 32 bits, of one string or two.

    Bytes count as signed, as on the machines that it was made for.
    """
    h = _hashed(text, 0)
    if second:
        h = _hashed(second, h)
    return (h + (h >> 11) + (h >> 13) + (h >> 23)) & _MASK


def _hashed(text: str, h: int) -> int:
    data = [byte - 256 if byte > 127 else byte for byte in text.encode("latin-1")]
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        h = _mix(h, (data[i] << 24) + (data[i + 1] << 16) + (data[i + 2] << 8) + data[i + 3])
    rest = 0
    for byte in data[whole:]:
        rest = (rest << 8) + byte
    return _mix(h, rest)


def _mix(h: int, v: int) -> int:
    v &= _MASK
    return (h + (v ^ (v >> 3))) & _MASK


def _corehash(text: str, size: int = 0) -> Value:
    h = core_hash(text)
    return str(h & (size - 1) if size > 0 else h)


def _t(
    name: str, apply: Callable[..., Value], *params: str, check: Callable[..., object] | None = None
) -> Transformation:
    return Transformation(f"s.{name}", apply, params, check=check)


STRINGS: tuple[Transformation, ...] = (
    _t("len", len),
    _t("int", _to_int),
    Transformation("s.intv", _value_int, raw=True),
    _t("substr", _substr, "int", "int", check=_check_substr),
    _t("select", _select, "int", "char"),
    _t("selectsw", _select_spaced, "int"),
    _t("strip", _strip, "int"),
    _t("striptail", _strip_tail, "int"),
    _t("stripto", _strip_to, "text"),
    _t("prefixes", _prefixes(""), "int?"),
    _t("prefixes.quoted", _prefixes("'"), "int?"),
    _t("replace", _replace, "str", "str"),
    _t("rm", _remove, "str"),
    Transformation("s.ftime", _ftime, ("str",), raw=True),
    _t("numeric", lambda text: _NOT_DIGITS.sub("", text)),
    _t("tolower", lambda text: text.translate(_LOWER)),
    _t("toupper", lambda text: text.translate(_UPPER)),
    _t("trim", lambda text: text.strip(_SPACES)),
    _t("ltrim", lambda text: text.lstrip(_SPACES)),
    _t("rtrim", lambda text: text.rstrip(_SPACES)),
    _t("rmws", lambda text: _BLANKS.sub("", text)),
    _t("rmhdws", lambda text: _FOLD.sub(" ", text)),
    _t("rmhlws", lambda text: _FOLD.sub("", text)),
    Transformation("s.unquote", _unquote, raw=True),
    Transformation("s.unbracket", _unbracket, raw=True),
    _t("count", _count, "text"),
    _t("after", _after, "text"),
    _t("rafter", _rafter, "text"),
    _t("before", _before, "text"),
    _t("rbefore", _rbefore, "text"),
    _t("fmtlines", _lines(" "), "int", "int", check=_not_negative),
    _t("fmtlinet", _lines("\t"), "int", "int", check=_not_negative),
    _t("charat", _char_at, "int"),
    _t("byteat", _byte_at, "int"),
    _t("corehash", _corehash, "int?"),
)
