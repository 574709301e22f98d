"""Module `sanity`: the quick look lets nothing through that the checks themselves would refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twin import request

from conftest import Bench
from kahea.modules.sanity import Sanity
from kahea.sip.errors import ParseError

GOOD = [
    request().replace("@CALLER", "192.0.2.1").encode(),
    request("BYE", to_tag="there", headers="Expires: 60\r\n").replace("@CALLER", "192.0.2.1:5070").encode(),
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: sip:c@d;tag=2\r\n"
    b"Call-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
]
#: All that the quick look knows, each kind of check alone, and more.
CHECKS = [17895, 17604, 3047, *(1 << n for n in range(16)), 65535, -1, 1 << 70]
#: What breaks a header when it stands in it.
PIECES = [
    b"",
    b" ",
    b"\t",
    b"\x0b",
    b";tag=x",
    b"<",
    b">",
    b",",
    b"0",
    b"99999999999",
    b"x",
    b"sip:",
    b"sip:a@b:x",
    b":",
]


@pytest.fixture
def gate(bench: Callable[..., Bench]) -> Bench:
    return bench("sanity", sanity={"noreply": 1})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(
    message=st.sampled_from(GOOD),
    at=st.floats(0, 1, exclude_max=True),
    cut=st.integers(0, 12),
    piece=st.sampled_from(PIECES),
    checks=st.sampled_from(CHECKS),
    uris=st.sampled_from([0, 1, 2, 4, 7, 8, 15, -1]),
)
def test_it_says_what_the_checks_say(
    gate: Bench, message: bytes, at: float, cut: int, piece: bytes, checks: int, uris: int
) -> None:
    start = int(at * len(message))
    data = message[:start] + piece + message[start + cut :]
    module = gate.node.module("sanity")
    assert isinstance(module, Sanity)
    try:
        wanted = module.look(gate.take(data), checks, uris)
    except ParseError:
        return
    gate.take(data)
    assert gate.call("sanity.sanity_check", checks, uris) == wanted


@pytest.mark.parametrize("message", GOOD)
def test_sound_messages_need_no_second_look(gate: Bench, message: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual checks, asked of a request and of a reply."""
    monkeypatch.setattr("kahea.modules.sanity.CHECKS", None)
    gate.take(message)
    assert gate.call("sanity.sanity_check", 17895 if not message.startswith(b"SIP") else 17604, 7) == 1
