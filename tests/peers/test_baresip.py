"""Two baresip phones register and call each other; each hears the other hang up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from baresip_phone import MISSING, Phone
from peer_servers import ServerProcess

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture
def phones(server: ServerProcess, tmp_path: Path) -> Iterator[Callable[[str, str], tuple[Phone, Phone]]]:
    """Make Alice and Bob over the given transports, registered."""
    with ExitStack() as stack:

        def make(of_alice: str, of_bob: str) -> tuple[Phone, Phone]:
            pair = [("alice", of_alice), ("bob", of_bob)]
            made = [stack.enter_context(Phone(user, server.port, t, tmp_path)) for user, t in pair]
            for phone in made:
                phone.registered()
            return made[0], made[1]

        yield make


@pytest.mark.parametrize(("of_alice", "of_bob"), [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp")])
def test_a_call(phones: Callable[[str, str], tuple[Phone, Phone]], of_alice: str, of_bob: str) -> None:
    alice, bob = phones(of_alice, of_bob)
    alice.tell("dial", bob.uri)
    assert bob.until("CALL_ESTABLISHED")["peeruri"] == alice.uri
    alice.until("CALL_ESTABLISHED")
    alice.tell("hangup")
    for phone in (bob, alice):
        phone.until("CALL_CLOSED")

    # The other way round, and the one who was called hangs up.
    bob.tell("dial", alice.uri)
    for phone in (alice, bob):
        phone.until("CALL_ESTABLISHED")
    alice.tell("hangup")
    for phone in (bob, alice):
        phone.until("CALL_CLOSED")
