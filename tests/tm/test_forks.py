"""Forking, CANCEL and the choice of the answer (RFC 3261 §16.7), parallel and one after the other."""

from __future__ import annotations

from itertools import permutations

import pytest

from kahea.testing import Simulation
from kahea.tm.choice import priority

from .stage import fork, proxy, sent, then


def test_the_first_200_wins_and_cancels_the_others(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob, carol, dave = (kahea.ua(n) for n in ("alice", "bob", "carol", "dave"))
    call = alice.invite(bob.contact, headers=fork(carol, dave))
    legs = [ua.ring() for ua in (bob, carol, dave)]
    legs[1].answer()
    assert "carol" in call.wait(200)["Contact"]
    kahea.run(1)
    assert [leg.canceled for leg in legs] == [True, False, True]
    assert {p.message["Reason"] for p in sent(kahea, "CANCEL")} == {'SIP;cause=200;text="Call completed elsewhere"'}
    assert call.bye().status == 200
    kahea.finish()
    assert node.transactions == 0


def test_two_200s_both_pass(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    call = alice.invite(bob.contact, headers=fork(carol))
    legs = [bob.ring(), carol.ring()]
    for leg in legs:
        leg.answer()
    kahea.run(1)
    assert [r.to_tag for r in call.answers] == ["bob-tag", "carol-tag"]
    for leg in legs:
        leg.wait_ack()
        assert leg.bye().status == 200
    kahea.finish()
    assert node.transactions == 0


@pytest.mark.parametrize("order", list(permutations((486, 404, 503))))
def test_the_best_failure_does_not_depend_on_the_order(kahea: Simulation, order: tuple[int, ...]) -> None:
    proxy(kahea)
    uas = [kahea.ua(f"callee{status}") for status in (486, 404, 503)]
    call = kahea.ua("alice").invite(uas[0].contact, headers=fork(*uas[1:]))
    legs = {int(ua.name[6:]): ua.ring(status=0) for ua in uas}
    for status in order:
        legs[status].reject(status)
        kahea.run(0.1)
    assert call.wait().status == 404


@pytest.mark.parametrize(
    ("statuses", "best"),
    [
        ((600, 404), 600),
        ((302, 404), 302),
        ((404, 500), 404),
        ((404, 401), 401),
        ((404, 407), 407),
        ((486, 415), 415),
        ((486, 420), 420),
        ((486, 484), 484),
        ((401, 484), 401),
        ((480, 408), 408),
        ((500, 503), 500),
        ((504, 503), 504),
        ((300, 401), 300),
        ((603, 600), 600),
    ],
)
def test_who_is_best(statuses: tuple[int, int], best: int) -> None:
    """As Kamailio chooses: 6xx, 3xx, the 4xx that the caller can do something about, 4xx, 5xx, 503."""
    assert min(statuses, key=priority) == best
    assert min(reversed(statuses), key=priority) == best


def test_challenges_of_all_branches(kahea: Simulation) -> None:
    proxy(kahea)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    call = alice.invite(bob.contact, headers=fork(carol))
    bob.reject(401, headers=[("WWW-Authenticate", 'Digest realm="bob"')])
    carol.reject(407, headers=[("Proxy-Authenticate", 'Digest realm="carol"')])
    reply = call.wait()
    assert reply.status == 401
    assert reply["WWW-Authenticate"] == 'Digest realm="bob"'
    assert reply["Proxy-Authenticate"] == 'Digest realm="carol"'


def test_a_6xx_ends_the_fork(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    call = alice.invite(bob.contact, headers=fork(carol))
    leg = bob.ring()
    carol.reject(603)
    assert call.wait().status == 603
    assert leg.canceled
    kahea.finish()
    assert node.transactions == 0


def test_a_6xx_that_ends_nothing(kahea: Simulation) -> None:
    proxy(kahea)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    call = alice.invite(bob.contact, headers=[*fork(carol), ("X-Opt", "no-6xx")])
    leg = bob.ring()
    carol.reject(603)
    kahea.run(1)
    assert call.status == 180
    leg.answer()
    assert call.wait().status == 200


def test_cancel_of_all_that_ring(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    call = alice.invite(bob.contact, headers=fork(carol))
    legs = [bob.ring(), carol.ring()]
    kahea.run(0.1)
    assert call.cancel().wait().status == 200
    assert call.wait().status == 487
    assert all(leg.canceled for leg in legs)
    kahea.finish()
    assert node.transactions == 0


def test_cancel_before_anything_came_back(kahea: Simulation) -> None:
    """The caller gets 487 at once; the callee gets CANCEL when it rings after all, and not before."""
    node = proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    leg = bob.ring(status=0)
    call.cancel()
    assert call.wait().status == 487
    kahea.run(1)
    assert sent(kahea, "CANCEL", bob) == []
    leg.progress(180)
    kahea.run(1)
    assert leg.canceled
    kahea.finish()
    assert node.transactions == 0


def test_cancel_that_comes_late(kahea: Simulation) -> None:
    proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    leg = bob.answer()
    call.wait(200)
    reply = call.cancel().wait()
    assert (reply.status, reply.reason) == (200, "ok -- no more pending branches")
    kahea.run(1)
    assert not leg.canceled


def test_cancel_is_repeated_until_it_is_answered(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    kahea.network.lose(lambda p: p.destination == bob.address and p.message.matches("CANCEL"), times=2)
    call = alice.invite(bob.contact)
    leg = bob.ring()
    call.wait(180)
    call.cancel()
    assert call.wait().status == 487
    assert leg.canceled
    assert len(sent(kahea, "CANCEL", bob)) == 3
    kahea.finish()
    assert node.transactions == 0


def test_one_after_the_other(kahea: Simulation) -> None:
    node = proxy(kahea, fr_timer=5000)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    call = alice.invite("sip:nobody@10.0.0.77", headers=then(bob, carol))
    bob.reject(486)
    carol.answer()
    assert "carol" in call.wait(200)["Contact"]
    assert 5 <= kahea.elapsed < 5.2
    kahea.finish()
    assert node.transactions == 0


def test_the_last_failure_goes_back(kahea: Simulation) -> None:
    proxy(kahea)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    call = alice.invite(bob.contact, headers=then(carol))
    bob.reject(404)
    carol.reject(500)
    assert call.wait().status == 500


def test_a_caller_gives_up_between_two_tries(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    call = alice.invite(bob.contact, headers=then(carol))
    bob.reject(486)
    leg = carol.ring()
    call.wait(180)
    call.cancel()
    assert call.wait().status == 487
    assert leg.canceled
    kahea.finish()
    assert node.transactions == 0


def test_too_many_branches(kahea: Simulation) -> None:
    """max_branches bounds a fork; the rest is served."""
    node = proxy(kahea)
    alice = kahea.ua("alice")
    uas = [kahea.ua(f"callee{i}") for i in range(20)]
    call = alice.invite(uas[0].contact, headers=fork(*uas[1:]))
    kahea.run(1)
    assert all("there are 12 branches already" in error for error in kahea.errors)
    kahea.errors.clear()
    reached = [ua for ua in uas if ua.received]
    assert len(reached) == node.node.layer.settings.max_branches
    for ua in reached:
        ua.reject(480)
    assert call.wait().status == 480
    kahea.finish()
    assert node.transactions == 0


def test_a_node_counts_what_passed(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    bob.answer()
    call.wait(200)
    layer = node.node.layer
    assert (layer.created, layer.completed_2xx, layer.waiting) == (1, 1, 1)
    kahea.finish()
    assert (layer.waiting, len(layer)) == (0, 0)
    assert [len(table) for table in (layer.by_label, layer.requests)] == [0, 0]
