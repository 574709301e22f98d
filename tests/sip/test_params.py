"""Generic parameters: quoting, order, limits."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.sip.errors import ParseError
from kahea.sip.params import (
    MAX_PARAMS,
    format_params,
    is_token,
    iter_params,
    parse_params,
    quote,
    split_value,
    unquote,
)


def test_iteration_keeps_order_case_and_quotes() -> None:
    found = list(iter_params(b' ; A = 1 ;b;c="x;\\"y" ;\r\n d=;A=2'))
    assert found == [(b"A", b"1"), (b"b", None), (b"c", b'"x;\\"y"'), (b"d", b""), (b"A", b"2")]


def test_parse() -> None:
    assert parse_params(b'a=1;B="2 \\" 3";c;A=9') == {b"a": b"1", b"b": b'2 " 3', b"c": b""}
    assert parse_params(b'realm="a, b", nonce = x', b",") == {b"realm": b"a, b", b"nonce": b"x"}
    assert parse_params(b"") == {}
    assert parse_params(b"  ") == {}


@pytest.mark.parametrize("text", [b"a;;b", b"a;", b"a; ", b"=1", b'a="1', b'a="1"x', b"a b", b"a=1 2", b"<a>", b";;a"])
def test_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        parse_params(text)


def test_separators_do_not_mix() -> None:
    with pytest.raises(ParseError):
        parse_params(b"a=1,b=2", b";")
    with pytest.raises(ParseError):
        parse_params(b"a=1;b=2", b",")


def test_split_value() -> None:
    assert split_value(b" presence ; id=7;x") == (b"presence", {b"id": b"7", b"x": b""})
    assert split_value(b"presence") == (b"presence", {})


def test_limits() -> None:
    assert len(list(iter_params(b";a" * MAX_PARAMS))) == MAX_PARAMS
    with pytest.raises(ParseError):
        list(iter_params(b";a" * (MAX_PARAMS + 1)))
    start = time.process_time()
    for text in (b'a="' + b"\\" * 64000, b"a" * 64000, b"a" + b" " * 64000 + b"b", b'a="' + b"x" * 64000):
        try:
            parse_params(text)
        except ParseError:
            continue
    assert time.process_time() - start < 0.3


def test_tokens() -> None:
    assert is_token(b"a-b.c!%*_+`'~9")
    for text in (b"", b"a b", b"a=b", b'"', b"a\n", b"\xc3\xa4"):
        assert not is_token(text)


def test_format() -> None:
    assert format_params({b"a": b"1", b"b": None, b"c": b"x y", b"d": b"", b"e": b"[::1]"}) == (
        b';a=1;b;c="x y";d="";e=[::1]'
    )


@given(st.binary(max_size=40))
def test_quoting_round_trip(text: bytes) -> None:
    clean = text.replace(b"\r", b" ").replace(b"\n", b" ")
    assert unquote(quote(text)) == clean
    assert parse_params(b"a=" + quote(text)) == {b"a": clean}


NAME = st.from_regex(rb"\A[A-Za-z0-9.!%*_+~-]{1,8}\Z")


@given(st.dictionaries(NAME.map(bytes.lower), st.none() | st.binary(max_size=12), max_size=6))
def test_format_round_trip(params: dict[bytes, bytes | None]) -> None:
    parsed = parse_params(format_params(params))
    clean = {k: (v or b"").replace(b"\r", b" ").replace(b"\n", b" ") for k, v in params.items()}
    assert parsed == clean
