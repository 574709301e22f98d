"""What is built from a message and its edits: what Kamailio 5.6.3 sent in the same case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.sip import message as m
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse

from .messages import received, request, response

VIA = b"Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKproxy\r\n"


def forwarded(message: Message, *, stream: bool = False) -> bytes:
    return message.build_request(message.uri, VIA, stream=stream)


def vias_of(data: bytes) -> list[bytes]:
    return [h.body for h in parse(data).headers_of(m.H_VIA)]


def lines_of(data: bytes) -> list[bytes]:
    return data.partition(b"\r\n\r\n")[0].split(b"\r\n")


# The Via of the sender: (as it came, in the request sent on, in a reply).
# The request came from 192.0.2.1 port 5062.
MARKS = [
    (b"192.0.2.1:5062;branch=z", b"192.0.2.1:5062;branch=z", b"192.0.2.1:5062;branch=z"),
    (b"192.0.2.1:9;branch=z", b"192.0.2.1:9;branch=z", b"192.0.2.1:9;branch=z"),
    (b"192.0.2.2", b"192.0.2.2;received=192.0.2.1", b"192.0.2.2;received=192.0.2.1"),
    (b"host:9;branch=z", b"host:9;received=192.0.2.1;branch=z", b"host:9;branch=z;received=192.0.2.1"),
    (
        b"192.0.2.1:5062;rport;branch=z",
        b"192.0.2.1:5062;received=192.0.2.1;rport=5062;branch=z",
        b"192.0.2.1:5062;rport=5062;branch=z;received=192.0.2.1",
    ),
    (
        b"192.0.2.1:5062;branch=z;rport=77;x=1",
        b"192.0.2.1:5062;received=192.0.2.1;branch=z;rport=5062;x=1",
        b"192.0.2.1:5062;branch=z;rport=5062;x=1;received=192.0.2.1",
    ),
]
# Here a reply of Kamailio would carry `received` twice, the claimed one first. We write over the claim.
CLAIMS = [
    (
        b"192.0.2.2;branch=z;received=203.0.113.9;x=1",
        b"192.0.2.2;branch=z;received=192.0.2.1;x=1",
        b"192.0.2.2;branch=z;received=192.0.2.1;x=1",
    ),
    (
        b"192.0.2.1;branch=z;received=203.0.113.9",
        b"192.0.2.1;branch=z;received=192.0.2.1",
        b"192.0.2.1;branch=z;received=192.0.2.1",
    ),
    (
        b"192.0.2.2 : 9 ;received=203.0.113.9 ; rport ; branch=z",
        b"192.0.2.2 : 9 ;received=192.0.2.1 ;rport=5062 ; branch=z",
        b"192.0.2.2 : 9 ;received=192.0.2.1 ;rport=5062 ; branch=z",
    ),
]
# And here it would mark the last value of the field instead of the first.
LISTS = [
    (
        b"192.0.2.2;branch=z;rport , SIP/2.0/UDP 1.1.1.1",
        b"192.0.2.2;received=192.0.2.1;branch=z;rport=5062 , SIP/2.0/UDP 1.1.1.1",
        b"192.0.2.2;branch=z;rport=5062;received=192.0.2.1 , SIP/2.0/UDP 1.1.1.1",
    )
]


@pytest.mark.parametrize(("sent", "passed", "replied"), MARKS + CLAIMS + LISTS)
def test_sender_is_marked(sent: bytes, passed: bytes, replied: bytes) -> None:
    message = received(request(via=b"SIP/2.0/UDP " + sent))
    assert vias_of(forwarded(message)) == [VIA[5:-2], b"SIP/2.0/UDP " + passed]
    assert vias_of(message.build_reply(404, b"No", b"t")) == [b"SIP/2.0/UDP " + replied]


def test_forced_rport() -> None:
    message = received(request())
    message.force_rport = True
    assert vias_of(forwarded(message))[1] == b"SIP/2.0/UDP 192.0.2.1:5062;rport=5062;branch=z9hG4bKa"
    assert vias_of(message.build_reply(404, b"No", b""))[0].endswith(b";branch=z9hG4bKa;rport=5062")
    message = received(request(via=b"SIP/2.0/UDP 10.0.0.1;branch=z"))
    message.force_rport = True
    assert vias_of(forwarded(message))[1] == b"SIP/2.0/UDP 10.0.0.1;rport=5062;received=192.0.2.1;branch=z"
    assert (
        vias_of(message.build_reply(404, b"No", b""))[0]
        == b"SIP/2.0/UDP 10.0.0.1;branch=z;rport=5062;received=192.0.2.1"
    )


def test_ipv6_sender() -> None:
    for host, mark in (
        (b"[2001:db8::1]", b""),
        (b"[2001:DB8::1]", b""),
        (b"[2001:db8::2]", b";received=2001:db8::1"),
    ):
        message = received(request(via=b"SIP/2.0/UDP " + host + b";branch=z"), b"2001:db8::1")
        assert vias_of(forwarded(message))[1] == b"SIP/2.0/UDP " + host + mark + b";branch=z"


def test_own_requests_are_not_marked() -> None:
    assert vias_of(forwarded(parse(request(via=b"SIP/2.0/UDP elsewhere;rport"))))[1] == b"SIP/2.0/UDP elsewhere;rport"


def test_request_uri_and_extra_lines() -> None:
    data = received(request()).build_request(b"sip:new@host", VIA, b"X-1: 1\r\n")
    assert data == request(uri=b"sip:new@host").replace(b"Via:", VIA + b"X-1: 1\r\nVia:", 1)


def test_request_without_via_gets_ours_first() -> None:
    data = request().replace(b"Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKa\r\n", b"")
    assert forwarded(parse(data)) == data.replace(b"Max-Forwards", VIA + b"Max-Forwards")
    assert parse(data).build_request(b"sip:bob@example.com", b"") == data


def test_order_of_insertions() -> None:
    message = received(request())
    message.prepend_header(b"X-1: 1\r\n")
    message.prepend_header(b"X-2: 2\r\n")
    message.append_header(b"X-3: 3\r\n")
    message.append_header(b"X-4: 4\r\n")
    message.prepend_header(b"Record-Route: <sip:me;lr>\r\n")
    names = [h.name for h in parse(forwarded(message)).headers()]
    assert names[:5] == [b"X-1", b"X-2", b"Record-Route", b"Via", b"Via"]
    assert names[-3:] == [b"Content-Length", b"X-3", b"X-4"]


AGENT = b"User-Agent: Foo/1.0\r\nX-Z: 1\r\n"


def agent_message() -> tuple[Message, int]:
    message = received(request(extra=AGENT))
    return message, message.raw.index(b"Foo/1.0")


def agent_lines(message: Message) -> bytes:
    data = forwarded(message)
    return data[data.index(b"CSeq: 1 INVITE\r\n") + 16 : data.index(b"Content-Length")]


def test_insertion_at_a_removed_header() -> None:
    message, _ = agent_message()
    header = message.header(m.H_USERAGENT)
    assert header is not None
    message.remove_header(header)
    message.remove_header(header)
    message.insert(header.start, b"X-1: 1\r\n")
    message.insert(header.end, b"X-2: 2\r\n")
    assert agent_lines(message) == b"X-1: 1\r\nX-2: 2\r\nX-Z: 1\r\n"


def test_overlapping_replacements() -> None:
    message, at = agent_message()
    message.replace(at, 7, b"A")
    message.replace(at + 4, 3 + 2 + 6, b"B")  # to the end of X-Z's value
    assert agent_lines(message) == b"User-Agent: AB\r\n"
    message, at = agent_message()
    message.replace(at, 7, b"A")
    message.replace(at, 5, b"B")
    assert agent_lines(message) == b"User-Agent: AB\r\nX-Z: 1\r\n"
    message, at = agent_message()
    message.replace(at + 2, 5, b"A")
    message.replace(at, 5, b"B")
    assert agent_lines(message) == b"User-Agent: BA\r\nX-Z: 1\r\n"


def test_replacement_inside_of_a_removed_header_shows() -> None:
    message, at = agent_message()
    header = message.header(m.H_USERAGENT)
    assert header is not None
    message.remove_header(header)
    message.replace(at, 3, b"barbar")
    assert agent_lines(message) == b"barbarX-Z: 1\r\n"


def test_removed_via_is_not_marked() -> None:
    message = received(request(via=b"SIP/2.0/UDP elsewhere;rport"))
    header = message.header(m.H_VIA)
    assert header is not None
    message.remove_header(header)
    assert vias_of(forwarded(message)) == [VIA[5:-2]]


def test_content_length() -> None:
    message = received(request(body=b"vvv"))
    message.replace(message.body_start, 1, b"wwww")
    assert forwarded(message) == request(body=b"wwwwvv").replace(b"Via:", VIA + b"Via:", 1)
    assert message.edited_body() == b"wwwwvv"
    message = received(request(body=b"vvv", length=False))
    assert b"Content-Length" not in forwarded(message)
    assert b"Content-Length: 3\r\n\r\nvvv" in forwarded(message, stream=True)
    message.replace(message.body_start, 1, b"wwww")
    assert b"Content-Length" not in forwarded(message)
    assert b"Content-Length: 6\r\n\r\nwwwwvv" in forwarded(message, stream=True)


def test_set_body() -> None:
    for length in (True, False):
        message = received(request(body=b"vvv", length=length))
        message.replace(message.body_start, 2, b"lost")
        message.set_body(b"hello")
        assert forwarded(message).endswith(b"Content-Length: 5\r\n\r\nhello")
        assert message.edited_body() == b"hello"
        message.set_body(b"")
        assert forwarded(message).endswith(b"Content-Length: 0\r\n\r\n")
        assert message.body == b"vvv"


def test_edit_of_an_empty_header_stays_on_its_line() -> None:
    for line in (b"X-E:\r\n", b"X-E: \r\n", b"X-E:\n", b"X-E:\r\n \r\n"):
        message = parse(request(extra=line))
        header = message.header_named(b"X-E")
        assert header is not None
        message.insert(header.body_start, b"full")
        assert parse(message.rebuild()).header_named(b"X-E").body == b"full"  # type: ignore[union-attr]


def test_removed_content_length_stays_away_on_datagrams() -> None:
    message = received(request(body=b"vvv"))
    header = message.header(m.H_CONTENTLENGTH)
    assert header is not None
    message.remove_header(header)
    assert b"Content-Length" not in forwarded(message)
    assert forwarded(message, stream=True).count(b"Content-Length: 3\r\n") == 1


def test_bytes_behind_the_body_are_dropped() -> None:
    message = received(request(body=b"abc") + request(b"BYE"))
    assert forwarded(message).endswith(b"\r\n\r\nabc")
    assert message.rebuild() == request(body=b"abc")


def test_edits_do_not_cross_the_empty_line() -> None:
    message = received(request(body=b"vvv"))
    at = message.raw.index(b"Content-Length")
    message.delete(at, 10_000)
    assert forwarded(message).endswith(b"CSeq: 1 INVITE\r\n\r\nvvv")
    message = received(request(body=b"vvv"))
    message.delete(message.headers_end + 1, 10_000)
    message.insert(message.headers_end + 1, b"X: y\r\n")
    assert forwarded(message).endswith(b"Content-Length: 3\r\nX: y\r\n\r\nvvv")


@pytest.mark.parametrize(("start", "length"), [(-1, 0), (100_000, 0), (0, -1)])
def test_edits_outside_of_the_message(start: int, length: int) -> None:
    with pytest.raises(ValueError):
        parse(request()).delete(start, length)


def test_header_of_another_message() -> None:
    header = parse(request(b"BYE")).header(m.H_VIA)
    assert header is not None
    with pytest.raises(ValueError):
        parse(request()).remove_header(header)


def test_snapshot() -> None:
    message = received(request(body=b"vvv"))
    message.append_header(b"X-1: 1\r\n")
    before, snapshot = forwarded(message), message.edits_snapshot()
    message.append_header(b"X-2: 2\r\n")
    message.prepend_header(b"X-3: 3\r\n")
    message.set_body(b"other")
    assert forwarded(message) != before
    message.edits_restore(snapshot)
    assert forwarded(message) == before
    message.append_header(b"X-4: 4\r\n")
    message.edits_restore(snapshot)
    assert forwarded(message) == before
    assert message.edited
    assert not parse(request()).edited


TOP = b"SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKproxy"
NEXT = b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKa"


@pytest.mark.parametrize(
    ("vias", "left"),
    [
        (b"Via: " + TOP + b"\r\nVia: " + NEXT + b"\r\n", b"Via: " + NEXT + b"\r\n"),
        (b"Via: " + TOP + b", " + NEXT + b"\r\n", b"Via: " + NEXT + b"\r\n"),
        (
            b"Via: " + TOP + b" ,\r\n  " + NEXT + b", SIP/2.0/UDP 1.1.1.1\r\n",
            b"Via: " + NEXT + b", SIP/2.0/UDP 1.1.1.1\r\n",
        ),
        (
            b"X-1: a\r\nVia: " + TOP + b"\r\nX-2: b\r\nv: " + NEXT + b"\r\n",
            b"X-1: a\r\nX-2: b\r\nv: " + NEXT + b"\r\n",
        ),
    ],
)
def test_response_loses_its_top_via(vias: bytes, left: bytes) -> None:
    message = parse(response(vias))
    assert message.build_response() == response(left)
    message.append_header(b"X-New: 1\r\n")
    assert message.build_response() == response(left).replace(b"\r\n\r\n", b"\r\nX-New: 1\r\n\r\n")


def test_changed_status() -> None:
    message = parse(response(b"Via: " + TOP + b"\r\nVia: " + NEXT + b"\r\n"))
    message.status = 486
    assert message.build_response() == response(b"Via: " + NEXT + b"\r\n").replace(b" 200 ", b" 486 ")
    assert message.rebuild() == message.raw.replace(b" 200 ", b" 486 ")
    message.status = 1000
    with pytest.raises(ValueError):
        message.build_response()


def test_reply() -> None:
    message = received(
        request(extra=b"Record-Route: <sip:p;lr>\r\nv: SIP/2.0/TCP h\r\nX: y\r\n").replace(b"To: <", b"To :\r\n <")
    )
    message.reply_edits += [b"X-A: 1\r\n", b"X-B: 2\r\n"]
    head = b"Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKa\r\nFrom: <sip:alice@example.com>;tag=x\r\n"
    to = b"To :\r\n <sip:bob@example.com>%s\r\nCall-ID: abc\r\nCSeq: 1 INVITE\r\n"
    tag = b";tag=mine"
    routes = b"Record-Route: <sip:p;lr>\r\n"
    rest = b"v: SIP/2.0/TCP h\r\nX-A: 1\r\nX-B: 2\r\n"
    end = b"Server: k\r\nContent-Length: 0\r\n\r\n"
    cases = ((179, b"", b""), (180, tag, routes), (299, tag, routes), (300, tag, b""), (404, tag, b""))
    for status, tagged, between in cases:
        reply = message.build_reply(status, b"Some Reason", b"mine", server=b"Server: k\r\n")
        assert reply == b"SIP/2.0 %d Some Reason\r\n" % status + head + to % tagged + between + rest + end
    reply = message.build_reply(100, b"Trying", b"")
    assert b"To :\r\n <sip:bob@example.com>\r\n" in reply


def test_reply_body() -> None:
    message = received(request())
    message.reply_edits.append(b"X-A: 1\r\n")
    message.reply_body = (b"text/plain", b"hello")
    end = b"X-A: 1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    assert message.build_reply(200, b"OK", b"t").endswith(end)
    other = message.build_reply(200, b"OK", b"t", b"Content-Type: a/b\r\n", b"given")
    assert other.endswith(b"X-A: 1\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\ngiven")


def test_reply_keeps_an_existing_tag() -> None:
    data = request().replace(b"To: <sip:bob@example.com>", b"To: <sip:bob@example.com>;TAG=7")
    assert b";TAG=7\r\n" in parse(data).build_reply(200, b"OK", b"mine")


def test_reply_edge_cases() -> None:
    message = parse(request())
    for status in (99, 700, -1):
        with pytest.raises(ValueError):
            message.build_reply(status, b"x", b"")
    with pytest.raises(ValueError):
        parse(response(b"Via: SIP/2.0/UDP h\r\n")).build_reply(200, b"OK", b"")
    with pytest.raises(ValueError):
        parse(response(b"Via: SIP/2.0/UDP h\r\n")).build_request(b"sip:x", b"")
    with pytest.raises(ValueError):
        message.build_response()
    with pytest.raises(ParseError):
        parse(response(b"")).build_response()
    bare = parse(b"OPTIONS sip:x SIP/2.0\r\nX: y\r\n\r\n").build_reply(400, b"Bad Request", b"t")
    assert bare == b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("attribute", ["reply_edits", "reply_body"])
def test_none_among_bytes_is_refused(attribute: str) -> None:
    message = parse(request())
    setattr(message, attribute, [None] if attribute == "reply_edits" else (None, None))
    with pytest.raises(TypeError):
        message.build_reply(200, b"OK", b"t")
    with pytest.raises(TypeError):
        message.insert(0, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        message.replace(0, 0, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        message.build_request(None, b"")  # type: ignore[arg-type]
    message.src_ip = None  # type: ignore[assignment]
    assert message.build_request(message.uri, b"") == request()


SPAN = st.tuples(st.integers(0, 400), st.integers(0, 60), st.binary(max_size=6))


@given(st.lists(SPAN, max_size=70), st.binary(max_size=40))
def test_edits_as_a_model(spans: list[tuple[int, int, bytes]], body: bytes) -> None:
    """Edits against the plainest model: mark each deleted byte, hang each insertion on its offset."""
    message = parse(request(body=body))
    raw, kept, hung = message.raw, [True] * len(message.raw), {}  # type: ignore[var-annotated]
    for start, length, data in spans:
        start = min(start, len(raw))
        message.replace(start, length, data)
        if start < message.body_start:
            start = min(start, message.headers_end)
            stop = min(start + length, message.headers_end)
        else:
            stop = min(start + length, len(raw))
        kept[start:stop] = [False] * (stop - start)
        hung.setdefault(start, []).append(data)
    model = [b"".join(hung.get(i, [])) + (raw[i : i + 1] if kept[i] else b"") for i in range(len(raw))]
    model.append(b"".join(hung.get(len(raw), [])))
    assert message.edited_body() == b"".join(model[message.body_start :])
    at = raw.index(b"Content-Length: ") + 16
    built = message.rebuild()
    if all(kept[at - 16 : at + 2]) and not any(hung.get(i) for i in range(at - 16, at + 3)):
        size = len(str(len(body)))
        model[at : at + size] = [b"%d" % len(message.edited_body()), *[b""] * (size - 1)]
        assert built == b"".join(model)
    assert message.rebuild() == built
