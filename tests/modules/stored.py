"""A node in a running event loop, for tests of what waits: registering with a database behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from locating import register
from twin import Outcome, Wire, request

from kahea.net.address import P_TCP, P_UDP, Address
from kahea.routing.generation import Generation
from kahea.routing.node import Node
from kahea.routing.settings import Configuration
from kahea.sip.message import parse

LOAD = ("sl", "tm", "usrloc", "registrar")
CALLER = Address.of("127.0.0.1", 16000)


class Server:
    """`async with Server({...}) as server`: a node with a UDP and a TCP listener.

    After `crash()` nothing is flushed.
    """

    def __init__(
        self, params: dict[str, dict[str, Any]], port: int = 15060, load: Sequence[str] = LOAD, **settings: Any
    ) -> None:
        configuration = Configuration(load=list(load))
        for name, value in settings.items():
            setattr(configuration.settings, name, value)
        for module, given in params.items():
            for key, one in given.items():
                configuration.set_module(module, key, one)
        self.offset = 0.0
        self.node = Node(
            configuration,
            clock=lambda: time.monotonic() + self.offset,
            wall=lambda: time.time() + self.offset,
        )
        self.wire = Wire(P_UDP, Address.of("127.0.0.1", port))
        self.stream = Wire(P_TCP, Address.of("127.0.0.1", port))
        for wire in (self.wire, self.stream):
            wire.sent = []
            self.node.add_listener(wire)
        self.usrloc = None
        self._cseq = 0
        self._crashed = False

    async def __aenter__(self) -> Server:
        self.node.start()
        await self.node.open()
        self.ksr = self.node.registry.ksr()
        self.locations = self.node.module("usrloc")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._crashed:
            await self.node.stop()

    def crash(self) -> None:
        """Leave everything as it is."""
        self._crashed = True

    async def later(self, seconds: int) -> None:
        """Let time pass, second by second, and what it causes happen."""
        for _ in range(seconds):
            self.offset += 1
            self.node.advance(self.node.now())
            await asyncio.sleep(0)
        deadline = time.monotonic() + 5
        while self.locations._tasks and time.monotonic() < deadline:
            await asyncio.sleep(0.001)

    async def run(self, code: str, message: str, wire: Wire | None = None) -> Outcome:
        """Run a script over a message until it ends."""
        out: list[Any] = []
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent: list[str] = []

        def route(_run: object) -> int:
            try:
                exec(code, {"KSR": self.ksr, "out": out})
            finally:
                done.set_result(None)
            return 1

        self.node.use(Generation(lambda _name: None, request=route))
        wire = wire or self.wire
        msg = parse(message.replace("@CALLER", "127.0.0.1:16000").encode())
        at = wire.address
        msg.set_origin(
            CALLER.ip_bytes, CALLER.port, at.ip_bytes, at.port, wire.proto,
            CALLER, wire, 7 if wire is self.stream else 0, 0.0, 1,
        )  # fmt: skip
        before = len(wire.sent)
        self.node.pool.run(self.node.run_route, msg)
        async with asyncio.timeout(20):
            await done
        callid = msg.callid
        cseq = b"CSeq: %d " % msg.cseq
        for _, data in wire.sent[before:]:
            if callid in data and cseq in data:
                sent.append(data.decode())
        return Outcome(out, [], sent)

    async def save(
        self,
        contact: str | None = "<sip:u@10.1.1.1>",
        *headers: str,
        aor: str = "bob@x",
        flags: int = 0,
        wire: Wire | None = None,
        **more: Any,
    ) -> tuple[int, str]:
        """Register: what save() returned, and the answer without what is the same in all."""
        self._cseq += 1
        code = f'out.append(KSR.registrar.save("location", {flags}))'
        outcome = await self.run(code, register(aor, more.pop("cseq", self._cseq), contact, *headers, **more), wire)
        return outcome.out[0], outcome.caller[0] if outcome.caller else ""

    async def lookup(self, uri: str = "sip:bob@x") -> tuple[int, str]:
        """Look up: the code and the Request-URI."""
        code = 'out += [KSR.registrar.lookup("location"), KSR.pv.get("$ru")]'
        outcome = await self.run(code, request(uri=uri))
        return outcome.out[0], outcome.out[1]

    async def call(self, code: str, **more: Any) -> list[Any]:
        """What a script appended to `out`."""
        out: list[Any] = (await self.run(code, request(**more))).out
        return out

    async def rpc(self, name: str, *params: Any) -> Any:
        """The answer to a command, run where it may wait."""
        answer: list[Any] = []
        done = asyncio.Event()

        def work() -> None:
            try:
                answer.append(self.node.registry.rpcs[name].call(*params))
            except Exception as error:  # noqa: BLE001 - handed to the test
                answer.append(error)
            done.set()

        self.node.pool.run(work)
        await done.wait()
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]
