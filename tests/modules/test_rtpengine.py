"""rtpengine beside Kamailio's: the same commands at the relay, byte for byte, the same messages at both ends."""

from __future__ import annotations

from pathlib import Path

import media_relays
from media_relays import Answer, Relay, rtpengine_answer
from relay_twin import compare, compare_scenes
from rtpengine_cases import MESSAGES, OFFERS, OTHERS
from twin import needs_kamailio

from kahea.connectors.bencode import load

pytestmark = needs_kamailio

PARAMETERS = f'modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:{media_relays.PORT}")\n'


def engine(number: int = 0, answer: Answer = rtpengine_answer) -> Relay:
    return Relay(number, answer)


def test_offers(tmp_path: Path) -> None:
    with engine() as relay:
        found = compare(tmp_path, "rtpengine", OFFERS, PARAMETERS, relay)
    assert sum(bool(commands) for commands, _ in found) > 100


def test_which_message_is_offer_answer_or_end(tmp_path: Path) -> None:
    with engine() as relay:
        compare(tmp_path, "rtpengine", MESSAGES, PARAMETERS, relay)


def test_other_commands(tmp_path: Path) -> None:
    with engine() as relay:
        found = compare(tmp_path, "rtpengine", OTHERS, PARAMETERS, relay)
    names = {load(commands[0].partition(b" ")[2])[b"command"] for commands, _ in found if commands}
    assert len(names) == 17


def test_transactions(tmp_path: Path) -> None:
    with engine() as relay:
        compare_scenes(tmp_path, "rtpengine", PARAMETERS, relay, "replace-origin", "via-branch=1", b"d7:command4:ping")
