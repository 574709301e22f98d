"""uac: challenges to branches answered, as by Kamailio and by the RFCs that it leaves out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from digests import judged
from processes import KAMAILIO, Server, compared, request

from kahea.modules.uac.answering import Login, NoAnswer, authorization
from kahea.routing.module import ConfigError
from kahea.sip.digest import Credentials, ha1, parse_credentials, response_of
from kahea.sip.message import Message, parse
from kahea.testing import Simulation, SipMessage

needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

HA1 = "0123456789abcdef0123456789abcdef"
CFG = """
loadmodule "textops.so"
loadmodule "rr.so"
loadmodule "corex.so"
loadmodule "tmx.so"
loadmodule "uac.so"
modparam("uac", "restore_mode", "none")
modparam("uac", "credential", "first:listed:pw1")
modparam("uac", "credential", "second:listed:pw2")
modparam("uac", "credential", " spaced : other : p:w ")
modparam("uac", "auth_realm_avp", "$avp(realm)")
modparam("uac", "auth_username_avp", "$avp(user)")
modparam("uac", "auth_password_avp", "$avp(pass)")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    $du = "sip:@SINK";
    t_on_failure("AUTH");
    t_relay();
}
failure_route[AUTH] {
    if ($hdr(X-Realm) != $null) { $avp(realm) = $hdr(X-Realm); $avp(user) = "own"; $avp(pass) = "mine"; }
    switch ($rU) {
        case "norealm": $avp(user) = "own"; $avp(pass) = "mine"; uac_auth(); break;
        case "nouser": $avp(realm) = "listed"; $avp(pass) = "mine"; uac_auth(); break;
        case "nopass": $avp(realm) = "r"; $avp(user) = "own"; $avp(pass) = ""; uac_auth(); break;
        case "ha1": $avp(pass) = "HASH"; uac_auth("1"); break;
        case "ha1var": $avp(pass) = "HASH"; $var(m) = 1; uac_auth("$var(m)"); break;
        case "ha1mode": $avp(pass) = "HASH"; uac_auth_mode("1"); break;
        case "mode0": uac_auth_mode("0"); break;
        case "mode2": $var(m) = 2; uac_auth("$var(m)"); break;
        case "twice": uac_auth(); uac_auth(); break;
        case "before": $ru = "sip:elsewhere@other.org"; uac_auth(); break;
        case "after": uac_auth(); $ru = "sip:elsewhere@other.org"; break;
        default: uac_auth();
    }
    $var(rc) = $rc;
    send_data("sip:@CALLER", "rc $var(rc) $ru");
    if ($var(rc) > 0) { t_on_failure("AUTH"); t_relay(); }
}
""".replace("HASH", HA1)


class Case(NamedTuple):
    """A challenge (without its scheme) to a request for a user; `realm` is what the script's own login is for."""

    user: str
    challenge: str
    status: int = 401
    header: str = ""
    realm: str = "r"
    extra: str = ""
    method: str = "INVITE"


R = 'realm="r", nonce="n"'
LISTED = 'realm="listed", nonce="n"'
CASES = [
    Case("x", R),
    Case("x", R, 407),
    Case("x", R, 401, "Proxy-Authenticate: Digest"),
    Case("x", R, 407, "WWW-Authenticate: Digest"),
    Case("x", R, 401, "www-authenticate: DIGEST"),
    Case("x", R, 401, "WWW-Authenticate: Basic"),
    Case("x", R, 403, "WWW-Authenticate: Digest"),
    Case("x", f'{R}, qop="auth"'),
    Case("x", f'{R}, qop="auth,auth-int", opaque="o", stale=true, algorithm=MD5'),
    Case("x", f"{R}, qop=auth, algorithm=md5"),
    Case("x", f'{R}, qop="", algorithm="MD5", opaque=""'),
    Case("x", f"{R}, algorithm=MD5-sess"),
    Case("x", f'domain="sip:x", {R}, foo=bar'),
    Case("x", 'nonce="n"'),
    Case("x", 'realm="r"'),
    Case("x", 'realm="r", nonce=""'),
    Case("x", 'realm="R", nonce="n"'),
    Case("x", R + '\r\nWWW-Authenticate: Digest realm="listed", nonce="m"'),
    Case("x", LISTED),
    Case("x", 'realm="other", nonce="n"'),
    Case("x", 'realm="neither", nonce="n"'),
    Case("x", LISTED, realm="listed"),
    Case("x", LISTED, realm=""),
    Case("norealm", 'realm="any", nonce="n"', realm=""),
    Case("nouser", LISTED, realm=""),
    Case("nopass", R, realm=""),
    Case("mode0", R),
    Case("mode2", R),
    Case("twice", R),
    Case("before", R),
    Case("after", R),
    Case("x", f'{R}, qop="auth"', extra='Authorization: Digest username="a", realm="r", nonce="b", uri="c"\r\n'),
    Case("x", f'{R}, qop="auth"', method="OPTIONS"),
    Case("x", f'{R}, qop="auth"', method="REGISTER"),
    # Last: from here on Kamailio takes every password for HA1.
    Case("ha1", R),
    Case("ha1var", R),
    Case("ha1mode", f'{R}, qop="auth"'),
]


