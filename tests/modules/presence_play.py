"""Publishers and watchers of presence for scenarios: what they send, and what they are sent, made comparable."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from processes import KAMAILIO, Server, compared

MODULES = ("rr", "textops", "siputils", "xlog", "db_sqlite", "presence", "presence_xml")
LAYOUTS = [Path(f"/usr/share/kamailio/db_sqlite/{name}-create.sql") for name in ("standard", "presence")]
LIBRARY = next(iter(Path("/usr/lib").glob("**/kamailio/modules/presence.so")), None)

needs_presence = pytest.mark.skipif(
    KAMAILIO is None or LIBRARY is None or not all(path.exists() for path in LAYOUTS),
    reason="needs a real Kamailio (Debian: kamailio-presence-modules, kamailio-sqlite-modules)",
)

CFG = """
modparam("presence", "db_url", "sqlite:///{folder}.sqlite")
modparam("presence_xml", "db_url", "sqlite:///{folder}.sqlite")
PARAMS
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if (is_method("PUBLISH|SUBSCRIBE")) {
        if ($hdr(X-Stateless) == $null && !t_newtran()) { sl_reply_error(); exit; }
        if (is_method("PUBLISH")) { PUBLISHED } else { $var(r) = handle_subscribe(); }
        xlog("L_ERR", "code $rm $var(r)\n");
        t_release();
        exit;
    }
    MORE
}
ROUTES
"""

PRESENCE = "Event: presence\r\n"
WINFO = "Event: presence.winfo\r\n"
_ETAG = re.compile(r"a\.\d+\.\d+\.\d+\.(\d+)")
_DROPPED = re.compile(r"(Via|Server|User-Agent|Max-Forwards|Content-Length|Call-ID|From|CSeq: \d+ (PUBLISH|SUBS)).*")

_NUMBERED = re.compile(f"{_DROPPED.pattern}|CSeq: .*")


def layout(folder: Path, name: str) -> Path:
    """A database with Kamailio's own tables, where the cfg of that server looks for it."""
    path = folder / f"{name}.sqlite"
    for script in LAYOUTS:
        subprocess.run(["sqlite3", str(path)], input=script.read_text(), text=True, check=True)
    return path


def config(
    params: str = "",
    publish: str = "$var(r) = handle_publish();",
    more: str = "",
    routes: str = "",
) -> str:
    """The cfg of both servers."""
    cfg = CFG
    for word, text in (
        ("PARAMS", params), ("PUBLISHED", publish), ("MORE", more), ("ROUTES", routes)
    ):  # fmt: skip
        cfg = cfg.replace(word, text)
    return cfg


