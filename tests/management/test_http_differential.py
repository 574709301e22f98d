"""HTTP on SIP's port and JSON-RPC over it, a FIFO and datagrams: what Kamailio answers, and what we do."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from typing import Any

import pytest

from .clients import HOST, PATIENCE, datagram, document, http_request
from .servers import Kahea, Kamailio, Server

RAW = [
    b"GET /a?x=1&y HTTP/1.1\r\nHost: foo\r\n\r\n",
    b"GET /a HTTP/1.1\nHost: foo\n\n",
    b"GET /a HTTP/2.0\r\nHost: foo\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nUser-Agent: UA\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    b"DELETE /d HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS /o HTTP/1.1\r\nHost: a\r\n\r\n",
    b"REGISTER /r HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /v HTTP/1.1\r\nHost: a\r\nVia: 1.1 proxy.example\r\n\r\n",
    b"GET /empty HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /twice HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n",
]

#: Left without an answer.
SILENT = [
    b"GET /skip HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://h/abs HTTP/1.1\r\nHost: a\r\n\r\n",
]


def exchange(server: Server, data: bytes) -> str:
    """What comes back for some bytes; ports and lengths blanked."""
    with socket.create_connection((HOST, server.sip)) as stream:
        stream.settimeout(PATIENCE)
        own = stream.getsockname()[1]
        # The last answer is known by its own request.
        stream.sendall(data + b"GET /empty HTTP/1.1\r\nLast: yes\r\n\r\n")
        got = b""
        end = re.compile(rb"HTTP/1.1 200 OK\r\nSia: [^\r]*\r\nServer: twin\r\nContent-Length: 0\r\n\r\n\Z")
        while not end.search(got) or (b"/empty" in data and got.count(b"HTTP/") < 2):
            more = stream.recv(65536)
            if not more:
                break
            got += more
    shown = end.sub(b"", got).decode().replace(str(own), "@OWN").replace(str(server.sip), "@SIP")
    return re.sub(r"Content-Length: \d+", "Content-Length: N", shown)


def test_http(kamailio: Kamailio, kahea: Kahea) -> None:
    assert [exchange(kahea, data) for data in RAW] == [exchange(kamailio, data) for data in RAW]


def test_what_is_left_without_an_answer(kamailio: Kamailio, kahea: Kahea) -> None:
    for data in SILENT:
        assert exchange(kamailio, data) == exchange(kahea, data) == "", data


def test_http_as_it_should_be_where_kamailio_differs(kahea: Kahea) -> None:
    # A HEAD's body would be taken for the next answer.
    head = exchange(kahea, b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert re.search(r"Content-Length: N\r\n\r\n\Z", head)
    # Kamailio 5.6.3 closes the connection of HTTP/1.0 without an answer.
    for request in (b"GET /a HTTP/1.0\r\n\r\n", b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"):
        with socket.create_connection((HOST, kahea.sip)) as stream:
            stream.settimeout(PATIENCE)
            stream.sendall(request)
            got = b""
            while more := stream.recv(65536):
                got += more
        assert b" 200 OK\r\n" in got
        assert b"/a|" in got


DOCUMENTS = [
    document("core.echo", "a", 5, "b"),
    document("core.echo"),
    document("core.printi", 1, -1, 7),
    document("core.prints", "é", 'quo"te', "new\nline", "\u0001"),
    document("core.uptimex"),
    document("dns.delete_a", "nothing.example"),
    document("system.methodHelp"),
    document("system.methodHelp", "nothing"),
    document("dst_blocklist.view"),
    document("cfg.get", "core", "debug"),
    document("cfg.diff"),
    b'{"jsonrpc":"2.0","method":"core.echo","params":{"z":"x","a":2},"id":1}',
    b'{"jsonrpc":"2.0","method":"core.echo","params":["a"]}',
    b'{"jsonrpc":"2.0","method":"core.echo","id":"text"}',
    b'{"jsonrpc":"2.0","method":"core.echo","id":12345678901}',
    b'{"jsonrpc":"2.0","method":"core.echo","id":-7.5}',
]

ALIKE = [
    "core.version", "core.info", "core.uptime", "core.runinfo", "core.flags", "core.psa", "core.psx", "core.pwd",
    "core.sockets_list", "core.aliases_list", "core.tcp_info", "core.tcp_list", "core.tcp_options",
    "core.udp4_raw_info", "core.ppdefines_full", "system.listMethods", "core.arg", "core.modules",
    "core.ppdefines", "ul.dump",
]  # fmt: skip


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def post(server: Server, body: bytes) -> tuple[int, str, str | None, bytes]:
    status, reason, headers, answer = http_request(server.sip, "POST", "/RPC", body)
    return status, reason, headers.get("Content-Type"), answer


def test_json_rpc_over_http_is_the_same_to_the_byte(kamailio: Kamailio, kahea: Kahea) -> None:
    for body in DOCUMENTS:
        assert post(kahea, body) == post(kamailio, body), body


def test_the_settings_of_a_module(kamailio: Kamailio, kahea: Kahea) -> None:
    ours, theirs = (json.loads(post(server, document("cfg.get", "registrar"))[3]) for server in (kahea, kamailio))
    # A text that is not set is empty here.
    assert ours["result"] == {name: "" if value is None else value for name, value in theirs["result"].items()}


def test_json_rpc_answers_of_the_same_shape(kamailio: Kamailio, kahea: Kahea) -> None:
    for name in ALIKE:
        ours, theirs = (json.loads(post(server, document(name))[3]) for server in (kahea, kamailio))
        assert shape(ours) == shape(theirs), name


def test_json_rpc_over_datagrams(kamailio: Kamailio, kahea: Kahea) -> None:
    for body in DOCUMENTS:
        assert datagram(kahea.folder / "rpc.sock", body) == datagram(kamailio.folder / "rpc.sock", body), body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{bad", -32700),
        (b"", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","method":5,"id":1}', -32600),  # ends Kamailio 5.6.3
        (b'{"method":"core.version","id":1}', -32600),
    ],
)
def test_what_is_no_request_is_told_so(kahea: Kahea, body: bytes, code: int) -> None:
    status, _, kind, answer = post(kahea, body)
    assert (status, kind) == (400, "application/json")
    assert json.loads(answer)["error"]["code"] == code
    assert json.loads(datagram(kahea.folder / "rpc.sock", body))["error"]["code"] == code


def test_a_command_from_the_script(kamailio: Kamailio, kahea: Kahea) -> None:
    for body in (document("core.echo", "a"), document("core.xxx")):
        ours, theirs = (http_request(server.sip, "POST", "/exec", body)[3] for server in (kahea, kamailio))
        assert ours == theirs
    assert http_request(kahea.sip, "POST", "/exec", b"{bad")[3] == b"<null>|<null>|<null>"


def fifo(server: Server, request: bytes) -> bytes:
    """The answer to a document written to the server's FIFO."""
    reply = server.folder / "tmp/answer"
    os.mkfifo(reply)
    answers: list[bytes] = []
    reader = threading.Thread(target=lambda: answers.append(reply.read_bytes()), daemon=True)
    reader.start()
    try:
        with (server.folder / "rpc.fifo").open("wb", buffering=0) as out:
            out.write(request)
        reader.join(PATIENCE)
    finally:
        reply.unlink()
    return answers[0] if answers else b""


