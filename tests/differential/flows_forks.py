"""Flows of forking: parallel, serial, and what the failure route decides."""

from __future__ import annotations

from collections.abc import Iterable

from .peers import Peer, Sip, Stage
from .setups import ROUTER, TRICKS
from .stages import flow


async def fork(
    s: Stage, names: Iterable[str], do: Iterable[str] = ("relay",), headers: Iterable[tuple[str, str]] = ()
) -> tuple[Peer, Sip, list[Peer], list[Sip]]:
    """An INVITE of alice to several peers at once: alice, it, the peers, and what arrived at each."""
    alice = await s.peer("alice")
    callees = [await s.peer(name) for name in names]
    targets = [f"append {p.contact}" for p in callees[1:]]
    invite = alice.send(alice.request("INVITE", callees[0].contact, do=[*targets, *do], headers=headers))
    return alice, invite, callees, [await p.expect("INVITE") for p in callees]


async def finish(alice: Peer, invite: Sip, status: str) -> Sip:
    """Take alice's final reply and acknowledge it."""
    reply = await alice.expect(f"{status} INVITE")
    ok = reply.status < 300
    alice.send(alice.in_dialog("ACK", invite, reply) if ok else alice.ack_failure(invite, reply))
    return reply


async def canceled(peer: Peer, arrived: Sip) -> None:
    """A callee that is canceled and says so."""
    peer.reply(await peer.expect("CANCEL"), 200, "Canceling")
    peer.reply(arrived, 487, "Request Terminated")
    await peer.expect("ACK")


@flow(TRICKS)
async def fork_one_busy_one_answers(s: Stage) -> None:
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"))
    bob.reply(at_bob, 486, "Busy Here")
    await bob.expect("ACK")
    carol.reply(at_carol, 180, "Ringing")
    await alice.expect("180 INVITE")
    carol.reply(at_carol, 200, "OK")
    await finish(alice, invite, "200")
    await carol.expect("ACK")


@flow(TRICKS)
async def fork_winner_cancels_the_other(s: Stage) -> None:
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"))
    bob.reply(at_bob, 180, "Ringing")
    await alice.expect("180 INVITE")
    carol.reply(at_carol, 180, "Ringing")
    await alice.expect("180 INVITE")
    carol.reply(at_carol, 200, "OK")
    await finish(alice, invite, "200")
    await canceled(bob, at_bob)
    await carol.expect("ACK")


@flow(TRICKS)
async def fork_two_answers(s: Stage) -> None:
    """Both 200s reach the caller (RFC 3261 §16.7 item 5)."""
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"), ["rr", "relay"])
    for peer, arrived in ((bob, at_bob), (carol, at_carol)):
        peer.reply(arrived, 180, "Ringing")
        await alice.expect("180 INVITE")
    bob.reply(at_bob, 200, "OK")
    first = await finish(alice, invite, "200")
    await bob.expect("ACK")
    carol.reply(await carol.expect("CANCEL"), 200, "Too late")
    carol.reply(at_carol, 200, "OK")
    second = await finish(alice, invite, "200")
    await carol.expect("ACK")
    for peer, ok in ((bob, first), (carol, second)):
        alice.send(alice.in_dialog("BYE", invite, ok))
        peer.reply(await peer.expect("BYE"), 200, "OK")
        await alice.expect("200 BYE")


@flow(TRICKS)
async def fork_decline_ends_all(s: Stage) -> None:
    """A 6xx cancels the others and wins."""
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"))
    bob.reply(at_bob, 180, "Ringing")
    await alice.expect("180 INVITE")
    carol.reply(at_carol, 603, "Decline")
    await carol.expect("ACK")
    await canceled(bob, at_bob)
    await finish(alice, invite, "603")


@flow(TRICKS)
async def fork_decline_ignored(s: Stage) -> None:
    """With t_set_disable_6xx a 6xx waits for the others."""
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"), ["no_6xx", "relay"])
    bob.reply(at_bob, 180, "Ringing")
    await alice.expect("180 INVITE")
    carol.reply(at_carol, 603, "Decline")
    await carol.expect("ACK")
    bob.reply(at_bob, 200, "OK")
    await finish(alice, invite, "200")
    await bob.expect("ACK")


