"""Tests of the script: `pytest` runs it in the real engine, on a virtual clock and network, with no sockets.

What a test can do is told in Kahea's docs/testing.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("@SCRIPT@")
DOMAIN = "10.0.0.9"


@pytest.fixture
def proxy(kahea):
    return kahea.node(SCRIPT, f"udp:{DOMAIN}:5060")


@pytest.fixture
def alice(kahea, proxy):
    return kahea.ua("alice", domain=DOMAIN)


@pytest.fixture
def bob(kahea, proxy):
    phone = kahea.ua("bob", domain=DOMAIN)
    assert phone.register().status == 200
    return phone


def test_a_call_to_a_phone_that_registered(kahea, alice, bob):
    call = alice.invite(bob.uri)
    answered = bob.answer()
    call.wait(200)
    answered.wait_ack()
    assert answered.invite["Record-Route"].startswith(f"<sip:{DOMAIN}")
    assert call.bye().status == 200
    kahea.finish()


def test_a_phone_that_is_busy(alice, bob):
    call = alice.invite(bob.uri)
    bob.reject(486)
    assert call.wait().status == 486


def test_a_caller_who_gives_up(alice, bob):
    call = alice.invite(bob.uri)
    ringing = bob.ring()
    call.wait(180)
    call.cancel()
    assert call.wait().status == 487
    assert ringing.canceled


def test_refusals(alice):
    assert alice.invite(f"sip:nobody@{DOMAIN}").wait().status == 404
    assert alice.invite("sip:bob@elsewhere.example").wait().status == 403
    assert alice.options(f"sip:{DOMAIN}").reason == "Here"
