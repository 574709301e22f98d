"""Debian's own kamailio.cfg, unmodified: two phones register with it and call each other."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from baresip_phone import MISSING, Phone
from peer_servers import ServerProcess
from tests.ports import free_port
from tests.tls_files import Authority

TLS_CFG = Path("/etc/kamailio/tls.cfg")
STOCK = Path("/etc/kamailio/kamailio.cfg")
pytestmark = pytest.mark.skipif(not STOCK.exists(), reason=f"there is no {STOCK} (Debian: kamailio)")


@pytest.fixture(params=["kahea", "kamailio"])
def stock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that runs the file; Kamailio, to prove the test."""
    more = ["-E", "-Y", str(tmp_path)] if request.param == "kahea" else []
    with ServerProcess(request.param, tmp_path, STOCK, *more) as running:
        yield running


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_phones_call_each_other(stock: ServerProcess, tmp_path: Path, transport: str) -> None:
    with ExitStack() as stack:
        alice, bob = (stack.enter_context(Phone(user, stock.port, transport, tmp_path)) for user in ("alice", "bob"))
        alice.registered()
        bob.registered()
        alice.tell("dial", bob.uri)
        alice.until("CALL_ESTABLISHED")
        bob.until("CALL_ESTABLISHED")
        bob.tell("hangup")
        assert alice.until("CALL_CLOSED")["peeruri"].startswith("sip:bob@")
    accounted = re.findall(r"ACC: transaction answered: .*?;method=(\w+);.*src_user=alice", stock.log())
    assert accounted == ["INVITE"], stock.log()


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.skipif(not TLS_CFG.exists(), reason=f"there is no {TLS_CFG} (Debian: kamailio)")
@pytest.mark.parametrize("kind", ["kahea", "kamailio"])
def test_two_phones_call_each_other_over_tls(kind: str, tmp_path: Path) -> None:
    """With WITH_TLS and Debian's own tls.cfg, which has us trust certificates of one authority alone."""
    authority = Authority(tmp_path)
    files, of_phones = authority.sign("server"), authority.sign("phone")
    both = tmp_path / "phones.pem"
    both.write_bytes(of_phones.certificate.read_bytes() + of_phones.key.read_bytes())
    tls = TLS_CFG.read_text().replace("[client:default]", f"[client:default]\nca_list = {authority.files.certificate}")
    for ending, file in (("key", files.key), ("pem", files.certificate)):
        tls = tls.replace(f"/etc/kamailio/kamailio-selfsigned.{ending}", str(file))
    (tmp_path / "tls.cfg").write_text(tls)
    cfg = tmp_path / "stock.cfg"
    cfg.write_text(STOCK.read_text().replace(str(TLS_CFG), str(tmp_path / "tls.cfg")))
    port = free_port(2)
    more = ["-A", "WITH_TLS", "-l", f"tls:127.0.0.1:{port}"]
    more += ["-E", "-Y", str(tmp_path)] if kind == "kahea" else []
    with ServerProcess(kind, tmp_path, cfg, *more) as server, ExitStack() as stack:
        alice = stack.enter_context(Phone("alice", port, "tls", tmp_path, both))
        bob = stack.enter_context(Phone("bob", server.port, "udp", tmp_path))
        carol = stack.enter_context(Phone("carol", port, "tls", tmp_path, both))
        for phone in (alice, bob, carol):
            phone.registered()
        for caller, callee in ((alice, carol), (bob, alice)):
            caller.tell("dial", f"sip:{callee.user}@127.0.0.1:{caller.server}")
            for phone in (caller, callee):
                phone.until("CALL_ESTABLISHED")
            callee.tell("hangup")
            for phone in (caller, callee):
                phone.until("CALL_CLOSED")


#: Method and Request-URI (`ME` is the server), further headers, and the status line of the first final answer.
ANSWERS = [
    ("OPTIONS", "sip:ME", "", "200 Keepalive"),
    ("INVITE", "sip:nobody@ME", "", "404 Not Found"),
    ("INVITE", "sip:ME", "", "484 Address Incomplete"),
    ("INVITE", "sip:nobody@elsewhere.example", "", "403 Not relaying"),
    ("MESSAGE", "sip:nobody@ME", "", "404 Not Found"),
    ("PUBLISH", "sip:nobody@ME", "Event: presence\r\n", "404 Not here"),
    ("SUBSCRIBE", "sip:nobody@ME", "", "404 Not Found"),
    ("BYE", "sip:nobody@ME", "", "404 Not here"),
    ("REGISTER", "sip:ME", "Contact: <sip:a@192.0.2.1>\r\nExpires: 60\r\n", "200 OK"),
    ("INVITE", "sip:nobody@ME", "Max-Forwards: 0\r\n", "483 Too Many Hops"),
    ("INVITE", "sip:nobody@ME", "Route: <sip:192.0.2.1;lr>\r\n", "404 Not Found"),
]


