"""Flows of phones behind NATs, through the router script: media are not relayed, addresses are mended."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .flows_forks import canceled, finish
from .flows_registrar import DOMAIN, registered
from .peers import Peer, Sip, Stage, uri_of
from .setups import ROUTER
from .stages import flow

#: The address that NATs have outside.
OUTSIDE = "127.0.0.2"


async def phone(s: Stage, name: str, number: int = 1, proto: str = "udp") -> Peer:
    """A peer behind a NAT."""
    return await s.peer(name, proto, OUTSIDE, inside=f"10.1.0.{number}:5060")


def sdp(host: str, *more: str) -> str:
    """A description of one stream, with lines of its own at the end."""
    kind = "IP6" if ":" in host else "IP4"
    lines = ["v=0", f"o=- 1 1 IN {kind} {host}", "s=-", f"c=IN {kind} {host}", "t=0 0", "m=audio 4000 RTP/AVP 0", *more]
    return "\r\n".join([*lines, ""])


def media(peer: Peer) -> str:
    """What a peer believes to be the address of its media."""
    return sdp(re.sub(r":\d+$", "", peer.own_hostport).strip("[]"))


async def call(
    caller: Peer,
    callee: Peer,
    uri: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    answered: Iterable[tuple[str, str]] = (),
    callid: str | None = None,
) -> tuple[Sip, Sip, Sip]:
    """A call with descriptions: the INVITE as it was sent, as it arrived, and its answer as it arrived."""
    body = media(caller)
    invite = caller.send(
        caller.request("INVITE", uri, body=body, content_type="application/sdp", headers=headers, callid=callid)
    )
    arrived = await callee.expect("INVITE")
    callee.reply(arrived, 180, "Ringing", headers=answered)
    await caller.expect("180 INVITE")
    callee.reply(arrived, 200, "OK", body=media(callee), headers=answered)
    ok = await finish(caller, invite, "200")
    await callee.expect("ACK")
    return invite, arrived, ok


async def asked(asking: Peer, request: Sip, answering: Peer, status: int = 200) -> None:
    """A request in a dialog and its answer."""
    asking.send(request)
    answering.reply(await answering.expect(request.method), status, "OK")
    await asking.expect(f"{status} {request.method}")


async def offered(asking: Peer, request: Sip, answering: Peer) -> None:
    """An INVITE in a dialog, answered and acknowledged by the way that it took."""
    asking.send(request)
    answering.reply(await answering.expect("INVITE"), 200, "OK", body=media(answering))
    ok = await asking.expect("200 INVITE")
    of_dialog = {"to": ok.get("to"), "from_": ok.get("from"), "callid": ok.get("call-id")}
    cseq, routes = int(ok.get("cseq").split()[0]), request.all("route")
    asking.send(asking.request("ACK", uri_of(ok.get("contact")), cseq=cseq, routes=routes, **of_dialog))
    await answering.expect("ACK")


def offer(peer: Peer) -> dict[str, str]:
    """For an INVITE in a dialog."""
    return {"body": media(peer), "content_type": "application/sdp"}


@flow(ROUTER)
async def nat_call_a_phone(s: Stage) -> None:
    """To the address that the REGISTER came from; both ways within the dialog."""
    alice, bob = await s.peer("alice"), await phone(s, "bob")
    await registered(bob, s.flow, f"<{bob.contact}>;expires=600")
    invite, arrived, ok = await call(alice, bob, f"sip:{s.flow}@{DOMAIN}")
    await offered(alice, alice.in_dialog("INVITE", invite, ok, **offer(alice)), bob)
    await offered(bob, bob.back_in_dialog("INVITE", arrived, **offer(bob)), alice)
    await asked(alice, alice.in_dialog("INFO", invite, ok, cseq=3), bob)
    await asked(bob, bob.back_in_dialog("BYE", arrived, cseq=102), alice)


@flow(ROUTER)
async def nat_call_from_a_phone(s: Stage) -> None:
    alice, bob = await phone(s, "alice"), await s.peer("bob")
    await registered(bob, s.flow, f"<{bob.contact}>;expires=600")
    invite, arrived, ok = await call(alice, bob, f"sip:{s.flow}@{DOMAIN}")
    await offered(bob, bob.back_in_dialog("INVITE", arrived, **offer(bob)), alice)
    await offered(alice, alice.in_dialog("INVITE", invite, ok, **offer(alice)), bob)
    await asked(bob, bob.back_in_dialog("INFO", arrived, cseq=102), alice)
    await asked(alice, alice.in_dialog("BYE", invite, ok, cseq=3), bob)


@flow(ROUTER)
async def nat_between_phones(s: Stage) -> None:
    """Both behind a NAT; the caller's request has no port in its Via, and its user agent asks for rport."""
    alice, bob = await phone(s, "alice"), await phone(s, "bob", 2)
    await registered(bob, s.flow, f"<{bob.contact};ob>;expires=600;q=0.5")
    alice.inside = "192.168.7.7"
    invite, arrived, ok = await call(alice, bob, f"sip:{s.flow}@{DOMAIN}", headers=[("Allow", "INVITE")])
    await offered(bob, bob.back_in_dialog("INVITE", arrived, **offer(bob)), alice)
    via = f"{alice.via()};rport"
    await asked(alice, alice.in_dialog("UPDATE", invite, ok, via=via), bob)
    await asked(alice, alice.in_dialog("BYE", invite, ok, cseq=3), bob)


