"""textops: functions newer than the Kamailio we compare with, and where we differ from it by intent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textops_cases import LINES, PARTS, PLAIN, UNTYPED, request
from textopsx_cases import all_cases

from conftest import Bench
from kahea.routing.run import current
from kahea.sip.errors import ParseError

Make = Callable[..., Bench]


@pytest.fixture
def b(bench: Make) -> Bench:
    return bench("textops", "textopsx")


def test_set_body_hex(b: Bench) -> None:
    b.take(PLAIN)
    assert b.call("textops.set_body_hex", "61 6262 0a", "text/plain") == 1
    assert b.msg.rebuild().endswith(b"Content-Length: 4\r\nContent-Type: text/plain\r\n\r\nabb\n")
    for digits in ("6", "6 1", "xy", ""):
        assert b.call("textops.set_body_hex", digits, "text/plain") == -1


def test_set_reply_body_hex(b: Bench) -> None:
    b.take(PLAIN)
    assert b.call("textops.set_reply_body_hex", "6", "a/b") == -1
    assert b.call("textops.set_reply_body_hex", "61ff", "a/b") == 1
    assert b.msg.build_reply(200, b"OK", b"t").endswith(b"Content-Length: 2\r\n\r\na\xff")
    assert b.call("textops.set_reply_body_hex", "61", "a/b") == -1


def test_characters_in_a_set(b: Bench) -> None:
    b.take(PLAIN)
    assert b.call("textops.str_any_in", "+49123", "+*#") == 1
    assert b.call("textops.str_any_in", "49123", "+*#") == -1
    assert b.call("textops.str_any_in", "", "+") == -1
    assert b.call("textops.str_all_in", "49123", "0123456789") == 1
    assert b.call("textops.str_all_in", "+49123", "0123456789") == -1
    assert b.call("textops.str_all_in", "", "0123456789") == -1


def test_subst_v_sets_a_variable(b: Bench) -> None:
    run = b.take(PLAIN)
    value = b.node.variables.compile("$var(out)")
    assert b.call("textops.subst_v", "a-b-c", "/-/+$rU+/g", "$var(out)") == 1
    assert value.get(run) == "a+bob+b+bob+c"
    assert b.call("textops.subst_v", "abc", "/-/+/", "$var(out)") == -1
    assert b.call("textops.subst_v", "a-b", "/-/+", "$var(out)") == -1
    assert b.call("textops.subst_v", "a-b", "/-/+/", "$rm") == -1
    assert b.call("textops.subst_v", "a-b", "/-/+/", "$nope") == -1
    assert value.get(run) == "a+bob+b+bob+c"


def test_read_only_variables_are_refused(b: Bench) -> None:
    # Kamailio ends here.
    b.take(PARTS)
    assert b.call("textops.get_body_part", "text/plain", "$rm") == -1
    assert b.call("textops.get_body_part", "text/plain", "x") == -1
    assert b.call("textops.regex_substring", "abc", "b", -1, 3, "$var(x)") == -1


def test_multipart_of_a_body_without_type(b: Bench) -> None:
    # And here.
    b.take(UNTYPED)
    assert b.call("textops.set_body_multipart_mode") == -1
    assert b.call("textops.set_body_multipart", "txt", "a/b", "bb") == 1
    sent = b.msg.rebuild()
    assert b'Content-Type: multipart/mixed;boundary="bb"\r\nMime-Version: 1.0\r\n' in sent
    assert sent.endswith(b"\r\n\r\n--bb\r\nContent-Type: a/b\r\n\r\ntxt\r\n--bb\r\n")


@pytest.mark.parametrize("end", [b"--x--", b"--x--\r\nepilogue\r\n", b"--x\r\n", b""])
def test_parts_are_added_whole_whatever_the_end(b: Bench, end: bytes) -> None:
    # Kamailio loses the head of the new part, or joins it to what stood before.
    body = b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n" + end
    b.take(request(body, b"multipart/mixed;boundary=x"))
    assert b.call("textops.append_body_part", "one", "a/b") == 1
    assert b.msg.edited_body() == (
        b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\nContent-Type: a/b\r\n\r\none\r\n--x--\r\n"
    )


def test_parameters_before_the_boundary(b: Bench) -> None:
    kind = b"multipart/related;type=a;boundary=x"
    b.take(request(b"--x\r\nContent-Type: a/b\r\n\r\nA\r\n--x--\r\n", kind))
    assert b.call("textops.append_body_part", "B", "a/b") == 1
    assert b.msg.edited_body().count(b"--x") == 3


def test_regex_errors_change_nothing(b: Bench) -> None:
    b.take(LINES)
    for name in ("replace", "replace_all", "replace_body", "search_append"):
        assert b.call(f"textops.{name}", "(", "x") == -1
    assert not b.msg.edited


_NAMES = sorted({call[0] for _, _, calls, _ in all_cases() for call in calls if call[0].startswith(("hdr", "text"))})
_CALLS = sorted({call for _, _, calls, _ in all_cases() for call in calls if call[0] in _NAMES}, key=repr)
_LINE = st.sampled_from(
    [
        *(b"X-Foo: a, b;c=d", b"X-Foo: <", b'X-Foo: "', b"X-Foo:", b"X", b" folded", b"\xff: \xff"),
        *(
            b"Content-Type: multipart/mixed;boundary=x",
            b"Content-Type: ",
            b"Content-Length: 7",
            b"Content-Length: x",
        ),
        *(b"f: <sip:a@b>", b"From: a", b"To: <sip:x@y>;tag=1", b"Supported: ,,", b"Privacy: ;"),
        b"Authorization: Digest a=b, c",
    ]
)
_BODY = st.lists(st.sampled_from([b"--x\r\n", b"--x--", b"Content-Type: text/plain\r\n", b"\r\n", b"v=0\r\n", b"\xe9"]))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(_LINE, max_size=5), _BODY, st.lists(st.sampled_from(_CALLS), min_size=1, max_size=12))
def test_no_message_makes_a_function_raise(
    b: Bench, lines: list[bytes], body: list[bytes], calls: list[tuple[object, ...]]
) -> None:
    """Whatever comes from the network, functions give a value, and what is sent can be built."""
    data = b"INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n" + b"".join(
        line + b"\r\n" for line in lines
    )
    with contextlib.suppress(ParseError):
        b.take(data + b"\r\n" + b"".join(body))
        for call in calls:
            assert b.call(*call) is not NotImplemented
        b.msg.rebuild()
    current.run = None
