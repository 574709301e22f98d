"""JSON-RPC documents: read, refused, and written as Kamailio writes them."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.routing.rpc import jsonrpc

SCALARS = st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])) | st.none()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


@given(VALUES, st.booleans())
def test_what_is_written_is_json_for_the_same_value(value: object, pretty: bool) -> None:
    document = jsonrpc.answer(1, value, pretty=pretty)
    assert json.loads(document)["result"] == ({} if value is None else value)


def test_the_look_of_an_answer() -> None:
    # Seen of Kamailio 5.6.3 for core.psa, ul.dump and an empty structure.
    value = [{"index": 0, "q": -1.5, "one": 1.0, "list": [{"x": "é/\n"}], "none": {}}, "a"]
    assert jsonrpc.answer(7, value, pretty=True).decode() == (
        '{\n\t"jsonrpc":\t"2.0",\n\t"result":\t[{\n\t\t\t"index":\t0,\n\t\t\t"q":\t-1.500000,\n\t\t\t"one":\t1,\n'
        '\t\t\t"list":\t[{\n\t\t\t\t\t"x":\t"é/\\n"\n\t\t\t\t}],\n\t\t\t"none":\t{\n\t\t\t}\n\t\t}, "a"],\n'
        '\t"id":\t7\n}'
    )
    assert jsonrpc.answer("i", value).decode() == (
        '{"jsonrpc":"2.0","result":[{"index":0,"q":-1.500000,"one":1,"list":[{"x":"é/\\n"}],"none":{}},"a"],"id":"i"}'
    )
    assert jsonrpc.failure(1, 500, "Method Not Found", pretty=True).decode() == (
        '{\n\t"jsonrpc":\t"2.0",\n\t"error":\t{\n\t\t"code":\t500,\n\t\t"message":\t"Method Not Found"\n\t},\n'
        '\t"id":\t1\n}'
    )


def test_of_several_values_json_has_room_for_the_last() -> None:
    assert json.loads(jsonrpc.answer(1, (599, 512000)))["result"] == 512000
    assert json.loads(jsonrpc.answer(1, ()))["result"] == {}


@pytest.mark.parametrize(
    ("document", "method", "params", "id_"),
    [
        ('{"jsonrpc":"2.0","method":"a.b","id":1}', "a.b", [], 1),
        ('{"jsonrpc":"2.0","method":"a.b","params":["x",2,null],"id":"i"}', "a.b", ["x", 2, None], "i"),
        ('{"jsonrpc":"2.0","method":"a.b","params":{"z":1,"a":2},"id":null}', "a.b", [1, 2], None),
        ('{"jsonrpc":"2.0","method":"a.b"}\n', "a.b", [], jsonrpc.NO_ID),
    ],
)
def test_requests(document: str, method: str, params: list[object], id_: object) -> None:
    request = jsonrpc.parse(document.encode())
    assert (request.method, request.params, request.id) == (method, params, id_)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", -32700),
        (b"{bad", -32700),
        (b'"\xff"', -32700),
        (b"[" * 100_000, -32700),
        (b"5", -32600),
        (b"[]", -32600),
        (b'{"method":"a.b","id":1}', -32600),
        (b'{"jsonrpc":"1.0","method":"a.b","id":1}', -32600),
        (b'{"jsonrpc":"2.0","method":5,"id":1}', -32600),  # ends Kamailio 5.6.3
        (b'{"jsonrpc":"2.0","method":"a","id":[1]}', -32600),
        (b'{"jsonrpc":"2.0","method":"a","params":"x","id":1}', -32602),
    ],
)
def test_what_is_no_request(document: bytes, code: int) -> None:
    with pytest.raises(jsonrpc.RequestError) as raised:
        jsonrpc.parse(document)
    assert raised.value.code == code


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(jsonrpc.RequestError):
        jsonrpc.parse(data)