@flow(ROUTER)
async def nat_contact_changed(s: Stage) -> None:
    """Phones that lose the parameters of a Contact (`fix`), and aliases in the other place (`add`)."""
    alice, bob = await phone(s, "alice"), await phone(s, "bob", 2)
    await registered(bob, s.flow, f"<{bob.contact};x=1>;expires=600")
    for way in ("fix", "add"):
        ways = [("X-Contact", way)]
        uri = f"sip:{s.flow}@{DOMAIN}"
        invite, arrived, ok = await call(alice, bob, uri, headers=ways, answered=ways, callid=f"{s.flow}-{way}")
        await asked(alice, alice.in_dialog("INFO", invite, ok, headers=ways), bob)
        await asked(bob, bob.back_in_dialog("BYE", arrived, headers=ways), alice)


@flow(ROUTER)
async def nat_of_one_branch(s: Stage) -> None:
    """Two contacts ring; only one is behind a NAT: its branch alone is marked, and has its description mended."""
    alice, home, desk = await s.peer("alice"), await phone(s, "home"), await s.peer("desk")
    await registered(desk, s.flow, f"<{desk.contact}>")
    await registered(home, s.flow, f"<{home.contact}>")
    body = sdp("172.16.5.5")
    invite = alice.send(alice.request("INVITE", f"sip:{s.flow}@{DOMAIN}", body=body, content_type="application/sdp"))
    at_home, at_desk = await home.expect("INVITE"), await desk.expect("INVITE")
    for peer, arrived in ((home, at_home), (desk, at_desk)):
        peer.reply(arrived, 180, "Ringing")
        await alice.expect("180 INVITE")
    home.reply(at_home, 183, "Progress", body=media(home))
    await alice.expect("183 INVITE")
    desk.reply(at_desk, 200, "OK", body=media(desk))
    ok = await finish(alice, invite, "200")
    await canceled(home, at_home)
    await desk.expect("ACK")
    await asked(alice, alice.in_dialog("BYE", invite, ok), desk)


@flow(ROUTER)
async def nat_serially(s: Stage) -> None:
    """By q: a phone behind a NAT, one that is not, another behind a NAT that answers."""
    alice, user = await s.peer("alice"), f"serial-{s.flow}"
    home, desk, mobile = await phone(s, "home"), await s.peer("desk"), await phone(s, "mobile", 2)
    for peer, q in ((home, 9), (desk, 5), (mobile, 2)):
        await registered(peer, user, f"<{peer.contact}>;q=0.{q}")
    body = sdp("10.9.9.9")
    invite = alice.send(alice.request("INVITE", f"sip:{user}@{DOMAIN}", body=body, content_type="application/sdp"))
    for peer in (home, desk):
        peer.reply(await peer.expect("INVITE"), 480, "Not now")
        await peer.expect("ACK")
    arrived = await mobile.expect("INVITE")
    mobile.reply(arrived, 200, "OK", body=media(mobile))
    await finish(alice, invite, "200")
    await mobile.expect("ACK")
    await asked(mobile, mobile.back_in_dialog("BYE", arrived), alice)


@flow(ROUTER)
async def nat_over_tcp(s: Stage) -> None:
    """A phone is reached by the connection that it made; its alias says so."""
    alice, bob = await s.peer("alice"), await phone(s, "bob", proto="tcp")
    await registered(bob, s.flow, f"<{bob.contact}>;expires=600")
    invite, arrived, ok = await call(alice, bob, f"sip:{s.flow}@{DOMAIN}")
    await asked(alice, alice.in_dialog("INFO", invite, ok), bob)
    await offered(bob, bob.back_in_dialog("INVITE", arrived, **offer(bob)), alice)
    await asked(alice, alice.in_dialog("BYE", invite, ok, cseq=3), bob)


