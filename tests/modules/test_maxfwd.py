"""Module `maxfwd` against Kamailio: what it returns, and what leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twin import FORWARD, Ours, Pair, needs_kamailio, pair, request

from kahea.routing.module import ConfigError

ASK = "out.append([KSR.maxfwd.is_maxfwd_lt(n) for n in (0, 5, 10, 71)])\n"
VALUES = [
    "0",
    "1",
    "5",
    "69",
    "70",
    "71",
    "72",
    "255",
    "256",
    "300",
    "abc",
    "",
    " 10 ",
    "10;x",
    "007",
    "10 11",
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory) as made:
        yield made


@needs_kamailio
@pytest.mark.parametrize("value", VALUES)
def test_a_received_value(plain: Pair, value: str) -> None:
    code = f"{ASK}out.append(KSR.maxfwd.process_maxfwd(10))\n{ASK}{FORWARD}"
    plain.same(code, request(headers=f"Max-Forwards: {value}\r\n"))


@needs_kamailio
@pytest.mark.parametrize("limit", [-1, 0, 1, 70, 255, 256, 300])
def test_no_header(plain: Pair, limit: int) -> None:
    plain.same(f"{ASK}out.append(KSR.maxfwd.process_maxfwd({limit}))\n{ASK}{FORWARD}", request())


@needs_kamailio
def test_the_limit_is_a_parameter(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pair(tmp_path_factory, {"maxfwd": {"max_limit": 32}}) as both:
        for value in VALUES:
            code = f"out.append(KSR.maxfwd.process_maxfwd(10))\n{ASK}{FORWARD}"
            both.same(code, request(headers=f"Max-Forwards: {value}\r\n"))


def test_the_limit_has_limits() -> None:
    with pytest.raises(ConfigError, match="between 1 and 256"):
        Ours({"maxfwd": {"max_limit": 257}})


@pytest.mark.parametrize("headers", ["", "Max-Forwards: 11\r\n"])
def test_a_second_call_changes_nothing(headers: str) -> None:
    """Kamailio counts once more, and adds one more header; a request may have one (RFC 3261 §20.22)."""
    code = f"out.append([KSR.maxfwd.process_maxfwd(10), KSR.maxfwd.process_maxfwd(10)])\n{FORWARD}"
    outcome = Ours().run(code, request(headers=headers))
    assert outcome.out == [[1, 1] if headers else [2, 2]]
    assert [x for x in outcome.sink[0].split("\r\n") if x.startswith("Max-Forwards")] == ["Max-Forwards: 10"]


@needs_kamailio
@pytest.mark.parametrize("code", ["{m}\n{r}", "{a}\n{m}\n{r}"])
def test_order_among_added_headers(plain: Pair, code: str) -> None:
    calls = {
        "m": "KSR.maxfwd.process_maxfwd(10)",
        "r": "KSR.rr.record_route()",
        "a": "KSR.rr.add_rr_param(';a')",
    }
    plain.same(code.format(**calls) + FORWARD, request())
