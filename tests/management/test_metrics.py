"""Metrics for Prometheus: Kamailio's text, and the bounds that it lacks."""

from __future__ import annotations

import re

import pytest

from kahea.modules.xhttp_prom.metrics import DEFAULT_BUCKETS, MAX_SERIES, MetricError, Metrics, declaration

from .clients import Fault, http_request
from .servers import Kahea, Kamailio, Server


def scrape(server: Server) -> tuple[int, str | None, str]:
    status, _, headers, body = http_request(server.sip, "GET", "/metrics")
    return status, headers.get("Content-Type"), re.sub(r" \d{13}$", " TIME", body.decode(), flags=re.MULTILINE)


def told(server: Server, *command: int | float | str) -> object:
    with server.binrpc() as connection:
        try:
            return connection.call(*command)  # type: ignore[arg-type]
        except Fault as fault:
            return fault.code


def test_metrics_of_a_script(kamailio: Kamailio, kahea: Kahea) -> None:
    assert scrape(kahea) == scrape(kamailio)
    for _ in range(2):
        ours, theirs = (http_request(server.sip, "GET", "/count")[3] for server in (kahea, kamailio))
        assert ours == theirs
    assert scrape(kahea) == scrape(kamailio)
    assert "kamailio_sizes_bucket" in scrape(kahea)[2]
    commands: list[tuple[int | float | str, ...]] = [
        ("xhttp_prom.counter_inc", "plain", 5),
        ("xhttp_prom.counter_inc", "calls", 5, "BYE", "192.0.2.2"),
        ("xhttp_prom.counter_inc", "calls", 5, "BYE"),
        ("xhttp_prom.counter_inc", "nothing", 5),
        ("xhttp_prom.counter_inc",),
        ("xhttp_prom.counter_reset", "calls", "INVITE", "192.0.2.1"),
        ("xhttp_prom.counter_reset", "nothing"),
        ("xhttp_prom.gauge_set", "level", -5.25),
        ("xhttp_prom.gauge_set", "nothing", 5.5),
        ("xhttp_prom.gauge_reset", "levels", "x", "y", "z w"),
        ("xhttp_prom.histogram_observe", "times", 2.5),
        ("xhttp_prom.histogram_observe", "sizes", 4.5, "small"),
        ("xhttp_prom.histogram_observe", "sizes", 4.5),
    ]
    for command in commands:
        assert told(kahea, *command) == told(kamailio, *command), command
    assert scrape(kahea) == scrape(kamailio)


def test_values_of_labels_are_escaped() -> None:
    metrics = Metrics(lambda: 0.0)
    metrics.declare(declaration("counter", "name=c; label=l"))
    metrics.add("c", 1, ('a"b\\c\nd',))
    assert metrics.lines("", 5) == ['c{l="a\\"b\\\\c\\nd"} 1 5']


def test_what_is_not_used_goes() -> None:
    now = [0.0]
    metrics = Metrics(lambda: now[0], timeout=60)
    metrics.declare(declaration("counter", "name=c; label=l"))
    metrics.add("c", 1, ("old",))
    now[0] = 50
    metrics.add("c", 1, ("new",))
    now[0] = 70
    assert metrics.lines("", 0) == ['c{l="new"} 1 0']
    now[0] = 200
    assert metrics.lines("", 0) == []


def test_labels_from_messages_fill_no_memory() -> None:
    now = [0.0]
    metrics = Metrics(lambda: now[0], timeout=60)
    metrics.declare(declaration("gauge", "name=g; label=l"))
    for i in range(MAX_SERIES):
        metrics.set("g", 1, (str(i),))
    with pytest.raises(MetricError, match="series already"):
        metrics.set("g", 1, ("one more",))
    metrics.set("g", 2, ("7",))
    now[0] = 100
    metrics.set("g", 1, ("one more",))
    assert metrics.lines("", 0) == ['g{l="one more"} 1.000000 0']


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("counter", "", "has a name"),
        ("counter", "name=a-b", "has a name"),
        ("counter", "name=a; label=x:y:z:w", "up to 3"),
        ("counter", "name=a; label=x:", "up to 3"),
        ("counter", "name=a; buckets=1", "no attribute of a counter"),
        ("counter", "name=a; name=b", "twice"),
        ("gauge", "nonsense", "no attribute"),
        ("histogram", "name=a; buckets=2:1", "larger than the one before"),
        ("histogram", "name=a; buckets=x", "no number"),
    ],
)
def test_declarations_that_are_none(kind: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        declaration(kind, text)


def test_a_histogram_has_buckets_without_being_told() -> None:
    assert declaration("histogram", "name = h ;").buckets == DEFAULT_BUCKETS