@flow(ROUTER)
async def nat_connection_gone(s: Stage) -> None:
    """A BYE for a phone whose connection has ended: none is made to it."""
    alice, bob = await s.peer("alice"), await phone(s, "bob", proto="tcp")
    await registered(bob, s.flow, f"<{bob.contact}>;expires=600")
    invite, _, ok = await call(alice, bob, f"sip:{s.flow}@{DOMAIN}")
    await bob.drop_connections()
    alice.send(alice.in_dialog("BYE", invite, ok))
    await alice.expect("[4-6].. BYE")


@flow(ROUTER)
async def nat_registrations(s: Stage) -> None:
    """Several contacts, a refresh from another port, a Path, removal."""
    bob, later = await phone(s, "bob"), await phone(s, "later")
    user, path = s.flow, ("Path", "<sip:edge.test.example;lr>")
    await registered(bob, user, f"<{bob.contact}>", f'"Second" <sip:bob@{DOMAIN}>;q=0.1')
    await registered(bob, user, "<sip:third@10.1.0.3>", cseq=2, headers=[("Supported", "path"), path])
    later.tag, later.name = bob.tag, bob.name
    await registered(later, user, f"<{bob.contact}>", cseq=3)
    alice = await s.peer("alice")
    alice.send(alice.request("MESSAGE", f"sip:{user}@{DOMAIN}", body="hi"))
    later.reply(await later.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")
    await registered(bob, user, f"<{bob.contact}>;expires=0", cseq=4)
    await registered(bob, user, "*", cseq=5, headers=[("Expires", "0")])


@flow(ROUTER)
async def nat_aliases(s: Stage) -> None:
    """Request-URIs with aliases within a dialog: good, malformed, several, and with a route that comes first."""
    alice, bob, proxy = await s.peer("alice"), await phone(s, "bob"), await s.peer("proxy")
    good = f"alias={bob.hostport.replace(':', '~')}~1"
    own = f"<sip:{s.uri()};lr>"
    cases = [
        *(f"sip:bob@10.1.0.1:5060;{params}" for params in (good, f"ob;{good};x=1", f"{good};alias=10.0.0.1~9~1")),
        f"sip:10.1.0.1;transport=tcp;{good}",
        *(f"sip:bob@10.1.0.1;alias{value}" for value in ("=10.0.0.1", "=a~b~c", "=10.0.0.1~70000~1", "=1.1.1.1~5~9")),
    ]
    for number, uri in enumerate(cases):
        to = "<sip:bob@test.example>;tag=bob-tag"
        alice.send(alice.request("INFO", uri, to=to, callid=f"{s.flow}-{number}", routes=[own]))
        await alice.barrier()
        if bob.untaken():
            bob.reply(await bob.expect("INFO"), 200, "OK")
        await alice.expect("... INFO")
        if number == 4:
            alice.send(alice.request("ACK", uri, to=to, callid=f"{s.flow}-{number}", routes=[own], contact=None))
    routes = [f"<sip:{s.uri()};lr;nat=yes>", f"<sip:{proxy.hostport};lr>"]
    alice.send(alice.request("INFO", cases[0], to="<sip:bob@test.example>;tag=bob-tag", routes=routes))
    proxy.reply(await proxy.expect("INFO"), 200, "OK")
    await alice.expect("200 INFO")


@flow(ROUTER)
async def nat_subscription(s: Stage) -> None:
    """A subscriber behind a NAT: refreshed, and notified by the alias."""
    alice, bob = await phone(s, "alice"), await s.peer("bob")
    await registered(bob, s.flow, f"<{bob.contact}>")
    subscribe = alice.request("SUBSCRIBE", f"sip:{s.flow}@{DOMAIN}", headers=[("Event", "dialog"), ("Expires", "60")])
    alice.send(subscribe)
    arrived = await bob.expect("SUBSCRIBE")
    bob.reply(arrived, 200, "OK", headers=[("Expires", "60")])
    ok = await alice.expect("200 SUBSCRIBE")
    state = [("Event", "dialog"), ("Subscription-State", "active")]
    await asked(bob, bob.back_in_dialog("NOTIFY", arrived, headers=state), alice)
    await asked(alice, alice.in_dialog("SUBSCRIBE", subscribe, ok, headers=[("Event", "dialog")]), bob)


@flow(ROUTER)
async def nat_descriptions(s: Stage) -> None:
    """What of a description is mended, offered by a phone behind a NAT."""
    alice, bob = await phone(s, "alice"), await s.peer("bob")
    streams = sdp("10.1.0.1", "a=rtcp:4001 IN IP4 10.1.0.1", "m=video 5000 RTP/AVP 34", "c=IN IP4 192.168.1.9/127")
    mixed = (
        f"--b\r\nContent-Type: application/sdp\r\n\r\n{media(alice)}\r\n--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--\r\n"
    )
    bodies = {
        "streams": (streams, "application/sdp"),
        "public": (sdp("203.0.113.5", "a=rtcp:4001 IN IP4 10.1.0.1"), "application/sdp"),
        "held": (sdp("0.0.0.0", "m=video 5000 RTP/AVP 34", "c=IN IP4 10.1.0.1"), "application/sdp"),
        "six": (sdp("fd00::7"), "application/sdp"),
        "bare": (streams.replace("\r\n", "\n").rstrip("\n"), "application/sdp"),
        "broken": ("v=0\r\nc=IN IP4\r\nm=audio\r\nc=IN IP4 10.1.0.1\r\n", "application/sdp"),
        "mixed": (mixed, "multipart/mixed;boundary=b"),
        "no description": ("c=IN IP4 10.1.0.1\r\n", "text/plain"),
        "none": ("", ""),
    }
    for name, (body, kind) in bodies.items():
        callid = f"{s.flow}-{name.replace(' ', '-')}"
        invite = alice.send(alice.request("INVITE", bob.contact, body=body, content_type=kind, callid=callid))
        bob.reply(await bob.expect("INVITE"), 488, "Not Acceptable Here")
        await bob.expect("ACK")
        await finish(alice, invite, "488")


@flow(ROUTER)
async def nat_answers(s: Stage) -> None:
    """A phone behind a NAT is busy and the call goes to voicemail; a call is canceled; one is redirected."""
    alice, bob, mail = await s.peer("alice"), await phone(s, "bob"), await s.peer("mail")
    await registered(bob, s.flow, f"<{bob.contact}>;expires=600")
    uri, headers = f"sip:{s.flow}@{DOMAIN}", [("X-Voicemail", f"sip:voicemail@{mail.hostport}")]
    offering = {"body": sdp("10.8.8.8"), "content_type": "application/sdp"}
    invite = alice.send(alice.request("INVITE", uri, headers=headers, callid=f"{s.flow}-busy", **offering))
    bob.reply(await bob.expect("INVITE"), 486, "Busy Here")
    await bob.expect("ACK")
    mail.reply(await mail.expect("INVITE"), 200, "OK", body=media(mail))
    await finish(alice, invite, "200")
    await mail.expect("ACK")
    invite = alice.send(alice.request("INVITE", uri, callid=f"{s.flow}-canceled", **offering))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    await canceled(bob, arrived)
    await finish(alice, invite, "487")
    invite = alice.send(alice.request("INVITE", uri, callid=f"{s.flow}-redirected"))
    bob.reply(await bob.expect("INVITE"), 302, "Moved", headers=[("Contact", "<sip:carol@10.1.0.9>")])
    await bob.expect("ACK")
    await finish(alice, invite, "302")


@flow(ROUTER)
async def nat_behind_a_proxy(s: Stage) -> None:
    """Requests and answers with another hop between: their Contact stays as it is."""
    proxy, bob = await s.peer("proxy", host=OUTSIDE), await phone(s, "bob")
    await registered(bob, s.flow, f"<{bob.contact}>;expires=600")
    invite = proxy.request("INVITE", f"sip:{s.flow}@{DOMAIN}", contact="<sip:alice@10.7.7.7:5060>")
    invite.headers.insert(1, ("Via", "SIP/2.0/UDP 10.7.7.7:5060;branch=z9hG4bK-far"))
    proxy.send(invite)
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 183, "Progress", body=media(bob), headers=[("Record-Route", "<sip:10.1.0.77;lr>")])
    await proxy.expect("183 INVITE")
    bob.reply(arrived, 200, "OK", body=media(bob))
    await finish(proxy, invite, "200")
    await bob.expect("ACK")


@flow(ROUTER)
async def nat_of_ipv6(s: Stage) -> None:
    """An address that is not where the phone is; its alias has brackets."""
    alice = await s.peer("alice")
    bob = await s.peer("bob", host="::1", inside="[2001:db8::5]:5060")
    await registered(bob, s.flow, f"<{bob.contact}>;expires=600")
    invite, arrived, ok = await call(alice, bob, f"sip:{s.flow}@{DOMAIN}")
    await asked(alice, alice.in_dialog("INFO", invite, ok), bob)
    await asked(bob, bob.back_in_dialog("BYE", arrived), alice)
