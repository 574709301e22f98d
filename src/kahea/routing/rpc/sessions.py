"""One peer's requests on a stream: cut apart, answered in order, one at a time, within bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from kahea.routing.rpc import binrpc
from kahea.routing.rpc.serving import MAX_REQUEST, serve_binrpc, serve_jsonrpc

if TYPE_CHECKING:
    from kahea.routing.node import Node

#: Seconds for the rest of a request that has begun.
STALL_TIMEOUT: Final = 20.0

_LENGTH: Final = re.compile(rb"(0|[1-9][0-9]{0,5}):")
_LONGEST_LENGTH: Final = 6


class Wire(Protocol):
    """The stream as a session sees it."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def close(self) -> None:
        """Close it when what was written is sent."""

    def hold(self, held: bool) -> None:
        """Read no more for now, or again."""

    def stay(self, seconds: float) -> None:
        """Close it if nothing comes for so long."""


class BinrpcSession:
    """Requests in BINRPC; see `calls.bind` for `exact`."""

    def __init__(self, node: Node, wire: Wire, *, exact: bool) -> None:
        self._node = node
        self._wire = wire
        self._exact = exact
        self._buffer = bytearray()
        self._serving = False
        self._busy = False  # a command has not answered yet
        self._held = False
        self._gone = False

    def received(self, data: bytes) -> None:
        """Bytes came."""
        if not self._gone:
            self._buffer += data
            self._serve()

    def lost(self) -> None:
        """The peer is gone: answers go nowhere."""
        self._gone = True
        self._buffer.clear()

    def _serve(self) -> None:
        """Carry out what is complete, until a command waits."""
        if self._serving:
            return
        self._serving = True
        try:
            while not self._busy and not self._gone and self._buffer and self._next():
                if self._busy and not self._held:
                    self._held = True
                    self._wire.hold(True)
        finally:
            self._serving = False

    def _next(self) -> bool:
        """Begin the next request; False while it is incomplete."""
        try:
            head = binrpc.header(self._buffer)
            if head is not None and head.size + head.length > MAX_REQUEST:
                raise binrpc.PacketError("too long")
        except binrpc.PacketError:
            self._refuse(binrpc.fault(b"\0", 400, "bad request: corrupted packet"))
            return False
        if head is None or len(self._buffer) < head.size + head.length:
            self._wire.stay(STALL_TIMEOUT)
            return False
        body = bytes(self._buffer[head.size : head.size + head.length])
        del self._buffer[: head.size + head.length]
        self._busy = True
        serve_binrpc(self._node, head, body, self._answer, exact=self._exact)
        return True

    def _refuse(self, data: bytes) -> None:
        """Answer what can't be cut apart, and end."""
        self._gone = True
        self._buffer.clear()
        self._wire.write(data)
        self._wire.close()

    def _answer(self, data: bytes) -> None:
        self._busy = False
        if self._gone:
            return
        self._wire.write(data)
        if self._held:
            self._held = False
            self._wire.hold(False)
        self._serve()


class JsonSession(BinrpcSession):
    """Requests in JSON-RPC, one on each line or each a netstring (`12:{...},`), answered likewise."""

    def __init__(self, node: Node, wire: Wire) -> None:
        super().__init__(node, wire, exact=False)

    def _next(self) -> bool:
        taken = self._netstring() if self._buffer[:1].isdigit() else self._line()
        if taken is None:
            if len(self._buffer) > MAX_REQUEST:
                self._refuse(b'{"jsonrpc":"2.0","error":{"code":-32600,"message":"Request too long"},"id":null}\n')
            elif not self._gone:
                self._wire.stay(STALL_TIMEOUT)
            return False
        document, as_netstring = taken
        if document.strip():
            self._busy = True

            def reply(data: bytes, _code: int, _reason: str) -> None:
                self._answer(b"%d:%b," % (len(data), data) if as_netstring else data + b"\n")

            serve_jsonrpc(self._node, document, reply, pretty=False)
        return True

    def _line(self) -> tuple[bytes, bool] | None:
        """The next line; None while it is incomplete."""
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line, False

    def _netstring(self) -> tuple[bytes, bool] | None:
        """The next netstring; None while it is incomplete, or after refusing what is none."""
        head = _LENGTH.match(self._buffer)
        if head is None or int(head[1]) > MAX_REQUEST:
            if head is not None or len(self._buffer) > _LONGEST_LENGTH:
                self._refuse(b"")
            return None
        start, end = head.end(), head.end() + int(head[1])
        if len(self._buffer) <= end:
            return None
        if self._buffer[end] != ord(","):
            self._refuse(b"")
            return None
        document = bytes(self._buffer[start:end])
        del self._buffer[: end + 1]
        return document, True


__all__ = ["STALL_TIMEOUT", "BinrpcSession", "JsonSession", "Wire"]
