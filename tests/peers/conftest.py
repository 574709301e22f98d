"""The server that the peers talk to: Kahea and, to prove the peers, Kamailio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from peer_servers import ServerProcess, missing


@pytest.fixture(params=["kahea", "kamailio"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    """A running server with the default script."""
    why = missing(request.param)
    if why:
        pytest.skip(why)
    with ServerProcess(request.param, tmp_path) as running:
        yield running