def answered(server: Server, number: int, case: Case) -> list[str]:
    """A request that is challenged: what the script said, the request that came with credentials; and the same again
    for that one, which begins anew."""
    realm = f"X-Realm: {case.realm}\r\n" if case.realm else ""
    callid = f"c{number}"
    server.caller.send(request(case.method, f"sip:{case.user}@example.com", realm + case.extra, callid=callid))
    out: list[str] = []
    name = case.header or f"{'WWW' if case.status == 401 else 'Proxy'}-Authenticate: Digest"
    for _ in range(2):
        while f"\r\nCall-ID: {callid}\r\n" not in (got := server.sink.expect(case.method)):
            pass
        out.append(got)
        server.sink.reply(got, f"{case.status} Who", f"{name} {case.challenge}\r\n")
        out.append(server.caller.expect("rc"))
        if not out[-1].startswith("rc 1 "):
            break
    return out


def checked(server: Server, case: Case, message: str) -> str:
    """A message without what is made up."""
    passwords = {b"own": b"mine", b"first": b"pw1", b"second": b"pw2", b"spaced": b"p:w"}

    def secret_of(credentials: Credentials) -> bytes:
        user = credentials.username
        if case.user.startswith("ha1"):
            return HA1.encode()
        return ha1(b"MD5", user, credentials.realm, passwords[user])

    return re.sub(r"<B\d+>", "B", judged(server, message, secret_of))


