"""Parameters of http_client, and how its functions make their requests."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kahea.connectors.http_errors import HttpError
from kahea.connectors.http_options import Options, Tls, auth_methods, header_lines, tls_version
from kahea.connectors.http_tls import client_context
from kahea.modules.http_client.connections import Connection, from_definition, from_file, proxy_url
from kahea.routing.module import ConfigError, Module, Param, Value
from kahea.routing.run import can_wait, wait
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.connectors.http import Answer, HttpClient
    from kahea.routing.node import Node
    from kahea.routing.pv.table import Pv
    from kahea.routing.run import Run

log = logging.getLogger("kahea.http")

#: Seconds that a request may take where no parameter says otherwise.
TIMEOUT: Final = 4
_FORM: Final = "application/x-www-form-urlencoded"
_STATE: Final = "http_client"


class _Connections(Param[str]):
    """`httpcon`: a connection takes the values that the other parameters have when it is defined."""

    def set(self, module: Module, value: object) -> None:
        """Define a connection."""
        assert isinstance(module, HttpBase)
        try:
            module.define(from_definition(str(self.convert(module.name, value)), module.defaults()))
        except ValueError as error:
            raise ConfigError(f"parameter {module.name}.{self.name}: {error}") from error


class _Seen:
    """What a run keeps of its answers: the last URL by connection, and headers if it wants them."""

    __slots__ = ("headers", "keep", "urls")

    def __init__(self, keep: bool) -> None:
        self.urls: dict[str, str] = {}
        self.keep = keep
        self.headers: list[tuple[bytes, bytes]] = []


class HttpBase(Module):
    """See the package."""

    connection_timeout = Param(TIMEOUT, "How long a request may take, in the unit of timeout_mode; 0 for 4 s.")
    timeout_mode = Param(1, "The unit of connection_timeout: 0 no limit, 1 seconds, 2 milliseconds.")
    httpredirect = Param(0, "1: follow redirects.")
    useragent = Param("", "The User-Agent of requests; ours by default.")
    maxdatasize = Param(0, "The most bytes of an answer of http_connect(), which is cut there; 0: up to 16 MiB.")
    query_maxdatasize = Param(0, "As maxdatasize, for http_client_query() and its kin.")
    query_result = Param(1, "1: http_client_query() stores the first line of an answer; 0: all of it.")
    keep_connections = Param(1, "0: close connections after each request. Kamailio closes them by default.")
    authmethod = Param(3, "How to prove who asks: 1 Basic, 2 Digest, 3 what the server wants.", check=auth_methods)
    client_cert = Param("", "A file (PEM) with our certificate for servers.")
    client_key = Param("", "The file with its key.")
    cacert = Param("", "A file (PEM) with the authorities that servers are verified by; the system's by default.")
    cipher_suites = Param("", "The TLS ciphers allowed, as OpenSSL names them.")
    verify_peer = Param(1, "0: take any certificate of a server.")
    verify_host = Param(2, "0: take a valid certificate of another host.")
    tlsversion = Param(0, "The least TLS version: 0 the system's policy, 4 1.0, 5 1.1, 6 1.2.", check=tls_version)
    httpproxy = Param("", "The URL of a proxy.")
    httpproxyport = Param(0, "The port of the proxy.")
    netinterface = Param("", "The interface or address to connect from.")
    response_headers = Param(0, "1: keep the headers of answers for $httprhdr(name).")
    config_file = Param("", "A file with connections, a section for each.")
    httpcon = _Connections("", "A connection by name: `name=>url;parameter=value;...`.")
    max_connections = Param(1000, "The most connections open at a time, for requests that connect alike.")
    max_host_connections = Param(0, "The most of them to one server; 0: no further limit.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.connections: dict[str, Connection] = {}
        #: Made when the module opens, or with the first request.
        self.client: HttpClient | None = None
        self._options = Options()

    # ---- life

    def define(self, connection: Connection) -> None:
        """Make a connection known. Raises ValueError for a name that is taken."""
        if connection.name in self.connections:
            raise ValueError(f"there are two connections {connection.name!r}")
        self.connections[connection.name] = connection

    def defaults(self) -> Options:
        """What the parameters say now."""
        mode, timeout = self.timeout_mode, self.connection_timeout or TIMEOUT
        agent = self.node.settings.user_agent_header.partition(":")[2].strip()
        return Options(
            timeout={0: 0.0, 2: timeout / 1000}.get(mode, float(timeout)),
            max_size=self.maxdatasize,
            redirects=bool(self.httpredirect),
            user_agent=self.useragent or agent,
            auth=self.authmethod,
            proxy=proxy_url(self.httpproxy, self.httpproxyport),
            interface=self.netinterface,
            keep=bool(self.keep_connections),
            tls=Tls(
                verify_peer=bool(self.verify_peer),
                verify_host=bool(self.verify_host),
                ca_file=self.cacert,
                client_cert=self.client_cert,
                client_key=self.client_key,
                ciphers=self.cipher_suites,
                version=self.tlsversion,
            ),
        )

    def start(self) -> None:
        """Read the file of connections, and check what they need."""
        if self.config_file:
            for connection in from_file(Path(self.config_file), self.defaults()):
                try:
                    self.define(connection)
                except ValueError as error:
                    raise ConfigError(f"parameter {self.name}.config_file: {error}") from error
        defaults = self.defaults()
        self._options = replace(defaults, max_size=self.query_maxdatasize)
        for tls in {Tls(), defaults.tls, *(c.options.tls for c in self.connections.values())} - {Tls()}:
            try:
                client_context(tls)
            except HttpError as error:
                raise ConfigError(f"module {self.name}: {error}") from error
        for connection in self.connections.values():
            if connection.failover and connection.failover not in self.connections:
                log.error("connection %s: there is no %r to take over", connection.name, connection.failover)
        statistics = self.node.statistics
        statistics.declare("httpclient", "connections", lambda: len(self.connections), resets=False)
        for name in ("connok", "connfail"):
            statistics.declare("httpclient", name)

    def _made(self) -> HttpClient:
        from kahea.connectors.http import HttpClient

        self.client = HttpClient(self.max_connections, self.max_host_connections)
        return self.client

    async def open(self) -> None:
        """Be ready before the first call, if anybody will ask."""
        if self.node.asked_for(self.name):
            self._made()

    async def stop(self) -> None:
        """Close the connections."""
        if self.client is not None:
            await self.client.close()

    # ---- requests

    def writable(self, name: str) -> Pv | None:
        """The variable of that name, None (and a line in the log) if nothing can be stored there. Raises PvError."""
        found = self.node.variables.compile(name)
        if not found.writable:
            self.node.log.error("%s: the result can't be stored: %s is read-only", self.name, name)
            return None
        return found

    def _ask(
        self, run: Run, method: str, url: str, options: Options, headers: list[tuple[str, str]], body: str
    ) -> Answer:
        """One request, for which the run waits. Raises HttpError."""
        client = self.client or self._made()
        given = {name.lower() for name, _ in headers}
        lines = [
            (name, value)
            for name, value in (("User-Agent", options.user_agent), ("Accept", "*/*"))
            if name.lower() not in given
        ]
        data = wire(body) if body else None
        asked = method or ("GET" if data is None else "POST")
        try:
            answer: Answer = wait(client.request(asked, url, options, lines + headers, data))
        except HttpError as error:
            self.node.count("httpclient", "connfail")
            self.node.log.error("http_client: %s %.200r failed: %s (%d)", asked, url, error, error.code)
            raise
        self.node.count("httpclient", "connok" if answer.status < 300 else "connfail")
        seen = run.state.get(_STATE)
        if self.response_headers or (isinstance(seen, _Seen) and seen.keep):
            self._seen(run).headers = answer.headers
        return answer

    def ask(self, run: Run, method: str, url: str, body: str, headers: str, result: Pv | None) -> int:
        """A request to any URL; its result is stored, and what the function returns."""
        if result is None:
            return -1
        if not url:
            self.node.log.error("http_client_query: no URL")
            return -1
        if not can_wait():
            self.node.log.error("http_client_query: this route can't wait")
            return -1
        lines = header_lines(headers) if headers else []
        if body and not any(name.lower() == "content-type" for name, _ in lines):
            lines.append(("Content-Type", _FORM))
        try:
            answer = self._ask(run, method, url, self._options, lines, body)
        except HttpError as error:
            result.set(run, "")
            return error.code
        value = b"" if answer.status >= 500 else answer.body
        if self.query_result:
            value = value.partition(b"\n")[0]
        result.set(run, text(value))
        return answer.status

    def connect(self, run: Run, name: str, path: str, content_type: str, data: str, result: Pv | None) -> int:
        """A request to a connection, or to those that take over from it."""
        if result is None:
            return -1
        connection = self.connections.get(name)
        if connection is None:
            self.node.log.error("http_connect: there is no connection %r", name)
            result.set(run, "")
            return -1
        if not can_wait():
            self.node.log.error("http_connect: this route can't wait")
            return -1
        code, body = self._connect(run, connection, path, content_type, data)
        tried = {name}
        while (code < 100 or code >= 500) and connection.failover in self.connections.keys() - tried:
            self.node.log.error("http_connect: %s failed (%d), %s is next", connection.name, code, connection.failover)
            connection = self.connections[connection.failover]
            tried.add(connection.name)
            code, body = self._connect(run, connection, path, content_type, data)
        result.set(run, text(body))
        return code

    def _connect(self, run: Run, connection: Connection, path: str, content_type: str, data: str) -> tuple[int, bytes]:
        headers = [("Content-Type", content_type)] if content_type and data else []
        try:
            answer = self._ask(run, "", connection.url(path), connection.options, headers, data)
        except HttpError as error:
            return error.code, b""
        self._seen(run).urls[connection.name] = answer.url
        return answer.status, b"" if answer.status >= 500 else answer.body

    # ---- what a run keeps

    def _seen(self, run: Run) -> _Seen:
        seen = run.state.get(_STATE)
        if not isinstance(seen, _Seen):
            seen = run.state[_STATE] = _Seen(bool(self.response_headers))
        return seen

    def last_urls(self, run: Run) -> dict[str, str]:
        """The URLs that this run asked last, by connection."""
        return self._seen(run).urls

    def keep_headers(self, run: Run, keep: bool) -> None:
        """Whether to keep the headers of answers; if not, forget them."""
        seen = self._seen(run)
        seen.keep = keep
        if not keep:
            seen.headers = []

    def header(self, run: Run, name: str) -> Value:
        """A header of the last answer, by its name in any case; None if it had none."""
        wanted = wire(name).lower()
        return next((text(value) for key, value in self._seen(run).headers if key.lower() == wanted), None)
