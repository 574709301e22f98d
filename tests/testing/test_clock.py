"""Virtual time: it jumps, keeps order, lets asyncio in, and waits for the real world where it should."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from kahea.testing import Simulation
from kahea.testing.clock import VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop(100.0, 0.2)
    yield made
    made.close()


def test_an_hour_passes_at_once(loop: VirtualLoop) -> None:
    began = time.monotonic()
    assert not loop.run_to(None, 3700.0)
    assert loop.time() == pytest.approx(3700.0)
    assert time.monotonic() - began < 1


def test_what_is_planned_happens_in_order(loop: VirtualLoop) -> None:
    seen: list[tuple[float, str]] = []

    def note(name: str) -> None:
        seen.append((round(loop.time(), 6), name))

    loop.plan(102, note, "c")
    loop.plan(101, note, "a")
    loop.plan(101, note, "b")
    loop.plan(101, lambda: loop.plan(101, note, "after b"))
    loop.plan(99, note, "late")
    canceled = loop.plan(101.5, note, "never")
    canceled.cancel()
    loop.run_to(None, 103)
    assert seen == [(100, "late"), (101, "a"), (101, "b"), (101, "after b"), (102, "c")]
    assert loop.planned == 0


def test_a_goal_stops_the_clock(loop: VirtualLoop) -> None:
    done: list[int] = []
    loop.plan(105, done.append, 1)
    loop.plan(106, done.append, 2)
    assert loop.run_to(lambda: bool(done), 200)
    assert done == [1]
    assert loop.time() == pytest.approx(105)


def test_a_goal_that_holds_takes_no_time(loop: VirtualLoop) -> None:
    assert loop.run_to(lambda: True, 200)
    assert loop.time() == 100


def test_asyncio_lives_in_virtual_time(loop: VirtualLoop) -> None:
    async def sleeper() -> float:
        await asyncio.sleep(50)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(1000), 10)
        return loop.time()

    began = time.monotonic()
    assert loop.run_until_complete(sleeper()) == pytest.approx(160)
    assert time.monotonic() - began < 1


def test_real_sockets_are_waited_for(loop: VirtualLoop) -> None:
    """A server that takes real time to answer, and a timeout in virtual time that must not overtake it."""
    answered: list[bytes] = []

    def serve(port: list[int], ready: threading.Event) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as server:
            port.append(server.getsockname()[1])
            ready.set()
            peer, _ = server.accept()
            with peer:
                peer.recv(10)
                threading.Event().wait(0.05)
                peer.sendall(b"real")

    async def ask(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"?")
        answered.append(await asyncio.wait_for(reader.read(10), 5))
        writer.close()

    port: list[int] = []
    ready = threading.Event()
    thread = threading.Thread(target=serve, args=(port, ready))
    thread.start()
    ready.wait()
    loop.waiting = lambda: 0 if answered else 1
    task = loop.create_task(ask(port[0]))
    loop.run_to(task.done, 200)
    thread.join()
    assert answered == [b"real"]
    assert loop.time() < 105


def test_waiting_inside_of_a_handler_is_refused() -> None:
    with Simulation() as sim:
        caught: list[str] = []

        def handler() -> None:
            with pytest.raises(RuntimeError) as error:
                sim.run(1)
            caught.append(str(error.value))

        sim.plan(1, handler)
        sim.run(2)
        assert "a handler can send, but not wait" in caught[0]


def test_what_planned_work_raises_reaches_the_test(loop: VirtualLoop) -> None:
    def break_down() -> None:
        raise ValueError("in a handler")

    done: list[int] = []
    loop.plan(101, break_down)
    loop.plan(102, done.append, 1)
    with pytest.raises(ValueError, match="in a handler"):
        loop.run_to(None, 110)
    assert not loop.run_to(None, 110)
    assert done == [1]