@needs_kamailio
def test_challenges_are_answered_as_by_kamailio(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[list[str]]:
        return [
            [checked(server, case, message) for message in answered(server, number, case)]
            for number, case in enumerate(CASES)
        ]

    theirs, ours = compared(tmp_path, CFG, [], scenario)
    for case, want, have in zip(CASES, theirs, ours, strict=True):
        assert have == want, case
    assert sum('response="right"' in "".join(each) for each in ours) >= 20
    assert 'response="wrong"' not in str(ours)


# ---- what Kamailio can't


def challenged(*challenges: str, status: int = 401) -> Message:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    lines = "".join(f"{name}: {challenge}\r\n" for challenge in challenges)
    return parse(
        f"SIP/2.0 {status} Who\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{lines}Content-Length: 0\r\n\r\n".encode()
    )


def find(realm: bytes) -> Login | None:
    return Login(b"u", b"p") if realm == b"r" else None


def test_every_challenge_is_tried_in_turn() -> None:
    """A realm that nobody knows, an algorithm that nobody has, garbage: the next one may do (RFC 8760 §2.4)."""
    reply = challenged(
        'Basic realm="r"',
        'Digest realm="x", nonce="0"',
        'Digest realm="r", nonce="1", algorithm=ROT13',
        'Digest realm="r", nonce="1", qop="auth-int"',
        "Digest realm=",
        'Digest realm="r", nonce="2", algorithm=SHA-256, qop="auth"',
        'Digest realm="r", nonce="3"',
    )
    line = authorization(reply, find, b"REGISTER", b"sip:b")
    assert line.startswith(b"Authorization: Digest ")
    assert line.endswith(b", algorithm=SHA-256\r\n")
    made = parse_credentials(line.partition(b": ")[2].strip())
    assert made.nonce == b"2"
    assert made.response == response_of(made, b"REGISTER", ha1(b"SHA-256", b"u", b"r", b"p"))
    assert len(made.response) == 64


def test_a_nonce_is_not_answered_twice_alike() -> None:
    reply = challenged('Digest realm="r", nonce="n", qop="auth"')
    assert authorization(reply, find, b"REGISTER", b"sip:b") != authorization(reply, find, b"REGISTER", b"sip:b")


@pytest.mark.parametrize(
    ("challenges", "why"),
    [
        ([], "no challenge"),
        (['Digest realm="x", nonce="n"'], "no login for the realm"),
        (['Digest realm="r", nonce="n", qop="auth-int"'], "none is known"),
        (['Digest realm="r", nonce="n", algorithm=ROT13'], "not known"),
        (['Digest realm="r", nonce="n", realm="x"'], "Repeated"),
        (["Digest " + "x" * 9000], "Too Long"),
    ],
)
def test_challenges_without_an_answer(challenges: list[str], why: str) -> None:
    with pytest.raises(NoAnswer, match=why):
        authorization(challenged(*challenges), find, b"REGISTER", b"sip:b")


def test_ha1_is_of_one_algorithm() -> None:
    def hashed(_realm: bytes) -> Login:
        return Login(b"u", HA1.encode(), is_ha1=True)

    both = challenged('Digest realm="r", nonce="1", algorithm=SHA-256', 'Digest realm="r", nonce="2"')
    assert b'nonce="2"' in authorization(both, hashed, b"REGISTER", b"sip:b")
    with pytest.raises(NoAnswer, match="HA1"):
        authorization(challenged('Digest realm="r", nonce="1", algorithm=SHA-256'), hashed, b"REGISTER", b"sip:b")


def test_a_challenge_adds_no_header() -> None:
    """What the far end chose goes into the request: quoted, whatever it has."""

    def any_realm(_realm: bytes) -> Login:
        return Login(b"u", b"p")

    line = authorization(challenged('Digest realm="a\\"b\r\n X: 1", nonce="n"'), any_realm, b"REGISTER", b"sip:b")
    assert line.count(b"\r\n") == 1
    assert b'realm="a\\"b' in line


# ---- parameters


HEAD = (
    '#!KAMAILIO\nloadmodule "rr.so"\nloadmodule "sl.so"\nloadmodule "tm.so"\nloadmodule "pv.so"\nloadmodule "uac.so"\n'
)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ('modparam("uac", "credential", "u:r")', "user:realm:password"),
        ('modparam("uac", "credential", "u::p")', "user:realm:password"),
        ('modparam("uac", "auth_realm_avp", "$avp(x)")', "all three or none"),
        (
            'modparam("uac", "auth_realm_avp", "x")\nmodparam("uac", "auth_username_avp", "$avp(u)")\n'
            'modparam("uac", "auth_password_avp", "$avp(p)")',
            "auth_realm_avp",
        ),
        ('modparam("uac", "restore_dlg", 1)', "no module dialog"),
    ],
)
def test_parameters_that_will_not_do(kahea: Simulation, params: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        kahea.node(f"{HEAD}{params}\nrequest_route {{ exit; }}\n", "udp:10.0.0.9:5060")


# ---- in a simulation


CHALLENGE = ("WWW-Authenticate", 'Digest realm="r", nonce="n"')


def is_right(request: SipMessage, secret: bytes) -> bool:
    made = parse_credentials((request.header("Authorization") or "").encode())
    return made.response == response_of(made, request.method.encode(), secret)


def test_a_branch_that_failed_is_tried_again_with_credentials(kahea: Simulation) -> None:
    cfg = f"""{HEAD}modparam("uac", "restore_mode", "none")
modparam("uac", "credential", "u:r:p")
request_route {{
    t_on_branch_failure("again"); t_relay();
}}
event_route[tm:branch-failure:again] {{ if (uac_auth()) {{ t_on_branch_failure("again"); t_relay(); }} }}
"""
    kahea.node(cfg, "udp:10.0.0.9:5060")
    alice, far = kahea.ua("alice"), kahea.ua("far", "udp:10.0.0.2:5060")
    call = alice.invite("sip:far@10.0.0.2")
    far.reply(far.expect("INVITE"), 401, headers=[CHALLENGE])
    again = far.expect("INVITE")
    assert is_right(again, ha1(b"MD5", b"u", b"r", b"p"))
    far.reply(again, 200)
    assert call.wait().status == 200


def test_where_no_branch_failed_there_is_nothing_to_answer(kahea: Simulation) -> None:
    script = "import KSR as KSR\nclass S:\n    def child_init(self, r): return 0\n"
    script += "    def ksr_request_route(self, m):\n        KSR.sl.sl_send_reply(200 - KSR.uac.uac_auth(), 'x')\n"
    script += "def mod_init(): return S()\n"
    kahea.node(script, "udp:10.0.0.9:5060", language="py")
    assert kahea.ua("alice").options("sip:x@10.0.0.9").status == 201
    kahea.errors.clear()


@pytest.mark.parametrize(("flags", "secret"), [(0, ha1(b"MD5", b"u", b"r", HA1.encode())), (1, HA1.encode())])
def test_the_password_of_a_request_may_be_ha1(kahea: Simulation, flags: int, secret: bytes) -> None:
    kahea.node(
        f"""{HEAD}request_route {{
    $uac_req(method) = "OPTIONS"; $uac_req(ruri) = "sip:far@10.0.0.2"; $uac_req(flags) = {flags};
    $uac_req(auser) = "u"; $uac_req(apasswd) = "{HA1}";
    uac_req_send();
    sl_send_reply("200", "OK");
}}
""",
        "udp:10.0.0.9:5060",
    )
    alice, far = kahea.ua("alice"), kahea.ua("far", "udp:10.0.0.2:5060")
    alice.options("sip:x@10.0.0.9")
    far.reply(far.expect("OPTIONS"), 401, headers=[CHALLENGE])
    again = far.expect("OPTIONS")
    assert is_right(again, secret)
    far.reply(again, 401, headers=[CHALLENGE])
    far.expect_nothing("OPTIONS", within=40)
