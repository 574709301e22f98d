"""Module nathelper against Kamailio: signs of a NAT, contacts, session descriptions; and its keepalives."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
from cfgs import CALLER, KAMAILIO, MESSAGE, Kamailio, Ours, cfg_text, request

from kahea.testing import Simulation, UserAgent
from kahea.testing.simulation import VirtualNode

SDP = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    "a=rtcp:4001 IN IP4 10.0.0.5\r\na=x\r\nm=video 5000 RTP/AVP 34\r\nc=IN IP4 10.0.0.6\r\na=rtcp:5001\r\n"
)
OUT = '$var(o) = "x" + $rc;'
SIGNS = '$var(o) = "x";' + "".join(f'if (nat_uac_test("{1 << i}")) $var(o) = $var(o) + " {1 << i}";' for i in range(10))
ADDRESSES = (
    "10.0.0.1", "172.16.0.1", "172.32.0.1", "192.168.3.3", "100.64.0.1", "192.0.0.3", "192.0.0.77", "8.8.8.8",
    "nonsense", "::1", "fc00::1", "",
)  # fmt: skip

CONTACT_BODIES = {
    "fix": f"fix_nated_contact(); {OUT}",
    "add": f"add_contact_alias(); {OUT}",
    "add three": f'add_contact_alias("1.2.3.4", "77", "tcp"); {OUT}',
    "set": f'set_contact_alias(); {OUT} $var(o) = $var(o) + " " + $ct;',
    "set, trimmed": f'set_contact_alias("1"); {OUT}',
    "to a variable": f'$var(al) = ""; set_alias_to_pv("$var(al)"); {OUT} $var(o) = $var(o) + " " + $var(al);',
    "received": f"add_rcv_param(); {OUT}",
    "received in the URI": f'add_rcv_param("1"); {OUT}',
    "register": f'fix_nated_register(); {OUT} $var(o) = $var(o) + " " + $avp(rcv);',
}
SDP_BODIES = {
    f"sdp {flags}{' of my own' if ip else ''}": f'fix_nated_sdp("{flags}"{ip}); {OUT}'
    for flags, ip in product((0, 1, 2, 4, 8, 10, 15), ("", ', "9.9.9.9"'))
}
BODIES = {
    **CONTACT_BODIES,
    **SDP_BODIES,
    "signs": SIGNS,
    "signs with a next hop": f'$du = "sip:1.2.3.4"; {SIGNS}',
    "private": '$var(o) = "x";' + "".join(f'is_rfc1918("{a}"); $var(o) = $var(o) + $rc + " ";' for a in ADDRESSES),
    "alias": f'handle_ruri_alias(); {OUT} $var(o) = $var(o) + " " + $ru + " " + $du;',
    "routes": '$var(o) = "x" + $rr_count + " " + $rr_top_count;',
}
NAMES = list(BODIES)

CONTACTS = (
    "<sip:alice@10.0.0.5:5999>", "sip:alice@10.0.0.5", "<sip:alice@10.0.0.5:5999;ob;transport=tcp>;expires=60;q=0.5",
    '"A" <sip:a@1.1.1.1>, <sip:b@2.2.2.2:1>', "*", "<sip:alice@127.0.0.1:@CALLER>", "<sip:10.0.0.5>", "<tel:+123>",
    "<sip:a:pw@[::1]:99;x>", "<sip:alice@10.0.0.5;alias=1.2.3.4~5~1>", "<sip:alice@host.example>",
    "sip:alice@10.0.0.5;expires=5", "",
)  # fmt: skip
SDPS = (
    SDP,
    "v=0\r\ns=-\r\n",
    SDP.rstrip("\r\n"),
    SDP.replace("a=x", "a=oldmediaip:1.1.1.1\r\na=nortpproxy:yes"),
    SDP.replace("IN IP4 10.0.0.5", "IN IP4 0.0.0.0"),
    SDP.replace("c=IN IP4 10.0.0.5", "c=IN IP4 10.0.0.5/127"),
    SDP.replace("4001 IN IP4 10.0.0.5", "4001 IN IP4 10.7.7.7"),
    SDP + "\r\n\r\n",
    SDP.replace("c=IN IP4 10.0.0.6", "c=IN IP4"),
    SDP.replace("o=- 1 1 IN IP4 10.0.0.5", "o=IN IP7"),
    SDP.replace("c=IN IP4 10.0.0.5", "c=in  IP4\t10.0.0.5 x"),
    "",
)
#: Addresses of a session and of its streams.
PLACES = ("", "8.8.8.8", "0.0.0.0", "127.0.0.1", "10.0.0.1", "10.0.0.1/5", "h.example")
STREAMS = (("",), ("", "10.0.0.1"), ("8.8.8.8", "", "10.0.0.1"), ("0.0.0.0", "10.0.0.1"), ("127.0.0.1", "8.8.8.8"))
#: Bodies that have a description, or look like it, and their types.
BODIES_OF_KINDS = (
    (SDP, "text/plain"),
    (SDP, "Application/SDP;x=y"),
    (SDP.replace("\r\n", "\n"), "application/sdp"),
    (f"--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b--\r\n",
     "multipart/mixed;boundary=b"),
    (f"--b\r\nContent-Type: a/b\r\n\r\n{SDP}\r\n--b--\r\n", "multipart/mixed;boundary=b"),
    ("--b\r\nContent-Type: application/sdp\r\n\r\n\r\n--b--\r\n", "multipart/mixed;boundary=b"),
)  # fmt: skip
ALIASES = (
    "sip:x@h;alias=1.2.3.4~5~1", "sip:x@h;a;alias=1.2.3.4~5~2;b", "sip:x@h;alias=[2001:db8::1]~5~3;alias=1.1.1.1~9~1",
    "sip:x@h;alias=1.2.3.4", "sip:x@h", "sip:x@h;alias=host~5~1", "sip:x@h;alias=1.2.3.4~5~1?X=y", "sip:x@h;alias",
    "sip:x@h;ALIAS=1.2.3.4~5~5", "sip:x@h;alias=1.2.3.4~99999~1", "sip:x@h;alias=1.2.3.4~0~1",
)  # fmt: skip
ROUTES = (
    "",
    "Record-Route: <sip:1.1.1.1;lr>\r\n",
    "Record-Route: <sip:1.1.1.1;lr;r2=on>, <sip:1.1.1.1;lr;r2=on>\r\nRecord-Route: <sip:2.2.2.2;lr>\r\n",
)


def message(contact: str = "<sip:a@10.0.0.5>", body: str = SDP, uri: str = "", via: str = "", headers: str = "") -> str:
    """The request of `cfgs` with some of its parts changed."""
    line = f"Contact: {contact}\r\n" if contact else ""
    head = MESSAGE.replace("Contact: <sip:alice@127.0.0.1:5999>\r\n", line + headers).partition("\r\n\r\n")[0]
    text = re.sub(r"Content-Length: \d+", f"Content-Length: {len(body)}", head) + "\r\n\r\n" + body
    text = text.replace("sip:bob@example.com;x=1 SIP", f"{uri} SIP") if uri else text
    return text.replace("127.0.0.1:@CALLER;branch", f"{via};branch") if via else text


def typed(body: str, kind: str) -> str:
    """A request with a body of some type."""
    return message(body=body).replace("Content-Type: application/sdp", f"Content-Type: {kind}", 1)


def described(session: str, streams: tuple[str, ...]) -> str:
    """A description with these addresses; "" leaves a line out."""
    lines = ["v=0", "o=- 1 1 IN IP4 8.8.8.8", "s=-", session, "t=0 0"]
    for place in streams:
        lines += ["m=audio 4000 RTP/AVP 0", place]
    return "".join((f"c=IN IP4 {line}" if line[:1] in "0123456789h" else line) + "\r\n" for line in lines if line)


VIAS = ("", "10.1.1.1:@CALLER", "10.1.1.1", "127.0.0.1", "host.example")
SEEN_FROM = ("<sip:a@10.0.0.5>", "<sip:a@127.0.0.1:@CALLER>", "<sip:a@8.8.8.8:5999>", "*", "<tel:1>")
CASES = [
    *((name, message(contact)) for name, contact in product(CONTACT_BODIES, CONTACTS)),
    *((name, message(body=body)) for name, body in product(SDP_BODIES, SDPS)),
    *(("signs", message(contact, via=via)) for contact, via in product(SEEN_FROM, VIAS)),
    *(("signs", message(body=body)) for body in (*SDPS, SDP.replace("10.0.0.", "8.8.8."), SDP.replace("IP4", "ip4"))),
    *(("signs", message(SEEN_FROM[1], described(*places))) for places in product(PLACES, STREAMS)),
    *((name, typed(*of)) for name, of in product(("signs", "sdp 10"), BODIES_OF_KINDS)),
    ("signs with a next hop", message(uri="sip:x@1.2.3.4")),
    ("signs with a next hop", message(uri="sip:x@1.2.3.4:5061")),
    ("private", message()),
    *(("alias", message(uri=uri)) for uri in ALIASES),
    *(("routes", message(headers=headers)) for headers in ROUTES),
]


@pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed")
@pytest.mark.parametrize("params", [{}, {"nat_addr_mode": 0, "alias_name": '"al"', "append_sdp_oldmediaip": 0}])
def test_as_kamailio_does(tmp_path: Path, params: dict[str, str | int]) -> None:
    given = {"received_avp": '"$avp(rcv)"', **params}
    extra = "".join(f'modparam("nathelper", "{name}", {value})\n' for name, value in given.items())
    text = cfg_text(list(BODIES.values()), extra, ["usrloc", "registrar", "nathelper"])
    ours, theirs = Ours(text), Kamailio(tmp_path, text)
    try:
        for name, of in CASES:
            data = request(NAMES.index(name), of)
            assert ours.run(data) == theirs.run(data), f"{name}: {of}"
    finally:
        theirs.stop()


@pytest.mark.parametrize(
    ("uri", "out"),
    [
        ("sip:x@h;alias=1.2.3.4~5~1", "x1 sip:x@h sip:1.2.3.4:5"),
        ("sip:x@h;alias=1.1.1.1~5~1;a;alias=2.2.2.2~9~2", "x1 sip:x@h;alias=1.1.1.1~5~1;a sip:2.2.2.2:9;transport=tcp"),
        ("sip:x@h;alias=1.2.3.4~x~1", "x-1 sip:x@h;alias=1.2.3.4~x~1 "),
        ("sip:x@h;alias=1.2.3.4~5~9", "x-1 sip:x@h;alias=1.2.3.4~5~9 "),
    ],
)
def test_the_last_alias_and_malformed_ones(uri: str, out: str) -> None:
    """Kamailio fails for an alias at the end, and takes protocols that there are none of."""
    body = f'handle_ruri_alias("1"); {OUT} $var(o) = $var(o) + " " + $ru + " " + $du;'
    outcome = Ours(cfg_text([body], "", ["nathelper"])).run(request(0, message(uri=uri)))
    assert outcome.out == out


def test_an_address_of_the_other_family() -> None:
    """Kamailio leaves IP6 beside the IPv4 address, and changes only the first."""
    body = SDP.replace("IN IP4 10.0.0.5", "IN IP6 2001:db8::1")
    node = Ours(cfg_text([f'fix_nated_sdp("10"); {OUT}'], "", ["nathelper"]))
    sent = node.run(request(0, message(body=body))).sink[0]
    assert "c=IN IP4 127.0.0.1\r\nt=0 0\r\n" in sent
    assert "o=- 1 1 IN IP4 127.0.0.1\r\n" in sent
    assert "a=oldmediaip6:2001:db8::1\r\n" in sent
    assert f"{CALLER}" in sent


SCRIPT = """
import KSR

