"""Flows of what scripts do to messages and transactions: edits, replies dropped, suspended runs."""

from __future__ import annotations

from .flows_forks import SERIAL, canceled, finish
from .peers import Stage
from .setups import TRICKS
from .stages import flow


@flow(TRICKS)
async def header_edits(s: Stage) -> None:
    """append, insert, remove, and a body, in the order of the calls."""
    alice, bob = await s.pair()
    do = [
        "header X-A: 1",
        "header X-B: 2",
        "insert X-Top: 1",
        "insert X-Topmost: 2",
        "remove X-Gone",
        "remove User-Agent",
        "?remove X-Nothing",
        "relay",
    ]
    headers = [("X-Gone", "1"), ("User-Agent", "phone"), ("x-gone", "2"), ("X-Stays", "3")]
    alice.send(alice.request("MESSAGE", bob.contact, do=do, headers=headers, body="hello"))
    bob.reply(await bob.expect("MESSAGE"), 200, "OK")
    await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def body_set(s: Stage) -> None:
    alice, bob = await s.pair()
    for number, body in enumerate(("hello", "")):
        do = ["body changed by the script", "relay"]
        alice.send(alice.request("MESSAGE", bob.contact, do=do, body=body, callid=f"{s.flow}-{number}"))
        bob.reply(await bob.expect("MESSAGE"), 200, "OK")
        await alice.expect("200 MESSAGE")


@flow(TRICKS)
async def reply_edits(s: Stage) -> None:
    """Edits of the onreply route and of the server's reply route, on provisional and final replies."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["reply", "relay"]))
    arrived = await bob.expect("INVITE")
    edits = [("X-Reply", "header X-Added: in onreply"), ("X-Core", "header X-Core-Added: in reply route")]
    edits += [("X-Reply", "remove X-Gone"), ("X-Gone", "1"), ("X-Reply", "note X-Code=$T_reply_code")]
    bob.reply(arrived, 180, "Ringing", headers=edits)
    await alice.expect("180 INVITE")
    bob.reply(arrived, 486, "Busy", headers=edits)
    await bob.expect("ACK")
    await finish(alice, invite, "486")


@flow(TRICKS)
async def flags_on_their_way(s: Stage) -> None:
    """Flags of transaction, script and branch, set and shown in every route: two branches, then a third."""
    alice, carol = await s.peer("alice"), await s.peer("carol")
    bob, dave = await s.peer("bob"), await s.peer("dave")
    do = ["mark 1", f"append {dave.contact}", "flags request", "branch", "reply", "failure", "relay"]
    headers = [("X-Branch", "flags branch-0"), ("X-Branch", "mark 2"), ("X-Branch", "flags branch")]
    fail = [f"append {carol.contact}", "mark 32", "flags failed", "branch", "reply", "relay"]
    headers += [("X-Fail-1", verb) for verb in ["flags fail", *fail]]
    headers += [("X-Fail-2", verb) for verb in ["flags last", "mark 64", "tell 480 $mf"]]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers))
    at_bob, at_dave = await bob.expect("INVITE"), await dave.expect("INVITE")
    replying = [("X-Core", "flags core"), ("X-Core", "mark 4"), ("X-Reply", "flags reply"), ("X-Reply", "mark 8")]
    for peer, arrived in ((bob, at_bob), (dave, at_dave)):
        for status in (180, 183):
            peer.reply(arrived, status, "Progress", headers=replying)
            await alice.expect(f"{status} INVITE")
    for peer, arrived, status in ((dave, at_dave, 500), (bob, at_bob, 486)):
        peer.reply(arrived, status, "No", headers=[*replying, ("X-Reply", "mark 16")])
        await peer.expect("ACK")
    at_carol = await carol.expect("INVITE")
    carol.reply(at_carol, 180, "Ringing", headers=replying)
    await alice.expect("180 INVITE")
    carol.reply(at_carol, 486, "No", headers=replying)
    await carol.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def flags_after_other_routes(s: Stage) -> None:
    """Those of the request route after a branch route; of a branch's failure; of a resumed run."""
    alice, bob, helper = await s.peer("alice"), await s.peer("bob"), await s.peer("helper")
    for shown in ("$mf", "$sf", "$bf"):
        do, headers = ["mark 1", "branch", "relay", f"tell 480 {shown}"], [("X-Branch", "mark 2")]
        callid = f"{s.flow}-{shown[1:]}"
        invite = alice.send(alice.request("INVITE", "tel:+15551234", do=do, headers=headers, callid=callid))
        await finish(alice, invite, "480")
    do = ["mark 1", "branch", "bfailure", "relay"]
    headers = [("X-Branch", "mark 2"), ("X-BFail", "flags bfail"), ("X-BFail", "mark 4")]
    headers += [("X-BFail", f"append {bob.contact};again"), ("X-BFail", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers, callid=f"{s.flow}-2"))
    for _ in range(2):
        bob.reply(await bob.expect("INVITE"), 486, "No")
        await bob.expect("ACK")
    await finish(alice, invite, "486")
    do = ["mark 1", f"append {helper.contact}", "suspend f"]
    headers = [("X-Resume", verb) for verb in ("flags resumed", "mark 2", "branch", "relay")]
    headers += [("X-Branch", "flags branch")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers, callid=f"{s.flow}-3"))
    await alice.barrier()
    helper.send(helper.request("OPTIONS", f"sip:x@{s.uri()}", do=["resume f", "sl_reply 200 Resumed"]))
    await helper.expect("200 OPTIONS")
    bob.reply(await bob.expect("INVITE"), 486, "No")
    await bob.expect("ACK")
    await finish(alice, invite, "486")


