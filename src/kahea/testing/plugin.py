"""The pytest plugin: fixture `kahea`, and the message diagram of a failed test in its report.

Loaded with every pytest run where Kahea is installed, so it imports nothing of the engine until asked.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kahea.testing.simulation import Simulation

_SIMULATION: pytest.StashKey[Simulation] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "kahea(seed=0, grace=0.25): how the `kahea` fixture's simulation is made")


@pytest.fixture
def kahea(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """A simulation, closed after the test, which fails if a script or the engine logged an error.

    `@pytest.mark.kahea(seed=7)` gives its arguments. Empty `kahea.errors` where errors are what you test.
    """
    from kahea.testing.simulation import Simulation

    marker = request.node.get_closest_marker("kahea")
    simulation = Simulation(*marker.args, **marker.kwargs) if marker is not None else Simulation()
    request.node.stash[_SIMULATION] = simulation
    try:
        yield simulation
    finally:
        simulation.close(check=False)
    simulation.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the diagram to a failed test's report."""
    report = yield
    simulation = item.stash.get(_SIMULATION, None)
    if simulation is not None and report.when == "call" and report.failed and simulation.trace:
        report.sections.append(("SIP messages", simulation.ladder()))
    return report