def pidf(tuple_id: str = "t1", basic: str = "open", *, more: str = "", after: str = "") -> str:
    """A presence document."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="urn:ietf:params:xml:ns:pidf" '
        'xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" '
        f'entity="sip:bob@example.com"><tuple id="{tuple_id}"><status><basic>{basic}</basic></status>{more}</tuple>'
        f"{after}</presence>\n"
    )


def shape(body: str) -> Any:
    """A document without what does not matter: prefixes, white space, the order of attributes."""

    def of(element: Any) -> Any:
        return (
            element.tag, sorted(element.attrib.items()), (element.text or "").strip(), [of(child) for child in element]
        )  # fmt: skip

    return of(etree.fromstring(body.encode()))


def comparable(message: str, dropped: re.Pattern[str] = _DROPPED) -> list[Any]:
    """What a message says, without what each server chooses for itself."""
    head, _, body = message.partition("\r\n\r\n")
    lines = [line for line in head.split("\r\n") if not dropped.match(line)]
    lines = [re.sub(r"tag=[0-9a-f]{12,}([-.][0-9a-f]+)?", "tag=T", line) for line in lines]
    lines = [_ETAG.sub(r"ETAG.\1", line) for line in lines]
    # Seconds that have passed since.
    lines = [re.sub(r"expires=(\d+)", lambda found: f"expires={-(-int(found[1]) // 20) * 20}", line) for line in lines]
    return [*sorted(lines), shape(body) if body.strip() else ""]


class Play:
    """One server's scenario: `seen` has what came back, step by step.

    Where the server asks a database before it sends NOTIFYs, `patience` are seconds to wait for more of them, and their
    numbers are not compared.
    """

    def __init__(self, server: Server, database: Path | None = None, patience: float = 0.001) -> None:
        self.patience = patience
        self.server = server
        self.database = database
        self.seen: list[Any] = []
        self._sent = 0

    def send(
        self,
        method: str,
        headers: str = PRESENCE,
        *,
        uri: str = "sip:bob@example.com",
        callid: str = "",
        to_tag: str = "",
        body: str = "",
        contact: str | None = "<sip:alice@@SINK>",
        cseq: int = 0,
        sender: str = "alice",
        from_tag: str = "ft",
        to: str = "bob",
        answer: str = "200 OK",
        content_type: str = "application/pidf+xml",
    ) -> str:
        """Send a request, answer the NOTIFYs that it causes, and give the reply."""
        self._sent += 1
        server = self.server
        callid = callid or f"call{self._sent}"
        if body:
            headers += f"Content-Type: {content_type}\r\n"
        if contact is not None:
            headers += f"Contact: {contact}\r\n"
        tag = f";tag={to_tag}" if to_tag else ""
        server.caller.send(
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP @CALLER;branch=z9hG4bKcaller{self._sent}\r\n"
            f"From: <sip:{sender}@example.com>;tag={from_tag}\r\nTo: <sip:{to}@example.com>{tag}\r\n"
            f"Call-ID: {callid}\r\nCSeq: {cseq or self._sent} {method}\r\nMax-Forwards: 70\r\nUser-Agent: phone\r\n"
            f"{headers}Content-Length: {len(body.encode())}\r\n\r\n{body}"
        )
        reply = server.caller.expect("SIP/2.0 ")
        self.note(f"{method} {headers}", [reply], answer)
        return reply

    def note(self, title: str, replies: Sequence[str] = (), answer: str = "200 OK") -> list[str]:
        """Take down what came back, and the NOTIFYs so far, in any order, which are answered."""
        notifies = self.notifies(answer)
        title = _ETAG.sub(r"ETAG.\1", title)
        dropped = _DROPPED if self.patience < 0.01 else _NUMBERED
        shown = sorted((comparable(each, dropped) for each in notifies), key=str)
        self.seen.append((title, [comparable(each) for each in replies], shown))
        return notifies

    def notifies(self, answer: str = "200 OK") -> list[str]:
        """The NOTIFYs so far, which are answered, if with anything."""
        found: list[str] = []
        self._settle()
        while (got := self._waiting()) is not None:
            found.append(got)
            if answer:
                self.server.sink.reply(got, answer)
        self._settle()
        return found

    def _waiting(self) -> str | None:
        try:
            return self.server.sink.receive(self.patience)
        except (TimeoutError, BlockingIOError):
            return None

    def _settle(self) -> None:
        """Whatever the server does at once is done when it has answered twice."""
        for _ in range(2):
            self._sent += 1
            ping = (
                f"OPTIONS sip:ping@example.com SIP/2.0\r\nVia: SIP/2.0/UDP @CALLER;branch=z9hG4bKcaller{self._sent}\r\n"
                f"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: ping{self._sent}\r\nCSeq: 1 OPTIONS\r\n"
                "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            self.server.caller.send(ping)
            while f"\r\nCall-ID: ping{self._sent}\r\n" not in self.server.caller.receive():
                pass

    def rows(self, but: Sequence[str] = ()) -> None:
        """Take down the rows of all tables, without ids, times, and what each server chooses."""
        assert self.database is not None
        found: list[Any] = []
        with sqlite3.connect(self.database) as connection:
            connection.row_factory = sqlite3.Row
            for table in ("presentity", "active_watchers", "watchers"):
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY id"):
                    kept = {k: row[k] for k in row.keys() if k not in _VOLATILE and k not in but}  # noqa: SIM118
                    lasts = row["expires"] - row["received_time"] if table == "presentity" else None
                    found.append((table, self.server.blank(str(kept)), lasts))
        connection.close()
        self.seen.append(("rows", found))


#: Columns that each server fills as it likes; and Kamailio's marks for its notifiers.
_VOLATILE = frozenset(
    "id etag ruid expires received_time to_tag inserted_time updated updated_winfo reason local_cseq version".split()  # noqa: SIM905
)


def tag_of(reply: str) -> str:
    """The tag of To."""
    found = re.search(r"\r\nTo: [^\r]*;tag=([^;\r]*)", reply)
    assert found, reply
    return found[1]


def etag_of(reply: str) -> str:
    """The entity-tag of a PUBLISH's 200."""
    found = re.search(r"\r\nSIP-ETag: ([^\r]*)", reply)
    assert found, reply
    return found[1]


def play(folder: Path, cfg: str, scenario: Callable[[Play], None], patience: float = 0.001) -> list[tuple[Any, Any]]:
    """Play a scenario to both servers; what each step gave with Kamailio, and here."""
    databases = {name: layout(folder, name) for name in ("kamailio", "kahea")}

    def one(server: Server) -> list[Any]:
        playing = Play(server, databases[server.name], patience)
        scenario(playing)
        playing.seen.append(sorted(re.findall(r"<script>: code (.*)", server.blank(server.log))))
        return playing.seen

    theirs, ours = compared(folder, cfg, MODULES, one)
    return list(zip(theirs, ours, strict=True))
