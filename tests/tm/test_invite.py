"""INVITE transactions in time: timers A, B, C, D towards the callee, G, H, I and 64*T1 towards the caller.

Times are Kamailio's parameters (retr_timer1 500 ms doubling up to retr_timer2 4 s, fr_timer 30 s, fr_inv_timer
120 s, wt_timer 5 s), which name RFC 3261's T1, T2, B, C and, for all that is answered, D, I, J and K.
"""

from __future__ import annotations

import pytest

from kahea.testing import Simulation

from .stage import moments, proxy, sent, silent

#: Retransmissions within 30 s of fr_timer: doubling from T1, capped at T2.
UNTIL_FR = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5]


def test_a_and_b_silence(kahea: Simulation) -> None:
    """Timer A repeats the INVITE, timer B gives up: 408 to the caller."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    reply = call.wait()
    assert (reply.status, reply.reason) == (408, "Request Timeout")
    assert moments(sent(kahea, "INVITE", bob)) == UNTIL_FR
    assert 30 <= kahea.elapsed < 30.1
    assert bob.repeats("INVITE") == len(UNTIL_FR) - 1
    kahea.finish()
    assert node.transactions == 0


def test_a_stops_at_a_provisional_reply(kahea: Simulation) -> None:
    proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    invite = bob.expect("INVITE")
    kahea.run(1.0)
    bob.reply(invite, 100)
    kahea.run(60)
    assert moments(sent(kahea, "INVITE", bob)) == [0, 0.5]
    assert call.status == 100
    bob.reply(invite, 486)
    assert call.wait().status == 486


def test_c_ringing_for_too_long(kahea: Simulation) -> None:
    """fr_inv_timer, after the last provisional reply: CANCEL to the callee, 408 to the caller."""
    proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    leg = bob.ring()
    kahea.run(60)
    leg.progress(183)
    call.wait(408)
    assert 180 <= kahea.elapsed < 180.2
    assert leg.canceled
    kahea.finish()


def test_c_is_not_restarted_where_told_so(kahea: Simulation) -> None:
    proxy(kahea, restart_fr_on_each_reply=0)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    leg = bob.ring()
    kahea.run(60)
    leg.progress(183)
    call.wait(408)
    assert 120 <= kahea.elapsed < 120.2


def test_a_call_does_not_outlive_its_maximum(kahea: Simulation) -> None:
    """max_inv_lifetime: however often the callee says that it rings."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    leg = bob.ring()
    for turn in range(10):
        kahea.plan(50 * turn, leg.progress, 182 if turn % 2 else 183)
    call.wait(408, within=400)
    assert 180 <= kahea.elapsed < 180.5
    kahea.finish()
    assert node.transactions == 0


def test_d_repeated_failures_are_acknowledged_each(kahea: Simulation) -> None:
    """The callee repeats its 486 (the ACK was lost): it is acknowledged again, and not relayed again."""
    node = proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    kahea.network.lose(lambda p: p.source.ip == "10.0.0.9" and p.message.matches("ACK"), times=3)
    call = alice.invite(bob.contact)
    bob.reject(486)
    assert call.wait().status == 486
    kahea.run(4)
    assert len(sent(kahea, "ACK", bob)) == 4
    assert len(sent(kahea, "486", alice)) == 1
    kahea.finish()
    assert node.transactions == 0


def test_g_and_h_failures_are_repeated_until_the_ack(kahea: Simulation) -> None:
    """Without any ACK the 486 is sent again at T1 doubling up to T2, until fr_timer; then wt_timer."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), kahea.ua("bob")
    kahea.network.lose(lambda p: p.source == alice.address and p.message.matches("ACK"), times=100)
    call = alice.invite(bob.contact)
    bob.reject(486)
    call.wait(486)
    kahea.run(34)
    assert moments(sent(kahea, "486", alice)) == UNTIL_FR
    assert node.transactions == 1
    kahea.run(2)
    assert node.transactions == 0


def test_g_stops_at_the_ack_and_i_absorbs_its_repeats(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    kahea.network.lose(lambda p: p.source == alice.address and p.message.matches("ACK"), times=2)
    call = alice.invite(bob.contact)
    bob.reject(486)
    call.wait(486)
    kahea.run(3)
    assert moments(sent(kahea, "486", alice)) == [0, 0.5, 1.5]
    ack = next(p for p in kahea.trace if p.message.matches("ACK") and p.source == alice.address)
    alice.send(ack.data)
    kahea.run(1)
    assert len(sent(kahea, "486", alice)) == 3
    assert len(sent(kahea, "ACK", bob)) == 1
    kahea.finish()
    assert node.transactions == 0


def test_no_repeats_over_tcp(kahea: Simulation) -> None:
    """Reliable transports: neither the INVITE nor its failure is repeated."""
    node = proxy(kahea)
    alice = silent(kahea, "alice", "tcp:10.0.0.1:5060")
    bob = silent(kahea, "bob", "tcp:10.0.0.2:5060")
    carol = silent(kahea, "carol", "tcp:10.0.0.3:5060")
    call = alice.invite(bob.contact)
    assert call.wait().status == 408
    assert len(sent(kahea, "INVITE", bob)) == 1
    second = alice.invite(carol.contact)
    carol.reply(carol.expect("INVITE"), 486)
    assert second.wait().status == 486
    kahea.run(3)
    assert len(sent(kahea, "486", alice)) == 1
    kahea.finish()
    assert node.transactions == 0


def test_accepted_every_200_passes(kahea: Simulation) -> None:
    """RFC 6026: repeated 200s go to the caller each time, and its ACKs to the callee."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    leg = bob.ring()
    ok = leg.answer()
    for _ in range(3):
        kahea.run(1)
        bob.send(ok)
    kahea.run(1)
    assert len(sent(kahea, "200", alice)) == 4
    for _ in range(2):
        call.acknowledge(call.replies[-1])
    kahea.run(0.5)
    assert len(sent(kahea, "ACK", bob)) == 2
    kahea.finish()
    assert node.transactions == 0


