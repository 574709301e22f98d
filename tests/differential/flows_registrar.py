"""Flows of the registrar and location, through the router script."""

from __future__ import annotations

from collections.abc import Iterable

from .flows_forks import canceled, finish
from .peers import Peer, Sip, Stage
from .setups import ROUTER
from .stages import flow

DOMAIN = "test.example"


def register(peer: Peer, user: str, *contacts: str, cseq: int = 1, headers: Iterable[tuple[str, str]] = ()) -> Sip:
    """A REGISTER of `user` as it goes out."""
    more = [*(("Contact", c) for c in contacts), *headers]
    aor = f"<sip:{user}@{DOMAIN}>"
    return peer.request(
        "REGISTER",
        f"sip:{DOMAIN}",
        to=aor,
        from_=f"{aor};tag={peer.tag}",
        cseq=cseq,
        contact=None,
        headers=more,
        callid=f"{peer.flow}-reg@{peer.name}",
    )


async def registered(peer: Peer, user: str, *contacts: str, cseq: int = 1, status: str = "200", **more: object) -> Sip:
    peer.send(register(peer, user, *contacts, cseq=cseq, **more))  # type: ignore[arg-type]
    return await peer.expect(f"{status} REGISTER")


@flow(ROUTER)
async def register_and_call(s: Stage) -> None:
    alice, bob = await s.pair()
    user = s.flow
    await registered(bob, user, f"<{bob.contact}>;expires=600")
    invite = alice.send(alice.request("INVITE", f"sip:{user}@{DOMAIN}"))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    bob.reply(arrived, 200, "OK")
    ok = await finish(alice, invite, "200")
    await bob.expect("ACK")
    bob.send(bob.back_in_dialog("BYE", arrived))
    alice.reply(await alice.expect("BYE"), 200, "OK")
    await bob.expect("200 BYE")
    del ok


@flow(ROUTER)
async def register_unregister(s: Stage) -> None:
    """Register, ask, register again, remove one, remove all, ask."""
    bob = await s.peer("bob")
    user = s.flow
    await registered(bob, user, f"<{bob.contact}>", cseq=1)
    await registered(bob, user, cseq=2)
    await registered(bob, user, f"<{bob.contact}>;expires=60;q=0.3", "<sip:bob2@127.0.0.1:9>;q=0.7;expires=120", cseq=3)
    await registered(bob, user, "<sip:bob2@127.0.0.1:9>;expires=0", cseq=4)
    await registered(bob, user, "*", cseq=5, headers=[("Expires", "0")])
    await registered(bob, user, cseq=6)


@flow(ROUTER)
async def register_expires(s: Stage) -> None:
    """Expires from the parameter, the header, the default, out of bounds, not a number."""
    bob = await s.peer("bob")
    for cseq, (param, header) in enumerate(
        (
            (";expires=30", "90"),
            ("", "90"),
            ("", None),
            (";expires=999999", None),
            (";expires=x", None),
            ("", "junk"),
        ),
        1,
    ):
        headers = [("Expires", header)] if header is not None else []
        await registered(bob, f"{s.flow}{cseq}", f"<{bob.contact}>{param}", headers=headers, cseq=cseq, status="...")


@flow(ROUTER)
async def register_old_cseq(s: Stage) -> None:
    """A REGISTER of the same Call-ID with a lower CSeq."""
    bob = await s.peer("bob")
    await registered(bob, s.flow, f"<{bob.contact}>", cseq=5)
    await registered(bob, s.flow, f"<{bob.contact}>", cseq=4, status="...")


@flow(ROUTER)
async def register_bad(s: Stage) -> None:
    """Contacts that can't be saved."""
    bob = await s.peer("bob")
    cases = [("*", []), ("*", [("Expires", "60")]), ("<sip:>", []), ("<sip:a@127.0.0.1:5060", []), ("", [])]
    for cseq, (contact, headers) in enumerate(cases, 1):
        bob.send(register(bob, s.flow, contact, cseq=cseq, headers=headers))
        await bob.expect("... REGISTER")


@flow(ROUTER)
async def register_path_and_instance(s: Stage) -> None:
    bob = await s.peer("bob")
    contact = f'<{bob.contact}>;+sip.instance="<urn:uuid:0C67446E-F1A1-11D9-94D3-000A95A0E128>";reg-id=1;x=1'
    headers = [("Supported", "path, gruu, outbound"), ("Path", f"<sip:{bob.hostport};lr>")]
    await registered(bob, s.flow, contact, headers=headers)
    await registered(bob, s.flow, cseq=2)


@flow(ROUTER)
async def register_methods_not_offered(s: Stage) -> None:
    """lookup() and a contact that doesn't take the method."""
    alice, bob = await s.pair()
    await registered(bob, s.flow, f'<{bob.contact}>;methods="INVITE,ACK,BYE"')
    alice.send(alice.request("MESSAGE", f"sip:{s.flow}@{DOMAIN}", body="hi"))
    await alice.barrier()
    if bob.untaken():
        bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await alice.expect("... MESSAGE")


