"""Flows in which somebody stays silent: timeouts, retransmissions, late replies."""

from __future__ import annotations

from .flows_forks import SERIAL, canceled, finish, fork
from .peers import Stage
from .setups import ALONE, TRICKS
from .stages import flow


@flow(TRICKS)
async def silent_callee(s: Stage) -> None:
    """No reply at all: fr_timer, 408 to the caller; the INVITE is repeated meanwhile."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    await finish(alice, invite, "408")
    s.notes.append(f"INVITE repeated: {bob.repeats(arrived) >= 2}")


@flow(TRICKS)
async def silent_callee_of_a_message(s: Stage) -> None:
    alice, bob = await s.pair()
    alice.send(alice.request("MESSAGE", bob.contact, do=["relay"], body="hi"))
    arrived = await bob.expect("MESSAGE")
    await alice.expect("408 MESSAGE")
    s.notes.append(f"MESSAGE repeated: {bob.repeats(arrived) >= 2}")


@flow(TRICKS)
async def copies_to_a_silent_callee(s: Stage) -> None:
    """How often an INVITE and a MESSAGE are sent within fr_timer: at 0, 200, 600 and (just) 1000 ms."""
    alice, bob = await s.pair()
    alice.send(alice.request("MESSAGE", bob.contact, do=["relay"], callid=f"{s.flow}-1", body="hi"))
    message = await bob.expect("MESSAGE")
    await alice.expect("408 MESSAGE")
    s.notes.append(f"copies of MESSAGE are 2 or 3: {bob.repeats(message) in (2, 3)}")
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"], callid=f"{s.flow}-2"))
    arrived = await bob.expect("INVITE")
    await finish(alice, invite, "408")
    s.notes.append(f"copies of INVITE are 2 or 3: {bob.repeats(arrived) in (2, 3)}")


@flow(TRICKS)
async def ringing_forever(s: Stage) -> None:
    """fr_inv_timer: the branch is canceled and the caller gets 408."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    await canceled(bob, arrived)
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def ringing_forever_and_no_answer_to_cancel(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["fr_inv 700", "relay"]))
    bob.reply(await bob.expect("INVITE"), 180, "Ringing")
    await alice.expect("180 INVITE")
    cancel = await bob.expect("CANCEL")
    await finish(alice, invite, "[3-6]..")
    s.notes.append(f"CANCEL repeated: {bob.repeats(cancel) >= 1}")


@flow(TRICKS)
async def timeout_in_failure_route(s: Stage) -> None:
    """A silent callee, then another from the failure route."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", "if 408"), ("X-Fail", "note X-Status=$T_reply_code")]
    headers += [("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=["fr 0 400", *SERIAL], headers=headers))
    await bob.expect("INVITE")
    carol.reply(await carol.expect("INVITE"), 200, "OK")
    await finish(alice, invite, "200")
    await carol.expect("ACK")


@flow(TRICKS)
async def ringing_timeout_in_failure_route(s: Stage) -> None:
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Fail", "if 408"), ("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=["fr 600 500", *SERIAL], headers=headers))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    await canceled(bob, arrived)
    at_carol = await carol.expect("INVITE")
    carol.reply(at_carol, 486, "Busy Here")
    await carol.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def timeout_per_transaction(s: Stage) -> None:
    """t_set_fr: this transaction gives up sooner than tm's parameter says."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["fr 0 300", "relay"]))
    await bob.expect("INVITE")
    loop_time = s.clock()
    await finish(alice, invite, "408")
    s.notes.append(f"sooner than fr_timer: {s.clock() - loop_time < 0.8}")


@flow(TRICKS)
async def late_answer_after_timeout(s: Stage) -> None:
    """200 of a branch after the 408 went back."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["rr", "fr 0 300", "relay"]))
    arrived = await bob.expect("INVITE")
    await finish(alice, invite, "408")
    await alice.barrier()
    bob.reply(arrived, 200, "OK")
    await bob.barrier()


@flow(TRICKS)
async def late_failure_after_timeout(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["fr 0 300", "relay"]))
    arrived = await bob.expect("INVITE")
    await finish(alice, invite, "408")
    bob.reply(arrived, 486, "Busy Here")
    await bob.expect("ACK")


@flow(TRICKS)
async def late_provisional_after_timeout(s: Stage) -> None:
    """A 180 of a branch that timed out: it is canceled."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["fr 0 300", "relay"]))
    arrived = await bob.expect("INVITE")
    await finish(alice, invite, "408")
    bob.reply(arrived, 180, "Ringing")
    await bob.barrier()


@flow(TRICKS)
async def one_of_two_silent(s: Stage) -> None:
    """Fork: one declines, the other stays silent."""
    alice, invite, (bob, carol), (at_bob, _) = await fork(s, ("bob", "carol"), ["fr 0 400", "relay"])
    bob.reply(at_bob, 404, "Not Found")
    await bob.expect("ACK")
    await finish(alice, invite, "[3-6]..")
    del carol


@flow(TRICKS)
async def silent_to_cancel(s: Stage) -> None:
    """A callee that rings and never answers CANCEL: the caller gets 487 or 408 in the end."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    bob.reply(await bob.expect("INVITE"), 180, "Ringing")
    await alice.expect("180 INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    await bob.expect("CANCEL")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def reliable_after_provisional(s: Stage) -> None:
    """No repeats once a provisional reply is there."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 100, "Trying")
    await canceled(bob, arrived)
    await finish(alice, invite, "[3-6]..")
    s.notes.append(f"INVITE repeated: {bob.repeats(arrived) > 0}")


