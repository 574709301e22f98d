"""Management: requests of our own, sent at once, or with their answer waited for (`tm.t_uac_...`).

A request is given as method, Request-URI, next hop and listener ("." for none), header lines, and maybe a body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from kahea.modules.tm.uac import NO_ROOM, NO_WAY, NotSent, OnReply, Uac
from kahea.routing.module import RpcError, rpc
from kahea.routing.run import can_wait, suspend
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Message
from kahea.sip.status import reason as reason_phrase
from kahea.tm.route_set import route_set
from kahea.tm.transaction import Branch, Transaction

#: The seconds that `tm.t_uac_wait_block` waits at most.
BLOCK_LIMIT: Final = 80.0

_WORDS: Final = {0: "No error", NO_ROOM: "Server failure", NO_WAY: "I'm terribly sorry, server error occurred"}

#: What a command on a request of ours tells.
Answer = dict[str, Any] | list[Any]


class Awaited:
    """The final response to a request of ours, for one who waits for it."""

    def __init__(self, uac: Uac) -> None:
        self._node = uac.node
        self._outcome: tuple[int, Message | None] | None = None
        self._resume: Callable[[Any], None] | None = None

    def __call__(self, t: Transaction, branch: Branch, status: int, reply: Message | None) -> None:
        """Take a response: the request's `on_reply`."""
        del t, branch
        if status >= 200:
            self._settle((status, reply))

    def _settle(self, outcome: tuple[int, Message | None] | None) -> None:
        if self._outcome is not None:
            return
        self._outcome = outcome
        resume, self._resume = self._resume, None
        if resume is not None:
            # Whoever waits goes on in the hub, not in the middle of what the response sets in motion.
            self._node.call_later(0, resume, outcome)

    def wait(self, seconds: float | None = None) -> tuple[int, Message | None] | None:
        """Status and message, None for the latter if there was no response; None if it takes longer than `seconds`."""
        if self._outcome is not None:
            return self._outcome
        timer = self._node.call_later(seconds, self._settle, None) if seconds is not None else None
        outcome: tuple[int, Message | None] | None = suspend(self._arm)
        if timer is not None:
            timer.cancel()
        return outcome

    def _arm(self, resume: Callable[[Any], None]) -> None:
        self._resume = resume


