"""Calls routed by an HTTP service, with a script or without one (no module of Kamailio's).

| file | what |
|---|---|
| `question.py` | what the service is asked |
| `answer.py` | what it answers |
| `openapi.py` | both, as OpenAPI describes them |
| `service.py` | asking: time, attempts, breaker, cache |
| `breaker.py`, `cache.py` | the latter two |
| `trace.py` | W3C trace context |
| here | parameters, the functions of scripts, the management commands |
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kahea.modules.http_router.answer import Answer, document, parse_answer
from kahea.modules.http_router.breaker import Breaker
from kahea.modules.http_router.cache import Cache
from kahea.modules.http_router.openapi import description
from kahea.modules.http_router.question import Question, check_part, key, question
from kahea.modules.http_router.service import Outcome, Service
from kahea.modules.http_router.trace import TRACEPARENT, TRACESTATE, Trace, continued
from kahea.routing.checks import between
from kahea.routing.module import ConfigError, Module, Param, RpcError, function, native, rpc
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE, Run, can_wait, wait
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.modules.http_router.client import Client
    from kahea.routing.node import Node

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_STATUS: Final = re.compile(r"([3-6][0-9]{2})(?: +([^\r\n]{1,128}))?")
_TABLE: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
#: The run's trace, kept with the transaction for its branches.
_TRACE: Final = "http_router.trace"


def _url(value: str) -> str:
    if re.fullmatch(r"https?://[^\s/?#@]+(/[^\s#]*)?", value) is None:
        raise ValueError("must be a URL of http or https, without a user")
    return value


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def _headers(value: str) -> str:
    for name in _names(value):
        if _HEADER.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a header")
    return value


def _parts(value: str) -> str:
    for name in _names(value):
        check_part(name)
    return value


def _fallback(value: str) -> str:
    """A status with its reason, `location TABLE`, or a URI."""
    if _STATUS.fullmatch(value):
        return value
    kind, _, table = value.partition(" ")
    if kind == "location" and _TABLE.fullmatch(table or "location"):
        return value
    try:
        if parse_uri(wire(value)).is_sip:
            return value
    except ParseError:
        pass  # refused below
    raise ValueError("must be a SIP URI, a status from 300 to 699 with or without a reason, or `location TABLE`")


class HttpRouter(Module):
    """Calls routed by an HTTP service, with a script or without one."""

    name = "http_router"
    needs = ("tm", "sl", "rtjson")

    url = Param("", "Where questions are posted.", check=lambda v: _url(v) if v else v)
    timeout = Param(1000, "Milliseconds for a question, all attempts together.", check=between(1, 60_000))
    retries = Param(
        1, "Further attempts, after a failure to connect or a status 429, 502, 503, 504.", check=between(0, 5)
    )
    fallback = Param(
        "503 Service Unavailable",
        "What stands in for an answer: a SIP URI to send to, a status, or `location TABLE`, who is registered.",
        check=_fallback,
    )
    token = Param("", "Sent as `Authorization: Bearer`.")
    ca_file = Param("", "Certificates that sign the service's; the system's without it.")
    headers = Param("", "Headers of the request to send along, separated by commas.", check=_headers)
    body = Param(0, "1 sends the request's body along.", check=between(0, 1))
    max_waiting = Param(2000, "Questions that may wait for an answer at a time.", check=between(1, 100_000))
    max_answer = Param(262_144, "Bytes of an answer, at most.", check=between(256, 16 << 20))
    breaker_failures = Param(
        5, "Failures in a row after which the service is left alone; 0: never.", check=between(0, 1000)
    )
    breaker_pause = Param(5000, "Milliseconds that it is left alone for.", check=between(1, 3_600_000))
    cache_key = Param(
        "",
        "Parts of a question, separated by commas (`request_uri.user,from.uri.user`): those with the same have the"
        " same answer, kept as long as its Cache-Control allows. Without it, nothing is kept.",
        check=_parts,
    )
    cache_size = Param(10_000, "Answers that are kept, at most.", check=between(0, 1_000_000))
    trace_header = Param(0, "1 sends the trace context on in the SIP request, too.", check=between(0, 1))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._service: Service | None = None
        self._client: Client | None = None
        self._key_parts: list[str] = []
        self._header_names: list[str] = []

    def start(self) -> None:
        """Take over the parameters."""
        self._key_parts = _names(self.cache_key)
        self._header_names = _names(self.headers)
        statistics = self.node.statistics
        for name in ("asked", "answered", "failed", "timed_out", "from_cache"):
            statistics.declare("http_router", name, lambda n=name: self._count(n))  # type: ignore[misc]

    def _count(self, name: str) -> int:
        return int(getattr(self._service.counts, name)) if self._service is not None else 0

    async def open(self) -> None:
        """Make the client; the first question connects."""
        if not self.url:
            return
        from kahea.modules.http_router.client import Client

        try:
            client = Client(
                self.url, token=self.token, ca_file=self.ca_file, most=self.max_answer, connections=self.max_waiting
            )
        except OSError as error:
            raise ConfigError(f"parameter http_router.ca_file: {self.ca_file}: {error}") from error
        self._client = client
        breaker = Breaker(self.breaker_failures, self.breaker_pause / 1000)
        self._service = Service(
            client.fetch,
            self.node.now,
            self.timeout / 1000,
            self.retries,
            self.max_waiting,
            breaker,
            Cache(self.cache_size),
        )

    async def stop(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    # ---- what scripts ask for

    @function
    @native(name="http_router_route", routes=REQUEST_ROUTE)
    def route(self, run: Run) -> int:
        """Ask the service where this request goes.

        1: the way is set, by its answer or by the fallback, and the request is to be relayed; -1: a final reply has
        been sent. The script waits; nobody else does.
        """
        service = self._service
        if service is None or not can_wait():
            why = "there is no parameter url" if service is None else "this route can't wait"
            self.node.log.error("http_router.route: %s", why)
            return self._refuse(run, 500, "")
        try:
            asked = question(run, self._header_names, body=bool(self.body))
        except ParseError as error:
            self.node.log.info("http_router.route: %s", error)
            return self._refuse(run, 400, "")
        outcome = wait(self._ask(service, run, asked))
        if run.transaction is not None and run.transaction.cancelled:
            return self._refuse(run, 487, "")
        if outcome.answer is not None:
            if outcome.why:
                self.node.log.warning("http_router: %s; an older answer stands in", outcome.why)
            return self._follow(run, outcome.answer)
        self.node.log.warning("http_router: %s; %s stands in", outcome.why, self.fallback)
        return self._fall_back(run)

    async def _ask(self, service: Service, run: Run, asked: Question) -> Outcome:
        trace = _trace(run)
        body = msgspec.json.encode(asked)
        headers = {
            TRACEPARENT: trace.parent,
            "Idempotency-Key": hashlib.sha256(f"{asked.call_id} {asked.cseq} {asked.from_.tag}".encode()).hexdigest(),
        }
        if trace.state:
            headers[TRACESTATE] = trace.state
        return await service.ask(body, headers, key(asked, self._key_parts) if self._key_parts else None)

    def _fall_back(self, run: Run) -> int:
        if status := _STATUS.fullmatch(self.fallback):
            return self._refuse(run, int(status[1]), status[2] or "")
        kind, _, table = self.fallback.partition(" ")
        if kind != "location":
            run.msg.dst_uri = wire(self.fallback)
            return 1
        registrar: Any = self.node.module("registrar")
        found = registrar.lookup(run, table or "location") if registrar is not None else -1
        return 1 if found > 0 else self._refuse(run, 404, "")

    def _refuse(self, run: Run, code: int, reason: str) -> int:
        sl: Any = self.node.module("sl")
        sl.send_reply(run, code, reason)
        return -1

    def check_answer(self, data: bytes) -> None:
        """Raises ValueError for what is no answer."""
        parse_answer(data)

    def follow(self, run: Run, data: bytes) -> int:
        """Do what an answer says, wherever it comes from; see `route`. Raises ValueError for what is none."""
        return self._follow(run, parse_answer(data))

    def _follow(self, run: Run, answer: Answer) -> int:
        if answer.reply is not None:
            return self._refuse(run, answer.reply.code, answer.reply.reason)
        rtjson: Any = self.node.module("rtjson")
        if rtjson.init_routes(run, document(answer)) < 0 or rtjson.push_routes(run) < 0:
            self.node.log.error("http_router: the routes of the answer can't be used")
            return self._refuse(run, 500, "")
        return 1

    @function
    @native(name="http_router_next_route", routes=FAILURE_ROUTE)
    def next_route(self, run: Run) -> int:
        """In a failure route: set the next of the answer's routes, to be relayed; -1 when there is none left."""
        rtjson: Any = self.node.module("rtjson")
        return 1 if rtjson.next_route(run) > 0 else -1

    @function
    @native(name="http_router_branch", routes=BRANCH_ROUTE)
    def branch(self, run: Run) -> int:
        """In a branch route: what the answer asks of this route, its From, To, headers and timers."""
        rtjson: Any = self.node.module("rtjson")
        rtjson.update_branch(run)
        trace = run.msg.facets.get(_TRACE)
        if self.trace_header and isinstance(trace, Trace):
            for name in (TRACEPARENT, TRACESTATE):
                for header in run.msg.headers_named(name.encode()):
                    run.msg.remove_header(header)
            run.msg.append_header(b"traceparent: %b\r\n" % trace.parent.encode())
            if trace.state:
                run.msg.append_header(b"tracestate: %b\r\n" % trace.state.encode())
        return 1

    # ---- management

    @rpc("http_router.status")
    def status(self) -> dict[str, Any]:
        """What has been asked and answered, and how the service does."""
        service = self._running()
        return {
            "url": self.url,
            "breaker": service.breaker.state(self.node.now()),
            "opened": service.breaker.opened,
            "waiting": service.in_flight,
            "cached": len(service.cache),
            **msgspec.to_builtins(service.counts),
        }

    @rpc("http_router.flush")
    def flush(self) -> dict[str, int]:
        """Forget the answers that are kept."""
        return {"forgotten": self._running().cache.clear()}

    @rpc("http_router.openapi")
    def openapi(self) -> dict[str, Any]:
        """What a service must understand and answer, as an OpenAPI document."""
        path = re.sub(r"^https?://[^/?]+", "", self.url).partition("?")[0]
        return description(path or "/route")

    def _running(self) -> Service:
        if self._service is None:
            raise RpcError(500, "there is no parameter url")
        return self._service


def _trace(run: Run) -> Trace:
    """The request's place in a trace; the same again for its branches."""
    found = {}
    for name in (TRACEPARENT, TRACESTATE):
        header = run.msg.header_named(name.encode())
        found[name] = header.body.decode("ascii", "replace") if header is not None else ""
    trace = continued(found[TRACEPARENT], found[TRACESTATE])
    run.msg.facets[_TRACE] = trace
    return trace


MODULE = HttpRouter
