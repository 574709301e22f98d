"""Flows of plain relaying: calls, CANCEL, ACK, retransmissions, other methods in and out of dialogs."""

from __future__ import annotations

from collections.abc import Iterable

from .peers import Peer, Sip, Stage
from .setups import ROUTER, TRICKS
from .stages import flow

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


async def establish(alice: Peer, bob: Peer, do: Iterable[str] = ("rr", "relay"), uri: str = "") -> tuple[Sip, Sip, Sip]:
    """A call up to ACK: the INVITE as sent, the 200 as received, the INVITE as it arrived."""
    request = alice.request("INVITE", uri or bob.contact, do=do, body=SDP, content_type="application/sdp")
    invite = alice.send(request)
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    bob.reply(arrived, 200, "OK", body=SDP)
    ok = await alice.expect("200 INVITE")
    alice.send(alice.in_dialog("ACK", invite, ok))
    await bob.expect("ACK")
    return invite, ok, arrived


async def in_dialog(method: str, one: Peer, other: Peer, request: Sip, status: int = 200) -> None:
    """One request inside a dialog and its reply."""
    one.send(request)
    other.reply(await other.expect(method), status, "Done")
    await one.expect(f"{status} {method}")


@flow(TRICKS)
async def call(s: Stage) -> None:
    alice, bob = await s.pair()
    invite, ok, _ = await establish(alice, bob)
    await in_dialog("BYE", alice, bob, alice.in_dialog("BYE", invite, ok))


@flow(TRICKS)
async def call_without_record_route(s: Stage) -> None:
    alice, bob = await s.pair()
    invite, ok, _ = await establish(alice, bob, ["relay"])
    await in_dialog("BYE", alice, bob, alice.in_dialog("BYE", invite, ok))


@flow(TRICKS)
async def callee_hangs_up(s: Stage) -> None:
    alice, bob = await s.pair()
    _, _, arrived = await establish(alice, bob)
    await in_dialog("BYE", bob, alice, bob.back_in_dialog("BYE", arrived))


@flow(TRICKS)
async def reinvite_and_info(s: Stage) -> None:
    alice, bob = await s.pair()
    invite, ok, arrived = await establish(alice, bob)
    again = alice.send(alice.in_dialog("INVITE", invite, ok, cseq=2, body=SDP))
    bob.reply(await bob.expect("INVITE"), 200, "OK", body=SDP)
    second = await alice.expect("200 INVITE")
    alice.send(alice.in_dialog("ACK", again, second))
    await bob.expect("ACK")
    await in_dialog("INFO", alice, bob, alice.in_dialog("INFO", invite, ok, cseq=3, body="dtmf=1"))
    await in_dialog("UPDATE", bob, alice, bob.back_in_dialog("UPDATE", arrived, cseq=101))
    await in_dialog("BYE", bob, alice, bob.back_in_dialog("BYE", arrived, cseq=102), 481)


@flow(TRICKS)
async def prack_and_update_early(s: Stage) -> None:
    alice, bob = await s.pair()
    reliable = [("Supported", "100rel")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=["rr", "relay"], headers=reliable, body=SDP))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 183, "Progress", headers=[("Require", "100rel"), ("RSeq", "7")], body=SDP)
    early = await alice.expect("183 INVITE")
    rack = [("RAck", "7 1 INVITE")]
    await in_dialog("PRACK", alice, bob, alice.in_dialog("PRACK", invite, early, cseq=2, headers=rack))
    await in_dialog("UPDATE", alice, bob, alice.in_dialog("UPDATE", invite, early, cseq=3, body=SDP))
    bob.reply(arrived, 200, "OK")
    ok = await alice.expect("200 INVITE")
    alice.send(alice.in_dialog("ACK", invite, ok))
    await bob.expect("ACK")


