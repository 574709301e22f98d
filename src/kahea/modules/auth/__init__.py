"""Digest authentication (Kamailio's module auth): challenges, and credentials checked against a known password.

| file | what |
|---|---|
| `nonce.py` | nonces: made, checked, counted |
| `check.py` | credentials: found and judged |
| here | parameters, the functions of scripts, and what modules that know passwords build on |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kahea.modules.auth import check
from kahea.modules.auth.check import (
    FAILED,
    NO_CREDENTIALS,
    OTHER_USER,
    REUSED_NONCE,
    RIGHT,
    STALE_NONCE,
    WRONG_PASSWORD,
    Found,
)
from kahea.modules.auth.nonce import Nonces, Verdict, Window, secrets_of
from kahea.routing.authorized import authorize
from kahea.routing.checks import between
from kahea.routing.lists import lists_of
from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.run import FAILURE_ROUTE, REPLY_ROUTES, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.digest import ALGORITHMS
from kahea.sip.errors import ParseError
from kahea.sip.message import H_AUTHORIZATION, H_PROXYAUTHORIZATION, M_ACK, M_CANCEL, M_PUBLISH, M_REGISTER
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv.format import Format
    from kahea.sip.message import Header, Message
    from kahea.sip.uri import Uri

_CHALLENGING: Final = REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES
_ALGORITHM_FACET: Final = "auth.algorithm"
#: The headers with credentials for our realms, in order.
_FOUND_FACET: Final = "auth.found"
_MAX_ORDER: Final = 27
_SECONDS: Final = between(0, 2**31)

# Flags of the challenging functions.
_QOP_AUTH: Final = 1
_QOP_AUTH_INT: Final = 2
_NO_500: Final = 4
_STALE: Final = 16
# Flags of the functions that check a password.
_IS_HA1: Final = 1
_ADD_PLAIN: Final = 2
_ADD_AUTH: Final = 4
_ADD_AUTH_INT: Final = 8


def _qop(value: str) -> str:
    if value not in ("", "auth", "auth-int"):
        raise ValueError('must be "auth", "auth-int" or ""')
    return value


def _algorithm(value: str) -> str:
    if value and value.lower().encode() not in ALGORITHMS:
        raise ValueError("must be MD5, SHA-256 or SHA-512-256")
    return value


def _header_name(value: str) -> str:
    if not value or not all(c.isascii() and (c.isalnum() or c in "-_.!%*+`'~") for c in value):
        raise ValueError("must be the name of a header")
    return value


def _size(value: int) -> int:
    if not 1 <= value <= 1 << _MAX_ORDER:
        raise ValueError(f"must be between 1 and {1 << _MAX_ORDER}")
    return 1 << (value.bit_length() - 1)


class Asked(NamedTuple):
    """What a request's credentials are worth before a password is known: a code for the script, or RIGHT and them."""

    code: int
    found: Found | None