def test_what_it_answers(stock: ServerProcess) -> None:
    """What its routes say themselves, without anybody behind it."""
    found = []
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(5)
        for number, (method, uri, headers, _) in enumerate(ANSWERS):
            to = ";tag=there" if method == "BYE" else ""
            limit = "" if "Max-Forwards" in headers else "Max-Forwards: 70\r\n"
            text = (
                f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{s.getsockname()[1]};branch=z9hG4bK{number}\r\n"
                f"From: <sip:alice@ME>;tag=here\r\nTo: <sip:alice@ME>{to}\r\nCall-ID: {number}@test\r\n"
                f"CSeq: 1 {method}\r\n{limit}{headers}Content-Length: 0\r\n\r\n"
            )
            text = text.replace("ME", f"127.0.0.1:{stock.port}")
            s.sendto(text.encode(), ("127.0.0.1", stock.port))
            try:
                answer = s.recv(65535).decode()
                while answer.startswith("SIP/2.0 1") or f"\nCall-ID: {number}@test" not in answer:
                    answer = s.recv(65535).decode()
            except TimeoutError:
                answer = "SIP/2.0 nothing\r\n"
            if method == "INVITE":
                s.sendto(text.replace("INVITE", "ACK").encode(), ("127.0.0.1", stock.port))
            found.append((method, uri, headers, answer.partition("\r\n")[0].removeprefix("SIP/2.0 ")))
    assert found == ANSWERS


TABLES = [Path(f"/usr/share/kamailio/db_sqlite/{name}-create.sql") for name in ("standard", "presence")]
LIBRARY = list(Path("/usr/lib").glob("*/kamailio/modules/presence_xml.so"))
DOCUMENT = (
    '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@ME"><tuple id="t">'
    "<status><basic>open</basic></status></tuple></presence>"
)


@pytest.mark.skipif(not all(path.exists() for path in TABLES), reason="needs Debian's kamailio-sqlite-modules")
@pytest.mark.parametrize("kind", ["kahea", "kamailio"])
def test_its_presence_server(kind: str, tmp_path: Path) -> None:
    """Defined WITH_PRESENCE: a watcher subscribes, and is told what a phone publishes."""
    if kind == "kamailio" and (not LIBRARY or shutil.which("kamailio") is None):
        pytest.skip("needs Debian's kamailio-presence-modules")
    database = tmp_path / "kamailio.sqlite"
    for path in TABLES:
        subprocess.run(["sqlite3", str(database)], input=path.read_text(), text=True, check=True)
    more = ["-E", "-Y", str(tmp_path)] if kind == "kahea" else ["--loadmodule", "db_sqlite.so"]
    more += ["-A", "WITH_PRESENCE", "-A", f'DBURL="sqlite:///{database}"']
    with ServerProcess(kind, tmp_path, STOCK, *more) as running, socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(5)

        def send(method: str, headers: str, body: str) -> None:
            text = (
                f"{method} sip:bob@ME SIP/2.0\r\nVia: SIP/2.0/UDP HERE;branch=z9hG4bK{method}\r\n"
                f"From: <sip:alice@ME>;tag=here\r\nTo: <sip:bob@ME>\r\nCall-ID: {method}@test\r\n"
                f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:alice@HERE>\r\nEvent: presence\r\n"
                f"{headers}Content-Length: LENGTH\r\n\r\n"
            )
            body = body.replace("ME", f"127.0.0.1:{running.port}")
            text = text.replace("LENGTH", str(len(body))).replace("ME", f"127.0.0.1:{running.port}")
            text = text.replace("HERE", f"127.0.0.1:{s.getsockname()[1]}")
            s.sendto((text + body).encode(), ("127.0.0.1", running.port))

        def expect(start: str) -> str:
            while True:
                got = s.recv(65535).decode()
                if got.startswith("NOTIFY"):
                    kept = [line for line in got.split("\r\n") if re.match("(Via|From|To|Call-ID|CSeq):", line)]
                    answer = "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])
                    s.sendto(answer.encode(), ("127.0.0.1", running.port))
                if got.startswith(start):
                    return got

        send("SUBSCRIBE", "", "")
        assert "\r\nExpires: 3600\r\n" in expect("SIP/2.0 200")
        assert "\r\nContent-Length: 0\r\n" in expect("NOTIFY")
        send("PUBLISH", "Content-Type: application/pidf+xml\r\n", DOCUMENT)
        assert "\r\nSIP-ETag: " in expect("SIP/2.0 200")
        assert "<basic>open</basic>" in expect("NOTIFY")
