"""Plays flows: each against a running server, some at a time, giving the normalised trace or the failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .normal import trace
from .peers import Stage
from .servers import Server, Setup

#: What Kamailio sent in each flow under the KEMI scripts, and in its own language where that differs.
TRACES = Path(__file__).parent / "traces"
NATIVE_TRACES = TRACES / "native"

Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Flow:
    """A flow: its name, which setup it plays in, and how it goes."""

    name: str
    setup: Setup
    play: Play


@dataclass
class Outcome:
    """What a flow gave: a trace, or an error text (and the trace so far)."""

    trace: str = ""
    error: str = ""


FLOWS: dict[str, Flow] = {}


def recorded(name: str, *, native: bool = False) -> Path:
    """The record of a flow."""
    of_its_own = NATIVE_TRACES / f"{name}.txt"
    return of_its_own if native and of_its_own.exists() else TRACES / f"{name}.txt"


def flow(setup: Setup) -> Callable[[Play], Play]:
    """Register a flow under its function's name."""

    def register(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        if name in FLOWS:
            raise ValueError(f"two flows are called {name}")
        FLOWS[name] = Flow(name, setup, play)
        return play

    return register


async def perform(one: Flow, stage: Stage) -> Outcome:
    """Play one flow."""
    outcome = Outcome()
    try:
        await one.play(stage)
        await stage.settle()
    except Exception as error:  # noqa: BLE001 -- one flow that breaks must not hide the others
        outcome.error = f"{type(error).__name__}: {error}"
    outcome.trace = trace(stage)
    return outcome


async def perform_all(kind: type[Server], flows: Iterable[Flow], directory: Path) -> dict[str, Outcome]:
    """Play flows, each in the setup it asks for, with one server per setup."""
    outcomes: dict[str, Outcome] = {}
    by_setup: dict[str, list[Flow]] = {}
    for one in flows:
        by_setup.setdefault(one.setup.name, []).append(one)
    for name, group in by_setup.items():
        place = directory / f"{kind.kind}-{name}"
        place.mkdir(parents=True, exist_ok=True)
        try:
            async with kind(group[0].setup, place) as server:
                await _some_at_once(group, server, outcomes)
                if server.process is not None and server.process.returncode is not None:
                    _fail(outcomes, group, f"{kind.kind} ended during the flows:\n{server.log[-3000:]}")
        except (RuntimeError, OSError) as error:
            _fail(outcomes, group, str(error))
    return outcomes


def _fail(outcomes: dict[str, Outcome], group: list[Flow], text: str) -> None:
    for one in group:
        outcomes[one.name] = Outcome(error=text)


async def _some_at_once(group: list[Flow], server: Server, outcomes: dict[str, Outcome]) -> None:
    gate = asyncio.Semaphore(group[0].setup.at_once)
    stages = [Stage(one.name, server.addresses) for one in group]

    async def one_of(one: Flow, stage: Stage) -> None:
        async with gate:
            outcomes[one.name] = await perform(one, stage)

    try:
        await asyncio.gather(*(one_of(one, stage) for one, stage in zip(group, stages, strict=True)))
    finally:
        # Not before: the ICMP error of a closed port would fail some other flow's packet in Kamailio.
        for stage in stages:
            stage.close()