class Auth(Module):
    """Digest authentication: challenges, and credentials checked against a known password."""

    name = "auth"
    needs = ("sl",)

    auth_checks_register = Param(
        0, "What binds a nonce to its REGISTER: 1 URI, 2 Call-ID, 4 From tag, 8 source; a sum."
    )
    auth_checks_no_dlg = Param(0, "The same of requests outside of dialogs.")
    auth_checks_in_dlg = Param(0, "The same of requests within dialogs.")
    qop = Param("", "", check=_qop, inert="the flags of each challenging function say it, as they do in Kamailio")
    nonce_count = Param(0, "1 checks that the nonce count of a user agent grows.")
    one_time_nonce = Param(0, "1 lets a nonce be used once.")
    nid_pool_no = Param(1, "", inert="one process makes all nonces")
    nc_array_size = Param(1 << 20, "Nonces whose counts are remembered; a power of two.", check=_size)
    nc_array_order = Param(0, "The same as the exponent of two.", check=between(0, _MAX_ORDER))
    otn_in_flight_no = Param(1 << 20, "Nonces that are remembered as used or not; a power of two.", check=_size)
    otn_in_flight_order = Param(0, "The same as the exponent of two.", check=between(0, _MAX_ORDER))
    secret = Param("", "What nonces are signed with; random without it.")
    nonce_expire = Param(300, "Seconds that a nonce is good for.", check=_SECONDS, runtime=True)
    nonce_auth_max_drift = Param(3, "Seconds that a nonce may come from the future.", check=_SECONDS)
    force_stateless_reply = Param(0, "1 sends challenges without a transaction.")
    realm_prefix = Param("", "Taken off the beginning of every realm.")
    use_domain = Param(0, "1 compares domains, too, where users are compared.")
    algorithm = Param("", "MD5, SHA-256 or SHA-512-256; MD5 unsaid without it.", check=_algorithm)
    add_authinfo_hdr = Param(0, "1 adds Authentication-Info to the reply.")
    challenge_attr = Param("$digest_challenge", "The AVP that a challenge is left in.")
    proxy_challenge_header = Param("Proxy-Authenticate", "The header of a proxy's challenge.", check=_header_name)
    www_challenge_header = Param("WWW-Authenticate", "The header of a server's challenge.", check=_header_name)
    protect_contacts = Param(0, "Nonces bound to contacts: not supported.", check=lambda v: _refuse(v))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._nonces: Nonces | None = None

    def start(self) -> None:
        """Make the keys, and the memory of nonces."""
        counts = Window(1 << self.nc_array_order if self.nc_array_order else self.nc_array_size)
        once = Window(1 << self.otn_in_flight_order if self.otn_in_flight_order else self.otn_in_flight_no)
        self._counts = counts if self.nonce_count else None
        self._once = once if self.one_time_nonce else None
        self._avp = self.challenge_attr.removeprefix("$")
        if not self._avp:
            raise ConfigError("parameter auth.challenge_attr: must be the name of an AVP")
        self._keys = secrets_of(self.secret)
        self.changed("nonce_expire")

    def changed(self, name: str) -> None:
        """Nonces live for another time from now on."""
        self._nonces = Nonces(
            self._keys, self.node.wall, self.nonce_expire, self.nonce_auth_max_drift, self._counts, self._once
        )

    # ---- for modules that know passwords

    def ask(self, run: Run, kind: int, realm: str) -> Asked:
        """Find a request's credentials and judge their nonce. ACK and CANCEL need none (RFC 3261 §22.1)."""
        msg = run.msg
        if msg.method_id in (M_ACK, M_CANCEL):
            return Asked(RIGHT, None)
        found = check.find(msg, kind, wire(self.realm(realm)))
        if found is None:
            return Asked(NO_CREDENTIALS, None)
        msg.facets[_FOUND_FACET] = {**self._found(msg), found.header: None}
        credentials = found.credentials
        if not check.is_complete(credentials, self._used_algorithm(msg)):
            self.node.log.info("auth: incomplete credentials from %s", text(msg.src_ip))
            return Asked(FAILED, None)
        assert self._nonces is not None
        count = credentials.nc if credentials.qop else b""
        verdict = self._nonces.check(credentials.nonce, msg, self._checks(msg), count)
        if verdict is not Verdict.GOOD:
            return Asked({Verdict.STALE: STALE_NONCE, Verdict.REUSED: REUSED_NONCE}.get(verdict, FAILED), None)
        return Asked(RIGHT, found)

    def judge(self, run: Run, found: Found, method: str, secret: bytes) -> int:
        """Judge credentials by HA1; the code for the script. A request that proves right is marked so."""
        msg = run.msg
        algorithm = self._used_algorithm(msg)
        if not check.is_right(found.credentials, algorithm, wire(method) or msg.method, secret, msg.body):
            return WRONG_PASSWORD
        authorize(msg, text(found.credentials.username.partition(b"@")[0]), found.header)
        if self.add_authinfo_hdr:
            self._add_info(msg, found, algorithm, secret)
        return RIGHT

    def ha1(self, msg: Message, username: bytes, realm: str, password: str) -> bytes:
        """The secret of a password in plain, by the algorithm in use."""
        return check.secret_of(self._used_algorithm(msg), username, wire(self.realm(realm)), wire(password))

    def realm(self, realm: str) -> str:
        """A realm without what `realm_prefix` takes off."""
        return realm.removeprefix(self.realm_prefix)

    def kind_for(self, msg: Message) -> int:
        """The header that has the credentials of a request to this server: a registrar's are of their own."""
        return H_AUTHORIZATION if msg.method_id == M_REGISTER else H_PROXYAUTHORIZATION

    def is_user(self, msg: Message, found: Found) -> bool:
        """Whether the credentials are of the user in From; of a REGISTER also in To; of a PUBLISH in the URI, too."""
        username, _, domain = found.credentials.username.partition(b"@")
        uris = [msg.from_.uri]
        if msg.method_id in (M_REGISTER, M_PUBLISH):
            uris.append(msg.to.uri)
        if msg.method_id == M_PUBLISH:
            uris.append(msg.uri)
        return all(self._same_user(parse_uri(uri), username, domain or found.credentials.realm) for uri in uris)

    def is_checked_user(self, msg: Message, kind: int, realm: str) -> bool:
        """As `is_user`, of the request's credentials for a realm."""
        found = check.find(msg, kind, wire(self.realm(realm)))
        return found is not None and self.is_user(msg, found)

    def _same_user(self, uri: Uri, username: bytes, domain: bytes) -> bool:
        return uri.user == username and (not self.use_domain or uri.host.lower() == domain.lower())

    def _add_info(self, msg: Message, found: Found, algorithm: bytes, secret: bytes) -> None:
        """Authentication-Info for the reply (RFC 7616 §3.5)."""
        c = found.credentials
        following = self._new_nonce(msg) if self.one_time_nonce else c.nonce
        fields = [b'nextnonce="%b"' % following]
        if c.qop:
            proof = check.response_auth(c, algorithm, secret)
            fields += [b"qop=%b" % c.qop, b'rspauth="%b"' % proof, b'cnonce="%b"' % c.cnonce, b"nc=%b" % c.nc]
        msg.reply_edits.append(b"Authentication-Info: %b\r\n" % b", ".join(fields))

    # ---- challenges

    def _checks(self, msg: Message) -> int:
        if msg.method_id == M_REGISTER:
            return self.auth_checks_register
        return self.auth_checks_in_dlg if msg.to.tag else self.auth_checks_no_dlg

    def _used_algorithm(self, msg: Message) -> bytes:
        return wire(str(msg.facets.get(_ALGORITHM_FACET) or self.algorithm)) or b"MD5"

    def _new_nonce(self, msg: Message) -> bytes:
        assert self._nonces is not None
        return self._nonces.make(msg, self._checks(msg))

    def _challenge(self, msg: Message, name: str, realm: str, qop: str, *, stale: bool, algorithm: str = "") -> str:
        """A challenge, as a line with its CRLF. Raises ParseError, ValueError for a realm that won't do."""
        realm = self.realm(realm)
        if not realm or any(c in '"\\' or c < " " for c in realm):
            raise ValueError(f"{realm!r} is no realm")
        fields = [f'Digest realm="{realm}"', f'nonce="{text(self._new_nonce(msg))}"']
        if qop:
            fields.append(f'qop="{qop}"')
        if stale:
            fields.append("stale=true")
        algorithm = algorithm or str(msg.facets.get(_ALGORITHM_FACET) or self.algorithm)
        if algorithm:
            fields.append(f"algorithm={algorithm}")
        return f"{name}: {', '.join(fields)}\r\n"

    def _send(self, run: Run, code: int, reason: str, name: str, realm: str, flags: int, algorithm: str) -> int:
        """Send a challenge; -1 for a failure, of which the sender is told by a 500."""
        msg = run.msg
        qop = "auth-int" if flags & _QOP_AUTH_INT else "auth" if flags & _QOP_AUTH else ""
        sl: Any = self.node.module("sl")
        send = sl.sl_send_reply if self.force_stateless_reply else sl.send_reply
        try:
            line = self._challenge(msg, name, realm, qop, stale=bool(flags & _STALE), algorithm=algorithm)
        except (ParseError, ValueError) as error:
            self.node.log.error("auth: no challenge: %s", error)
            if not flags & _NO_500:
                send(run, 500, "Internal Server Error")
            return FAILED
        msg.reply_edits.append(wire(line))
        return RIGHT if send(run, code, reason) > 0 else FAILED

    @native("str", "int", "str", least=2, name="www_challenge", routes=_CHALLENGING)
    def www_challenge_native(self, run: Run, realm: str, flags: int, algorithm: str = "") -> int:
        """As `www_challenge`, by an algorithm of its own."""
        return self._send(run, 401, "Unauthorized", self.www_challenge_header, realm, flags, algorithm)

    @function
    def www_challenge(self, run: Run, realm: str, flags: int) -> int:
        """Challenge as a server, by a 401.

        `flags` is a sum: 1 qop auth, 2 qop auth-int, 4 no 500 if it fails, 16 the nonce was stale.
        """
        return self.www_challenge_native(run, realm, flags)

    @native("str", "int", "str", least=2, name="proxy_challenge", routes=_CHALLENGING)
    def proxy_challenge_native(self, run: Run, realm: str, flags: int, algorithm: str = "") -> int:
        """As `proxy_challenge`, by an algorithm of its own."""
        reason = "Proxy Authentication Required"
        return self._send(run, 407, reason, self.proxy_challenge_header, realm, flags, algorithm)

    @function
    def proxy_challenge(self, run: Run, realm: str, flags: int) -> int:
        """Challenge as a proxy, by a 407; `flags` as of `www_challenge`."""
        return self.proxy_challenge_native(run, realm, flags)

    @native("str", "int", "str", least=2, name="auth_challenge", routes=_CHALLENGING)
    def auth_challenge_native(self, run: Run, realm: str, flags: int, algorithm: str = "") -> int:
        """As `auth_challenge`, by an algorithm of its own."""
        as_server = run.msg.method_id == M_REGISTER
        send = self.www_challenge_native if as_server else self.proxy_challenge_native
        return send(run, realm, flags, algorithm)

    @function
    def auth_challenge(self, run: Run, realm: str, flags: int) -> int:
        """Challenge a REGISTER as a server and all else as a proxy; `flags` as of `www_challenge`."""
        return self.auth_challenge_native(run, realm, flags)

    @function
    @native("str", routes=REQUEST_ROUTE)
    def auth_algorithm(self, run: Run, algorithm: str) -> int:
        """Use this algorithm for the request in hand; -1 for one that is not known."""
        try:
            run.msg.facets[_ALGORITHM_FACET] = _algorithm(algorithm)
        except ValueError as error:
            self.node.log.error("auth_algorithm: %r: it %s", algorithm, error)
            return FAILED
        return RIGHT

    @native("str", "int", "pv", name="auth_get_www_authenticate", routes=REQUEST_ROUTE)
    def get_www_authenticate_native(self, run: Run, realm: str, flags: int, target: Any) -> int:
        """As `auth_get_www_authenticate`."""
        try:
            line = self._challenge(
                run.msg, self.www_challenge_header, realm, "auth" if flags & _QOP_AUTH else "", stale=False
            )
        except (ParseError, ValueError) as error:
            self.node.log.error("auth: no challenge: %s", error)
            return FAILED
        target.set(run, line)
        return RIGHT

    @function
    def auth_get_www_authenticate(self, run: Run, realm: str, flags: int, pvdest: str) -> int:
        """Put a challenge, as a whole header line, into a variable; `flags` 1 for qop auth."""
        return self.get_www_authenticate_native(run, realm, flags, self.node.variables.compile(pvdest))

    # ---- credentials

    @function
    @native("str", routes=REQUEST_ROUTE)
    def has_credentials(self, run: Run, realm: str) -> int:
        """Whether the request has credentials for a realm, right or wrong."""
        wanted = wire(self.realm(realm))
        found = (check.find(run.msg, kind, wanted) for kind in (H_AUTHORIZATION, H_PROXYAUTHORIZATION))
        return RIGHT if any(found) else FAILED

    @function
    @native(routes=REQUEST_ROUTE)
    def consume_credentials(self, run: Run) -> int:
        """Take the credentials that were checked, right or wrong, out of the request; -1 if there are none."""
        found = self._found(run.msg)
        if not found:
            self.node.log.error("consume_credentials: no credentials were checked")
            return FAILED
        for header in found:
            run.msg.remove_header(header)
        return RIGHT

    @staticmethod
    def _found(msg: Message) -> dict[Header, None]:
        found = msg.facets.get(_FOUND_FACET, {})
        assert isinstance(found, dict)
        return found

    def _with_password(self, run: Run, kind: int, realm: str, password: str, flags: int, method: str = "") -> int:
        if not password or not realm:
            self.node.log.error("auth: an empty %s", "realm" if password else "password")
            return FAILED
        asked = self.ask(run, kind, realm)
        code = asked.code
        if asked.found is not None:
            c = asked.found.credentials
            secret = wire(password) if flags & _IS_HA1 else self.ha1(run.msg, c.username, realm, password)
            code = self.judge(run, asked.found, method, secret)
        if code < 0 and flags & (_ADD_PLAIN | _ADD_AUTH | _ADD_AUTH_INT):
            self._leave_challenge(run, kind, realm, flags)
        return code

    def _leave_challenge(self, run: Run, kind: int, realm: str, flags: int) -> None:
        """A challenge in an AVP, for the script to append to its reply."""
        qop = "auth-int" if flags & _ADD_AUTH_INT else "auth" if flags & _ADD_AUTH else ""
        name = self.www_challenge_header if kind == H_AUTHORIZATION else self.proxy_challenge_header
        try:
            line = self._challenge(run.msg, name, realm, qop, stale=False)
        except (ParseError, ValueError) as error:
            self.node.log.error("auth: no challenge: %s", error)
            return
        lists_of(run.msg).avps.push(self._avp, line)

    @native("format", "format", "int", "str", least=3, name="pv_www_authenticate", routes=REQUEST_ROUTE)
    @native("format", "format", "int", name="pv_www_authorize", routes=REQUEST_ROUTE)
    def pv_www_authenticate_native(self, run: Run, realm: Format, passwd: Format, flags: int, method: str = "") -> int:
        """As `pv_www_authenticate_method`, the method optional."""
        return self._with_password(run, H_AUTHORIZATION, _filled(run, realm), _filled(run, passwd), flags, method)

    @function
    def pv_www_authenticate(self, run: Run, realm: str, passwd: str, flags: int) -> int:
        """Check the credentials in Authorization against a password.

        1: right; -1: malformed; -2: wrong password; -4: stale nonce; -5: none for the realm; -6: nonce used before.
        `flags` is a sum: 1 the password is HA1; of a failure, leave a challenge in `$avp(digest_challenge)`: 2 without
        qop, 4 with qop auth, 8 with qop auth-int.
        """
        return self._with_password(run, H_AUTHORIZATION, realm, passwd, flags)

    @function
    def pv_www_authenticate_method(self, run: Run, realm: str, passwd: str, flags: int, method: str) -> int:
        """As `pv_www_authenticate`, for another method than the request's."""
        return self._with_password(run, H_AUTHORIZATION, realm, passwd, flags, method)

    @native("format", "format", "int", name="pv_proxy_authenticate", routes=REQUEST_ROUTE)
    @native("format", "format", "int", name="pv_proxy_authorize", routes=REQUEST_ROUTE)
    def pv_proxy_authenticate_native(self, run: Run, realm: Format, passwd: Format, flags: int) -> int:
        """As `pv_proxy_authenticate`."""
        return self._with_password(run, H_PROXYAUTHORIZATION, _filled(run, realm), _filled(run, passwd), flags)

    @function
    def pv_proxy_authenticate(self, run: Run, realm: str, passwd: str, flags: int) -> int:
        """As `pv_www_authenticate`, of the credentials in Proxy-Authorization."""
        return self._with_password(run, H_PROXYAUTHORIZATION, realm, passwd, flags)

    @native("format", "format", "int", "int", name="pv_auth_check", routes=REQUEST_ROUTE)
    def pv_auth_check_native(self, run: Run, realm: Format, passwd: Format, flags: int, checks: int) -> int:
        """As `pv_auth_check`."""
        return self.pv_auth_check(run, _filled(run, realm), _filled(run, passwd), flags, checks)

    @function
    def pv_auth_check(self, run: Run, realm: str, passwd: str, flags: int, checks: int) -> int:
        """As `pv_www_authenticate` for a REGISTER, `pv_proxy_authenticate` for all else.

        `checks` 1: -8 unless the user is the one in From; of a REGISTER in To, too; of a PUBLISH in both and the URI.
        """
        kind = self.kind_for(run.msg)
        code = self._with_password(run, kind, realm, passwd, flags)
        if code == RIGHT and checks & 1 and run.msg.method_id not in (M_ACK, M_CANCEL):
            return RIGHT if self.is_checked_user(run.msg, kind, realm) else OTHER_USER
        return code


def _filled(run: Run, text: Format) -> str:
    """A parameter's value; "" if a variable in it has none, so that nobody's password is the word for nothing."""
    return "" if None in text.values(run) else text.render(run)


def _refuse(value: int) -> int:
    if value:
        raise ValueError("is not supported")
    return value


MODULE = Auth