@flow(TRICKS)
async def reply_dropped(s: Stage) -> None:
    """drop in an onreply route and in the reply route: a provisional one disappears."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["reply", "relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing", headers=[("X-Reply", "drop")])
    bob.reply(arrived, 183, "Progress", headers=[("X-Core", "drop")])
    bob.reply(arrived, 182, "Queued")
    await alice.expect("182 INVITE")
    bob.reply(arrived, 404, "Not Found")
    await bob.expect("ACK")
    await finish(alice, invite, "404")


@flow(TRICKS)
async def final_reply_dropped(s: Stage) -> None:
    """A final reply dropped in the onreply route; the sender repeats it without the wish."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["reply", "relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 404, "Not Found", headers=[("X-Reply", "drop")])
    await bob.barrier()
    bob.reply(arrived, 404, "Not Found")
    await bob.barrier()
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def edits_before_and_in_failure(s: Stage) -> None:
    """Edits of the request route stay for later branches; those of a failure route are for its own."""
    alice, bob, carol, dave = [await s.peer(n) for n in ("alice", "bob", "carol", "dave")]
    headers = [
        ("X-Fail-1", "header X-First-Failure: 1"),
        ("X-Fail-1", f"ruri {carol.contact}"),
        ("X-Fail-1", "failure"),
        ("X-Fail-1", "relay"),
        ("X-Fail-2", "header X-Second-Failure: 1"),
        ("X-Fail-2", f"ruri {dave.contact}"),
        ("X-Fail-2", "relay"),
        ("X-Branch", "header X-In-Branch: 1"),
    ]
    do = ["header X-Request: 1", "branch", *SERIAL]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers))
    for peer in (bob, carol, dave):
        peer.reply(await peer.expect("INVITE"), 480, "No")
        await peer.expect("ACK")
    await finish(alice, invite, "480")


@flow(TRICKS)
async def failure_route_sees(s: Stage) -> None:
    """Variables in the failure route: the request's, the reply's code, the branch's."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    shown = {"Ru": "$ru", "Du": "$du", "Code": "$T_reply_code", "Rs": "$rs", "Method": "$rm", "Source": "$si"}
    shown |= {
        "Avp": "$avp(x)",
        "Idx": "$T_branch_idx",
        "Flags": "$mf",
        "Ou": "$ou",
    }
    shown |= {"Rpl": "$T_rpl($rs)", "RplHdr": "$T_rpl($hdr(X-Why))", "Req": "$T_req($ci)"}
    headers = [("X-Fail", f"note X-{name}={pv}") for name, pv in shown.items()]
    headers += [("X-Fail", f"ruri {carol.contact}"), ("X-Fail", "relay")]
    do = ["set $avp(x)=kept", *SERIAL]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers))
    bob.reply(await bob.expect("INVITE"), 486, "Busy", headers=[("X-Why", "lunch")])
    await bob.expect("ACK")
    carol.reply(await carol.expect("INVITE"), 404, "Not Found")
    await carol.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def which_route_it_is(s: Stage) -> None:
    """t_is_request_route and its like in every kind of route."""
    alice, bob, carol = await s.peer("alice"), await s.peer("bob"), await s.peer("carol")
    headers = [("X-Branch", "where branch"), ("X-Fail", "where failure"), ("X-Fail", f"ruri {carol.contact}")]
    headers += [("X-Fail", "relay")]
    do = ["where request", "branch", "reply", *SERIAL]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers))
    shown = [("X-Core", "where core"), ("X-Reply", "where reply")]
    bob.reply(await bob.expect("INVITE"), 486, "Busy")
    await bob.expect("ACK")
    arrived = await carol.expect("INVITE")
    carol.reply(arrived, 183, "Progress", headers=shown)
    await alice.expect("183 INVITE")
    carol.reply(arrived, 404, "Not Found", headers=shown)
    await carol.expect("ACK")
    await finish(alice, invite, "404")


@flow(TRICKS)
async def variables_travel(s: Stage) -> None:
    """AVPs set in the request route are seen in branch, onreply and failure routes; $var is the run's own."""
    alice, bob = await s.pair()
    headers = [("X-Branch", "note X-B=$avp(x)"), ("X-Branch", "set $avp(x)=from branch")]
    do = ["set $avp(x)=from request", "branch", "reply", "failure", "relay"]
    headers += [("X-Fail", "tell 480 $avp(x)")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=do, headers=headers))
    arrived = await bob.expect("INVITE")
    bob.reply(
        arrived,
        180,
        "Ringing",
        headers=[("X-Reply", "note X-R=$avp(x)"), ("X-Reply", "set $avp(x)=from reply")],
    )
    await alice.expect("180 INVITE")
    bob.reply(arrived, 486, "Busy", headers=[("X-Reply", "note X-R=$avp(x)")])
    await bob.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def suspended_and_resumed(s: Stage) -> None:
    """t_suspend, and t_continue from another request: the call goes on from there."""
    alice, bob, helper = await s.peer("alice"), await s.peer("bob"), await s.peer("helper")
    headers = [("X-Resume", "header X-Resumed: yes"), ("X-Resume", "relay")]
    invite = alice.send(alice.request("INVITE", bob.contact, do=["header X-Early: yes", "suspend a"], headers=headers))
    await alice.barrier()
    helper.send(helper.request("OPTIONS", f"sip:x@{s.uri()}", do=["resume a", "sl_reply 200 Resumed"]))
    await helper.expect("200 OPTIONS")
    bob.reply(await bob.expect("INVITE"), 200, "OK")
    await finish(alice, invite, "200")
    await bob.expect("ACK")


