"""Content types and multipart bodies."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.sip.body import (
    MAX_PARTS,
    Part,
    find_part,
    join_multipart,
    new_boundary,
    parse_content_type,
    split_multipart,
)
from kahea.sip.errors import ParseError

BODY = (
    b"preamble --b\r\n--b\r\nContent-Type: application/sdp\r\nX-Y: z\r\n folded\r\n\r\nv=0\r\n\r\n"
    b"--b  \r\n\r\nplain\r\n--bb\r\n--b\r\nContent-Type: a/b\r\n\r\n\x00\xff\r\n--b--\r\nepilogue"
)


def test_split() -> None:
    parts = split_multipart(BODY, b"b")
    assert [p.content for p in parts] == [b"v=0\r\n", b"plain\r\n--bb", b"\x00\xff"]
    assert parts[0].header(b"content-type") == b"application/sdp"
    assert parts[0].header(b"x-y") == b"z\r\n folded"
    assert parts[0].header(b"folded") is None
    assert parts[1].head == b""
    assert (parts[1].content_type.main, parts[1].content_type.sub) == (b"text", b"plain")


def test_split_with_bare_line_feeds() -> None:
    parts = split_multipart(b"--b\nContent-Type: a/b\n\none\n--b\n\ntwo\n--b--", b"b")
    assert [(p.head, p.content) for p in parts] == [(b"Content-Type: a/b\n", b"one"), (b"", b"two")]


@pytest.mark.parametrize(
    ("body", "boundary"),
    [(b"", b"b"), (b"--b\r\n\r\nx", b"b"), (b"--b", b"b"), (b"--b\r\n\r\nx\r\n--b", b"b"), (b"x--b--", b"b"),
     (b"--b--", b""), (b"--b--", b"b" * 71), (b"--b trailing\r\n\r\nx\r\n--b--", b"b")],
)  # fmt: skip
def test_refused(body: bytes, boundary: bytes) -> None:
    with pytest.raises(ParseError):
        split_multipart(body, boundary)


def test_empty_multipart() -> None:
    assert split_multipart(b"--b--", b"b") == []
    assert [(p.head, p.content) for p in split_multipart(b"--b\r\n--b--", b"b")] == [(b"", b"")]


def test_limits() -> None:
    with pytest.raises(ParseError):
        split_multipart(b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 1) + b"--b--", b"b")
    start = time.process_time()
    for body in (b"--b" * 20000, b"\n--bx" * 12000, b"--b\r\n" + b"\n" * 60000):
        with pytest.raises(ParseError):
            split_multipart(body, b"b")
    assert time.process_time() - start < 0.3


def test_content_type() -> None:
    kind = parse_content_type(b'Multipart/Mixed ; Boundary="a b"; x')
    assert (kind.main, kind.sub, kind.params) == (b"multipart", b"mixed", {b"boundary": b"a b", b"x": b""})
    assert kind.is_multipart
    assert parse_content_type(b"application / sdp").matches(b"Application/SDP")
    assert kind.matches(b"*/*")
    assert kind.matches(b"multipart/*")
    assert not kind.matches(b"text/*")
    for text in (b"", b"text", b"/", b"a/", b"/b", b"a b/c", b"a/b;x;;y"):
        with pytest.raises(ParseError):
            parse_content_type(text)


def test_find_part() -> None:
    inner = join_multipart([Part(b"Content-Type: application/sdp\r\n", b"v=0")], b"in")
    body = join_multipart([Part(b"", b"text"), Part(b"Content-Type: multipart/mixed;boundary=in\r\n", inner)], b"out")
    kind = b"multipart/alternative; boundary=out"
    assert find_part(body, kind, b"application/sdp") == b"v=0"
    assert find_part(body, kind, b"text/plain") == b"text"
    assert find_part(body, kind, b"text/html") is None
    assert find_part(body, b"application/sdp", b"application/sdp") == body
    assert find_part(body, b"nonsense", b"application/sdp") is None
    assert find_part(body, b"multipart/mixed; boundary=no", b"application/sdp") is None


def test_nesting_is_bounded() -> None:
    body, kind = b"v=0", b"application/sdp"
    for level in range(6):
        mark = b"level%d" % level
        body = join_multipart([Part(b"Content-Type: " + kind + b"\r\n", body)], mark)
        kind = b"multipart/mixed; boundary=" + mark
    assert find_part(body, kind, b"application/sdp") is None


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_round_trip(contents: list[bytes]) -> None:
    parts = [Part(b"Content-Type: a/b\r\n", c) for c in contents]
    boundary = new_boundary(parts)
    assert split_multipart(join_multipart(parts, boundary), boundary) == parts
