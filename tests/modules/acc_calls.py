"""Calls through a server that accounts them: the same cfg, callers and callees for Kamailio and for us.

A request says by itself what the two callees answer: `X-First: 180 Ringing, 486 Busy` for the one, `X-Second` for the
other. `Caller.finish` waits until every request that was sent has its final answer.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.ending import end
from tests.ports import free_port

import kahea as kahea_package

KAMAILIO = shutil.which("kamailio")
SOURCE = Path(kahea_package.__file__).parents[1]
PATIENCE = 20.0

_KEPT = re.compile(r"(?i)(via|from|to|call-id|cseq|record-route):")


def _udp() -> socket.socket:
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    return s


@dataclass
class Record:
    """What was accounted for one Call-ID: lines of the log and rows of each table, in order."""

    lines: list[str] = field(default_factory=list)
    acc: list[tuple[object, ...]] = field(default_factory=list)
    missed_calls: list[tuple[object, ...]] = field(default_factory=list)


class Server:
    """A running server with its callees, its caller and its database."""

    def __init__(self, kind: str, cfg: str, folder: Path, columns: tuple[str, ...]) -> None:
        self.kind = kind
        self.folder = folder
        folder.mkdir()
        self.caller, self.first, self.second = _udp(), _udp(), _udp()
        self.port = free_port()
        peers = {"@CALLER": self.caller, "@FIRST": self.first, "@SECOND": self.second}
        self._ports = {"@SERVER": self.port} | {word: s.getsockname()[1] for word, s in peers.items()}
        self.database = folder / "acc.db"
        self._make_tables(columns)
        self._log = folder / "log"
        self._invites: dict[tuple[int, str], bytes] = {}
        self._open: set[tuple[str, str]] = set()
        self._then: dict[tuple[str, int], list[str]] = {}
        path = folder / "acc.cfg"
        path.write_text(self.fill(cfg))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command(path),
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": str(SOURCE)},
                cwd=folder,
            )
        self._await_start()

    def _command(self, cfg: Path) -> list[str]:
        if self.kind == "kahea":
            return [sys.executable, "-m", "kahea", "run", str(cfg)]
        assert KAMAILIO is not None
        folder = str(self.folder)
        return [KAMAILIO, "-f", str(cfg), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "16", "-Y", folder, "-w", folder]

    def _make_tables(self, columns: tuple[str, ...]) -> None:
        """Kamailio's tables, but that a text may be NULL: its driver for SQLite writes empty ones so."""
        with contextlib.closing(sqlite3.connect(self.database)) as c:
            c.execute("pragma journal_mode=wal")  # so that looking on does not lock Kamailio out
            c.execute("create table version (id integer primary key, table_name varchar(32), table_version integer)")
            for table, version in (("acc", 5), ("missed_calls", 4)):
                names = ("method", "from_tag", "to_tag", "callid", "sip_code", "sip_reason", *columns)
                fields = ", ".join(f"{name} varchar(128)" for name in names)
                c.execute(f"create table {table} (id integer primary key, {fields}, time timestamp)")
                c.execute("insert into version (table_name, table_version) values (?, ?)", (table, version))
            c.commit()

    def fill(self, text: str) -> str:
        """The text with addresses in place of the @-words."""
        for word, port in self._ports.items():
            text = text.replace(word, f"127.0.0.1:{port}")
        library = next(Path("/usr/lib").glob("**/kamailio/modules"), "/")
        return text.replace("@DATABASE", str(self.database)).replace("@LIBRARY", str(library))

    def _blank(self, text: str) -> str:
        """Without ports, and tags of the server's own."""
        for word, port in self._ports.items():
            text = text.replace(f"127.0.0.1:{port}", word)
        return re.sub(r"to_tag=(?!(tt|ft);)[^;]+", "to_tag=", text)

    def _await_start(self) -> None:
        end = time.monotonic() + PATIENCE
        self.caller.settimeout(0.1)
        while time.monotonic() < end and self.process.poll() is None:
            self._send(self.request("OPTIONS", "start", headers="X-F: ping\r\n"))
            with contextlib.suppress(TimeoutError):
                self.caller.recv(65535)
                return
        self.stop()
        raise RuntimeError(f"{self.kind} does not answer:\n{self._log.read_text()[-3000:]}")

    # ---- messages

    def request(
        self,
        method: str,
        callid: str,
        cseq: int = 1,
        *,
        branch: str = "",
        to_tag: str = "",
        headers: str = "",
        upstream: bool = False,
    ) -> str:
        """A request of the caller's; `upstream`: as if the callee had sent it."""
        a, b = "<sip:alice@example.com>;tag=ft", "<sip:bob@example.com>" + (f";tag={to_tag}" if to_tag else "")
        if upstream:
            a, b = b, a
        branch = branch or f"{callid}{cseq}"
        return self.fill(
            f"{method} sip:bob@@FIRST SIP/2.0\r\nVia: SIP/2.0/UDP @CALLER;branch=z9hG4bK{branch}\r\n"
            f"From: {a}\r\nTo: {b}\r\nCall-ID: {callid}\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: <sip:alice@@CALLER>\r\nMax-Forwards: 70\r\n{headers}Content-Length: 0\r\n\r\n"
        )

    def _send(self, message: str) -> None:
        self.caller.sendto(message.encode(), ("127.0.0.1", self.port))

    def send(self, message: str, then: dict[int, list[str]] | None = None) -> None:
        """Send a request; `then` has requests that follow a response of a status."""
        callid, method = _of(message)
        if method != "ACK":
            self._open.add((callid, method))
        for status, following in (then or {}).items():
            self._then[callid, status] = following
        self._send(message)

    def finish(self) -> None:
        """Answer and wait until nothing is open."""
        end = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            for s in (self.caller, self.first, self.second):
                s.setblocking(False)
                selector.register(s, selectors.EVENT_READ)
            while self._open:
                if time.monotonic() > end:
                    raise RuntimeError(f"{self.kind}: no answer for {self._open}\n{self._log.read_text()[-3000:]}")
                for key, _ in selector.select(0.2):
                    self._take(key.fileobj)  # type: ignore[arg-type]

    def _take(self, s: socket.socket) -> None:
        data, source = s.recvfrom(65535)
        text = data.decode()
        if s is not self.caller:
            if not text.startswith("ACK"):
                self._answer(s, text, source)
            return
        if not text.startswith("SIP/2.0 "):
            return
        status = int(text[8:11])
        callid, method = _of(text)
        for following in self._then.pop((callid, status), []):
            self.send(self.fill(following))
        if status >= 200:
            self._open.discard((callid, method))
            if method == "INVITE" and status >= 300:
                via = re.search(r"branch=z9hG4bK([^;\r]+)", text)
                assert via is not None
                self._send(self.request("ACK", callid, branch=via[1], to_tag="x"))

    def _answer(self, s: socket.socket, text: str, source: tuple[str, int]) -> None:
        callid, method = _of(text)
        which = "First" if s is self.first else "Second"
        key = (s.fileno(), callid)
        if method == "CANCEL":
            s.sendto(_reply(text, "200 OK"), source)
            s.sendto(_reply(self._invites[key].decode(), "487 Request Terminated"), source)
            return
        if key in self._invites and self._invites[key] == text.encode():
            return
        self._invites[key] = text.encode()
        wanted = re.search(rf"X-{which}: (.*)\r\n", text)
        for answer in wanted[1].split(", ") if wanted else ["200 OK"]:
            if answer != "none":
                s.sendto(_reply(text, answer), source)

    # ---- what was accounted

    def _rows(self) -> int:
        with contextlib.closing(sqlite3.connect(self.database)) as c:
            found: int = c.execute(
                "select (select count(*) from acc) + (select count(*) from missed_calls)"
            ).fetchone()[0]
            return found

    def records(self, lines: int, rows: int) -> dict[str, Record]:
        """By Call-ID, once that many lines and rows were accounted; then the server is stopped."""
        end = time.monotonic() + PATIENCE
        while (self.log.count("ACC: ") < lines or self._rows() < rows) and time.monotonic() < end:
            time.sleep(0.05)
        self.stop()
        found: dict[str, Record] = {}
        for line in re.findall(r"ACC: .*", self._log.read_text(errors="replace")):
            callid = re.search(r"call_id=([^;]*)", line)
            assert callid is not None
            shown = re.sub(r"timestamp=\d+", "timestamp=T", self._blank(line))
            shown = re.sub(r"(micros|seconds)=[\d.]+", r"\1=N", shown)
            found.setdefault(callid[1], Record()).lines.append(shown)
        with contextlib.closing(sqlite3.connect(self.database)) as c:
            for table in ("acc", "missed_calls"):
                cursor = c.execute(f"select * from {table} order by id")
                names = [d[0] for d in cursor.description]
                for row in cursor:
                    values = dict(zip(names, row, strict=True))
                    del values["id"], values["time"]
                    for name in {"micros", "seconds"} & set(values):
                        values[name] = values[name] and "N"
                    if values["to_tag"] not in ("tt", "ft"):
                        values["to_tag"] = None
                    shown_row = tuple(self._blank(v) if v else None for v in values.values())
                    getattr(found.setdefault(values["callid"], Record()), table).append(shown_row)
        return found

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """End the process that was started, and close the sockets."""
        end(self.process)
        for s in (self.caller, self.first, self.second):
            s.close()


def _of(text: str) -> tuple[str, str]:
    """Call-ID and method."""
    callid = re.search(r"(?i)\r\ncall-id: ([^\r]*)", text)
    cseq = re.search(r"(?i)\r\ncseq: \d+ (\w+)", text)
    assert callid is not None
    assert cseq is not None
    return callid[1], cseq[1]


def _reply(request: str, answer: str) -> bytes:
    """A reply; `CODE reason|Header: value|...`, where a header `Body:` stands for a body."""
    status, *headers = answer.split("|")
    lines = [line for line in request.split("\r\n") if _KEPT.match(line)]
    lines = [line + ";tag=tt" if line.startswith("To:") and "tag=" not in line else line for line in lines]
    body = "v=0\r\n" if "Body:" in headers else ""
    lines += [h for h in headers if h != "Body:"]
    return "\r\n".join([f"SIP/2.0 {status}", *lines, f"Content-Length: {len(body)}", "", body]).encode()