@flow(TRICKS)
async def message_kept_trying(s: Stage) -> None:
    """A non-INVITE with a provisional reply is still repeated (RFC 3261 §17.1.2.2)."""
    alice, bob = await s.pair()
    alice.send(alice.request("MESSAGE", bob.contact, do=["relay"], body="hi"))
    arrived = await bob.expect("MESSAGE")
    bob.reply(arrived, 100, "Trying")
    await alice.expect("408 MESSAGE")
    s.notes.append(f"MESSAGE repeated: {bob.repeats(arrived) > 0}")


@flow(TRICKS)
async def retransmission_times_per_transaction(s: Stage) -> None:
    """t_set_retr: 100 ms doubling up to 100 ms."""
    alice, bob = await s.pair()
    alice.send(alice.request("MESSAGE", bob.contact, do=["retr 100 100", "relay"], body="hi"))
    arrived = await bob.expect("MESSAGE")
    await alice.expect("408 MESSAGE")
    s.notes.append(f"more than 5 copies: {bob.repeats(arrived) > 5}")


@flow(TRICKS)
async def no_automatic_100(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["no_100", "relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 100, "Trying")
    bob.reply(arrived, 404, "Not Found")
    await bob.expect("ACK")
    await finish(alice, invite, "404")
    s.notes.append(f"alice got {[e.message.status for e in alice.entries]}")


@flow(ALONE)
async def unreachable_port(s: Stage) -> None:
    """Nobody listens: over UDP that shows as silence."""
    alice = await s.peer("alice")
    gone = await s.peer("gone")
    gone.hang_up()
    invite = alice.send(alice.request("INVITE", gone.contact, do=["fr 0 300", "relay"]))
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def lost_ack_and_repeated_invite(s: Stage) -> None:
    """The 486 is repeated until the ACK; a late repeated INVITE is absorbed."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    bob.reply(await bob.expect("INVITE"), 486, "Busy Here")
    await bob.expect("ACK")
    reply = await alice.expect("486 INVITE")
    await alice.repeated(reply, 1)
    alice.send(alice.ack_failure(invite, reply))
    await alice.barrier()
    before = alice.repeats(reply)
    alice.send(invite)
    await alice.barrier()
    s.notes.append(f"after the ACK a repeated INVITE gives the reply again: {alice.repeats(reply) > before}")


@flow(TRICKS)
async def cancel_of_a_silent_callee(s: Stage) -> None:
    """CANCEL while the callee is silent: is the INVITE still repeated, for about a second?"""
    alice, bob, hole = await s.peer("alice"), await s.peer("bob"), await s.peer("hole")
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    alice.send(alice.cancel(invite))
    await alice.expect("200 CANCEL")
    await finish(alice, invite, "487")
    before = bob.repeats(arrived)
    alice.send(alice.request("MESSAGE", hole.contact, do=["relay"], callid=f"{s.flow}-clock"))
    await alice.expect("408 MESSAGE")
    s.notes.append(f"INVITE repeated after the CANCEL: {bob.repeats(arrived) > before}")
    bob.reply(arrived, 180, "Ringing")
    await bob.barrier()
    s.notes.append(f"then bob got {[e.message.summary for e in bob.entries]}")


@flow(TRICKS)
async def decline_while_another_is_silent(s: Stage) -> None:
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"))
    began = s.clock()
    carol.reply(at_carol, 603, "Decline")
    await carol.expect("ACK")
    await finish(alice, invite, "603")
    s.notes.append(f"sooner than fr_timer: {s.clock() - began < 0.5}")
    bob.reply(at_bob, 180, "Ringing")
    await bob.barrier()
    s.notes.append(f"then bob got {[e.message.summary for e in bob.entries]}")


@flow(TRICKS)
async def answer_while_another_is_silent(s: Stage) -> None:
    alice, invite, (bob, carol), (at_bob, at_carol) = await fork(s, ("bob", "carol"))
    carol.reply(at_carol, 200, "OK")
    await finish(alice, invite, "200")
    await carol.expect("ACK")
    bob.reply(at_bob, 180, "Ringing")
    await canceled(bob, at_bob)


@flow(TRICKS)
async def suspended_for_a_while(s: Stage) -> None:
    """Which timer ends a suspended transaction."""
    alice, bob = await s.pair()
    began = s.clock()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["suspend e"], headers=[("X-Resume", "relay")]))
    await finish(alice, invite, "[3-6]..")
    s.notes.append(f"it took fr_inv_timer: {s.clock() - began > 1.5}")
    began = s.clock()
    request = alice.request("MESSAGE", bob.contact, do=["suspend f"], headers=[("X-Resume", "relay")], callid="sus-2")
    alice.send(request)
    await alice.expect("... MESSAGE")
    s.notes.append(f"it took fr_timer: {0.8 < s.clock() - began < 1.7}")


@flow(TRICKS)
async def suspended_and_canceled_then_resumed(s: Stage) -> None:
    alice, bob, helper = await s.peer("alice"), await s.peer("bob"), await s.peer("helper")
    invite = alice.send(alice.request("INVITE", bob.contact, do=["suspend g"], headers=[("X-Resume", "relay")]))
    await alice.barrier()
    alice.send(alice.cancel(invite))
    await alice.expect("... CANCEL")
    await finish(alice, invite, "[3-6]..")
    helper.send(helper.request("OPTIONS", f"sip:x@{s.uri()}", do=["resume g", "sl_reply 200 Resumed"]))
    await helper.expect("200 OPTIONS")
