"""Module auth against Kamailio: challenges, and what it makes of credentials, right and wrong in every way."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cfgs import CALLER, KAMAILIO, Kamailio, Ours, cfg_text
from hypothesis import given
from hypothesis import strategies as st

from kahea.modules.auth.nonce import Nonces, Verdict, Window, secrets_of
from kahea.sip.message import parse

#: Bodies by name; each is a route, run for a request with `X-Case: N`.
BODIES = {
    **{f"www {flags}": f'www_challenge("$fd", "{flags}"); exit;' for flags in (0, 1, 2, 3, 16, 17)},
    "proxy": 'proxy_challenge("$fd", "1"); exit;',
    "either": 'auth_challenge("$fd", "1"); exit;',
    "no realm": 'www_challenge("$var(none)", "1"); exit;',
    "no realm, no 500": 'if (!www_challenge("$var(none)", "5")) sl_send_reply("400", "Failed"); exit;',
    "get": 'auth_get_www_authenticate("$fd", "1", "$var(x)"); $var(o) = "x" + $rc + "[" + $var(x) + "]";',
    "check": """pv_www_authenticate("$fd", "secret", "0"); $var(o) = "x" + $rc;
        has_credentials("$fd"); $var(o) = $var(o) + " " + $rc;
        consume_credentials(); $var(o) = $var(o) + " " + $rc + " " + $au + " " + $AU;""",
    "proxy check": """pv_proxy_authenticate("$fd", "secret", "0"); $var(o) = "x" + $rc;
        consume_credentials(); $var(o) = $var(o) + " " + $rc + " " + $Au;""",
    "of user": """pv_auth_check("$fd", "secret", "0", "0"); $var(o) = "x" + $rc;
        pv_auth_check("$fd", "secret", "0", "1"); $var(o) = $var(o) + " " + $rc;
        pv_auth_check("$fd", "secret", "0", "3"); $var(o) = $var(o) + " " + $rc;""",
    "once": 'pv_www_authenticate("$fd", "secret", "0"); sl_send_reply("200", "x $rc"); exit;',
    "ha1": 'pv_www_authenticate("$fd", "$hdr(X-HA1)", "1"); $var(o) = "x" + $rc;',
    "no password": 'pv_www_authenticate("$fd", "$avp(none)", "0"); $var(o) = "x" + $rc;',
    "other method": 'pv_www_authenticate("$fd", "secret", "0", "OTHER"); $var(o) = "x" + $rc;',
    **{
        f"left {flags}": f"""pv_www_authenticate("$fd", "secret", "{flags}"); $var(o) = "x" + $rc;
        append_to_reply("$avp(digest_challenge)"); sl_send_reply("401", "Try"); exit;"""
        for flags in (2, 4, 8, 20)
    },
    "left by a proxy": """pv_proxy_authenticate("$fd", "secret", "4");
        append_to_reply("$avp(digest_challenge)"); sl_send_reply("407", "Try"); exit;""",
}
NUMBERS = {name: number for number, name in enumerate(BODIES)}
HASHES: dict[str, Callable[[bytes], Any]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}

_serial = count(1)


def request(name: str, method: str = "OPTIONS", headers: str = "", user: str = "alice", to: str = "alice") -> bytes:
    """A request that runs a body; all have one Call-ID, and branches of their own."""
    return (
        f"{method} sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{CALLER};branch=z9hG4bKc{next(_serial)}\r\n"
        f"From: <sip:{user}@a.com>;tag=1\r\nTo: <sip:{to}@a.com>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n"
        f"X-Case: {NUMBERS[name]}\r\n{headers}Content-Length: 0\r\n\r\n"
    ).encode()


def credentials(
    challenge: str, user: str = "alice", password: str = "secret", method: str = "OPTIONS",
    header: str = "Authorization", qop: str = "", nc: str = "00000001", **other: str | None,
) -> str:  # fmt: skip
    """The header that answers a challenge; `other` changes its fields, None leaves one out."""
    asked = dict(re.findall(r'(\w+)="?([^",\r]*)"?', challenge))
    algorithm = asked.get("algorithm", "MD5")

    def h(text: str) -> str:
        digest: str = HASHES[algorithm](text.encode()).hexdigest()
        return digest

    nonce, realm = asked["nonce"], asked["realm"]
    a1, a2 = h(f"{user}:{realm}:{password}"), h(f"{method}:sip:x")
    fields: dict[str, str | None] = {"username": user, "realm": realm, "nonce": nonce, "uri": "sip:x"}
    fields["response"] = h(f"{a1}:{nonce}:{nc}:abc:{qop}:{a2}" if qop else f"{a1}:{nonce}:{a2}")
    if qop:
        fields |= {"cnonce": "abc", "nc": nc, "qop": qop}
    if "algorithm" in asked:
        fields["algorithm"] = algorithm
    fields |= other
    bare = ("nc", "qop", "algorithm")
    parts = [f"{k}={v}" if k in bare else f'{k}="{v}"' for k, v in fields.items() if v is not None]
    return f"{header}: Digest {', '.join(parts)}\r\n"


class Talk:
    """A conversation with one server, kept with nonces and responses blanked."""

    def __init__(self, server: Kamailio | Ours) -> None:
        self.server = server
        self.said: list[str] = []

    def ask(self, what: str, name: str, *args: Any, **more: Any) -> str:
        outcome = self.server.run(request(name, *args, **more))
        text = "".join([*outcome.caller, *outcome.sink])
        blank = re.sub(r"z9hG4bKc\d+", "B", text)
        blank = re.sub(r'(nonce=|response=|rspauth=)"[^"]*"', r'\1"N"', blank)
        self.said.append(f"{what}: {blank}")
        return text

    def challenge(self, name: str = "www 1") -> str:
        found = re.search(r"WWW-Authenticate: .*\r\n", self.ask("challenge", name))
        assert found is not None
        return found[0]


def every_body(talk: Talk) -> None:
    for name in BODIES:
        for method in ("OPTIONS", "REGISTER"):
            talk.ask(f"{name} {method}", name, method)


def every_mistake(talk: Talk) -> None:
    c = talk.challenge("www 0")
    nonce = re.findall('nonce="([^"]*)', c)[0]
    cases = {
        "none": "",
        "right": credentials(c),
        "wrong": credentials(c, password="x"),
        "another user": credentials(c, user="bob"),
        "user with domain": credentials(c, user="alice@a.com"),
        "another realm": credentials(c, realm="zz"),
        "realm's case": credentials(c, realm="A.com"),
        "short nonce": credentials(c, nonce="abcdef"),
        "changed nonce": credentials(c, nonce=nonce[:20] + ("A" if nonce[20] != "A" else "B") + nonce[21:]),
        "no base64": credentials(c, nonce=f"*{nonce[1:]}"),
        "qop": credentials(c, qop="auth"),
        "odd count": credentials(c, qop="auth", nc="xx"),
        "no uri": credentials(c, uri=None),
        "no user": credentials(c, username=None),
        "empty user": credentials(c, username=""),
        "no response": credentials(c, response=None),
        "short response": credentials(c, response="abc"),
        "upper-case response": credentials(c).replace('response="', 'response="A'),
        "another algorithm": credentials(c, algorithm="SHA-256"),
        "no count": credentials(c, qop="auth", nc="00000001").replace("nc=00000001, ", ""),
        "basic": "Authorization: Basic YTpi\r\n",
        "no fields": "Authorization: Digest\r\n",
        "malformed": "Authorization: Digest ===\r\n",
        "empty": "Authorization:\r\n",
        "second": credentials(c, realm="zz") + credentials(c),
        "first of two": credentials(c, password="zz") + credentials(c),
        "right and another": credentials(c) + credentials(c, realm="zz"),
        "in the other header": credentials(c, header="Proxy-Authorization"),
    }
    for what, headers in cases.items():
        for name in ("check", "proxy check"):
            talk.ask(what, name, headers=headers)
    talk.ask("other method", "other method", headers=credentials(c, method="OTHER"))
    talk.ask("no password", "no password", headers=credentials(c, password="<null>"))
    ha1 = hashlib.md5(b"alice:a.com:secret").hexdigest()
    talk.ask("ha1", "ha1", headers=f"X-HA1: {ha1}\r\n{credentials(c)}")


def every_user(talk: Talk) -> None:
    c = talk.challenge("www 0")
    for method in ("OPTIONS", "REGISTER", "MESSAGE", "PUBLISH", "CANCEL"):
        for header in ("Authorization", "Proxy-Authorization"):
            for user, to in (("alice", "alice"), ("alice", "zed"), ("zed", "alice"), ("zed", "zed")):
                headers = credentials(c, method=method, header=header)
                talk.ask(f"{method} {user} {to}", "of user", method, headers, user, to)


def many_times(talk: Talk) -> None:
    c = talk.challenge()
    for nc in ("00000001", "00000001", "00000002", "00000005", "00000004", "000000ff", "00000100", "xx"):
        talk.ask(nc, "once", headers=credentials(c, qop="auth", nc=nc))
    for _ in range(2):
        talk.ask("without qop", "once", headers=credentials(c))
    c = talk.challenge()
    talk.ask("wrong first", "once", headers=credentials(c, qop="auth", password="x"))
    talk.ask("then right", "once", headers=credentials(c, qop="auth"))
    talk.ask(
        "another source of the same", "once", "MESSAGE", credentials(c, qop="auth", nc="00000009", method="MESSAGE")
    )


SETTINGS = {
    "plain": ("", (every_body, every_mistake, every_user, many_times)),
    "counted": ('modparam("auth", "nonce_count", 1)', (many_times,)),
    "once": ('modparam("auth", "one_time_nonce", 1)', (many_times,)),
    "both": ('modparam("auth", "nonce_count", 1)\nmodparam("auth", "one_time_nonce", 1)', (many_times,)),
    "bound": ('modparam("auth", "auth_checks_no_dlg", 15)', (many_times,)),
    "sha": ('modparam("auth", "algorithm", "SHA-256")', (every_body, every_mistake)),
    "md5": ('modparam("auth", "algorithm", "MD5")\nmodparam("auth", "qop", "auth")', (every_body,)),
    "info": ('modparam("auth", "add_authinfo_hdr", 1)', (many_times,)),
    "info once": ('modparam("auth", "add_authinfo_hdr", 1)\nmodparam("auth", "one_time_nonce", 1)', (many_times,)),
    "prefix": ('modparam("auth", "realm_prefix", "a.")', (every_body, many_times)),
    "names": (
        'modparam("auth", "www_challenge_header", "X-W")\nmodparam("auth", "proxy_challenge_header", "X-P")',
        (every_body,),
    ),
}


@pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed")
@pytest.mark.parametrize("setting", SETTINGS)
def test_as_kamailio_does(setting: str, tmp_path: Path) -> None:
    extra, talks = SETTINGS[setting]
    text = cfg_text(list(BODIES.values()), extra, ["auth"])
    kamailio = Kamailio(tmp_path, text)
    try:
        theirs = Talk(kamailio)
        for talk in talks:
            talk(theirs)
    finally:
        kamailio.stop()
    ours = Talk(Ours(text))
    for talk in talks:
        talk(ours)
    assert ours.said == [known(said) for said in theirs.said]


def known(said: str) -> str:
    """What Kamailio says, but for the one difference: without qop there is no proof of ours to give (RFC 7616 §3.5)."""
    return said.replace(', qop=, rspauth="N", cnonce="N", nc=', "")


NOW = 1_000_000_000
MESSAGE = parse(request("check"))


def nonces(clock: list[float], **more: Any) -> Nonces:
    given: dict[str, Any] = {"life": 300, "drift": 3, "counts": None, "once": None} | more
    return Nonces(secrets_of("a phrase"), lambda: clock[0], **given)


def test_a_nonce_lives_for_its_time() -> None:
    clock = [float(NOW)]
    made = nonces(clock)
    nonce = made.make(MESSAGE, 0)
    for later, verdict in ((-4, Verdict.STALE), (-3, Verdict.GOOD), (300, Verdict.GOOD), (301, Verdict.STALE)):
        clock[0] = NOW + later
        assert made.check(nonce, MESSAGE, 0, b"") is verdict


def test_another_server_s_nonce_is_good_by_the_phrase_alone() -> None:
    clock = [float(NOW)]
    nonce = nonces(clock).make(MESSAGE, 0)
    assert nonces(clock).check(nonce, MESSAGE, 0, b"") is Verdict.GOOD
    other = Nonces(secrets_of("another"), lambda: clock[0], 300, 3, None, None)
    assert other.check(nonce, MESSAGE, 0, b"") is Verdict.BAD
    assert secrets_of("") != secrets_of("")


@given(st.binary(max_size=60))
def test_no_other_bytes_are_a_nonce(data: bytes) -> None:
    assert nonces([float(NOW)]).check(data, MESSAGE, 0, b"") is Verdict.BAD


def test_the_window_forgets_the_oldest() -> None:
    clock = [float(NOW)]
    once = Window(2)
    made = nonces(clock, once=once)
    first, second, third = (made.make(MESSAGE, 0) for _ in range(3))
    assert made.check(first, MESSAGE, 0, b"") is Verdict.STALE
    assert made.check(second, MESSAGE, 0, b"") is Verdict.GOOD
    assert made.check(second, MESSAGE, 0, b"") is Verdict.REUSED
    assert made.check(third, MESSAGE, 0, b"") is Verdict.GOOD


@pytest.mark.parametrize("checks", [1, 2, 4, 8])
def test_a_nonce_is_bound_to_its_request(checks: int) -> None:
    made = nonces([float(NOW)])
    nonce = made.make(MESSAGE, checks)
    changed = parse(
        MESSAGE.raw.replace(b"sip:x@example.com", b"sip:y@example.com")
        .replace(b"Call-ID: c", b"Call-ID: d")
        .replace(b"tag=1", b"tag=2")
    )
    changed.set_origin(b"192.0.2.1", 5060, b"192.0.2.2", 5060, 1, None, None, 0, 0.0, 1)
    assert made.check(nonce, MESSAGE, checks, b"") is Verdict.GOOD
    assert made.check(nonce, changed, checks, b"") is Verdict.STALE
    assert made.check(made.make(MESSAGE, 0), MESSAGE, checks, b"") is Verdict.STALE
