"""Kamailio and Kahea under the same script and traffic must send the same messages.

`traces/` holds what Kamailio 5.6.3 sent in each flow, normalised. One test compares Kahea with the record;
another, where Kamailio is installed, says whether the record is still what Kamailio does. Both are done twice: with
the KEMI scripts, and with their twins in Kamailio's own language, of which `traces/native/` has what differs.
"""

from __future__ import annotations

import asyncio

import pytest

from . import all_flows
from .known import KNOWN
from .servers import Kahea, Kamailio, NativeKahea, NativeKamailio, Server
from .stages import FLOWS, NATIVE_TRACES, TRACES, Outcome, perform_all, recorded

all_flows.load()


def _play(kind: type[Server], request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Play the flows of the collected tests that use this server, all in one go: their timers overlap."""
    prefix = f"test_{kind.kind}"
    calls = [
        item.callspec for item in request.session.items if item.name.startswith(prefix) and hasattr(item, "callspec")
    ]
    flows = [FLOWS[call.params["flow"]] for call in calls]
    return asyncio.run(perform_all(kind, flows, factory.mktemp(kind.kind)))


@pytest.fixture(scope="session")
def of_kahea(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return _play(Kahea, request, tmp_path_factory)


@pytest.fixture(scope="session")
def of_kamailio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    if Kamailio.missing():
        pytest.skip(Kamailio.missing())
    return _play(Kamailio, request, tmp_path_factory)


@pytest.fixture(scope="session")
def of_native_kahea(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return _play(NativeKahea, request, tmp_path_factory)


@pytest.fixture(scope="session")
def of_native_kamailio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    if NativeKamailio.missing():
        pytest.skip(NativeKamailio.missing())
    return _play(NativeKamailio, request, tmp_path_factory)


def _agrees(outcome: Outcome, flow: str, *, native: bool = False) -> None:
    assert not outcome.error, f"{outcome.error}\n{outcome.trace}"
    assert outcome.trace == recorded(flow, native=native).read_text()


for_kahea = pytest.mark.parametrize(
    "flow",
    [pytest.param(n, marks=[pytest.mark.xfail(reason=KNOWN[n])] if n in KNOWN else []) for n in sorted(FLOWS)],
)


@for_kahea
def test_kahea_sends_what_kamailio_sends(flow: str, of_kahea: dict[str, Outcome]) -> None:
    _agrees(of_kahea[flow], flow)


@pytest.mark.parametrize("flow", sorted(FLOWS))
def test_kamailio_still_sends_it(flow: str, of_kamailio: dict[str, Outcome]) -> None:
    _agrees(of_kamailio[flow], flow)


@for_kahea
def test_native_kahea_sends_what_kamailio_sends(flow: str, of_native_kahea: dict[str, Outcome]) -> None:
    _agrees(of_native_kahea[flow], flow, native=True)


@pytest.mark.parametrize("flow", sorted(FLOWS))
def test_native_kamailio_still_sends_it(flow: str, of_native_kamailio: dict[str, Outcome]) -> None:
    _agrees(of_native_kamailio[flow], flow, native=True)


def test_every_record_has_its_flow() -> None:
    assert {path.stem for path in TRACES.glob("*.txt")} == set(FLOWS)
    assert {path.stem for path in NATIVE_TRACES.glob("*.txt")} <= set(FLOWS)
