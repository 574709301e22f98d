"""A node as a process, and a SIP peer in this process's event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

from tests.ports import free_port

import kahea

HOST: Final = "127.0.0.1"


class NodeProcess:
    """`kahea run FILE`, from its start until it is left; use with `async with`."""

    def __init__(self, directory: Path, file: Path, *more: str) -> None:
        self.port = free_port()
        self.log_file = directory / "node.log"
        self._directory = directory
        self._words = ("run", str(file), "-l", f"udp:{HOST}:{self.port}", "--set", "exit_timeout=1", *more)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> NodeProcess:
        source = str(Path(kahea.__file__).parents[1])
        with self.log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "kahea", *self._words,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {"PYTHONPATH": source, "KAHEA_STATE": str(self._directory)},
            )  # fmt: skip
        try:
            await self._started(self._process)
        except BaseException:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            raise
        return self

    async def _started(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(20):
            while b"kahea " not in self.log_file.read_bytes():
                if process.returncode is not None:
                    raise AssertionError(f"the node ended:\n{self.log}")
                await asyncio.sleep(0.02)

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            # A second signal ends the wait for transactions; two at once would be one.
            await asyncio.sleep(0.1)
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise AssertionError(f"the node did not end:\n{self.log}") from None

    @property
    def log(self) -> str:
        """What it has printed."""
        return self.log_file.read_text(errors="replace")


class Peer(asyncio.DatagramProtocol):
    """A UDP socket that speaks SIP by hand; use with `async with`."""

    def __init__(self, node: NodeProcess | None = None) -> None:
        self._node = node
        self.port = 0
        self.all: list[str] = []
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def node(self) -> NodeProcess:
        """The node that it talks to."""
        assert self._node is not None
        return self._node

    @node.setter
    def node(self, node: NodeProcess) -> None:
        self._node = node

    async def __aenter__(self) -> Peer:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, _address: object) -> None:
        """A message came."""
        self.all.append(data.decode())
        self._queue.put_nowait(data.decode())

    async def receive(self, start: str = "", within: float = 10) -> str:
        """The next message that begins with `start`; others before it are passed over."""
        async with asyncio.timeout(within):
            while not (message := await self._queue.get()).startswith(start):
                pass
        return message

    def send(self, text: str) -> None:
        """Send a message to the node."""
        assert self._transport is not None
        self._transport.sendto(text.encode(), (HOST, self.node.port))

    def request(
        self,
        method: str,
        uri: str,
        headers: str = "",
        *,
        call_id: str = "",
        to_tag: str = "",
        body: str = "",
        user: str = "alice",
    ) -> str:
        """Send a request, with a transaction of its own; its Call-ID."""
        call_id = call_id or os.urandom(6).hex()
        branch = call_id if method in ("INVITE", "CANCEL") else os.urandom(6).hex()
        contact = "" if method == "REGISTER" else f"Contact: <sip:alice@{HOST}:{self.port}>\r\n"
        to = f"<{uri}>{f';tag={to_tag}' if to_tag else ''}"
        self.send(
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST}:{self.port};branch=z9hG4bK{branch};rport\r\n"
            f'Max-Forwards: 70\r\nFrom: "Alice" <sip:{user}@{HOST}>;tag=from\r\nTo: {to}\r\nCall-ID: {call_id}\r\n'
            f"CSeq: 1 {method}\r\n{contact}{headers}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        return call_id

    def reply(self, request: str, status: str) -> None:
        """Answer a request that the node sent."""
        lines = request.split("\r\n")
        kept = [x for x in lines if x.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route")]
        kept = [f"{x};tag=callee" if x.startswith("To:") and ";tag=" not in x else x for x in kept]
        self.send("\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""]))


def header(message: str, name: str) -> str:
    """A header's value, "" without it."""
    for line in message.split("\r\n")[1:]:
        if line.lower().startswith(f"{name.lower()}:"):
            return line.partition(":")[2].strip()
    return ""
