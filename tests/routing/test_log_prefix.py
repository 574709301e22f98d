"""What stands before log lines while a message is handled."""

from __future__ import annotations

import io
import logging

import pytest

from kahea.routing.generation import event_message
from kahea.routing.log_prefix import LogPrefix
from kahea.routing.module import ConfigError
from kahea.routing.node import Node
from kahea.routing.run import REQUEST_ROUTE, Run, current
from kahea.routing.settings import Configuration


def lines(prefix: str, mode: int = 0) -> list[str]:
    """Two lines logged in one run, with another $var(n) each."""
    configuration = Configuration(load=[])
    configuration.settings.log_prefix, configuration.settings.log_prefix_mode = prefix, mode
    node = Node(configuration)
    node.start()
    run = Run(node, event_message(), REQUEST_ROUTE)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(LogPrefix())
    log = logging.getLogger("kahea.test_log_prefix")
    log.addHandler(handler)
    log.propagate = False
    try:
        log.warning("no %s", "run")
        current.run = run
        for n in (1, 2):
            run.vars["n"] = n
            log.warning("line %d", n)
    finally:
        current.run = None
        log.removeHandler(handler)
    return stream.getvalue().splitlines()


def test_evaluated_once_for_a_message() -> None:
    assert lines("{$rm $var(n)} ") == ["no run", "{OPTIONS 1} line 1", "{OPTIONS 1} line 2"]


def test_evaluated_for_each_line() -> None:
    assert lines("{$rm $var(n)} ", mode=1) == ["no run", "{OPTIONS 1} line 1", "{OPTIONS 2} line 2"]


def test_without_one() -> None:
    assert lines("") == ["no run", "line 1", "line 2"]


def test_an_unknown_variable_is_told_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"log_prefix: .*nope"):
        lines("$nope ")
