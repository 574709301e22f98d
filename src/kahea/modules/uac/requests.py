"""Requests that a script writes into `$uac_req(...)` and sends, and the replies to them (`event_route[uac:reply]`).

What is written belongs to the run; in Kamailio it stays for whatever the same process runs next.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar, Final

from kahea.modules.tm.uac import NotSent
from kahea.modules.uac.answering import Login, NoAnswer, authorization
from kahea.routing.generation import event_message
from kahea.routing.module import ConfigError, Module, Param, Value, Variable, function, native
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.run import Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kahea.sip.message import Message
    from kahea.tm.transaction import Branch, Transaction

log = logging.getLogger("kahea.uac")

EVENT: Final = "uac:reply"
_STATE: Final = "uac.request"

#: What `$uac_req(evroute)` asks to be told of, and what `$uac_req(evtype)` says there is.
FINAL, FAILURE = 1, 2
REPLY, NO_REPLY = 1, 2
#: `$uac_req(flags)`: the password is HA1.
PASSWORD_IS_HA1: Final = 1

#: Bytes that one field of a request may have.
MAX_FIELD: Final = 65_000


@dataclass(slots=True)
class Fields:
    """`$uac_req(...)`. Numbers are those of the event, texts make the request; a text that is not set is ""."""

    method: str = ""
    ruri: str = ""
    turi: str = ""
    furi: str = ""
    callid: str = ""
    hdrs: str = ""
    body: str = ""
    ouri: str = ""
    sock: str = ""
    auser: str = ""
    apasswd: str = ""
    evparam: str = ""
    evroute: int = 0
    evtype: int = 0
    evcode: int = 0
    flags: int = 0


NUMBERS: Final = frozenset({"evroute", "evtype", "evcode", "flags"})
NAMES: Final = frozenset({each.name for each in fields(Fields)} | {"all"})


class Requests(Module):
    """`$uac_req` and `uac_req_send`."""

    default_socket = Param("", "The listener that requests leave by, where `$uac_req(sock)` names none.")
    events: ClassVar = {EVENT: "A request of the script's has its final reply, or none came: `$uac_req(evcode)`."}

    event_callback = Param("", "The script's function for replies, in place of event_route[uac:reply].")

    def start_requests(self) -> None:
        """Check the parameters' form. Listeners are known later."""
        if self.default_socket and any(c.isspace() for c in self.default_socket):
            raise ConfigError(f"parameter uac.default_socket: {self.default_socket!r} is no listener")

    def variables(self) -> Iterator[Variable]:
        """`$uac_req`."""
        yield from super().variables()
        doc = "A part of the request to send, or of what came of it (`evcode`, `evtype`)."
        yield named("uac_req", _bind, writable=True, doc=doc)

    @native()
    @function
    def uac_req_send(self, run: Run) -> int:
        """Send the request of `$uac_req(...)`; -1 without a method and a Request-URI, or if it can't be sent.

        From and To are the Request-URI unless they are set. With `$uac_req(auser)` and `$uac_req(apasswd)` a challenge
        is answered, once; that password is HA1 if `$uac_req(flags)` is 1. `$uac_req(evroute)` 1 asks for
        `event_route[uac:reply]` with each final reply or its absence, 2 with failures only.
        """
        request = replace(_fields(run))
        if not request.method or not request.ruri:
            self.node.log.error("uac_req_send: $uac_req(method) and $uac_req(ruri) must be set")
            return -1
        return 1 if self._send(request, "", "") else -1

    def _send(self, request: Fields, from_tag: str, extra: str) -> bool:
        """Send, or send again with `extra` lines under the From tag of before."""
        tm = self.node.module("tm")
        tag = f";tag={from_tag}" if from_tag else ""
        lines = [
            f"To: {_address(request.turi or request.ruri)}",
            f"From: {_address(request.furi or request.ruri)}{tag}",
            *([f"Call-ID: {request.callid}"] if request.callid else []),
        ]
        if any(c in line for line in lines for c in "\r\n\0"):
            log.error("uac_req_send: a line end in an address or Call-ID")
            return False
        headers = "".join(f"{line}\r\n" for line in lines) + extra + request.hdrs

        def done(t: Transaction, branch: Branch, status: int, reply: Message | None) -> None:
            del branch
            self._done(request, t, status, reply, again=bool(from_tag))

        try:
            listener = tm.listener_named(request.sock or self.default_socket)
            tm.send_request(
                request.method,
                request.ruri,
                headers=headers,
                body=wire(request.body),
                next_hop=request.ouri,
                listener=listener,
                on_reply=done,
            )
        except (NotSent, ValueError) as error:
            log.error("uac_req_send: %s", error)
            return False
        return True

    def _done(self, request: Fields, t: Transaction, status: int, reply: Message | None, *, again: bool) -> None:
        if status < 200:
            return
        if request.evroute == FINAL or (request.evroute == FAILURE and status >= 300):
            self._tell(request, status, reply)
        if status in (401, 407) and reply is not None and not again and request.auser and request.apasswd:
            self.node.in_worker(self._answer_challenge, request, t, reply)

    def _tell(self, request: Fields, status: int, reply: Message | None) -> None:
        """Run the event's route, on the reply if there is one."""
        msg = event_message() if reply is None else reply
        msg.facets = {_STATE: replace(request, evcode=status, evtype=NO_REPLY if reply is None else REPLY)}
        if self.event_callback:
            self.node.call_route(self.event_callback, EVENT, msg)
        else:
            self.node.run_event(EVENT, msg)

    def _answer_challenge(self, request: Fields, t: Transaction, reply: Message) -> None:
        login = Login(wire(request.auser), wire(request.apasswd), bool(request.flags & PASSWORD_IS_HA1))
        try:
            line = authorization(reply, lambda _realm: login, wire(request.method), wire(request.ruri))
            tag, callid, cseq = t.request.from_.tag or b"", t.request.callid, t.request.cseq
            bare = t.request.from_.uri
        except (NoAnswer, ParseError) as error:
            log.info("uac_req_send: the challenge can't be answered: %s", error)
            return
        # As Kamailio does it, without From's display name.
        request = replace(request, furi=f"<{text(bare)}>", callid=text(callid))
        self._send(request, text(tag), f"CSeq: {cseq + 1} {request.method}\r\n{text(line)}")


