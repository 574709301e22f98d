"""Documents as scripts write and read them: MongoDB's extended JSON.

Filters and commands may be in either of its versions. Replies are in the first ("strict mode"), spaced as libbson does
it, since that is what `$mongodb` has in Kamailio. Imported only where there is a server: bson comes with pymongo.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
    json_util,
)
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError

#: Documents in documents that are written, as many as MongoDB keeps.
MAX_DEPTH: Final = 200

_OPTIONS: Final = json_util.JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)

#: The letters of a regular expression's flags, by Python's.
_FLAGS: Final = ((2, "i"), (4, "l"), (8, "m"), (16, "s"), (32, "u"), (64, "x"))


def read_document(text: str) -> dict[str, Any]:
    """The document that a script wrote. Raises ValueError."""
    try:
        found = json_util.loads(text, json_options=_OPTIONS)
    except (ValueError, TypeError, KeyError, BSONError, RecursionError, OverflowError) as error:
        raise ValueError(f"not a document: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("not a document: expected { ... }")
    return found


def write_document(document: Mapping[str, Any]) -> str:
    """A document as scripts read it. Raises ValueError for one that is nested too deeply."""
    return _write(document, 0)


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{ " + ", ".join(f"{_text(key)} : {value}" for key, value in pairs) + " }" if pairs else "{  }"


def _text(value: str) -> str:
    # JSON's own escapes, but for what is not ASCII; a DEL is not escaped by either.
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    written = f"{value:.20g}"
    return written if any(sign in written for sign in ".e") else f"{written}.0"


def _binary(value: bytes) -> str:
    kind = value.subtype if isinstance(value, Binary) else 0
    return _object([("$binary", _text(base64.b64encode(value).decode())), ("$type", f'"{kind:02x}"')])


def _regex(value: Regex[Any]) -> str:
    pattern = value.pattern if isinstance(value.pattern, str) else value.pattern.decode("utf-8", "replace")
    flags = "".join(letter for flag, letter in _FLAGS if value.flags & flag)
    return _object([("$regex", _text(pattern)), ("$options", _text(flags))])


def _code(value: Code, depth: int) -> str:
    pairs = [("$code", _text(str(value)))]
    if value.scope is not None:
        pairs.append(("$scope", _write(value.scope, depth + 1)))
    return _object(pairs)


#: What is written the same however deep; the first that fits a value counts.
_SIMPLE: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (bool, lambda value: "true" if value else "false"),
    (int, str),
    (float, _number),
    (ObjectId, lambda value: _object([("$oid", _text(str(value)))])),
    (DatetimeMS, lambda value: _object([("$date", str(int(value)))])),
    (bytes, _binary),
    (Regex, _regex),
    (Timestamp, lambda v: _object([("$timestamp", _object([("t", str(v.time)), ("i", str(v.inc))]))])),
    (Decimal128, lambda value: _object([("$numberDecimal", _text(str(value)))])),
    (MinKey, lambda _value: _object([("$minKey", "1")])),
    (MaxKey, lambda _value: _object([("$maxKey", "1")])),
)


def _write(value: Any, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise ValueError(f"a document with more than {MAX_DEPTH} others in one another")
    if value is None:
        return "null"
    if isinstance(value, DBRef):
        value = value.as_doc()
    if isinstance(value, Mapping):
        return _object([(key, _write(each, depth + 1)) for key, each in value.items()])
    if isinstance(value, list):
        return "[ " + ", ".join(_write(each, depth + 1) for each in value) + " ]" if value else "[  ]"
    if isinstance(value, Code):
        return _code(value, depth)
    if isinstance(value, str):
        return _text(value)
    for kind, write in _SIMPLE:
        if isinstance(value, kind):
            return write(value)
    raise ValueError(f"a value of type {type(value).__name__}")


__all__ = ["read_document", "write_document"]