async def _best_of(s: Stage, *statuses: int) -> None:
    names = [f"callee{i}" for i in range(len(statuses))]
    alice, invite, callees, arrived = await fork(s, names)
    for peer, message, status in zip(callees, arrived, statuses, strict=True):
        headers = [("WWW-Authenticate", f'Digest realm="{peer.name}"')] if status == 401 else []
        headers += [("Proxy-Authenticate", f'Digest realm="{peer.name}"')] if status == 407 else []
        peer.reply(message, status, f"Reason {status}", headers=headers)
        await peer.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def best_of_404_and_486(s: Stage) -> None:
    await _best_of(s, 404, 486)


@flow(TRICKS)
async def best_of_500_and_480(s: Stage) -> None:
    await _best_of(s, 500, 480)


@flow(TRICKS)
async def best_of_302_and_404(s: Stage) -> None:
    await _best_of(s, 302, 404)


@flow(TRICKS)
async def best_of_challenges(s: Stage) -> None:
    """Challenges of all branches go back in one reply (RFC 3261 §16.7 item 7)."""
    await _best_of(s, 407, 401)


@flow(TRICKS)
async def best_of_401_and_404(s: Stage) -> None:
    await _best_of(s, 404, 401)


@flow(TRICKS)
async def best_of_503_and_500(s: Stage) -> None:
    await _best_of(s, 503, 500)


@flow(TRICKS)
async def best_of_408_and_480(s: Stage) -> None:
    await _best_of(s, 408, 480)


@flow(TRICKS)
async def best_of_415_420_484(s: Stage) -> None:
    await _best_of(s, 486, 420, 484, 415)


