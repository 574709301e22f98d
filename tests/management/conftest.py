"""The servers that management is tried on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .servers import KAMAILIO, Kahea, Kamailio


@pytest.fixture(scope="session")
def kahea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kahea]:
    """Our server."""
    server = Kahea(tmp_path_factory.mktemp("a"))
    yield server
    server.stop()
    assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="session")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    """The oracle with the same cfg."""
    if KAMAILIO is None:
        pytest.skip("needs a real Kamailio to compare with")
    server = Kamailio(tmp_path_factory.mktemp("b"))
    yield server
    server.stop()
