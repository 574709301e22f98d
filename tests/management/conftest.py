"""The servers that management is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import KAMAILIO, Kahea, Kamailio

PYTHON_MODULE = any(Path("/usr/lib").glob("**/kamailio/modules/app_python3.so"))


@pytest.fixture(scope="session")
def kahea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kahea]:
    """Our server."""
    server = Kahea(tmp_path_factory.mktemp("a"))
    yield server
    server.stop()
    assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="session")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    """The oracle with the same script and interfaces."""
    if KAMAILIO is None or not PYTHON_MODULE:
        pytest.skip("needs a real Kamailio with app_python3 to compare with")
    server = Kamailio(tmp_path_factory.mktemp("b"))
    yield server
    server.stop()