@flow(TRICKS)
async def fork_noninvite(s: Stage) -> None:
    """A forked non-INVITE gets one final reply."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    do = [f"append {carol.contact}", "relay"]
    alice.send(alice.request("MESSAGE", bob.contact, do=do, body="hi"))
    at_bob, at_carol = await bob.expect("MESSAGE"), await carol.expect("MESSAGE")
    bob.reply(at_bob, 404, "Not Found")
    await bob.barrier()
    carol.reply(at_carol, 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def fork_canceled(s: Stage) -> None:
    """CANCEL of a fork: only the branches that have answered provisionally hear of it at once."""
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"))
    bob.reply(at_bob, 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    await canceled(bob, at_bob)
    await finish(alice, invite, "487")
    carol.reply(at_carol, 180, "Ringing")
    await canceled(carol, at_carol)


@flow(TRICKS)
async def fork_by_q(s: Stage) -> None:
    """t_load_contacts and t_next_contacts: highest q first, equal ones together."""
    names = ("low", "high", "also-high", "lowest")
    peers = {name: await s.peer(name) for name in names}
    alice = await s.peer("alice")
    do = [
        f"append_q {peers['high'].contact} 0.9",
        f"append_q {peers['also-high'].contact} 0.9",
        f"append_q {peers['lowest'].contact} 0.1",
        "set $ru_q=0.5",
        "load_contacts",
        "next_contacts",
        "failure",
        "relay",
    ]
    headers = [("X-Fail", "!next_contacts"), ("X-Fail", "failure"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", peers["low"].contact, do=do[:3] + do[4:], headers=headers))
    first = [(peers[n], await peers[n].expect("INVITE")) for n in ("high", "also-high")]
    for peer, arrived in first:
        peer.reply(arrived, 480, "Unavailable")
        await peer.expect("ACK")
    for name in ("low", "lowest"):
        arrived = await peers[name].expect("INVITE")
        peers[name].reply(arrived, 480, "Unavailable")
        await peers[name].expect("ACK")
    await finish(alice, invite, "[3-6]..")


SERIAL = ["failure", "relay"]


@flow(TRICKS)
async def serial_by_failure_route(s: Stage) -> None:
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", "header X-Second: yes"), ("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=["rr", *SERIAL], headers=headers))
    at_bob = await bob.expect("INVITE")
    bob.reply(at_bob, 180, "Ringing")
    await alice.expect("180 INVITE")
    bob.reply(at_bob, 486, "Busy Here")
    await bob.expect("ACK")
    at_carol = await carol.expect("INVITE")
    carol.reply(at_carol, 200, "OK")
    await finish(alice, invite, "200")
    await carol.expect("ACK")


@flow(TRICKS)
async def serial_by_append_branch(s: Stage) -> None:
    """append_branch in a failure route, two at once; both fail and the best reply goes back."""
    alice, bob = await s.pair()
    carol, dave = await s.peer("carol"), await s.peer("dave")
    headers = [
        ("X-Fail", f"append {carol.contact}"),
        ("X-Fail", f"append {dave.contact}"),
        ("X-Fail", "relay"),
    ]
    invite = alice.send(alice.request("INVITE", bob.contact, do=SERIAL, headers=headers))
    bob.reply(await bob.expect("INVITE"), 404, "Not Found")
    await bob.expect("ACK")
    at_carol, at_dave = await carol.expect("INVITE"), await dave.expect("INVITE")
    carol.reply(at_carol, 486, "Busy Here")
    await carol.expect("ACK")
    dave.reply(at_dave, 500, "Broken")
    await dave.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def serial_three_turns(s: Stage) -> None:
    """The failure route arms itself again each time."""
    alice = await s.peer("alice")
    peers = [await s.peer(f"callee{i}") for i in range(3)]
    headers = []
    for turn in (1, 2):
        headers += [(f"X-Fail-{turn}", f"ruri {peers[turn].contact}"), (f"X-Fail-{turn}", "failure")]
        headers += [(f"X-Fail-{turn}", f"header X-Turn: {turn}"), (f"X-Fail-{turn}", "relay")]
    invite = alice.send(alice.request("INVITE", peers[0].contact, do=SERIAL, headers=headers))
    for i, peer in enumerate(peers):
        peer.reply(await peer.expect("INVITE"), (480, 404, 486)[i], "No")
        await peer.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def failure_route_replies(s: Stage) -> None:
    alice, bob = await s.pair()
    headers = [("X-Fail", "to_reply X-Added: by the script"), ("X-Fail", "tm_reply 480 Try later")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=SERIAL, headers=headers))
    bob.reply(await bob.expect("INVITE"), 404, "Not Found")
    await bob.expect("ACK")
    await finish(alice, invite, "480")


@flow(TRICKS)
async def failure_route_does_nothing(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=SERIAL))
    bob.reply(await bob.expect("INVITE"), 404, "Not Found")
    await bob.expect("ACK")
    await finish(alice, invite, "404")


@flow(TRICKS)
async def failure_route_only_for_a_status(s: Stage) -> None:
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", "if 486|408"), ("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    for number, status in enumerate((404, 486)):
        request = alice.request("INVITE", bob.contact, do=SERIAL, headers=headers, callid=f"{s.flow}-{number}")
        invite = alice.send(request)
        bob.reply(await bob.expect("INVITE"), status, "No")
        await bob.expect("ACK")
        if status == 486:
            carol.reply(await carol.expect("INVITE"), 480, "Neither")
            await carol.expect("ACK")
        await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def failure_route_when_canceled(s: Stage) -> None:
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", "canceled"), ("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=SERIAL, headers=headers))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    await canceled(bob, arrived)
    await finish(alice, invite, "487")


@flow(TRICKS)
async def drop_replies_in_failure_route(s: Stage) -> None:
    """t_drop_replies: what the first try gave no longer counts."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", "drop_replies a"), ("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=SERIAL, headers=headers))
    bob.reply(await bob.expect("INVITE"), 401, "Unauthorized", headers=[("WWW-Authenticate", 'Digest realm="b"')])
    await bob.expect("ACK")
    carol.reply(await carol.expect("INVITE"), 500, "Broken")
    await carol.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def keep_replies_in_failure_route(s: Stage) -> None:
    """The same without it: the first reply is the better one."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=SERIAL, headers=headers))
    bob.reply(await bob.expect("INVITE"), 401, "Unauthorized", headers=[("WWW-Authenticate", 'Digest realm="b"')])
    await bob.expect("ACK")
    carol.reply(await carol.expect("INVITE"), 500, "Broken")
    await carol.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def redirect_followed(s: Stage) -> None:
    """A 302 caught in the failure route, which calls the contact by hand."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", "if 302"), ("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=SERIAL, headers=headers))
    bob.reply(await bob.expect("INVITE"), 302, "Moved", headers=[("Contact", f"<{carol.contact}>")])
    await bob.expect("ACK")
    carol.reply(await carol.expect("INVITE"), 200, "OK")
    await finish(alice, invite, "200")
    await carol.expect("ACK")


@flow(TRICKS)
async def redirect_passed_on(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    contacts = [
        ("Contact", "<sip:a@127.0.0.1:9>;q=0.7, <sip:b@127.0.0.1:9>"),
        ("Contact", "<sip:c@127.0.0.1:9>"),
    ]
    bob.reply(await bob.expect("INVITE"), 302, "Moved", headers=contacts)
    await bob.expect("ACK")
    await finish(alice, invite, "302")


@flow(TRICKS)
async def branch_failure_route(s: Stage) -> None:
    """The branch-failure route of one branch adds another while the first still rings."""
    alice, bob, carol, dave = [await s.peer(n) for n in ("alice", "bob", "carol", "dave")]
    headers = [("X-BFail", "if 486"), ("X-BFail", f"append {dave.contact}"), ("X-BFail", "relay")]
    do = [f"append {carol.contact}", "bfailure", "relay"]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers))
    at_bob, at_carol = await bob.expect("INVITE"), await carol.expect("INVITE")
    bob.reply(at_bob, 180, "Ringing")
    await alice.expect("180 INVITE")
    carol.reply(at_carol, 486, "Busy Here")
    await carol.expect("ACK")
    await carol.barrier()
    bob.reply(at_bob, 480, "Gone")
    await bob.expect("ACK")
    if any(e.message.method == "INVITE" for e in dave.entries):
        dave.reply(await dave.expect("INVITE"), 404, "Not Found")
        await dave.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def branch_route_edits(s: Stage) -> None:
    """What a branch route changes shows on that branch only."""
    headers = [
        ("X-Branch", "header X-All: yes"),
        ("X-Branch-1", "header X-Second: yes"),
        ("X-Branch-1", "user changed"),
        ("X-Branch-1", "remove X-Secret"),
        ("X-Branch-1", "note X-Index=$T_branch_idx"),
        ("X-Secret", "for the first only"),
    ]
    do = ["header X-Before: both", "branch", "relay"]
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"), do, headers)
    bob.reply(at_bob, 480, "No")
    await bob.expect("ACK")
    carol.reply(at_carol, 480, "No")
    await carol.expect("ACK")
    await finish(alice, invite, "480")