@flow(TRICKS)
async def cancel(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    bob.reply(await bob.expect("CANCEL"), 200, "Canceling")
    bob.reply(arrived, 487, "Request Terminated")
    await bob.expect("ACK")
    reply = await alice.expect("487 INVITE")
    alice.send(alice.ack_failure(invite, reply))


@flow(TRICKS)
async def cancel_with_reason(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    message = alice.cancel(invite)
    message.headers.insert(-1, ("Reason", 'SIP;cause=200;text="Call completed elsewhere"'))
    message.headers.insert(-1, ("X-Extra", "dropped on the way"))
    alice.send(message)
    await alice.expect("200 CANCEL")
    bob.reply(await bob.expect("CANCEL"), 200, "Canceling")
    bob.reply(arrived, 487, "Request Terminated")
    await bob.expect("ACK")
    alice.send(alice.ack_failure(invite, await alice.expect("487 INVITE")))


@flow(TRICKS)
async def cancel_before_provisional(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    reply = await alice.expect("487 INVITE")
    alice.send(alice.ack_failure(invite, reply))
    bob.reply(arrived, 180, "Ringing")
    bob.reply(await bob.expect("CANCEL"), 200, "Canceling")
    bob.reply(arrived, 487, "Request Terminated")
    await bob.expect("ACK")


@flow(TRICKS)
async def cancel_repeated(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    message = alice.send(alice.cancel(invite))
    first = await alice.expect("200 CANCEL")
    alice.send(message)
    await alice.repeated(first)
    bob.reply(await bob.expect("CANCEL"), 200, "Canceling")
    bob.reply(arrived, 487, "Request Terminated")
    await bob.expect("ACK")
    alice.send(alice.ack_failure(invite, await alice.expect("487 INVITE")))
    alice.send(message)
    await alice.repeated(first, 2)


@flow(TRICKS)
async def cancel_crosses_answer(s: Stage) -> None:
    """200 after the CANCEL: it is still relayed, end to end."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["rr", "relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    bob.reply(await bob.expect("CANCEL"), 200, "Too late")
    bob.reply(arrived, 200, "OK")
    ok = await alice.expect("200 INVITE")
    alice.send(alice.in_dialog("ACK", invite, ok))
    await bob.expect("ACK")
    await in_dialog("BYE", alice, bob, alice.in_dialog("BYE", invite, ok, cseq=2))


@flow(TRICKS)
async def cancel_after_answer(s: Stage) -> None:
    """A CANCEL that comes when the call is up does nothing at the far end."""
    alice, bob = await s.pair()
    invite, _, _ = await establish(alice, bob)
    alice.send(alice.cancel(invite))
    await alice.expect("... CANCEL")


@flow(TRICKS)
async def cancel_of_nothing(s: Stage) -> None:
    """A CANCEL without a transaction: the script drops it silently."""
    alice, bob = await s.pair()
    invite = alice.request("INVITE", bob.contact)
    alice.send(alice.cancel(invite))


@flow(ROUTER)
async def cancel_of_nothing_in_the_router(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.request("INVITE", bob.contact)
    alice.send(alice.cancel(invite))


@flow(TRICKS)
async def busy(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    bob.reply(await bob.expect("INVITE"), 486, "Busy Here", headers=[("Retry-After", "30"), ("X-Why", "meeting")])
    await bob.expect("ACK")
    alice.send(alice.ack_failure(invite, await alice.expect("486 INVITE")))


@flow(TRICKS)
async def statuses_that_change_on_the_way(s: Stage) -> None:
    """503 from a branch becomes 500 (RFC 3261 §16.7 item 6)."""
    alice, bob = await s.pair()
    for number, status in enumerate((503, 500, 300, 401, 407, 420, 488, 600)):
        callid = f"{s.flow}-{number}"
        invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"], callid=callid))
        headers = [("WWW-Authenticate", 'Digest realm="x"')] if status == 401 else []
        headers += [("Contact", "<sip:elsewhere@127.0.0.1:9>;q=0.5")] if status == 300 else []
        bob.reply(await bob.expect("INVITE"), status, f"Reason {status}", headers=headers)
        await bob.expect("ACK")
        alice.send(alice.ack_failure(invite, await alice.expect("[3-6].. INVITE")))


@flow(TRICKS)
async def request_repeated(s: Stage) -> None:
    """A repeated INVITE gets the last reply again; the far end sees it once."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    trying = await alice.expect("100 INVITE")
    arrived = await bob.expect("INVITE")
    alice.send(invite)
    await alice.repeated(trying)
    bob.reply(arrived, 180, "Ringing")
    ringing = await alice.expect("180 INVITE")
    alice.send(invite)
    await alice.repeated(ringing)
    bob.reply(arrived, 404, "Not Found")
    await bob.expect("ACK")
    missing = await alice.expect("404 INVITE")
    alice.send(invite)
    await alice.repeated(missing)
    alice.send(alice.ack_failure(invite, missing))
    s.notes.append(f"bob saw {bob.repeats(arrived)} copies more")


@flow(TRICKS)
async def noninvite_repeated(s: Stage) -> None:
    alice, bob = await s.pair()
    message = alice.send(alice.request("MESSAGE", bob.contact, do=["relay"], body="hello"))
    arrived = await bob.expect("MESSAGE")
    alice.send(message)
    await alice.barrier()
    bob.reply(arrived, 202, "Accepted")
    accepted = await alice.expect("202 MESSAGE")
    alice.send(message)
    await alice.repeated(accepted)


@flow(TRICKS)
async def answer_repeated(s: Stage) -> None:
    """A repeated 200 of an INVITE goes end to end each time; ACK too."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["rr", "relay"]))
    arrived = await bob.expect("INVITE")
    answer = bob.reply(arrived, 200, "OK")
    ok = await alice.expect("200 INVITE")
    bob.send(answer)
    await alice.repeated(ok)
    ack = alice.send(alice.in_dialog("ACK", invite, ok))
    await bob.expect("ACK")
    bob.send(answer)
    await alice.repeated(ok, 2)
    ack.headers[0] = ("Via", alice.via())
    alice.send(ack)
    await bob.expect("ACK")


@flow(TRICKS)
async def failure_repeated(s: Stage) -> None:
    """A repeated non-2xx is acknowledged again and not relayed again."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    busy_reply = bob.reply(await bob.expect("INVITE"), 486, "Busy Here")
    ack = await bob.expect("ACK")
    reply = await alice.expect("486 INVITE")
    bob.send(busy_reply)
    await bob.repeated(ack)
    alice.send(alice.ack_failure(invite, reply))
    await alice.barrier()
    bob.send(busy_reply)
    await bob.repeated(ack, 2)


@flow(TRICKS)
async def failure_without_ack(s: Stage) -> None:
    """The server repeats a non-2xx to a caller that doesn't acknowledge."""
    alice, bob = await s.pair()
    alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    bob.reply(await bob.expect("INVITE"), 486, "Busy Here")
    reply = await alice.expect("486 INVITE")
    await alice.repeated(reply, 2)


@flow(TRICKS)
async def provisional_replies(s: Stage) -> None:
    """100 stays with its hop; repeated and different provisional replies pass."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["rr", "relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 100, "Trying")
    ringing = bob.reply(arrived, 180, "Ringing")
    seen = await alice.expect("180 INVITE")
    bob.reply(arrived, 183, "Progress")
    await alice.expect("183 INVITE")
    bob.send(ringing)
    await alice.repeated(seen)
    bob.reply(arrived, 199, "Early Dialog Terminated", tag="bob-tag2")
    await alice.expect("199 INVITE")
    bob.reply(arrived, 603, "Decline")
    await bob.expect("ACK")
    alice.send(alice.ack_failure(invite, await alice.expect("603 INVITE")))


@flow(TRICKS)
async def noninvite_provisional(s: Stage) -> None:
    alice, bob = await s.pair()
    alice.send(alice.request("OPTIONS", bob.contact, do=["relay"]))
    arrived = await bob.expect("OPTIONS")
    bob.reply(arrived, 100, "Trying")
    bob.reply(arrived, 182, "Queued")
    await alice.expect("182 OPTIONS")
    bob.reply(arrived, 200, "OK", headers=[("Allow", "INVITE, ACK")])
    await alice.expect("200 OPTIONS")


@flow(TRICKS)
async def subscribe_notify(s: Stage) -> None:
    alice, bob = await s.pair()
    headers = [("Event", "presence"), ("Expires", "600")]
    alice.send(alice.request("SUBSCRIBE", bob.contact, do=["rr", "relay"], headers=headers))
    arrived = await bob.expect("SUBSCRIBE")
    bob.reply(arrived, 202, "Accepted", headers=[("Expires", "600")])
    await alice.expect("202 SUBSCRIBE")
    state = [("Event", "presence"), ("Subscription-State", "active;expires=600")]
    await in_dialog("NOTIFY", bob, alice, bob.back_in_dialog("NOTIFY", arrived, headers=state, body="<p/>"))


@flow(TRICKS)
async def methods_out_of_dialog(s: Stage) -> None:
    alice, bob = await s.pair()
    for method in ("INFO", "PUBLISH", "REFER", "NOTIFY", "UPDATE", "FETCH"):
        alice.send(alice.request(method, bob.contact, do=["relay"], callid=f"{s.flow}-{method}"))
        bob.reply(await bob.expect(method), 200, "OK", contact=False)
        await alice.expect(f"200 {method}")


@flow(TRICKS)
async def ack_of_nothing(s: Stage) -> None:
    """An ACK with a Route goes on; one that matches nothing and has none is not answered."""
    alice, bob = await s.pair()
    alice.send(alice.request("ACK", bob.contact, to=f"<{bob.contact}>;tag=bob-tag"))
    await bob.expect("ACK")
    lonely = f"<sip:x@{s.uri()}>"
    alice.send(alice.request("ACK", f"sip:x@{s.uri()}", to=f"{lonely};tag=bob-tag", callid=f"{s.flow}-2"))
    alice.send(alice.request("ACK", f"sip:x@{s.uri()}", to=lonely, callid=f"{s.flow}-3"))
    routed = alice.request(
        "ACK",
        bob.contact,
        to=f"<{bob.contact}>;tag=bob-tag",
        callid=f"{s.flow}-4",
        routes=[f"<sip:{s.uri()};lr>"],
    )
    alice.send(routed)
    await bob.expect("ACK")


@flow(TRICKS)
async def replies_of_nothing(s: Stage) -> None:
    """Replies that match no transaction: a second Via is followed, one alone is dropped."""
    alice, bob = await s.pair()
    stray = alice.request("INVITE", bob.contact, via=f"SIP/2.0/UDP {s.uri()};branch=z9hG4bK-none.1")
    bob.send(bob.answer(stray, 200, "OK"))
    stray.headers.insert(1, ("Via", alice.via()))
    bob.send(bob.answer(stray, 200, "OK"))
    await alice.expect("200 INVITE")
    bob.send(bob.answer(stray, 180, "Ringing"))
    await alice.expect("180 INVITE")
    bob.send(bob.answer(stray, 486, "Busy"))
    await alice.expect("486 INVITE")
    stray.headers[0] = ("Via", "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-none.2")
    bob.send(bob.answer(stray, 183, "Not for the server"))


@flow(TRICKS)
async def ack_failure_stays_with_its_hop(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", f"sip:x@{s.uri()}", do=["newtran", "tm_reply 480 Later"]))
    reply = await alice.expect("480 INVITE")
    await alice.repeated(reply)
    alice.send(alice.ack_failure(invite, reply))
    del bob
