"""Requests of our own and the transactions that there are, managed: Kamailio's answers and messages, and ours."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from .clients import HOST, PATIENCE, document, http_request
from .servers import Kahea, Kamailio, Server

WHO = "From: <sip:a@b>\r\nTo: <sip:x@y>\r\n"
CONTACT = "Contact: <sip:c@@FAR>\r\n"


class Stage:
    """A server with somebody at either side, and what is sent to them; ports have names."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.far, self.near, self.other = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(3))
        for side in (self.far, self.near, self.other):
            side.bind((HOST, 0))
            side.settimeout(PATIENCE)
        self.names = {
            f"{HOST}:{s.getsockname()[1]}": name
            for s, name in ((self.far, "@FAR"), (self.near, "@NEAR"), (self.other, "@OTHER"))
        }
        self.names[f"{HOST}:{server.sip}"] = "@SIP"
        self.log: list[Any] = []
        self._serial = 0

    def close(self) -> None:
        for side in (self.far, self.near, self.other):
            side.close()

    def fill(self, text: str) -> str:
        for place, name in self.names.items():
            text = text.replace(name, place)
        return text

    def blank(self, text: str) -> str:
        """The text without what differs each time, or between the servers on purpose."""
        for place, name in self.names.items():
            text = text.replace(place, name)
        text = re.sub(r"branch=z9hG4bK[\w.-]+", "branch=B", text)
        text = re.sub(r"(From: [^\r]*;tag)=[0-9a-f-]{12,}", r"\1=T", text)
        text = re.sub(r"Call-ID: [0-9a-f-]+@127.0.0.1", "Call-ID: C", text)
        if text.startswith("ACK "):
            # RFC 3261 §8.1.1 wants it, Kamailio leaves it out.
            text = text.replace("Max-Forwards: 70\r\n", "")
        return text

    def call(self, method: str, *params: object) -> Any:
        """A command's result, or its fault as text."""
        filled = [self.fill(p) if isinstance(p, str) else p for p in params]
        found = json.loads(http_request(self.server.sip, "POST", "/RPC", document(method, *filled))[3])
        if "error" in found:
            return f"{found['error']['code']} {found['error']['message']}"
        return json.loads(self.blank(json.dumps(found["result"])))

    def got(self, side: socket.socket, wait: float = 0.0) -> list[str]:
        """What one side was sent."""
        out = []
        while select.select([side], [], [], wait)[0]:
            out.append(self.blank(side.recv(65535).decode()))
            wait = 0.02
        return out

    def start(self, *params: object, command: str = "tm.t_uac_start") -> None:
        """Note a command's answer, and the request if it was sent."""
        answer = self.call(command, *params)
        self.log.append((params, answer, self.got(self.far, 1.0 if answer == {} else 0.0)))

    def answered(
        self, command: str, method: str, *replies: str, headers: str = WHO, hop: str = "."
    ) -> tuple[Any, list[str], list[str]]:
        """A command's answer while the far side answers its request; what each side is sent then."""
        result: list[Any] = []
        asking = threading.Thread(
            target=lambda: result.append(self.call(command, method, "sip:x@@FAR", hop, ".", headers))
        )
        asking.start()
        data, source = self.far.recvfrom(65535) if replies else (b"", None)
        for reply in replies:
            wanted = ("Via", "From", "To", "Call-ID", "CSeq")
            lines = [line for line in data.decode().split("\r\n") if line.partition(":")[0] in wanted]
            status, _, more = reply.partition("\r\n")
            head = "\r\n".join(lines).replace("To: <sip:x@y>", "To: <sip:x@y>;tag=far")
            self.far.sendto(
                f"SIP/2.0 {status}\r\n{head}\r\n{self.fill(more)}Content-Length: 0\r\n\r\n".encode(), source
            )
        asking.join(PATIENCE)
        return result[0], self.got(self.far, 0.1), self.got(self.other)

    def invite(self) -> str:
        """Let an INVITE be answered provisionally; its Call-ID."""
        self._serial += 1
        callid = f"call{self._serial}"
        self.near.sendto(
            self.fill(
                "INVITE sip:open@example.org SIP/2.0\r\nVia: SIP/2.0/UDP @NEAR;branch=z9hG4bK"
                f"{callid}\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:b@b>\r\nCall-ID: {callid}\r\nCSeq: 1 INVITE\r\n"
                "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            ).encode(),
            (HOST, self.server.sip),
        )
        while not self.near.recv(65535).startswith(b"SIP/2.0 183"):
            pass
        return callid


def sending(stage: Stage) -> None:
    """Requests, as the words of a command make them."""
    uri = "sip:x@@FAR"
    for headers in (
        WHO,
        WHO + "Max-Forwards: 5\r\n",
        WHO + "Call-ID: abc\r\nCSeq: 77 MESSAGE\r\n",
        WHO + "CSeq: 77 INVITE\r\n",
        "X-1: 1\r\n" + WHO + "X-2:  2\r\nRoute: <sip:1.2.3.4;lr>\r\n",
        "From: <sip:a@b>\r\nTo: <sip:x@y>;tag=tt\r\n",
        WHO + "garbage\r\n",
        "",
        "To: <sip:x@y>\r\n",
        "From: <sip:x@y>\r\n",
        *(f"{WHO}X-Do: {what}\r\n" for what in ("drop", "uri", "add", "remove", "see")),
    ):
        stage.start("MESSAGE", uri, ".", ".", headers)
    for headers in (WHO, WHO + "Content-Type: text/plain\r\n", WHO + "Content-Length: 4\r\nContent-Type: a/b\r\n"):
        stage.start("MESSAGE", uri, ".", ".", headers, "body")
    stage.start("MESSAGE", uri, ".", ".", WHO + "Content-Type: text/plain\r\nX-Do: body\r\n", "body")
    for method in ("ACK", "FOO", ""):
        stage.start(method, uri, ".", ".", WHO)
    for request_uri, hop, sock in (
        ("sip:x@y.invalid", "sip:@FAR", "."),
        ("tel:+1234", "sip:@FAR", "."),
        ("tel:+1234", ".", "."),
        (uri, "", ""),
        (uri, ".", "udp:@SIP"),
        (uri, ".", "@SIP"),
        (uri, ".", "udp:1.2.3.4:5060"),
        ("x", ".", "."),
        (uri, "x", "."),
        ("sips:x@@FAR", ".", "."),
    ):
        stage.start("MESSAGE", request_uri, hop, sock, WHO)


def waiting(stage: Stage) -> None:
    """Requests whose answer is waited for."""
    for reply in (
        "200 OK\r\n",
        "202 Sure\r\n" + CONTACT,
        "200 OK\r\nRecord-Route: <sip:1.1.1.1;lr>\r\n",
        "200 OK\r\n" + CONTACT + "Record-Route: <sip:1.1.1.1>, <sip:2.2.2.2;lr>\r\n",
        "200 OK\r\n" + CONTACT + "Record-Route: <sip:1.1.1.1;lr>, <sip:2.2.2.2>\r\n",
        "302 Moved\r\n" + CONTACT,
        "486 Busy\r\n",
    ):
        for command in ("tm.t_uac_wait", "tm.t_uac_wait_block"):
            stage.log.append((command, reply, stage.answered(command, "OPTIONS", "180 Ringing\r\n", reply)))
    stage.log += [stage.answered(command, "OPTIONS")[0] for command in ("tm.t_uac_wait", "tm.t_uac_wait_block")]


def acknowledging(stage: Stage) -> None:
    """INVITEs that are answered by 200."""
    way = 'Record-Route: <sip:1.1.1.1;lr>, <sip:@FAR;lr>;x=y\r\nRecord-Route: "z" <sip:@OTHER;lr;r2=on>\r\n'
    for reply in (
        CONTACT,
        "Contact: <sip:c@@OTHER>\r\n",
        'Contact: "X" <sip:c@@OTHER;transport=udp?X=1>;q=1\r\n',
        CONTACT + way,
        CONTACT + "Record-Route: <sip:1.1.1.1;lr>\r\nRecord-Route: <sip:@OTHER>\r\n",
        "",
    ):
        stage.log.append((reply, stage.answered("tm.t_uac_start", "INVITE", "180 Ringing\r\n", "200 OK\r\n" + reply)))
    again = "200 OK\r\nContact: <sip:c@@OTHER>\r\n"
    stage.log.append(stage.answered("tm.t_uac_start", "INVITE", again, again, hop="sip:@FAR"))
    stage.log.append(stage.answered("tm.t_uac_wait", "INVITE", again))
    stage.log.append(stage.answered("tm.t_uac_start", "INVITE", "486 Busy\r\n"))


def handling(stage: Stage) -> None:
    """Transactions of others."""
    callid = stage.invite()
    listed = stage.call("tm.list")
    mine = next(t for t in listed if t["callid"] == f"Call-ID: {callid}\r\n")
    trans_id = f"{mine['tindex']}:{mine['tlabel']}"
    for name in ("cell", "tindex", "tlabel", "ref_count", "lifetime"):
        mine[name] = type(mine[name]).__name__
    # Kamailio's flags have some of its own affairs.
    mine["tflags"] &= 1 | 2 | 8 | 64
    stage.log.append(list(mine.items()))

    def reply(*params: object, command: str = "tm.reply") -> None:
        answer = stage.call(command, *params)
        stage.log.append((params[:2], answer, stage.got(stage.near, 0.5 if answer == {} else 0.0)))

    reply(180, "Ringing", trans_id, "mine", "X-A: 1\r\nContent-Type: a/b\r\n", "body")
    reply(486, "Busy", "1:2", "t", ".", "b")
    reply(486, "Busy", "x", "t", ".", "b")
    reply(486, "Busy", trans_id, "other", "Content-Type: a/b\r\n", "body")
    reply(486, "Busy", trans_id, "other", "Content-Type: a/b\r\n", "body")
    stage.log.append((stage.call("tm.cancel", "nothing", "1"), stage.call("tm.clean")))
    callid = stage.invite()
    while stage.got(stage.near):
        pass
    reply(183, "More", callid, "1", "mine", "Content-Type: a/b\r\n", "body", command="tm.reply_callid")
    reply(404, "No", callid, "2", "mine", "Content-Type: a/b\r\n", "body", command="tm.reply_callid")
    reply(404, "No", callid, "1", "mine", "Content-Type: a/b\r\n", "body", command="tm.reply_callid")
    stage.log.append(stage.call("tm.cancel", "nothing", "1"))
    stage.log.append(
        stage.answered("tm.t_uac_start", "INVITE", "180 Ringing\r\n", headers=WHO + "Call-ID: canceled\r\n")
    )
    stage.log.append((stage.call("tm.cancel", "canceled", "10"), stage.got(stage.far, 0.5)))
    stage.log.append((list(stage.call("sl.stats")), [k for k in stage.call("tm.stats") if k != "refused"]))


@pytest.fixture(params=[sending, waiting, acknowledging, handling], ids=lambda scene: scene.__name__)
def scene(request: pytest.FixtureRequest) -> Callable[[Stage], None]:
    found: Callable[[Stage], None] = request.param
    return found


def played(scene: Callable[[Stage], None], server: Server) -> list[Any]:
    stage = Stage(server)
    try:
        scene(stage)
    finally:
        stage.close()
    return stage.log


def test_transactions(kamailio: Kamailio, kahea: Kahea, scene: Callable[[Stage], None]) -> None:
    theirs: list[Any] = []
    playing = threading.Thread(target=lambda: theirs.extend(played(scene, kamailio)))
    playing.start()
    ours = played(scene, kahea)
    playing.join(60)
    assert len(ours) == len(theirs)
    for mine, its in zip(ours, theirs, strict=True):
        assert mine == its