@flow(TRICKS)
async def branch_route_drops_the_first(s: Stage) -> None:
    """drop in a branch route of a fork's first branch: nothing is sent at all."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    do = [f"append {carol.contact}", "branch", "relay"]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=[("X-Branch-0", "drop")]))
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def branch_route_drops_the_second(s: Stage) -> None:
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    do = [f"append {carol.contact}", "branch", "relay"]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=[("X-Branch-1", "drop")]))
    await alice.barrier()
    if bob.entries:
        bob.reply(await bob.expect("INVITE"), 404, "Not Found")
        await bob.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def cancel_other_branches(s: Stage) -> None:
    """t_cancel_branches("others") in an onreply route."""
    do = ["reply", "relay"]
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"), do)
    bob.reply(at_bob, 180, "Ringing")
    await alice.expect("180 INVITE")
    carol.reply(at_carol, 183, "Mine", headers=[("X-Reply", "cancel_branches others")])
    await alice.expect("183 INVITE")
    await canceled(bob, at_bob)
    carol.reply(at_carol, 200, "OK")
    await finish(alice, invite, "200")
    await carol.expect("ACK")


@flow(TRICKS)
async def cancel_this_branch(s: Stage) -> None:
    alice, invite, (bob,), (at_bob,) = await fork(s, ("bob",), ["reply", "relay"])
    bob.reply(at_bob, 183, "Not me", headers=[("X-Reply", "cancel_branches this")])
    await canceled(bob, at_bob)
    await finish(alice, invite, "487")


@flow(TRICKS)
async def relay_to_many(s: Stage) -> None:
    """Ten branches at once; all decline, the lowest wins."""
    names = [f"callee{i}" for i in range(10)]
    alice, invite, callees, arrived = await fork(s, names)
    for i, (peer, message) in enumerate(zip(callees, arrived, strict=True)):
        peer.reply(message, 480 + i % 3, f"No {i}")
        await peer.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(ROUTER)
async def router_voicemail_on_busy(s: Stage) -> None:
    """The router's failure route: busy goes to voicemail."""
    alice, bob, mail = await s.peer("alice"), await s.peer("bob"), await s.peer("mail")
    headers = [("X-Voicemail", f"sip:voicemail@{mail.hostport}")]
    invite = alice.send(alice.request("INVITE", bob.contact, headers=headers))
    bob.reply(await bob.expect("INVITE"), 486, "Busy Here")
    await bob.expect("ACK")
    at_mail = await mail.expect("INVITE")
    mail.reply(at_mail, 200, "OK")
    await finish(alice, invite, "200")
    await mail.expect("ACK")
    alice.send(alice.cancel(invite))
    await alice.expect("... CANCEL")


