"""Calls on bad lines: whatever is lost, doubled or late, nothing raises, nothing stays, nobody is told two things."""

from __future__ import annotations

import pytest

from kahea.testing import Simulation, SipMessage, UserAgent

from .invariants import check_answers, check_freed, check_quiet
from .stage import fork, proxy, then

CONDITIONS = {
    "loss": {"loss": 0.3},
    "copies": {"duplicate": 0.4},
    "disorder": {"jitter": 0.7},
    "all": {"loss": 0.2, "duplicate": 0.2, "jitter": 0.4, "delay": 0.05},
    "nearly-dead": {"loss": 0.75},
}


def responsive(sim: Simulation, name: str, status: int, after: float) -> UserAgent:
    """A phone that rings at once, answers by itself after a while, and hangs up never."""
    ua = sim.ua(name)

    def answer(invite: SipMessage) -> None:
        ua.reply(invite, 180)
        sim.plan(after, lambda: final(invite))

    def final(invite: SipMessage) -> None:
        if invite.branch not in canceled:
            ua.reply(invite, status)

    def cancel(request: SipMessage) -> None:
        ua.reply(request, 200)
        if request.branch not in canceled:
            canceled.add(request.branch)
            for invite in ua.received:
                if invite.method == "INVITE" and invite.is_request and invite.branch == request.branch:
                    ua.reply(invite, 487)
                    break

    canceled: set[str] = set()
    ua.on("INVITE", answer)
    ua.on("CANCEL", cancel)
    ua.on("BYE", lambda request: ua.reply(request, 200))
    ua.on("MESSAGE", lambda request: ua.reply(request, 200))
    return ua


@pytest.mark.parametrize("line", list(CONDITIONS))
@pytest.mark.parametrize("seed", range(4))
def test_calls_on_a_bad_line(line: str, seed: int) -> None:
    with Simulation(seed) as sim:
        node = proxy(sim)
        for name, value in CONDITIONS[line].items():
            setattr(sim.network.conditions, name, value)
        alice = sim.ua("alice")
        bob, carol, dave = (
            responsive(sim, name, status, after)
            for name, status, after in (("bob", 200, 2.0), ("carol", 486, 1.0), ("dave", 200, 2.0))
        )
        calls = [
            alice.invite(bob.contact),
            alice.invite(carol.contact),
            alice.invite(carol.contact, headers=fork(bob, dave)),
            alice.invite(carol.contact, headers=then(bob)),
            alice.invite("sip:nobody@10.0.0.77", headers=then(carol, dave)),
        ]
        messages = [alice.request("MESSAGE", ua.contact, body="hi") for ua in (bob, carol, dave)]
        sim.plan(1.5, lambda: calls[0].cancel())
        sim.run(150)
        check_answers(alice)
        check_quiet(sim)
        if line != "nearly-dead":
            # A call with retransmissions at both ends survives such lines.
            assert all(call.exchange.final is not None for call in calls)
            assert [m.status for m in messages] == [200, 200, 200]
            assert calls[1].exchange.final.status in (486, 408)  # type: ignore[union-attr]
        check_freed(sim, node)


def test_a_line_that_is_cut_in_the_middle(kahea: Simulation) -> None:
    """Everything stops after the call was set up: the BYE times out, and nothing stays."""
    node = proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    bob.answer()
    call.wait(200)
    kahea.network.conditions.loss = 1.0
    bye = call.request("BYE")
    kahea.run(40)
    assert bye.timed_out
    check_quiet(kahea)
    check_freed(kahea, node)
