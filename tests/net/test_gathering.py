"""When datagrams are gathered: by the rate at which they come, and a listener that is read in intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from net_bench import Notes

from kahea.net.address import Address
from kahea.net.gathering import Gathering
from kahea.net.sockets import SocketOptions
from kahea.net.udp import UdpListener

LONGEST = 0.005
MESSAGE = b"MESSAGE sip:a@example.com"
#: Datagrams that are sent at each turn of the loop's timer: a load, however late that timer is.
PER_STEP = 16
Run = Callable[[Any], Any]


class Traffic:
    """Datagrams that come evenly, so many a second, to a reader that looks when it is told to."""

    def __init__(self, longest: float = LONGEST) -> None:
        self.gathering = Gathering(longest)
        self.now = 1000.0

    def come(self, rate: float, seconds: float) -> None:
        """Let time pass; what comes is read at once, or after the pause."""
        end, owed = self.now + seconds, 0.0
        while self.now < end:
            step = self.gathering.pause or 1 / max(rate, 100)
            self.now += step
            owed += rate * step
            if int(owed) or self.gathering.pause:
                self.gathering.taken(int(owed), lambda: self.now)
                owed -= int(owed)


def test_nothing_waits_without_load() -> None:
    traffic = Traffic()
    traffic.come(1500, 1.0)
    assert traffic.gathering.pause == 0


def test_load_is_read_in_intervals() -> None:
    traffic = Traffic()
    traffic.come(6000, 1.0)
    assert traffic.gathering.pause == LONGEST
    traffic.come(16_000, 1.0)
    assert traffic.gathering.pause == pytest.approx(48 / 16_000, rel=0.1)


def test_a_flood_is_read_as_it_comes() -> None:
    traffic = Traffic()
    traffic.come(100_000, 1.0)
    assert traffic.gathering.pause == 0


def test_it_ends_soon_after_the_load() -> None:
    traffic = Traffic()
    traffic.come(6000, 1.0)
    traffic.come(0, 0.06)
    assert traffic.gathering.pause == 0


def test_an_empty_interval_is_not_the_end() -> None:
    traffic = Traffic()
    traffic.come(6000, 1.0)
    traffic.come(0, LONGEST)
    assert traffic.gathering.pause == LONGEST


def test_off() -> None:
    traffic = Traffic(0)
    traffic.come(6000, 1.0)
    assert traffic.gathering.pause == 0


@pytest.mark.parametrize("longest", [-0.001, 1.5, float("nan")])
def test_a_pause_that_is_none(longest: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1 s"):
        Gathering(longest)


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 0.1)), max_size=200), st.floats(0, 1))
def test_no_pause_is_longer_than_allowed(reads: list[tuple[int, float]], longest: float) -> None:
    gathering, now = Gathering(longest), 0.0
    for n, passed in reads:
        now += passed
        assert gathering.taken(n, lambda now=now: now) == gathering.pause  # type: ignore[misc]
        assert gathering.pause == 0 or 0.001 <= gathering.pause <= longest


def send(a: UdpListener, b: UdpListener, sent: list[bytes]) -> None:
    """From one listener to another, at once."""
    for data in sent:
        assert a.send(data, b.address)
    a.flush()


def test_a_listener_under_load(run: Run) -> None:
    """It is read in intervals, loses nothing, keeps the order, and reads at once again when the load is over."""

    async def main() -> None:
        one, other = Notes(), Notes()
        a, b = (
            UdpListener(Address.of("127.0.0.1", 0)),
            UdpListener(Address.of("127.0.0.1", 0), options=SocketOptions(gather=LONGEST)),
        )
        loop = asyncio.get_running_loop()
        a.open(loop, one)
        b.open(loop, other)
        gathered = False
        sent = [b"MESSAGE sip:a@example.com %d" % i for i in range(3000)]
        for i in range(0, len(sent), PER_STEP):
            send(a, b, sent[i : i + PER_STEP])
            gathered = gathered or b.gathers
            await asyncio.sleep(0.001)
        await other.until(lambda: len(other.messages) == len(sent))
        assert other.data == sent
        assert gathered
        while b.gathers:
            await asyncio.sleep(LONGEST)
        send(a, b, sent[:1])
        await other.until(lambda: len(other.messages) == len(sent) + 1)
        assert not b.gathers
        a.close()
        b.close()

    run(main())


def test_closed_while_it_gathers(run: Run) -> None:
    async def main() -> None:
        one, other = Notes(), Notes()
        loop = asyncio.get_running_loop()
        a = UdpListener(Address.of("127.0.0.1", 0))
        b = UdpListener(Address.of("127.0.0.1", 0), options=SocketOptions(gather=LONGEST))
        a.open(loop, one)
        b.open(loop, other)
        while not b.gathers:
            send(a, b, [MESSAGE] * PER_STEP)
            await asyncio.sleep(0.001)
        b.close()
        read = len(other.messages)
        await asyncio.sleep(2 * LONGEST)
        assert len(other.messages) == read
        assert not b.gathers
        a.close()

    run(main())
