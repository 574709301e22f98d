"""From the bytes of one request to the bytes of its answer, for every transport."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kahea.routing.module import RpcError
from kahea.routing.rpc import binrpc, calls, jsonrpc

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.rpc")

#: Takes the answer's bytes; called once, at once or when the command is done waiting.
Answer = Callable[[bytes], None]
#: Takes an answer, its status as in HTTP and the phrase for it.
Reply = Callable[[bytes, int, str], None]

#: The longest request taken, in bytes.
MAX_REQUEST = 65535


def serve_binrpc(node: Node, head: binrpc.Header, body: bytes, answer: Answer, *, exact: bool) -> None:
    """Carry out a BINRPC request; see `calls.bind` for `exact`. Faults are in Kamailio's words."""
    cookie = head.cookie
    try:
        if head.kind != binrpc.REQUEST:
            raise binrpc.PacketError("not a request")
        values = binrpc.decode(body)
    except binrpc.PacketError as error:
        log.info("bad BINRPC request: %s", error)
        answer(binrpc.fault(cookie, 400, "bad request: corrupted packet"))
        return
    method = values[0] if values else None
    if not isinstance(method, str):
        why = "end of packet encountered" if method is None else "record doesn't match type"
        answer(binrpc.fault(cookie, 400, f"bad request method: {why}"))
        return
    command = node.registry.rpcs.get(method)
    if command is None:
        answer(binrpc.fault(cookie, 500, f"command {method} not found"))
        return

    def done(result: Any, fault: RpcError | None) -> None:
        if fault is None:
            try:
                answer(binrpc.reply(cookie, result))
                return
            except TypeError:
                log.exception("the answer of %s is none", method)
                fault = RpcError(500, "Internal Server Error")
        answer(binrpc.fault(cookie, fault.code, str(fault)))

    calls.start(node, command, values[1:], done, exact=exact)


def serve_jsonrpc(node: Node, document: bytes, reply: Reply, *, pretty: bool) -> None:
    """Carry out a JSON-RPC request."""
    try:
        request = jsonrpc.parse(document)
    except jsonrpc.RequestError as error:
        reply(jsonrpc.failure(error.id, error.code, str(error), pretty=pretty), 400, "Bad Request")
        return
    carry_out(node, request, reply, pretty=pretty)


def carry_out(node: Node, request: jsonrpc.Request, reply: Reply, *, pretty: bool) -> None:
    """Carry out a JSON-RPC request that was read."""
    command = node.registry.rpcs.get(request.method)

    def done(result: Any, fault: RpcError | None) -> None:
        if fault is None:
            try:
                reply(jsonrpc.answer(request.id, result, pretty=pretty), 200, "OK")
                return
            except TypeError:
                log.exception("the answer of %s is none", request.method)
                fault = RpcError(500, "Internal Server Error")
        code = fault.code if 100 <= fault.code <= 699 else 500
        reply(jsonrpc.failure(request.id, fault.code, str(fault), pretty=pretty), code, str(fault))

    if command is None:
        done(None, RpcError(500, "Method Not Found"))
    else:
        calls.start(node, command, request.params, done)


__all__ = ["MAX_REQUEST", "Answer", "Reply", "carry_out", "serve_binrpc", "serve_jsonrpc"]