def test_json_rpc_over_a_fifo(kamailio: Kamailio, kahea: Kahea) -> None:
    request = b'{"jsonrpc": "2.0", "method": "core.echo", "params": ["a", 5], "reply_name": "answer", "id": 1}\n'
    assert fifo(kahea, request) == fifo(kamailio, request) != b""


def test_a_fifo_takes_documents_in_pieces_and_several_at_once(kahea: Kahea) -> None:
    start = b'\n{"jsonrpc": "2.0",\n "method": "core.echo", "params": ["x"'
    nothing = b'{"jsonrpc": "2.0", "method": "core.echo"} "not one" '
    with (kahea.folder / "rpc.fifo").open("wb", buffering=0) as out:
        out.write(nothing + start)
    assert b'["x"]' in fifo(kahea, b'],\n "reply_name": "answer", "id": 2}')


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "", "..", "plain"])
def test_an_answer_goes_to_no_other_place_than_a_fifo_of_its_directory(kahea: Kahea, name: str) -> None:
    plain = kahea.folder / "tmp/plain"
    plain.write_text("precious")
    request = json.dumps({"jsonrpc": "2.0", "method": "core.echo", "reply_name": name, "id": 1}).encode()
    with (kahea.folder / "rpc.fifo").open("wb", buffering=0) as out:
        out.write(request + b"\n")
    assert b"x" in fifo(kahea, document("core.echo", "x")[:-1] + b', "reply_name": "answer"}')
    assert plain.read_text() == "precious"
    assert not (kahea.folder / "escape").exists()


def test_settings_changed_show_in_the_script(kamailio: Kamailio, kahea: Kahea) -> None:
    changes = [
        document("core.echo"),
        document("cfg.seti", "gateway", "gw_port", 5090),
        document("cfg.seti", "gateway[7]", "gw_port", 5091),
        document("cfg.sets", "gateway", "gw_host", "192.0.2.9"),
        document("cfg.seti", "core", "debug", -2),
        document("cfg.del", "gateway[7]", "gw_port"),
        document("cfg.seti", "gateway", "gw_port", 5070),
        document("cfg.seti", "gateway[7]", "gw_port", 5077),
        document("cfg.sets", "gateway", "gw_host", "192.0.2.1"),
        document("cfg.seti", "core", "debug", -1),
    ]

    def seen(server: Server) -> list[tuple[int, bytes]]:
        return [(post(server, change)[0], http_request(server.sip, "GET", "/cfg")[3]) for change in changes]

    assert seen(kahea) == seen(kamailio)


@pytest.mark.skipif(shutil.which("kamctl") is None, reason="needs Debian's kamctl")
def test_kamctl(kahea: Kahea) -> None:
    # It has its own FIFO in $CHROOT_DIR/tmp.
    own = {"RPCFIFOPATH": str(kahea.folder / "rpc.fifo"), "CHROOT_DIR": str(kahea.folder)}
    for words, expected in ((("rpc", "core.echo", "a"), '"a"'), (("uptime",), '"up_since"')):
        command = ["kamctl", *words]
        done = subprocess.run(
            command, env={**os.environ, **own}, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert expected in done.stdout, done
