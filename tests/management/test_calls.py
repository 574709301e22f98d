"""Calling commands: parameters made to fit, failures as faults, waiting where it is needed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kahea.routing.module import RpcCommand, RpcError
from kahea.routing.node import Node
from kahea.routing.rpc import calls
from kahea.routing.run import wait
from kahea.routing.settings import Configuration


class Commands:
    """What a module might declare."""

    def typed(self, number: int, text: str, real: float = 0.5, other: str | None = None) -> list[object]:
        return [number, text, real, other]

    def many(self, first: str, *more: int) -> list[object]:
        return [first, *more]

    def anything(self, value: Any) -> object:
        return value

    def fails(self) -> None:
        raise RpcError(404, "not here")

    def breaks(self) -> None:
        raise ValueError("a mistake")

    def waits(self) -> str:
        return wait(asyncio.sleep(0.01, "waited"))


COMMANDS = Commands()


def command(name: str) -> RpcCommand:
    return RpcCommand(f"test.{name}", getattr(COMMANDS, name))


@pytest.mark.parametrize(
    ("name", "given", "bound"),
    [
        ("typed", [1, "x"], [1, "x", 0.5, None]),
        ("typed", ["12", 7, "1.5", "o"], [12, "7", 1.5, "o"]),
        ("typed", [1.9, 2.5, 3, None], [1, "2.5", 3.0, None]),
        ("typed", [True, "x", None, "o", "too much"], [1, "x", 0.5, "o"]),
        ("typed", [" -7 ", "x"], [-7, "x", 0.5, None]),
        ("many", ["a"], ["a"]),
        ("many", [1, 2, "3"], ["1", 2, 3]),
        ("anything", [1.5], [1.5]),
    ],
)
def test_parameters_are_made_to_fit(name: str, given: list[object], bound: list[object]) -> None:
    assert calls.bind(command(name), given) == bound


@pytest.mark.parametrize(
    ("name", "given", "exact", "text"),
    [
        ("typed", [], False, "error at parameter 0: expected integer type but end of packet encountered"),
        ("typed", [1], False, "error at parameter 1: expected string type but end of packet encountered"),
        ("typed", ["x", "x"], False, "error at parameter 0: expected integer type but record doesn't match type"),
        ("typed", ["1", "x"], True, "error at parameter 0: expected integer type but record doesn't match type"),
        ("typed", ["1_0", "x"], False, "error at parameter 0: expected integer type but record doesn't match type"),
        ("typed", ["\u0661", "x"], False, "error at parameter 0: expected integer type but record doesn't match type"),
        ("typed", [1, "x", "nan"], False, "error at parameter 2: expected float type but record doesn't match type"),
        ("typed", [1, ["x"]], False, "error at parameter 1: expected string type but record doesn't match type"),
        ("many", ["x", 1, "y"], False, "error at parameter 2: expected integer type but record doesn't match type"),
        ("anything", [{}], False, "error at parameter 0: expected any type but record doesn't match type"),
    ],
)
def test_what_does_not_fit_is_told_in_kamailios_words(name: str, given: list[object], exact: bool, text: str) -> None:
    with pytest.raises(RpcError, match=text) as raised:
        calls.bind(command(name), given, exact=exact)
    assert raised.value.code == 400


@pytest.fixture
def node() -> Node:
    return Node(Configuration(load=[]))


def run(node: Node, name: str, *given: object) -> tuple[Any, RpcError | None]:
    answers: list[tuple[Any, RpcError | None]] = []
    calls.start(node, command(name), given, lambda *answer: answers.append(answer))
    assert len(answers) == 1
    return answers[0]


def test_results_and_faults(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    assert run(node, "anything", 5) == (5, None)
    _, fault = run(node, "fails")
    assert fault is not None
    assert (fault.code, str(fault)) == (404, "not here")
    _, fault = run(node, "breaks")
    assert fault is not None
    assert (fault.code, str(fault)) == (500, "Internal Server Error")
    assert "a mistake" in caplog.text
    _, fault = run(node, "typed")
    assert fault is not None
    assert fault.code == 400


def test_a_command_may_wait(node: Node) -> None:
    async def main() -> tuple[Any, RpcError | None]:
        answer: asyncio.Future[tuple[Any, RpcError | None]] = asyncio.get_running_loop().create_future()
        calls.start(node, command("waits"), [], lambda *given: answer.set_result(given))
        assert not answer.done()
        return await asyncio.wait_for(answer, 5)

    assert asyncio.run(main()) == ("waited", None)


def test_too_many_runs(node: Node) -> None:
    node.pool.limit = 0
    _, fault = run(node, "anything", 5)
    assert fault is not None
    assert fault.code == 503