@flow(TRICKS)
async def fork_canceled_and_slow(s: Stage) -> None:
    """CANCEL of a fork: one branch is silent, the other slow to end. When does the caller hear 487?"""
    alice, invite, (bob, carol), (at_bob, _) = await fork(s, ("bob", "carol"))
    bob.reply(at_bob, 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    bob.reply(await bob.expect("CANCEL"), 200, "Canceling")
    await bob.barrier()
    s.notes.append(f"before bob's 487 alice has {[e.message.status for e in alice.entries]}")
    bob.reply(at_bob, 487, "Terminated at bob")
    await bob.expect("ACK")
    await finish(alice, invite, "487")
    del carol


@flow(TRICKS)
async def fork_canceled_other_way_round(s: Stage) -> None:
    """The same with the first branch silent."""
    alice, invite, (bob, carol), (_, at_carol) = await fork(s, ("bob", "carol"))
    carol.reply(at_carol, 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    await canceled(carol, at_carol)
    await finish(alice, invite, "487")
    del bob


@flow(TRICKS)
async def equal_failures(s: Stage) -> None:
    """Two branches fail alike, the second one first."""
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"))
    carol.reply(at_carol, 480, "At carol")
    await carol.expect("ACK")
    await carol.barrier()
    bob.reply(at_bob, 480, "At bob")
    await bob.expect("ACK")
    await finish(alice, invite, "480")


@flow(TRICKS)
async def equal_failures_in_order(s: Stage) -> None:
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"))
    bob.reply(at_bob, 480, "At bob")
    await bob.expect("ACK")
    await bob.barrier()
    carol.reply(at_carol, 480, "At carol")
    await carol.expect("ACK")
    await finish(alice, invite, "480")


@flow(TRICKS)
async def late_provisional_in_a_serial_fork(s: Stage) -> None:
    """The first branch timed out and rings after all, while the second one is tried."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=["fr 0 300", *SERIAL], headers=headers))
    at_bob = await bob.expect("INVITE")
    at_carol = await carol.expect("INVITE")
    carol.reply(at_carol, 180, "Ringing")
    await alice.expect("180 INVITE")
    bob.reply(at_bob, 180, "Ringing late")
    await bob.barrier()
    carol.reply(at_carol, 486, "Busy")
    await carol.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def late_answer_in_a_serial_fork(s: Stage) -> None:
    """The first branch timed out and answers after all, while the second one rings."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=["fr 0 300", *SERIAL], headers=headers))
    at_bob = await bob.expect("INVITE")
    at_carol = await carol.expect("INVITE")
    carol.reply(at_carol, 180, "Ringing")
    await alice.expect("180 INVITE")
    bob.reply(at_bob, 200, "OK late")
    await bob.barrier()
    s.notes.append(f"the late answer is passed on: {200 in [e.message.status for e in alice.entries]}")
    carol.reply(at_carol, 486, "Busy")
    await carol.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def branch_route_drops_the_middle(s: Stage) -> None:
    """drop in the second of three."""
    alice, bob, carol, dave = [await s.peer(n) for n in ("alice", "bob", "carol", "dave")]
    do = [f"append {carol.contact}", f"append {dave.contact}", "branch", "relay"]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=[("X-Branch-1", "drop")]))
    await alice.barrier()
    for peer in (bob, carol, dave):
        if peer.entries:
            peer.reply(await peer.expect("INVITE"), 404, "Not Found")
            await peer.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def branch_failure_routes_of_later_branches(s: Stage) -> None:
    """Branches that a failure route makes, and that a branch's failure route makes, with and without its being armed
    anew: a branch that has one answers for itself."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    again = [f"append {carol.contact}", "relay"]
    cases: dict[str, tuple[list[str], list[str], int]] = {
        "failure": (again, ["if 481", *again], 1),
        "failure-armed": (["bfailure", *again], ["if 481", *again], 2),
        "branch": ([], ["if 48[16]", *again], 1),
        "branch-armed": ([], ["if 48[16]", "bfailure", *again], 2),
    }
    for name, (fail, bfail, times) in cases.items():
        headers = [*(("X-Fail-1", verb) for verb in fail), *(("X-BFail", verb) for verb in bfail)]
        do = ["bfailure", "failure", "relay"]
        invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers, callid=f"{s.flow}-{name}"))
        bob.reply(await bob.expect("INVITE"), 486, "No")
        await bob.expect("ACK")
        for number in range(times):
            carol.reply(await carol.expect("INVITE"), 480 if number else 481, "No")
            await carol.expect("ACK")
        await finish(alice, invite, "[3-6]..")
