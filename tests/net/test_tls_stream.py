"""TLS without sockets: two ends joined in memory, and the ClientHello that is read before there is a session."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tls_files import Authority

from kahea.net.tls_profiles import Profile
from kahea.net.tls_stream import CLOSED, MAX_HELLO, HelloReader, TlsError, TlsStream


def profile(authority: Authority, *, server: bool = True, **more: object) -> Profile:
    files = authority.sign("peer") if "certificate" not in more else None
    if files is not None:
        more |= {"certificate": str(files.certificate), "private_key": str(files.key)}
    return Profile(server=server, default=True, method="TLSv1.2+", **more)  # type: ignore[arg-type]


def stream(one: Profile, name: str = "") -> TlsStream:
    depth = one.verify_depth if one.verifies else None
    return TlsStream(one.contexts[one.method], server=one.server, server_name=name, max_depth=depth)


def joined(server: Profile, client: Profile, name: str = "") -> tuple[TlsStream, TlsStream]:
    """Both ends after their handshake."""
    a, b = stream(server), stream(client, name)
    b.shake()
    for _ in range(4):
        if not a.done:
            a.shake(b.outgoing())
        if not b.done:
            b.shake(a.outgoing())
    assert a.done
    assert b.done
    return a, b


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def requested_name(data: bytes) -> str | None:
    return HelloReader().feed(data)


def hello(name: str | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = TlsStream(context, server=False, server_name=name or "")
    client.shake()
    return client.outgoing()


def test_what_one_end_encrypts_the_other_reads(authority: Authority) -> None:
    a, b = joined(profile(authority), profile(authority, server=False))
    b.receive(a.outgoing())
    for size in (1, 16384, 60_000):
        a.encrypt(b"x" * size)
        assert b.receive(a.outgoing()) == b"x" * size
    b.encrypt(b"one")
    b.encrypt(b"two")
    sent = b.outgoing()
    # A record in two reads, and two records in one.
    assert a.receive(sent[:9]) == b""
    assert a.receive(sent[9:]) == b"onetwo"
    assert (a.version, a.cipher) == (b.version, b.cipher)
    assert a.version == "TLSv1.3"


def test_a_farewell_ends_the_other_side(authority: Authority) -> None:
    a, b = joined(profile(authority), profile(authority, server=False))
    a.encrypt(b"last")
    a.farewell()
    assert b.receive(a.outgoing()) == b"last"
    assert b.ended == CLOSED


def test_a_changed_record_is_an_error_with_an_alert(authority: Authority) -> None:
    a, b = joined(profile(authority), profile(authority, server=False))
    a.encrypt(b"hello")
    record = bytearray(a.outgoing())
    record[-1] ^= 1
    b.outgoing()
    assert b.receive(bytes(record)) == b""
    assert "bad record mac" in b.ended
    assert b.outgoing()


def test_what_came_before_a_bad_record_is_not_lost(authority: Authority) -> None:
    a, b = joined(profile(authority), profile(authority, server=False))
    b.receive(a.outgoing())
    a.encrypt(b"good")
    assert b.receive(a.outgoing() + b"this is no record") == b"good"
    assert b.ended == "wrong version number"


def test_verify_depth_counts_the_authorities_between(authority: Authority, tmp_path: Path) -> None:
    between = Authority(tmp_path, "between", by=authority)
    leaf = between.sign("leaf")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf.certificate.read_bytes() + between.files.certificate.read_bytes())
    server = profile(authority, certificate=str(chain), private_key=str(leaf.key))
    roots = {"verify": True, "ca_list": str(authority.files.certificate)}
    joined(server, profile(authority, server=False, verify_depth=1, **roots))
    with pytest.raises(TlsError, match="verify_depth"):
        joined(server, profile(authority, server=False, verify_depth=0, **roots))


@pytest.mark.parametrize("name", ["sip.example.org", "a" * 60 + ".example", None])
def test_the_name_in_a_client_hello(name: str | None) -> None:
    data = hello(name)
    assert requested_name(data) == (name or "")
    assert requested_name(data + b"more") == (name or "")
    reader = HelloReader()
    assert [reader.feed(data[at : at + 1]) for at in range(len(data))] == [None] * (len(data) - 1) + [name or ""]


def test_a_client_hello_in_small_records() -> None:
    body = hello("Sip.Example.org")[5:]
    data = b"".join(b"\x16\x03\x01\x00" + bytes([len(part)]) + part for part in
                    (body[at : at + 50] for at in range(0, len(body), 50)))  # fmt: skip
    assert requested_name(data) == "sip.example.org"


def test_what_is_no_client_hello_has_no_name() -> None:
    assert requested_name(b"INVITE sip:a@b SIP/2.0\r\n") == ""
    assert requested_name(b"\x16\x03\x01\x00\x00") == ""
    assert requested_name(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00") == ""
    assert requested_name(b"\x16\x03\x01\x00\x00\x00") == ""
    # One that never ends is given to OpenSSL, which refuses it.
    assert requested_name(b"\x16\x03\x01\xff\xff\x01\xff\xff\xff" + bytes(MAX_HELLO)) == ""


def test_many_small_records_cost_little() -> None:
    """Each byte is looked at once: the time that a client can take is bounded by what it sends."""
    reader = HelloReader()
    record = b"\x16\x03\x01\x00\x01"
    started = time.process_time()
    assert reader.feed(record + b"\x01") is None
    for _ in range(MAX_HELLO // 6 - 1):
        assert reader.feed(record + b"\xff") is None
    assert reader.feed(bytes(6)) == ""
    assert time.process_time() - started < 0.5


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255), st.integers(1, 60))
def test_any_bytes_are_survived_however_cut(data: bytes, at: int, value: int, step: int) -> None:
    changed = bytearray(_HELLO)
    changed[at % len(changed)] = value
    for whole in (data, b"\x16\x03\x01" + data, bytes(changed), bytes(changed) + data):
        reader = HelloReader()
        found = (reader.feed(whole[start : start + step]) for start in range(0, len(whole), step))
        assert next((name for name in found if name is not None), None) == requested_name(whole)


_HELLO = hello("sip.example.org")