class UacCommands(Uac):
    """The commands that send requests."""

    @rpc("tm.t_uac_start")
    def t_uac_start(self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = "") -> Answer:
        """Send a request, and tell only whether it was sent."""
        return self._start(method, ruri, next_hop, socket, headers, wire(body))

    @rpc("tm.t_uac_start_hex")
    def t_uac_start_hex(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_start; the body is given as hexadecimal digits."""
        return self._start(method, ruri, next_hop, socket, headers, _hex(body))

    @rpc("tm.t_uac_start_noack")
    def t_uac_start_noack(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_start; a 2xx to an INVITE is left to t_uac_ack_local() to acknowledge."""
        return self._start(method, ruri, next_hop, socket, headers, wire(body), acknowledge=False)

    @rpc("tm.t_uac_start_noack_hex")
    def t_uac_start_noack_hex(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_start_noack; the body is given as hexadecimal digits."""
        return self._start(method, ruri, next_hop, socket, headers, _hex(body), acknowledge=False)

    @rpc("tm.t_uac_wait")
    def t_uac_wait(self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = "") -> Answer:
        """Send a request and give its final response: status, reason, for a 2xx the way to the far end (Contact, next
        hop, Route header), and the message without its first line."""
        return self._wait(method, ruri, next_hop, socket, headers, wire(body))

    @rpc("tm.t_uac_wait_hex")
    def t_uac_wait_hex(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_wait; the body is given as hexadecimal digits."""
        return self._wait(method, ruri, next_hop, socket, headers, _hex(body))

    @rpc("tm.t_uac_wait_noack")
    def t_uac_wait_noack(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_wait; a 2xx to an INVITE is left to t_uac_ack_local() to acknowledge."""
        return self._wait(method, ruri, next_hop, socket, headers, wire(body), acknowledge=False)

    @rpc("tm.t_uac_wait_noack_hex")
    def t_uac_wait_noack_hex(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_wait_noack; the body is given as hexadecimal digits."""
        return self._wait(method, ruri, next_hop, socket, headers, _hex(body), acknowledge=False)

    @rpc("tm.t_uac_wait_block")
    def t_uac_wait_block(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """Send a request and give the code and text of its final response; a fault if it takes more than 80 seconds."""
        return self._block(method, ruri, next_hop, socket, headers, wire(body))

    @rpc("tm.t_uac_wait_block_hex")
    def t_uac_wait_block_hex(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_wait_block; the body is given as hexadecimal digits."""
        return self._block(method, ruri, next_hop, socket, headers, _hex(body))

    @rpc("tm.t_uac_wait_block_noack")
    def t_uac_wait_block_noack(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_wait_block; a 2xx to an INVITE is left to t_uac_ack_local() to acknowledge."""
        return self._block(method, ruri, next_hop, socket, headers, wire(body), acknowledge=False)

    @rpc("tm.t_uac_wait_block_noack_hex")
    def t_uac_wait_block_noack_hex(
        self, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """As t_uac_wait_block_noack; the body is given as hexadecimal digits."""
        return self._block(method, ruri, next_hop, socket, headers, _hex(body), acknowledge=False)

    @rpc("tm.t_uac_attrs")
    def t_uac_attrs(
        self, attrs: str, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Answer:
        """Send a request as `attrs` say: `mode=start`, `wait` or `block`, `cbflags=noack`, `rpflags=1` for a body in
        hexadecimal digits, `fr_timeout` and `fr_inv_timeout` in milliseconds; separated by semicolons."""
        given = _attributes(attrs)
        how = {"start": self._start, "wait": self._wait, "block": self._block}.get(given.get("mode", "start"))
        if how is None:
            raise RpcError(400, "Invalid mode")
        content = _hex(body) if given.get("rpflags") == "1" else wire(body)
        tm = self.node.layer.settings
        timers = (
            _seconds(given.get("fr_timeout", ""), tm.fr_timer),
            _seconds(given.get("fr_inv_timeout", ""), tm.fr_inv_timer),
        )
        noack = given.get("cbflags") == "noack"
        return how(method, ruri, next_hop, socket, headers, content, acknowledge=not noack, timers=timers)

    # ---- the three ways

    def _start(self, *request: Any, **how: Any) -> Answer:
        self._send(request, None, how)
        return {}

    def _wait(self, *request: Any, **how: Any) -> Answer:
        if not can_wait():
            raise RpcError(600, "Reply wait/async mode not supported by this rpc transport")
        awaited = Awaited(self)
        if self._send(request, awaited, how).freed:
            return {}
        status, reply = awaited.wait() or (408, None)
        if reply is None:
            return [status, text(reason_phrase(status)), "", "", "", ""]
        rest = text(reply.raw.partition(b"\n")[2])
        if 200 <= status < 300:
            try:
                way = route_set(reply)
            except ParseError:
                return [status, text(reply.reason), rest]
            return [status, text(reply.reason), text(way.uri), text(way.next_hop), text(way.line().rstrip()), rest]
        return [status, text(reply.reason), rest]

    def _block(self, *request: Any, **how: Any) -> Answer:
        if not can_wait():
            raise RpcError(600, "Reply wait/async mode not supported by this rpc transport")
        awaited = Awaited(self)
        if self._send(request, awaited, how).freed:
            return {}
        outcome = awaited.wait(BLOCK_LIMIT)
        if outcome is None:
            raise RpcError(500, "timeout")
        status, reply = outcome
        return {"code": status, "text": text(reply.reason if reply is not None else reason_phrase(status))}

    def _send(self, request: tuple[Any, ...], on_reply: OnReply | None, how: dict[str, Any]) -> Transaction:
        method, ruri, next_hop, socket, headers, body = request
        try:
            return self.send_request(
                method,
                ruri,
                headers=headers,
                body=body,
                next_hop="" if next_hop == "." else next_hop,
                listener=self.listener_named("" if socket == "." else socket),
                on_reply=on_reply,
                **how,
            )
        except ValueError as error:
            raise RpcError(400, str(error)) from error
        except NotSent as error:
            raise RpcError(500, f"{_WORDS[error.number]} ({error.number}/RPC/UAC)") from error


def _hex(digits: str) -> bytes:
    """The bytes of hexadecimal digits, white space left out."""
    try:
        return bytes.fromhex(re.sub(r"\s+", "", digits))
    except ValueError as error:
        raise RpcError(400, "Invalid hexadecimal body") from error


def _attributes(value: str) -> dict[str, str]:
    """`a=1;b=2` by name."""
    pairs = (part.partition("=") for part in value.split(";") if part.strip())
    return {name.strip(): given.strip() for name, _, given in pairs}


def _seconds(milliseconds: str, otherwise: float) -> float:
    if not milliseconds:
        return otherwise
    if not re.fullmatch(r"[0-9]{1,9}", milliseconds) or int(milliseconds) == 0:
        raise RpcError(400, f"Invalid timeout {milliseconds!r}")
    return int(milliseconds) / 1000.0
