"""The location tables in memory: order, expiry, ids, and that they hold what they should and no more."""

from __future__ import annotations

import sys
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kahea.modules.usrloc.contact import Contact, Registration, bare_instance, format_q
from kahea.modules.usrloc.domain import Domain, OldCSeq, Retransmission, Rules
from kahea.modules.usrloc.expiry import Expiry
from kahea.modules.usrloc.notation import aor_hash, reverse_hex


def make_domain(**rules: object) -> Domain:
    numbers = count(1)
    return Domain("location", Rules(**rules), lambda: b"uloc-%d" % next(numbers))  # type: ignore[arg-type]


def add(domain: Domain, uri: bytes, q: int = -1, expires: int = 1000, aor: bytes = b"bob", cseq: int = 1) -> Contact:
    return domain.insert(aor, Registration(b"call", cseq, 100), uri, expires, q)


@pytest.mark.parametrize(
    ("aor", "hashed"),
    [
        (b"", 0),
        (b"a", 109),
        (b"k2", 26211),
        (b"a@y", 7174542),
        (b"s2@y", 2103942801),
        (b"bob@ex.com", 3625704697),
    ],
)
def test_hashes_are_kamailios(aor: bytes, hashed: int) -> None:
    assert aor_hash(aor) == hashed


@given(st.integers(0, 2**32 - 1))
def test_reversed_hexadecimal(number: int) -> None:
    assert int(reverse_hex(number)[::-1], 16) == number


@given(st.integers(0, 1000))
def test_q_values_are_written_as_they_are_read(q: int) -> None:
    assert round(float(format_q(q)) * 1000) == q


def test_what_has_no_q_shows_none() -> None:
    assert format_q(-1) == b""


@pytest.mark.parametrize(
    ("given", "bare"), [(b"<urn:x>", b"urn:x"), (b"urn:x", b"urn:x"), (b"", b""), (b"<", b"<"), (b"<>", b"")]
)
def test_bare_instances(given: bytes, bare: bytes) -> None:
    assert bare_instance(given) == bare


@given(st.lists(st.integers(-1, 1000), max_size=12))
def test_new_contacts_stand_by_q(qs: list[int]) -> None:
    domain = make_domain()
    for number, q in enumerate(qs):
        add(domain, b"sip:%d" % number, q)
    contacts = domain.get(b"bob") or []
    assert [c.q for c in contacts] == sorted(qs, reverse=True)
    # Equals stand in the order in which they came.
    assert [c.uri for c in contacts] == [
        b"sip:%d" % number for number, _ in sorted(enumerate(qs), key=lambda pair: -pair[1])
    ]


@given(st.lists(st.integers(1, 500), max_size=40), st.integers(1, 70), st.lists(st.integers(1, 600), max_size=5))
def test_what_is_due_is_what_has_ended(ends: list[int], width: int, times: list[int]) -> None:
    expiry = Expiry(width)
    domain = make_domain(width=width)
    watched = set()
    for number, end in enumerate(ends):
        contact = add(domain, b"sip:%d" % number, expires=end)
        domain.expiry.remove(contact)
        expiry.add(contact)
        watched.add(contact)
    for now in sorted(times):
        due = set(expiry.due(now))
        assert due == {c for c in watched if c.expires <= now}
        watched -= due
    assert set(expiry.due(10_000)) == watched
    assert not expiry._buckets


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=20))
def test_refreshed_contacts_are_due_at_their_new_time(changes: list[tuple[int, int]]) -> None:
    domain = make_domain(width=30)
    for number, (first, second) in enumerate(changes):
        contact = add(domain, b"sip:%d" % number, expires=first)
        domain.update(contact, Registration(b"call", 2, 100), contact.uri, second, -1)
    for now in range(0, 330, 10):
        for contact in domain.expiry.due(now):
            assert now - 10 < contact.expires <= now
            domain.delete(contact)
    assert not domain.records


def test_permanent_contacts_never_end() -> None:
    domain = make_domain()
    contact = add(domain, b"sip:1", expires=0)
    assert domain.expiry.due(2**40) == []
    assert contact.is_valid(2**40)


def test_the_same_request_again() -> None:
    domain = make_domain(cseq_delay=20)
    contact = add(domain, b"sip:1", cseq=5)
    contacts = domain.get(b"bob") or []

    def match(cseq: int, now: int, callid: bytes = b"call") -> Contact | None:
        return domain.match(contacts, Registration(callid, cseq, now), b"sip:1", b"", 0)

    assert match(6, 100) is contact
    assert match(1, 100, b"other") is contact
    with pytest.raises(Retransmission):
        match(5, 119)
    with pytest.raises(OldCSeq):
        match(5, 120)
    with pytest.raises(OldCSeq):
        match(4, 100)


def test_a_contact_takes_less_than_a_kilobyte() -> None:
    """100,000 users with one contact each, as phones register them."""
    tracemalloc = pytest.importorskip("tracemalloc")
    number = 20_000
    domain = make_domain()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for i in range(number):
        registration = Registration(b"%032x@192.0.2.%d" % (i, i % 250), 10_000 + i, 1_767_225_600 + i)
        registration.user_agent = b"Telephone/1.2.3 (example)"
        registration.received = b"sip:192.0.2.%d:%d" % (i % 250, 1024 + i)
        uri = b"sip:user%d@192.168.1.10:5060;transport=udp;line=%08x" % (i, i)
        domain.insert(b"user%d" % i, registration, uri, 1_767_229_200 + i, -1)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / number < 1024
    assert sys.getsizeof(next(iter(domain))) < 300


class Table(RuleBasedStateMachine):
    """Whatever is done to a table, its counts and indexes agree with what is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.domain = make_domain(width=10, index_ruids=True)
        self.cseq = 0
        self.now = 100

    @rule(
        aor=st.sampled_from([b"a", b"b"]),
        uri=st.sampled_from([b"sip:1", b"sip:2", b"sip:3"]),
        q=st.integers(-1, 3),
        last=st.integers(1, 50),
        instance=st.sampled_from([b"", b"", b"<urn:1>"]),
    )
    def register(self, aor: bytes, uri: bytes, q: int, last: int, instance: bytes) -> None:
        self.cseq += 1
        registration = Registration(b"call", self.cseq, self.now)
        found = self.domain.match(self.domain.get(aor) or [], registration, uri, instance, 0)
        if found is None:
            self.domain.insert(aor, registration, uri, self.now + last, q, instance)
        else:
            self.domain.update(found, registration, uri, self.now + last, q, instance)

    @rule(aor=st.sampled_from([b"a", b"b"]), which=st.integers(0, 3))
    def remove(self, aor: bytes, which: int) -> None:
        contacts = self.domain.get(aor) or []
        if which < len(contacts):
            self.domain.delete(contacts[which])

    @rule(aor=st.sampled_from([b"a", b"b"]))
    def remove_all(self, aor: bytes) -> None:
        self.domain.delete_record(aor)
        assert self.domain.get(aor) is None

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        for contact in self.domain.expiry.due(self.now):
            assert contact.expires <= self.now
            self.domain.delete(contact)
        assert all(contact.expires > self.now for contact in self.domain)

    @invariant()
    def agrees(self) -> None:
        contacts = list(self.domain)
        assert self.domain.contacts == len(contacts)
        assert {c.ruid for c in contacts} == set(self.domain.by_ruid)
        assert all(self.domain.records.values())
        watched = [c for bucket in self.domain.expiry._buckets.values() for c in bucket]
        assert len(watched) == len(contacts)
        assert set(watched) == set(contacts)


TestTable = Table.TestCase
