"""Debian's kamailio.cfg with WITH_NAT, with and without WITH_RTPENGINE, in Kamailio and here: a call between phones
behind NATs. Of the file only the relay's port is another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from media_relays import Answer, Relay, rtpengine_answer, rtpproxy_answer
from processes import KAMAILIO, Peer, Server

STOCK = Path("/etc/kamailio/kamailio.cfg")
pytestmark = pytest.mark.skipif(KAMAILIO is None or not STOCK.exists(), reason="needs Kamailio and its stock file")

#: The relay in the file, what stands in for it, and how tests of it begin.
RELAYS: dict[str, tuple[str, Answer, bytes]] = {
    "rtpproxy": ("udp:127.0.0.1:7722", rtpproxy_answer, b"V"),
    "rtpengine": ("udp:127.0.0.1:2223", rtpengine_answer, b"d7:command4:ping"),
}


class Stock(Server):
    """A server that runs a copy of the stock file with some definitions."""

    def __init__(self, name: str, folder: Path, cfg: Path, definitions: Sequence[str]) -> None:
        self._stock = cfg
        self._definitions = definitions
        super().__init__(name, folder, "", ())

    def _command(self) -> list[str]:
        first = super()._command()
        cut = first.index("-f")
        defines = [word for name in self._definitions for word in ("-A", name)]
        listen = ["-l", f"udp:127.0.0.1:{self.ports['@UDP']}", "-Y", "."]
        return [*first[:cut], "-f", str(self._stock), *first[cut + 2 :], *listen, *defines]


def message(
    number: int, first: str, peer: Peer, user: str, to: str, cseq: str, headers: str = "", host: str = ""
) -> str:
    """A message of a phone that knows only its private address; with `host` it has a description of there."""
    sdp = (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=sendrecv\r\n"
        if host
        else ""
    )
    kind = "Content-Type: application/sdp\r\n" if host else ""
    return (
        f"{first}\r\nVia: SIP/2.0/UDP {peer.word};rport;branch=z9hG4bKcaller{user}{number}{cseq.replace(' ', '')}\r\n"
        f"From: <sip:{user}@@UDP>;tag={user}\r\nTo: <sip:{to}@@UDP>\r\nCall-ID: {user}{number}@call\r\nCSeq: {cseq}\r\n"
        f"Contact: <sip:{user}@192.168.7.7:5099>\r\nMax-Forwards: 70\r\n{headers}{kind}"
        f"Content-Length: {len(sdp)}\r\n\r\n{sdp}"
    )


def field(text: str, name: str) -> str:
    found = re.search(rf"\n{name}: (.*)\r", text)
    assert found is not None, text
    return found[1]


def call(server: Server, number: int, sdp_host: str) -> list[str]:
    """Bob registers; Alice calls him, and one of them hangs up. What both are sent."""
    alice, bob = server.caller, server.sink
    bob.send(message(number, "REGISTER sip:@UDP SIP/2.0", bob, "bob", "bob", "1 REGISTER"))
    seen = [bob.expect("SIP/2.0 200")]
    alice.send(message(number, "INVITE sip:bob@@UDP SIP/2.0", alice, "alice", "bob", "1 INVITE", host=sdp_host))
    invite = bob.expect("INVITE")
    contact_line = "Contact: <sip:bob@192.168.9.9:5098>\r\n"
    body = invite.partition("\r\n\r\n")[2].replace("4000", "6000")
    body = re.sub(r"IN IP4 \S+|m=audio \d+", lambda m: "m=audio 4000" if "m=" in m[0] else "IN IP4 192.168.9.9", body)
    body = body.replace("a=nortpproxy:yes\r\n", "")
    bob.reply(invite, "200 OK", f"{contact_line}Content-Type: application/sdp\r\n", body)
    accepted = alice.expect("SIP/2.0 200")
    contact = re.search(r"<(.*)>", field(accepted, "Contact"))
    assert contact is not None
    within = f"Route: {field(accepted, 'Record-Route')}\r\n"
    for method, cseq in (("ACK", "1 ACK"), ("BYE", "2 BYE")):
        text = message(number, f"{method} {contact[1]} SIP/2.0", alice, "alice", "bob", cseq, within)
        alice.send(text.replace("To: <sip:bob@@UDP>", f"To: {field(accepted, 'To')}"))
        got = bob.expect(method)
        seen.append(got)
    bob.reply(got, "200 OK")
    return [*seen, invite, accepted, alice.expect("SIP/2.0 200")]


def plain(text: str) -> str:
    """A message without what each server makes up."""
    text = re.sub(r"branch=(z9hG4bK[^;\r]*|<B\d+>)", "branch=B", text)
    text = re.sub(r"(?<=alias=127\.0\.0\.1~)\d+", "PORT", text)
    text = re.sub(r"(\nTo: [^\r]*;tag=)[0-9a-f]{16,}[0-9a-f.-]*", r"\1T", text)
    return re.sub(r"\r\n(Server|User-Agent|Date): [^\r]*", "", text)


@pytest.mark.parametrize("module", RELAYS)
def test_a_call_through_the_relay(tmp_path: Path, module: str) -> None:
    url, answers, tests = RELAYS[module]
    definitions = ["WITH_NAT", *(["WITH_RTPENGINE"] if module == "rtpengine" else [])]

    def played(name: str) -> tuple[list[str], list[bytes]]:
        with Relay(6 + (name == "kahea"), answers) as relay:
            cfg = tmp_path / f"{name}.cfg"
            cfg.write_text(STOCK.read_text().replace(url, relay.url))
            server = Stock(name, tmp_path / name, cfg, definitions)
            try:
                hosts = ("192.168.7.7", "203.0.113.7")
                seen = [plain(text) for number, host in enumerate(hosts) for text in call(server, number, host)]
                commands = [command for command in relay.take() if not command.startswith(tests)]
                return seen, [server.blank(command.decode()).encode() for command in commands]
            except TimeoutError as error:
                raise AssertionError(f"{name} fell silent: {error}\n{server.log[-3000:]}") from error
            finally:
                server.end()

    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(played, ("kamailio", "kahea"))
    assert ours[1] == theirs[1]
    for have, want in zip(ours[0], theirs[0], strict=True):
        assert have == want
    assert len(ours[1]) == 6
