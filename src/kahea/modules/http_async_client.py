"""HTTP requests whose answers go to a route (Kamailio's module http_async_client), the transaction being suspended.

A query takes what `$http_req(...)` was set to since the last one. In a transaction, the script ends, and goes on in the
route with the answer (or what went wrong) in `$http_ok`, `$http_rs`, `$http_rb` and their kin; several queries may be
under way in one transaction. Without a transaction, or with `$http_req(suspend)` 0, the script goes on, and the route
gets a made-up request. A query's timeout is best shorter than `fr_timer`, after which the transaction is over.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from kahea.connectors.http_errors import TIMEOUT, HttpError, error_text
from kahea.connectors.http_options import Options, Tls, auth_methods, header_lines, tls_version
from kahea.routing.generation import event_message
from kahea.routing.module import Module, Param, Value, function, native, variable, variable_setter
from kahea.routing.pv.values import as_int
from kahea.routing.run import REQUEST_ROUTE, Run, wait
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.connectors.http import Answer, HttpClient
    from kahea.routing.generation import Generation
    from kahea.routing.node import Node
    from kahea.tm.transaction import Transaction

_REQUEST: Final = "http_async_client.request"
_REPLY: Final = "http_async_client.reply"
_METHODS: Final = ("GET", "POST", "PUT", "DELETE")
KEYS: Final = (
    "all", "authmethod", "body", "hdr", "method", "password", "suspend", "tcp_ka_idle", "tcp_ka_interval",
    "tcp_keepalive", "timeout", "tls_ca_path", "tls_client_cert", "tls_client_key", "username",
)  # fmt: skip


@dataclass(slots=True)
class Wanted:
    """What `$http_req(...)` was set to for the next query, and the number of the last one."""

    given: dict[str, Any] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    id: str = ""


@dataclass(slots=True)
class Reply:
    """What came of a query: an answer, or what went wrong."""

    id: str
    answer: Answer | None = None
    error: str = ""
    seconds: float = 0.0

    @property
    def message(self) -> bytes:
        """The answer with its headers."""
        if self.answer is None:
            return b""
        a = self.answer
        lines = b"".join(b"%b: %b\r\n" % header for header in a.headers)
        return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (a.status, wire(a.reason), lines, a.body)


class HttpAsyncClient(Module):
    """HTTP requests whose answers go to a route, while the transaction is suspended."""

    name = "http_async_client"
    needs = ("tm", "tmx", "pv")

    workers = Param(1, "Processes that ask.", inert="requests need no processes here")
    hash_size = Param(2048, "The size of a table.", inert="there is no such table here")
    memory_manager = Param("shm", "Where libcurl takes memory from.", inert="there is no libcurl here")
    curl_verbose = Param(0, "What libcurl logs.", inert="there is no libcurl here")
    connection_timeout = Param(500, "Milliseconds that a query may take.")
    curl_follow_redirect = Param(0, "1: follow redirects, 20 at most.")
    tls_version = Param(0, "The least TLS version: 0 the system's policy, 4 1.0, 5 1.1, 6 1.2.", check=tls_version)
    tls_verify_host = Param(2, "0: take a valid certificate of another host.")
    tls_verify_peer = Param(1, "0: take any certificate of a server.")
    tls_client_cert = Param("", "A file (PEM) with our certificate for servers.")
    tls_client_key = Param("", "The file with its key.")
    tls_ca_path = Param("", "A folder with the authorities that servers are verified by; the system's by default.")
    authmethod = Param(3, "How to prove who asks: 1 Basic, 2 Digest, 3 what the server wants.", check=auth_methods)
    tcp_keepalive = Param(0, "1: TCP keep-alives.", inert="idle connections are closed after 4 s")
    tcp_ka_idle = Param(0, "Seconds before the first.", inert="idle connections are closed after 4 s")
    tcp_ka_interval = Param(0, "Seconds between them.", inert="idle connections are closed after 4 s")
    max_queries = Param(5000, "The most queries under way; more are refused.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        #: Made when the module opens, or with the first query.
        self.client: HttpClient | None = None
        self._under_way = 0
        self._ids = count(1)
        self._defaults = Options()

    def start(self) -> None:
        """Take up the parameters."""
        agent = self.node.settings.user_agent_header.partition(":")[2].strip()
        self._defaults = Options(
            timeout=self.connection_timeout / 1000,
            redirects=bool(self.curl_follow_redirect),
            user_agent=agent,
            auth=self.authmethod,
            tls=Tls(
                verify_peer=bool(self.tls_verify_peer),
                verify_host=bool(self.tls_verify_host),
                ca_path=self.tls_ca_path,
                client_cert=self.tls_client_cert,
                client_key=self.tls_client_key,
                version=self.tls_version,
            ),
        )
        for name in ("requests", "replies", "errors", "timeouts"):
            self.node.statistics.declare("http_async_client", name)

    def _made(self) -> HttpClient:
        from kahea.connectors.http import HttpClient

        self.client = HttpClient(self.max_queries)
        return self.client

    async def open(self) -> None:
        """Be ready before the first call, if anybody will ask."""
        if self.node.asked_for(self.name):
            self._made()

    async def stop(self) -> None:
        """Close the connections: what is under way fails."""
        if self.client is not None:
            await self.client.close()

    # ---- queries

    @native("str", "str", name="http_async_query")
    @function
    def query(self, run: Run, url: str, route: str) -> int:
        """Ask, and go on in a route with the answer. 0 in a transaction, which is suspended: the script is to end; 1 if
        it goes on; -1 if nothing was asked."""
        return self._start(run, url, route)

    def _wanted(self, run: Run) -> Wanted:
        wanted = run.state.get(_REQUEST)
        if not isinstance(wanted, Wanted):
            wanted = run.state[_REQUEST] = Wanted()
        return wanted

    def _start(self, run: Run, url: str, route: str) -> int:
        wanted = self._wanted(run)
        given, headers = wanted.given, wanted.headers
        wanted.given, wanted.headers = {}, []
        if run.generation.find(route) is None:
            self.node.log.error("http_async_query: the script has no route %s", route)
            return -1
        if not url or self._under_way >= self.max_queries:
            self.node.log.error("http_async_query: %s", "no URL" if not url else "too many queries are under way")
            return -1
        suspends = run.transaction is not None and given.get("suspend", 1) != 0
        if suspends and self.node.module("tmx").t_suspend(run) < 0:
            self.node.log.error("http_async_query: the transaction can't be suspended")
            return -1
        wanted.id = str(next(self._ids))
        self.node.count("http_async_client", "requests")
        self._under_way += 1
        asked = (url, given, headers, Reply(wanted.id))
        target = (run.transaction if suspends else None, run.generation, route)
        # In a worker of its own, once this run is over or waits.
        asyncio.get_running_loop().call_soon(self._begin, asked, target)
        return 0 if suspends else 1

    def _begin(self, asked: tuple[Any, ...], target: tuple[Transaction | None, Generation, str]) -> None:
        if not self.node.in_worker(self._query, asked, target):
            self._under_way -= 1
            self.node.log.error("http_async_query: too many runs are under way")

    def _query(self, asked: tuple[Any, ...], target: tuple[Transaction | None, Generation, str]) -> None:
        """Ask, wait, and hand what came of it to the route."""
        url, given, headers, reply = asked
        transaction, generation, route = target
        try:
            reply.answer = wait(self._ask(self.client or self._made(), url, given, headers))
            self.node.count("http_async_client", "replies")
        except HttpError as error:
            reply.error = error_text(error.code)
            self.node.count("http_async_client", "timeouts" if error.code == TIMEOUT else "errors")
            self.node.log.error("http_async_query: %.200r failed: %s (%d)", url, error, error.code)
        finally:
            self._under_way -= 1
        if transaction is not None:
            self.node.module("tmx").resume(transaction, route, {_REPLY: reply})
            return
        found = generation.find(route)
        if found is not None:
            callback = Run(self.node, event_message(), REQUEST_ROUTE, route)
            callback.generation = generation
            callback.state[_REPLY] = reply
            self.node.execute(callback, found)

    async def _ask(self, client: HttpClient, url: str, given: dict[str, Any], headers: list[tuple[str, str]]) -> Answer:
        defaults = self._defaults
        options = replace(
            defaults,
            timeout=given.get("timeout", 0) / 1000 or defaults.timeout,
            user=given.get("username", ""),
            password=given.get("password", ""),
            auth=given.get("authmethod", defaults.auth),
            tls=replace(
                defaults.tls,
                client_cert=given.get("tls_client_cert", defaults.tls.client_cert),
                client_key=given.get("tls_client_key", defaults.tls.client_key),
                ca_path=given.get("tls_ca_path", defaults.tls.ca_path),
            ),
        )
        body = wire(given["body"]) if given.get("body") else None
        named = {name.lower() for name, _ in headers}
        implied = [("User-Agent", options.user_agent), ("Accept", "*/*")]
        if body is not None:
            implied.append(("Content-Type", "application/x-www-form-urlencoded"))
        lines = [(name, value) for name, value in implied if name.lower() not in named]
        method = given.get("method") or ("GET" if body is None else "POST")
        return await client.request(method, url, options, lines + headers, body)

    # ---- what is asked

    @variable("http_req", takes_name=True)
    def request(self, run: Run, name: str, index: object) -> Value:
        """Set for the next query: `hdr` (adds one), `body`, `method`, `timeout` (ms), `suspend`, `username`,
        `password`, `authmethod`, `tls_client_cert`, `tls_client_key`, `tls_ca_path`; `all` to $null forgets
        what was set."""
        return None

    @variable_setter("http_req")
    def set_request(self, run: Run, name: str, index: object, value: Value) -> None:
        """See `request`."""
        wanted = self._wanted(run)
        if name not in KEYS:
            self.node.log.error("$http_req(%s) is unknown; these are: %s", name, ", ".join(KEYS))
        elif name == "all":
            if value is None:
                wanted.given, wanted.headers = {}, []
        elif name == "hdr":
            # One assignment is one header: a line end in a value begins no other.
            one = None if value is None else header_lines(str(value).replace("\r", " ").replace("\n", " "))
            if one is None:
                wanted.headers = []
            elif one:
                wanted.headers.append(one[0])
            else:
                self.node.log.error("$http_req(hdr): %.100r is no header", value)
        elif value is None:
            wanted.given.pop(name, None)
        elif name == "method":
            if str(value).upper() not in _METHODS:
                self.node.log.error("$http_req(method): %.30r is none of %s", value, ", ".join(_METHODS))
                return
            wanted.given[name] = str(value).upper()
        elif name == "authmethod":
            try:
                wanted.given[name] = auth_methods(as_int(value))
            except ValueError as error:
                self.node.log.error("$http_req(authmethod): %s", error)
        elif name in ("timeout", "suspend") or name.startswith("tcp_"):
            wanted.given[name] = max(as_int(value), 0)
        else:
            wanted.given[name] = str(value)

    # ---- what came of it

    def _reply(self, run: Run) -> Reply | None:
        reply = run.state.get(_REPLY)
        return reply if isinstance(reply, Reply) else None

    def _answer(self, run: Run) -> Answer | None:
        reply = self._reply(run)
        return None if reply is None else reply.answer

    @variable("http_req_id")
    def request_id(self, run: Run, name: str, index: object) -> Value:
        """The number of the query that this answers, or of the last one that was made."""
        reply = self._reply(run)
        return reply.id if reply is not None else self._wanted(run).id or None

    @variable("http_ok")
    def ok(self, run: Run, name: str, index: object) -> Value:
        """1 if there is an answer, 0 if the query failed."""
        reply = self._reply(run)
        return None if reply is None else int(reply.answer is not None)

    @variable("http_err")
    def error(self, run: Run, name: str, index: object) -> Value:
        """What went wrong, in libcurl's words; $null if nothing did."""
        reply = self._reply(run)
        return None if reply is None else reply.error or None

    @variable("http_rs")
    def status(self, run: Run, name: str, index: object) -> Value:
        """The status."""
        answer = self._answer(run)
        return None if answer is None else answer.status

    @variable("http_rr")
    def reason(self, run: Run, name: str, index: object) -> Value:
        """The reason phrase."""
        answer = self._answer(run)
        return None if answer is None else answer.reason

    @variable("http_hdr", takes_name=True, takes_index=True)
    def header(self, run: Run, name: str, index: object) -> Value:
        """A header of the answer by its name; an index counts those of that name, negative ones from the last."""
        answer = self._answer(run)
        if answer is None:
            return None
        wanted = wire(name).lower()
        found = [text(value) for key, value in answer.headers if key.lower() == wanted]
        if index == "*":
            return ",".join(found) if found else None
        at = index if isinstance(index, int) else 0
        return found[at] if -len(found) <= at < len(found) else None

    @variable("http_rb")
    def body(self, run: Run, name: str, index: object) -> Value:
        """The body."""
        answer = self._answer(run)
        return None if answer is None else text(answer.body)

    @variable("http_bs")
    def body_size(self, run: Run, name: str, index: object) -> Value:
        """The body's length in bytes."""
        answer = self._answer(run)
        return None if answer is None else len(answer.body)

    @variable("http_mb")
    def message(self, run: Run, name: str, index: object) -> Value:
        """The answer with its headers."""
        reply = self._reply(run)
        return None if reply is None or reply.answer is None else text(reply.message)

    @variable("http_ml")
    def message_size(self, run: Run, name: str, index: object) -> Value:
        """Its length in bytes."""
        reply = self._reply(run)
        return None if reply is None or reply.answer is None else len(reply.message)


MODULE = HttpAsyncClient