def ksr_request_route():
    if KSR.is_REGISTER():
        if KSR.nathelper.nat_uac_test(1) > 0:
            KSR.nathelper.fix_nated_register()
            KSR.setbflag(6)
        if KSR.hdr.is_present("Ask") > 0:
            KSR.setbflag(7)
        KSR.registrar.save("location", 0)
"""
AVP = {"received_avp": "$avp(received)"}


def phone(simulation: Simulation, name: str, address: str, contact: str = "", **headers: str) -> UserAgent:
    """A registered phone; `contact` is what it takes for its address."""
    made = simulation.ua(name, f"udp:{address}")
    answer = made.register("sip:10.0.0.9", contact=f"<sip:{name}@{contact or address}>", headers=list(headers.items()))
    assert answer.status == 200
    return made


def pings(simulation: Simulation, to: str) -> list[bytes]:
    """What the node has sent to an address beside replies."""
    found = [p.data for p in simulation.trace if p.destination.host.decode() == to]
    return [data for data in found if not data.startswith(b"SIP/2.0")]


def node(simulation: Simulation, **params: str | int) -> VirtualNode:
    usrloc: dict[str, str | int] = {"nat_bflag": 6, "preload": "location"}
    modules = {"usrloc": usrloc, "registrar": AVP, "nathelper": {**AVP, "natping_interval": 10, **params}}
    return simulation.node(SCRIPT, "udp:10.0.0.9:5060", modules=modules)


def test_natted_contacts_are_pinged_where_they_came_from() -> None:
    with Simulation() as simulation:
        node(simulation, ping_nated_only=1)
        phone(simulation, "inside", "192.0.2.7:1234", "192.168.1.5:5060")
        phone(simulation, "open", "192.0.2.8:5060")
        simulation.run(35)
        assert pings(simulation, "192.0.2.7") == [b"\0\0\0\0"] * 3
        assert pings(simulation, "192.0.2.8") == []
        assert pings(simulation, "192.168.1.5") == []


def test_pings_by_requests_and_who_does_not_answer() -> None:
    more = {"sipping_from": "sip:pinger@example.org", "sipping_bflag": 7, "keepalive_timeout": 25}
    with Simulation() as simulation:
        made = node(simulation, **more)
        answering = phone(simulation, "answers", "192.0.2.7:5060", Ask="1")
        silent = phone(simulation, "silent", "192.0.2.8:5060", Ask="1")
        phone(simulation, "plain", "192.0.2.9:5060")
        silent.on("OPTIONS", lambda _: None)
        answering.on("OPTIONS", lambda request: answering.reply(request, 200))
        simulation.run(75)
        asked = pings(simulation, "192.0.2.7")
        assert len(asked) == 7
        assert asked[0].startswith(b"OPTIONS sip:answers@192.0.2.7:5060 SIP/2.0\r\n")
        assert b"From: <sip:pinger@example.org>;tag=" in asked[0]
        assert pings(simulation, "192.0.2.9") == [b"\0\0\0\0"] * 7
        left = {c.uri.decode() for c in made.module("usrloc").domains["location"]}
        assert left == {"sip:answers@192.0.2.7:5060", "sip:plain@192.0.2.9:5060"}


def test_pinging_can_be_switched_off() -> None:
    with Simulation() as simulation:
        module = node(simulation).module("nathelper")
        phone(simulation, "open", "192.0.2.8:5060")
        module.enable_ping(0)
        simulation.run(25)
        assert pings(simulation, "192.0.2.8") == []
        module.enable_ping(1)
        simulation.run(10)
        assert len(pings(simulation, "192.0.2.8")) == 1


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"sipping_bflag": 7}, "needs sipping_from"),
        ({"natping_socket": "1.2.3.4:5"}, "not supported"),
        ({"sipping_from": "nonsense"}, "sipping_from"),
    ],
)
def test_parameters_that_will_not_do(params: dict[str, str | int], why: str) -> None:
    with Simulation() as simulation, pytest.raises(Exception, match=why):
        node(simulation, **params)
