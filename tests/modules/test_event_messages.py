"""Functions on the request that is made up for events which concern no message: it came from nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conftest import Bench
from kahea.routing.generation import event_message
from kahea.routing.run import EVENT_ROUTE, Run, current


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sl.sl_send_reply", (200, "OK")),
        ("sl.send_reply", (200, "OK")),
        ("sl.sl_reply_error", ()),
        ("tm.t_newtran", ()),
        ("tm.t_relay", ()),
        ("tm.t_reply", (200, "OK")),
        ("rr.loose_route", ()),
        ("forward", ()),
        ("registrar.lookup", ("location",)),
    ],
)
def test_nobody_can_be_answered(bench: Callable[..., Bench], name: str, arguments: tuple[int | str, ...]) -> None:
    b = bench("sl", "tm", "rr", "registrar")
    current.run = Run(b.node, event_message(), EVENT_ROUTE, "some:event")
    assert b.call(name, *arguments) < 0
