"""Module `sl`: replies without a transaction, their To tags, and what is counted of them."""

from __future__ import annotations

import re

import pytest
from twin import Ours, request

from kahea.sip.message import parse


def reply(server: Ours, code: int, reason: str = "", asked: str | None = None, name: str = "sl_send_reply") -> str:
    outcome = server.run(f"out.append(KSR.sl.{name}({code}, {reason!r}))", asked or request())
    assert outcome.out == [1]
    (sent,) = outcome.caller
    return str(sent)


def test_a_tag_is_the_same_for_a_retransmission_only() -> None:
    node = Ours().node

    def tag(asked: str) -> bytes:
        return node.sl_tag(parse(asked.replace("@CALLER", "192.0.2.1").encode()))

    first = tag(request())
    assert tag(request()) == first
    other = tag(request().replace("z9hG4bKcaller", "z9hG4bKother"))
    assert other != first
    # Without a branch (RFC 2543) the Call-ID tells requests apart.
    old = request().replace(";branch=z9hG4bKcaller", "")
    assert tag(old) == tag(old)
    assert tag(old) != tag(old.replace("Call-ID: call", "Call-ID: other"))
    # The node's own part of it is how ACKs are known.
    assert first.startswith(node.tag_prefix + b".")
    assert other.startswith(node.tag_prefix + b".")


@pytest.mark.parametrize(("code", "line"), [(0, "500"), (99, "500"), (700, "500"), (2**70, "500"), (-1, "500")])
def test_a_code_that_is_none(code: int, line: str) -> None:
    assert reply(Ours(), code, "Why").startswith(f"SIP/2.0 {line} Why\r\n")


@pytest.mark.parametrize(("code", "tagged"), [(100, 0), (101, 0), (179, 0), (180, 1), (183, 1), (200, 1), (404, 1)])
@pytest.mark.parametrize("function", ["sl.sl_send_reply", "sl.send_reply", "tm.t_reply"])
def test_what_comes_before_180_has_no_to_tag(function: str, code: int, tagged: int) -> None:
    """The table is Kamailio's, of each of these functions."""
    outcome = Ours().run(f'KSR.tm.t_newtran(); KSR.{function}({code}, "Why")', request())
    (to,) = re.findall("^To: .*$", str(outcome.caller[-1]), re.MULTILINE)
    assert to.count(";tag=") == tagged


def test_what_is_counted() -> None:
    server = Ours({"sl": {"default_code": 503}})
    for code in (200, 200, 404, 405, 181, 700):
        reply(server, code)
    value = server.node.statistics.value
    counted = {"200": 2, "404": 1, "4xx": 1, "2xx": 0, "1xx": 0, "500": 0, "5xx": 0, "xxx": 2}
    assert {name: value("sl", f"{name}_replies") for name in counted} == counted
    assert value("sl", "sent_replies") == 6
    assert value("sl", "failures") == 0


def test_an_ack_is_never_answered() -> None:
    outcome = Ours().run('out += [KSR.sl.sl_send_reply(200, "OK"), KSR.sl.send_reply(200, "OK")]', request("ACK"))
    assert outcome.out == [-1, -1]
    assert not outcome.caller
