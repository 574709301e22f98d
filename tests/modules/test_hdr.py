"""hdr: what the differential test has no word on, and a little that must hold without a Kamailio at hand."""

from __future__ import annotations

from collections.abc import Callable

from textops_cases import PLAIN, request

from conftest import Bench

Make = Callable[..., Bench]


def test_is_there_without_being_loaded(bench: Make) -> None:
    b = bench()
    b.take(PLAIN)
    assert b.call("hdr.get", "x-foo") == "one"
    assert b.call("hdr.get_idx", "X-Foo", -1) == "two, three"
    assert b.call("hdr.getw", "nope") == "<null>"


def test_edits_show_only_in_what_is_sent(bench: Make) -> None:
    b = bench()
    b.take(PLAIN)
    assert b.call("hdr.append", "X-New: 1\r\n") == 1
    assert b.call("hdr.remove", "X-Foo") == 1
    assert b.call("hdr.is_present", "X-New") == -1
    assert b.call("hdr.is_present", "X-Foo") == 1
    sent = b.msg.rebuild()
    assert b"X-Foo" not in sent
    assert b"Content-Length: 9\r\nX-New: 1\r\n\r\n" in sent


def test_compact_names_are_the_same_header(bench: Make) -> None:
    b = bench()
    b.take(request(headers=b"k: path\r\nl-x: y\r\n"))
    assert b.call("hdr.get", "Supported") == "path"
    assert b.call("hdr.is_present", "Supported") == 1
    assert b.call("hdr.rmappend", "supported", "Supported: timer\r\n") == 1
    assert b"k: path" not in b.msg.rebuild()


def test_bytes_that_are_no_utf8_survive(bench: Make) -> None:
    b = bench()
    b.take(request(headers=b"X-Raw: \xff\xfe\r\n"))
    value = b.call("hdr.get", "X-Raw")
    assert b.call("hdr.append", f"X-Copy: {value}\r\n") == 1
    assert b"X-Copy: \xff\xfe\r\n" in b.msg.rebuild()


def test_lines_for_replies(bench: Make) -> None:
    b = bench()
    b.take(PLAIN)
    assert b.call("hdr.append_to_reply", "X-R: 1\r\n") == 1
    assert b"X-R: 1\r\n" in b.msg.build_reply(200, b"OK", b"t")
    assert b"X-R" not in b.msg.rebuild()