@flow(TRICKS)
async def suspended_and_answered(s: Stage) -> None:
    alice, helper = await s.peer("alice"), await s.peer("helper")
    headers = [("X-Resume", "tm_reply 486 Decided later")]
    invite = alice.send(alice.request("INVITE", f"sip:x@{s.uri()}", do=["suspend b"], headers=headers))
    await alice.barrier()
    alice.send(invite)
    await alice.barrier()
    helper.send(helper.request("OPTIONS", f"sip:x@{s.uri()}", do=["resume b", "sl_reply 200 Resumed"]))
    await helper.expect("200 OPTIONS")
    await finish(alice, invite, "486")


@flow(TRICKS)
async def suspended_and_canceled(s: Stage) -> None:
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["suspend c"], headers=[("X-Resume", "relay")]))
    await alice.barrier()
    alice.send(alice.cancel(invite))
    await alice.expect("... CANCEL")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def suspended_too_long(s: Stage) -> None:
    """Nobody resumes: fr_timer ends it."""
    alice, bob = await s.pair()
    invite = alice.send(alice.request("INVITE", bob.contact, do=["suspend d"], headers=[("X-Resume", "relay")]))
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def return_codes(s: Stage) -> None:
    """What functions give back, shown to the far end."""
    alice, bob = await s.pair()
    do = [
        "?loose", "?maxfwd 5", "?check_trans", "?lookup_cancel", "?next_contacts", "?load_contacts", "?rr",
        "?rr", "?header X-H: 1", "?user new", "?newtran", "?newtran", "?tm_send 180 Ringing", "?branch",
        "?failure", "?rport", "?noduri", "?append sip:x", "?fr_inv 500", "relay",
    ]  # fmt: skip
    invite = alice.send(alice.request("INVITE", bob.contact, do=do))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 404, "Not Found")
    await bob.expect("ACK")
    await finish(alice, invite, "[3-6]..")


@flow(TRICKS)
async def canceled_by_callid(s: Stage) -> None:
    alice, bob, helper = await s.peer("alice"), await s.peer("bob"), await s.peer("helper")
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    do = [f"cancel_callid {s.flow}@alice 1 0", "sl_reply 200 Done"]
    helper.send(helper.request("OPTIONS", f"sip:x@{s.uri()}", do=do))
    await helper.expect("200 OPTIONS")
    await canceled(bob, arrived)
    await finish(alice, invite, "487")


@flow(TRICKS)
async def answered_by_callid(s: Stage) -> None:
    alice, bob, helper = await s.peer("alice"), await s.peer("bob"), await s.peer("helper")
    invite = alice.send(alice.request("INVITE", bob.contact, do=["relay"]))
    arrived = await bob.expect("INVITE")
    bob.reply(arrived, 180, "Ringing")
    await alice.expect("180 INVITE")
    do = [f"reply_callid {s.flow}@alice 1 480 Enough", "sl_reply 200 Done"]
    helper.send(helper.request("OPTIONS", f"sip:x@{s.uri()}", do=do))
    await helper.expect("200 OPTIONS")
    await canceled(bob, arrived)
    await finish(alice, invite, "480")