def _bind(inner: Value, _index: object) -> Bound:
    """The getter and setter of a part; raises PvError for one that there is not."""
    name = str(inner)
    if name not in NAMES:
        raise PvError(f"$uac_req has no {name!r}; there are: {', '.join(sorted(NAMES))}")

    def get(run: Run) -> Value:
        value: Value = 0 if name == "all" else getattr(_fields(run), name)
        return value if name in NUMBERS or name == "all" else value or None

    def put(run: Run, value: Value) -> None:
        if name == "all":
            if value is not None:
                raise PvError("$uac_req(all) takes $null alone")
            run.state[_STATE] = Fields()
        elif name in NUMBERS:
            if isinstance(value, str):
                raise PvError(f"$uac_req({name}) takes a number")
            setattr(_fields(run), name, value or 0)
        elif isinstance(value, int) or (value is not None and len(value) > MAX_FIELD):
            raise PvError(f"$uac_req({name}) takes a text of at most {MAX_FIELD} characters")
        else:
            setattr(_fields(run), name, value or "")

    return Bound(get, put)


def _fields(run: Run) -> Fields:
    """The run's; in a route for a reply they begin with those of its request."""
    found = run.state.get(_STATE)
    if not isinstance(found, Fields):
        given = run.msg.facets.get(_STATE)
        found = replace(given) if isinstance(given, Fields) else Fields()
        run.state[_STATE] = found
    return found


def _address(uri: str) -> str:
    return uri if "<" in uri else f"<{uri}>"


__all__ = ["Requests"]
