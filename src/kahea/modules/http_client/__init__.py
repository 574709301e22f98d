"""HTTP requests of scripts (Kamailio's module http_client): a script that asks waits, and nobody else does.

| file | what |
|---|---|
| `connections.py` | connections by name: `httpcon`, `config_file` |
| `base.py` | parameters, making requests, counters |
| here | the functions, variables and RPC commands |

Where it is not Kamailio's: connections are used again unless `keep_connections` is 0, a request follows 20 redirects at
most, and an answer of more than 16 MiB is an error (63) where no parameter sets another bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kahea.connectors.http_errors import error_text
from kahea.modules.http_client.base import HttpBase
from kahea.routing.module import Value, function, native, rpc, variable
from kahea.routing.pv.errors import PvError
from kahea.routing.pv.values import decimal
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REPLY_ROUTES, REQUEST_ROUTE, Run

if TYPE_CHECKING:
    from kahea.routing.node import Node


#: Where Kamailio lets its functions be called.
ROUTES = REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE

Filled = Callable[[Run], str]


def filled(node: Node, written: str) -> Filled:
    """Text with its variables in place; "" for $null. Raises ValueError."""
    if written == "$null":
        return lambda _run: ""
    try:
        return node.variables.format(written).render
    except PvError as error:
        raise ValueError(str(error)) from error


class HttpClientModule(HttpBase):
    """Requests to HTTP servers, for which the script waits."""

    name = "http_client"

    # ---- requests to any URL

    @function
    def query(self, run: Run, url: str, result: str) -> int:
        """GET a URL. The answer's first line, or all of it (`query_result`), is stored in the variable named `result`.

        The status of the answer; libcurl's number below 100 where there was none; -1 for no URL. From status 500 on
        the result is empty.
        """
        return self.ask(run, "GET", url, "", "", self.writable(result))

    @function
    def query_post(self, run: Run, url: str, post: str, result: str) -> int:
        """POST some data, or GET if it is empty; else as `query`."""
        return self.ask(run, "", url, post, "", self.writable(result))

    @function
    def query_post_hdrs(self, run: Run, url: str, post: str, headers: str, result: str) -> int:
        """As `query_post`, with header lines."""
        return self.ask(run, "", url, post, headers, self.writable(result))

    @function
    def get_hdrs(self, run: Run, url: str, body: str, headers: str, result: str) -> int:
        """GET with header lines, and with a body if that is not empty; else as `query`."""
        return self.ask(run, "GET", url, body, headers, self.writable(result))

    @function
    def query_request(self, run: Run, method: str, url: str, body: str, headers: str, result: str) -> int:
        """A request of any method, with body and header lines if they are not empty; else as `query`."""
        return self.ask(run, method.upper(), url, body, headers, self.writable(result))

    @native("str", "pv", name="http_client_query", routes=ROUTES)
    @native("str", "pv", name="http_query", routes=ROUTES)
    def native_query(self, run: Run, url: str, result: Any) -> int:
        """See `query`."""
        return self.ask(run, "GET", url, "", "", result)

    @native("str", "str", "pv", name="http_client_query", routes=ROUTES)
    @native("str", "str", "pv", name="http_query", routes=ROUTES)
    def native_query_post(self, run: Run, url: str, post: str, result: Any) -> int:
        """See `query_post`."""
        return self.ask(run, "", url, post, "", result)

    @native("str", "str", "str", "pv", name="http_client_query", routes=ROUTES)
    def native_query_post_hdrs(self, run: Run, url: str, post: str, headers: str, result: Any) -> int:
        """See `query_post_hdrs`."""
        return self.ask(run, "", url, post, headers, result)

    @native("str", "str", "str", "pv", name="http_client_get", routes=ROUTES)
    def native_get(self, run: Run, url: str, body: str, headers: str, result: Any) -> int:
        """See `get_hdrs`."""
        return self.ask(run, "GET", url, body, headers, result)

    @native("str", "str", "str", "str", "pv", name="http_client_request", routes=ROUTES)
    def native_request(self, run: Run, method: str, url: str, body: str, headers: str, result: Any) -> int:
        """See `query_request`."""
        return self.ask(run, method.upper(), url, body, headers, result)

    # ---- requests to connections by name

    @function
    def curl_connect(self, run: Run, connection: str, url: str, result: str) -> int:
        """GET `url` behind the URL of a connection; the whole answer is stored in the variable named `result`.

        The status of the answer, libcurl's number below 100 where there was none, -1 if there is no such connection.
        """
        return self.connect(run, connection, url, "", "", self.writable(result))

    @function
    def curl_connect_post(self, run: Run, connection: str, url: str, ctype: str, data: str, result: str) -> int:
        """POST data of a content type, or GET if it is empty; else as `curl_connect`."""
        return self.connect(run, connection, url, ctype, data, self.writable(result))

    @native("str", "str", "pv", name="http_connect", routes=ROUTES)
    def native_connect(self, run: Run, connection: str, url: str, result: Any) -> int:
        """See `curl_connect`."""
        return self.connect(run, connection, url, "", "", result)

    @native("str", "str", filled, filled, "pv", name="http_connect", routes=ROUTES)
    def native_connect_post(self, run: Run, connection: str, url: str, ctype: Filled, data: Filled, result: Any) -> int:
        """See `curl_connect_post`; a content type or data of $null are none."""
        return self.connect(run, connection, url, ctype(run), data(run), result)

    @native("str", "str", "str", "raw", "pv", name="http_connect_raw", routes=ROUTES)
    def native_connect_raw(self, run: Run, connection: str, url: str, ctype: str, data: str, result: Any) -> int:
        """As http_connect(), with data in which nothing is evaluated."""
        return self.connect(run, connection, url, ctype, data, result)

    @function
    def get_redirect(self, run: Run, connection: str, result: str) -> int:
        """Store the URL that this run asked last on a connection, after redirects; -1 if it is none."""
        return self._redirect(run, connection, self.writable(result))

    @native("str", "pv", name="http_get_redirect", routes=ROUTES)
    def native_redirect(self, run: Run, connection: str, result: Any) -> int:
        """See `get_redirect`."""
        return self._redirect(run, connection, result)

    def _redirect(self, run: Run, connection: str, result: Any) -> int:
        if result is None:
            return -1
        if connection not in self.connections:
            self.node.log.error("http_get_redirect: there is no connection %r", connection)
            result.set(run, "")
            return -1
        return 1 if result.set(run, self.last_urls(run).get(connection, "")) else -1

    # ---- headers of answers

    @function
    @native("int", name="http_client_response_headers_set")
    def response_headers_set(self, run: Run, mode: int) -> int:
        """Whether this run keeps the headers of answers for `$httprhdr(name)`; 0 forgets those it has."""
        self.keep_headers(run, bool(mode))
        return 1

    @variable("httprhdr", takes_name=True)
    def response_header(self, run: Run, name: str, index: object) -> Value:
        """A header of this run's last answer, if `response_headers` is set."""
        return self.header(run, name)

    @variable("curlerror", takes_name=True)
    def curl_error(self, run: Run, name: str, index: object) -> Value:
        """What a number means that a function returned."""
        return error_text(decimal(name) or 0)

    # ---- management

    @rpc("httpclient.listcon")
    def rpc_list(self) -> list[dict[str, Any]]:
        """The connections that are defined, without their passwords."""
        return [
            {
                "NAME": c.name,
                "SCHEMA": c.scheme,
                "URI": c.uri,
                "USERNAME": c.options.user,
                "PASSWORD": "***" if c.options.password else "",
                "FAILOVER": c.failover,
                "TIMEOUT": int(c.options.timeout),
            }
            for c in self.connections.values()
        ]

    @rpc("httpclient.state")
    def rpc_state(self) -> dict[str, Any]:
        """Connections in use, idle and waited for; requests so far, and those that failed by what they failed of."""
        client = self.client
        if client is None:
            return {"requests": 0}
        errors = {error_text(code): count for code, count in sorted(client.failed.items())}
        return {**client.counted(), "errors": errors}


MODULE = HttpClientModule
