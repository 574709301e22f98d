"""Transactions of other methods in time: timers E, F and K towards the server side, J towards the caller."""

from __future__ import annotations

import pytest

from kahea.testing import Simulation

from .stage import fork, moments, proxy, sent, silent


@pytest.mark.parametrize("method", ["MESSAGE", "OPTIONS", "BYE", "SUBSCRIBE", "FETCH"])
def test_e_and_f_silence(kahea: Simulation, method: str) -> None:
    """Timer E repeats it up to T2 apart, timer F gives up: 408."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    exchange = alice.request(method, bob.contact)
    assert exchange.wait().status == 408
    assert moments(sent(kahea, method, bob)) == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5]
    assert 30 <= kahea.elapsed < 30.1
    kahea.finish()
    assert node.transactions == 0


def test_e_goes_on_at_t2_after_a_provisional_reply(kahea: Simulation) -> None:
    """RFC 3261 §17.1.2.2: in Proceeding it is repeated every T2."""
    proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    exchange = alice.request("MESSAGE", bob.contact)
    request = bob.expect("MESSAGE")
    kahea.run(0.7)
    bob.reply(request, 100)
    kahea.run(14)
    assert moments(sent(kahea, "MESSAGE", bob)) == [0, 0.5, 1.5, 5.5, 9.5, 13.5]
    bob.reply(request, 200)
    assert exchange.wait().status == 200


def test_no_100_of_our_own(kahea: Simulation) -> None:
    """RFC 4320: none for other methods than INVITE; a received one stays here."""
    proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    exchange = alice.request("MESSAGE", bob.contact)
    request = bob.expect("MESSAGE")
    bob.reply(request, 100)
    bob.reply(request, 182)
    bob.reply(request, 200)
    exchange.wait()
    assert [r.status for r in exchange.replies] == [182, 200]


def test_j_repeats_are_answered_from_here(kahea: Simulation) -> None:
    """Within wt_timer a repeated request gets its final reply again; the far end sees it once."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    exchange = alice.request("MESSAGE", bob.contact)
    bob.reply(bob.expect("MESSAGE"), 202)
    exchange.wait()
    for _ in range(3):
        kahea.run(1)
        alice.send(exchange.request)
    kahea.run(0.5)
    assert len(sent(kahea, "202", alice)) == 4
    assert len(sent(kahea, "MESSAGE", bob)) == 1
    kahea.finish()
    assert node.transactions == 0


def test_before_the_answer_repeats_are_silent(kahea: Simulation) -> None:
    proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    exchange = alice.request("MESSAGE", bob.contact)
    bob.expect("MESSAGE")
    alice.send(exchange.request)
    kahea.run(0.2)
    assert alice.received == []
    assert len(sent(kahea, "MESSAGE", bob)) == 1


def test_k_repeated_answers_stay_here(kahea: Simulation) -> None:
    """A second 200 of the far end is no news for the caller."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    exchange = alice.request("MESSAGE", bob.contact)
    ok = bob.reply(bob.expect("MESSAGE"), 200)
    exchange.wait()
    bob.send(ok)
    bob.reply(bob.received[0], 500)
    kahea.run(1)
    assert [m.status for m in alice.received] == [200]
    kahea.finish()
    assert node.transactions == 0


def test_no_repeats_over_tcp(kahea: Simulation) -> None:
    proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob", "tcp:10.0.0.2:5060")
    assert alice.request("MESSAGE", bob.contact).wait().status == 408
    assert len(sent(kahea, "MESSAGE", bob)) == 1


def test_a_forked_request_has_one_answer(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob, carol = kahea.ua("alice"), kahea.ua("bob"), kahea.ua("carol")
    exchange = alice.request("MESSAGE", bob.contact, headers=fork(carol))
    at_bob, at_carol = bob.expect("MESSAGE"), carol.expect("MESSAGE")
    bob.reply(at_bob, 200)
    carol.reply(at_carol, 200)
    exchange.wait()
    kahea.run(2)
    assert [r.status for r in exchange.replies] == [200]
    kahea.finish()
    assert node.transactions == 0


def test_a_late_answer_of_a_request_that_timed_out(kahea: Simulation) -> None:
    node = proxy(kahea, fr_timer=2000)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    exchange = alice.request("MESSAGE", bob.contact)
    request = bob.expect("MESSAGE")
    exchange.wait(408)
    bob.reply(request, 200)
    kahea.run(1)
    assert [r.status for r in exchange.replies] == [408]
    kahea.finish()
    assert node.transactions == 0