@flow(ROUTER)
async def call_to_nobody(s: Stage) -> None:
    alice = await s.peer("alice")
    invite = alice.send(alice.request("INVITE", f"sip:nobody-{s.flow}@{DOMAIN}"))
    await finish(alice, invite, "404")


@flow(ROUTER)
async def call_without_user(s: Stage) -> None:
    alice = await s.peer("alice")
    invite = alice.send(alice.request("INVITE", f"sip:{DOMAIN}"))
    await finish(alice, invite, "484")


@flow(ROUTER)
async def call_to_three_contacts(s: Stage) -> None:
    """All contacts ring at once, whatever their q; the second answers."""
    alice = await s.peer("alice")
    phones = [await s.peer(f"phone{i}") for i in range(3)]
    for i, phone in enumerate(phones):
        await registered(phone, s.flow, f"<{phone.contact}>;q=0.{3 + i}")
    invite = alice.send(alice.request("INVITE", f"sip:{s.flow}@{DOMAIN}"))
    arrived = [await phone.expect("INVITE") for phone in phones]
    for i, (phone, message) in enumerate(zip(phones, arrived, strict=True)):
        phone.reply(message, 180, f"Ringing {i}")
        await alice.expect("180 INVITE")
    phones[1].reply(arrived[1], 200, "OK")
    await finish(alice, invite, "200")
    await canceled(phones[0], arrived[0])
    await canceled(phones[2], arrived[2])
    await phones[1].expect("ACK")


@flow(ROUTER)
async def call_serially_by_q(s: Stage) -> None:
    """User `serial`: t_load_contacts and t_next_contacts try by q, the failure route goes on."""
    alice = await s.peer("alice")
    phones = {q: await s.peer(f"phone-{q}") for q in (2, 9, 5)}
    for q, phone in phones.items():
        await registered(phone, "serial", f"<{phone.contact}>;q=0.{q}")
    invite = alice.send(alice.request("INVITE", f"sip:serial@{DOMAIN}"))
    for q in (9, 5):
        phones[q].reply(await phones[q].expect("INVITE"), 480, f"Not {q}")
        await phones[q].expect("ACK")
    phones[2].reply(await phones[2].expect("INVITE"), 200, "OK")
    await finish(alice, invite, "200")
    await phones[2].expect("ACK")
    for phone in phones.values():
        await registered(phone, "serial", "*", cseq=2, headers=[("Expires", "0")])


@flow(ROUTER)
async def call_a_tcp_contact(s: Stage) -> None:
    alice, bob = await s.peer("alice"), await s.peer("bob", "tcp")
    await registered(bob, s.flow, f"<{bob.contact}>;expires=600")
    invite = alice.send(alice.request("INVITE", f"sip:{s.flow}@{DOMAIN}"))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 200, "OK")
    ok = await finish(alice, invite, "200")
    await bob.expect("ACK")
    alice.send(alice.in_dialog("BYE", invite, ok))
    bob.reply(await bob.expect("BYE"), 200, "OK")
    await alice.expect("200 BYE")


@flow(ROUTER)
async def router_answers(s: Stage) -> None:
    """OPTIONS to the server, a scanner's agent, a dialog that is not here, an odd header in a reply."""
    alice, bob = await s.pair()
    alice.send(alice.request("OPTIONS", f"sip:{DOMAIN}", callid=f"{s.flow}-1"))
    await alice.expect("200 OPTIONS")
    alice.send(
        alice.request("OPTIONS", f"sip:x@{DOMAIN}", callid=f"{s.flow}-2", headers=[("User-Agent", "friendly-scanner")])
    )
    await alice.expect("200 OPTIONS")
    lost = f"<sip:x@{DOMAIN}>;tag=gone"
    alice.send(alice.request("BYE", f"sip:x@{DOMAIN}", to=lost, callid=f"{s.flow}-3"))
    await alice.expect("404 BYE")
    invite = alice.send(alice.request("INVITE", bob.contact, callid=f"{s.flow}-4"))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 183, "Progress", headers=[("X-Noise", "remove me"), ("X-Kept", "yes"), ("x-noise", "me too")])
    await alice.expect("183 INVITE")
    bob.reply(arrived, 299, "Dropped in the reply route")
    await bob.barrier()
    bob.reply(arrived, 200, "OK")
    await finish(alice, invite, "200")
    await bob.expect("ACK")


@flow(ROUTER)
async def router_subscribe(s: Stage) -> None:
    """Record-Route again on NOTIFY in the dialog."""
    alice, bob = await s.pair()
    alice.send(alice.request("SUBSCRIBE", bob.contact, headers=[("Event", "dialog")]))
    arrived = await bob.expect("SUBSCRIBE")
    bob.reply(arrived, 200, "OK", headers=[("Expires", "60")])
    await alice.expect("200 SUBSCRIBE")
    bob.send(bob.back_in_dialog("NOTIFY", arrived, headers=[("Subscription-State", "active")]))
    alice.reply(await alice.expect("NOTIFY"), 200, "OK")
    await bob.expect("200 NOTIFY")
