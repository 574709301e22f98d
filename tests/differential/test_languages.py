"""One routing logic in every language of KEMI: the same messages from all of them, from Kamailio and from Kahea.

They are those that `traces/` has of the router in Python.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

import pytest

from . import all_flows
from .known import KNOWN
from .languages import FOREIGN, ForeignKahea
from .servers import Server
from .setups import ROUTER
from .stages import FLOWS, Outcome, perform_all, recorded

all_flows.load()

ROUTED = sorted(name for name, flow in FLOWS.items() if flow.setup is ROUTER)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory):
    """Plays the router's flows to a kind of server, all in one go."""

    @cache
    def play(kind: type[Server]) -> dict[str, Outcome]:
        directory: Path = tmp_path_factory.mktemp(kind.kind)
        return asyncio.run(perform_all(kind, [FLOWS[name] for name in ROUTED], directory))

    return play


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.kind)
def test_the_same_messages_in_every_language(kind, played) -> None:
    if kind.lacking():
        pytest.skip(kind.lacking())
    outcomes = played(kind)
    for name in ROUTED:
        if name in KNOWN and issubclass(kind, ForeignKahea):
            continue
        assert not outcomes[name].error, f"{name}: {outcomes[name].error}\n{outcomes[name].trace}"
        assert outcomes[name].trace == recorded(name).read_text(), name
    assert len(ROUTED) > 15