def test_200_after_the_transaction_is_gone(kahea: Simulation) -> None:
    """A 200 that comes after wt_timer still finds the caller, by its Via (RFC 3261 §16.11)."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    leg = bob.ring()
    ok = leg.answer()
    call.wait(200)
    kahea.finish()
    assert node.transactions == 0
    bob.send(ok)
    kahea.run(1)
    assert len(sent(kahea, "200", alice)) == 2


def test_late_200_after_timeout(kahea: Simulation) -> None:
    node = proxy(kahea, fr_timer=2000)
    alice, bob = kahea.ua("alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    invite = bob.expect("INVITE")
    call.wait(408)
    bob.reply(invite, 200)
    kahea.run(1)
    assert [r.status for r in call.replies] == [100, 408, 200]
    kahea.finish()
    assert node.transactions == 0


def test_late_180_after_timeout_is_canceled(kahea: Simulation) -> None:
    node = proxy(kahea, fr_timer=2000)
    alice, bob = kahea.ua("alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    leg = bob.ring(status=0)
    call.wait(408)
    leg.progress(180)
    kahea.run(1)
    assert leg.canceled
    assert [r.status for r in call.replies] == [100, 408]
    kahea.finish()
    assert node.transactions == 0


def test_repeated_invites_are_absorbed(kahea: Simulation) -> None:
    """Each repeat gets the last reply again: 100, 180, the final one; the callee sees one INVITE."""
    node = proxy(kahea)
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    call = alice.invite(bob.contact)
    leg = bob.ring(status=0)
    bob.reply(leg.invite, 100)
    statuses = []
    for step in (lambda: None, lambda: leg.progress(180), lambda: leg.reject(404)):
        step()
        kahea.run(0.01)
        before = len(alice.received)
        alice.send(call.invite)
        kahea.run(0.01)
        statuses.append([m.status for m in alice.received[before:]])
    assert statuses == [[100], [180], [404]]
    assert len(sent(kahea, "INVITE", bob)) == 1
    kahea.finish()
    assert node.transactions == 0


def test_100_stays_with_its_hop(kahea: Simulation) -> None:
    proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    leg = bob.ring(status=0)
    for status in (100, 180, 181, 183, 199):
        leg.progress(status)
    leg.answer()
    call.wait(200)
    assert [r.status for r in call.replies] == [100, 180, 181, 183, 199, 200]
    assert call.replies[0].reason == "trying -- your call is important to us"


def test_a_reply_of_the_script_is_final(kahea: Simulation) -> None:
    node = proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact, headers=[("X-Opt", "reply")])
    assert (call.wait().status, call.wait().reason) == (480, "From here")
    bob.expect_nothing(within=5)
    kahea.finish()
    assert node.transactions == 0


@pytest.mark.parametrize(
    ("status", "relayed"), [(503, 500), (500, 500), (302, 302), (600, 600), (499, 499), (699, 699)]
)
def test_final_statuses(kahea: Simulation, status: int, relayed: int) -> None:
    node = proxy(kahea)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    bob.reject(status)
    assert call.wait().status == relayed
    kahea.finish()
    assert node.transactions == 0


def test_a_callee_that_hangs_up_its_host(kahea: Simulation) -> None:
    """A refused connection ends the branch at once."""
    node = proxy(kahea)
    alice = kahea.ua("alice")
    call = alice.invite("sip:bob@10.0.0.66;transport=tcp")
    assert call.wait().status == 477
    assert kahea.elapsed < 1
    kahea.finish()
    assert node.transactions == 0


def test_the_table_is_bounded(kahea: Simulation) -> None:
    node = proxy(kahea)
    node.node.layer.settings.max_transactions = 3
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    calls = [alice.invite(bob.contact) for _ in range(5)]
    kahea.run(1)
    assert node.transactions == 3
    # Beyond it nothing is kept, nor said: the caller asks again.
    assert [c.status for c in calls] == [100, 100, 100, 0, 0]
    kahea.finish()
    assert (node.transactions, node.node.layer.refused) == (0, 2)


def test_the_bytes_in_the_table_are_bounded(kahea: Simulation) -> None:
    """A long request that spirals back to us becomes many transactions."""
    node = proxy(kahea)
    layer = node.node.layer
    alice, bob = silent(kahea, "alice"), silent(kahea, "bob")
    first = alice.invite(bob.contact, headers=[("X-Long", "x" * 5000)])
    kahea.run(1)
    assert 5000 < layer.held < 6000
    layer.settings.max_held = layer.held + 1000
    long, short = alice.invite(bob.contact, headers=[("X-Long", "x" * 1000)]), alice.invite(bob.contact)
    kahea.run(1)
    assert [call.status for call in (first, long, short)] == [100, 0, 100]
    kahea.finish()
    assert (node.transactions, layer.refused, layer.held) == (0, 1, 0)
