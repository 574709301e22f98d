"""JSON-RPC 2.0 as Kamailio's `jsonrpcs` speaks it, to the byte where its output is sound. No I/O.

Parameters by name are taken in their order, the names ignored; a request without an id is answered without one. What is
no request is refused by the specification's own codes, where Kamailio says nothing or answers `{}`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Final

import msgspec

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INVALID_PARAMS: Final = -32602

#: An id that the request does not have, which is not the same as null.
NO_ID: Final = msgspec.UNSET

Id = str | int | float | None | msgspec.UnsetType


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `reply_name` is the extension of the FIFO transport: where its answer goes."""

    method: str
    params: list[object]
    id: Id
    reply_name: str = ""


class RequestError(Exception):
    """A document that is no request: the code of the specification, and the id if there is one."""

    def __init__(self, code: int, text: str, id_: Id = None) -> None:
        super().__init__(text)
        self.code = code
        self.id = id_


def parse(document: bytes) -> Request:
    """Read a request. Raises RequestError."""
    try:
        data = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(PARSE_ERROR, f"Parse error: {error}") from None
    if isinstance(data, list):
        raise RequestError(INVALID_REQUEST, "Invalid Request: batches are not supported")
    if not isinstance(data, dict):
        raise RequestError(INVALID_REQUEST, "Invalid Request")
    id_ = data.get("id", NO_ID)
    if isinstance(id_, (bool, list, dict)):
        raise RequestError(INVALID_REQUEST, "Invalid Request: bad id")
    method = data.get("method")
    if data.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise RequestError(INVALID_REQUEST, 'Invalid Request: it needs "jsonrpc": "2.0" and a method', id_)
    params = data.get("params") or []
    if isinstance(params, dict):
        params = list(params.values())
    if not isinstance(params, list):
        raise RequestError(INVALID_PARAMS, "Invalid params: an array or an object", id_)
    reply_name = data.get("reply_name")
    return Request(method, params, id_, reply_name if isinstance(reply_name, str) else "")


def answer(id_: Id, result: object, *, pretty: bool = False) -> bytes:
    """The document for what a command returned. Raises TypeError for what can't be written."""
    if isinstance(result, tuple):
        result = result[-1] if result else None
    return _document({"jsonrpc": "2.0", "result": {} if result is None else result}, id_, pretty=pretty)


def failure(id_: Id, code: int, text: str, *, pretty: bool = False) -> bytes:
    """The document for a fault."""
    return _document({"jsonrpc": "2.0", "error": {"code": code, "message": text}}, id_, pretty=pretty)


def _document(document: dict[str, object], id_: Id, *, pretty: bool) -> bytes:
    if id_ is not NO_ID:
        document["id"] = id_
    out: list[str] = []
    _write(document, out, 0 if pretty else -1)
    return "".join(out).encode("utf-8", "surrogateescape")


def _write(value: object, out: list[str], depth: int) -> None:
    """Write a value; `depth` counts the enclosing ones, negative for the compact form."""
    inner = depth + 1 if depth >= 0 else -1
    if isinstance(value, dict):
        _write_object(value, out, depth, inner)
    elif isinstance(value, (list, tuple)):
        out.append("[")
        for i, item in enumerate(value):
            if i:
                out.append(", " if depth >= 0 else ",")
            _write(item, out, inner)
        out.append("]")
    elif isinstance(value, str):
        out.append(json.dumps(value, ensure_ascii=False))
    elif isinstance(value, float):
        out.append(_real(value))
    elif value is None or isinstance(value, int):
        out.append(json.dumps(value))
    else:
        raise TypeError(f"not an RPC value: {value!r}")


def _write_object(value: dict[str, object], out: list[str], depth: int, inner: int) -> None:
    start, colon, end = ("\n" + "\t" * inner, ":\t", "\n" + "\t" * depth) if depth >= 0 else ("", ":", "")
    out.append("{")
    for i, (name, member) in enumerate(value.items()):
        out.append(("," if i else "") + start)
        out.append(json.dumps(str(name), ensure_ascii=False) + colon)
        _write(member, out, inner)
    out.append(end + "}")


def _real(value: float) -> str:
    if not math.isfinite(value):
        return "null"
    if value == math.floor(value) and abs(value) < 1e60:
        return f"{value:.0f}"
    return f"{value:f}" if 1e-6 <= abs(value) <= 1e9 else f"{value:e}"


__all__ = [
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "NO_ID",
    "PARSE_ERROR",
    "Id",
    "Request",
    "RequestError",
    "answer",
    "failure",
    "parse",
]
