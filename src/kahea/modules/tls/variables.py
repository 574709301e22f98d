"""What a message's TLS connection can be asked: `$tls_...`, `$tls(...)`, `@tls...`.

Without such a connection, or once it is closed, all are null. Whole subjects and issuers (`$tls_peer_subject`) are null
in any case, as in Kamailio 5.6.3; their parts, and `$tls(p_subject_line)`, are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from kahea.modules.tls.certificate import PARTS, Certificate, certificate
from kahea.net.tls import TlsConnection
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named, plain

if TYPE_CHECKING:
    from kahea.routing.run import Run

#: What is asked of an open connection.
Ask = Callable[[TlsConnection], Value]


def connection_of(run: Run) -> TlsConnection | None:
    """The TLS connection that the message came on, while it is open."""
    table = getattr(run.msg.listener, "table", None)
    found = table.get(run.msg.connection_id) if table is not None else None
    return found if isinstance(found, TlsConnection) and found.is_open else None


def peer(connection: TlsConnection) -> Certificate | None:
    """The peer's certificate."""
    der = connection.peer_certificate
    return certificate(der) if der else None


def mine(connection: TlsConnection) -> Certificate | None:
    """Our own certificate on a connection."""
    profile = connection.profile
    return certificate(profile.own_certificate) if profile is not None and profile.own_certificate else None


def verified(connection: TlsConnection) -> bool:
    """Whether the peer has a certificate that was found good."""
    profile = connection.profile
    return profile is not None and profile.verifies and bool(connection.peer_certificate)


def _of(which: Callable[[TlsConnection], Certificate | None], get: Callable[[Certificate], Value]) -> Ask:
    def ask(connection: TlsConnection) -> Value:
        found = which(connection)
        return None if found is None else get(found)

    return ask


def _subject(part: str) -> Callable[[Certificate], Value]:
    return lambda found: found.subject(part)


def _issuer(part: str) -> Callable[[Certificate], Value]:
    return lambda found: found.issuer(part)


def _alternative(kind: str) -> Callable[[Certificate], Value]:
    return lambda found: next(iter(found.alternatives(kind)), None)


def _nothing(_found: Certificate) -> Value:
    return None


#: Of either certificate.
_BOTH: Final[dict[str, Callable[[Certificate], Value]]] = {
    "version": lambda found: found.version,
    "serial": lambda found: found.serial,
    "raw_cert": lambda found: found.pem,
    "urlencoded_cert": lambda found: found.quoted,
    "subject": _nothing,
    "issuer": _nothing,
    **{f"subject_{part}": _subject(part) for part in PARTS},
    **{f"issuer_{part}": _issuer(part) for part in PARTS if part != "uid"},
    **{f"san_{kind}": _alternative(kind) for kind in ("email", "hostname", "ip", "uri")},
}
_DATES: Final[dict[str, Callable[[Certificate], Value]]] = {
    "notBefore": lambda found: found.not_before,
    "notAfter": lambda found: found.not_after,
}

#: By the names of variables, without `tls_`.
ASKED: Final[dict[str, Ask]] = {
    "version": lambda one: one.session.version,
    "cipher_info": lambda one: one.session.cipher[0],
    "cipher_bits": lambda one: str(one.session.cipher[1]),
    "description": lambda one: one.description + "\n",
    **{f"my_{name}": _of(mine, get) for name, get in _BOTH.items()},
    **{f"peer_{name}": _of(peer, get) for name, get in _BOTH.items()},
    **{f"peer_{name}": _of(peer, get) for name, get in _DATES.items()},
    "peer_server_name": lambda one: (one.server_name or None) if one.accepted else None,
    "peer_verified": lambda one: str(int(verified(one))),
    # A certificate with one of these faults is refused where certificates are verified, and else not looked at.
    "peer_expired": lambda _one: "0",
    "peer_revoked": lambda _one: "0",
    "peer_selfsigned": lambda _one: "0",
}

#: By the names in `$tls(name)`.
LINES: Final[dict[str, Ask]] = {
    "m_issuer_line": _of(mine, lambda found: found.issuer_line),
    "m_subject_line": _of(mine, lambda found: found.subject_line),
    "p_issuer_line": _of(peer, lambda found: found.issuer_line),
    "p_subject_line": _of(peer, lambda found: found.subject_line),
}


#: By their names in selects, what else variables don't have.
SELECTED: Final[dict[str, Ask]] = {f"my_{name}": _of(mine, get) for name, get in _DATES.items()}


def bound_to(ask: Ask) -> Callable[[Run], Value]:
    def get(run: Run) -> Value:
        connection = connection_of(run)
        return None if connection is None else ask(connection)

    return get


def _line(name: Value, _index: object) -> Bound:
    ask = LINES.get(str(name))
    if ask is None:
        raise PvError(f"$tls takes {', '.join(LINES)}, not {name}")
    return Bound(bound_to(ask))


def variables() -> Iterator[Variable]:
    """All of them."""
    for name, ask in ASKED.items():
        yield plain(f"tls_{name}", bound_to(ask), doc=_doc(name))
    yield named("tls", _line, doc=f"The names in certificates, each on one line: {', '.join(LINES)}.")


def _doc(name: str) -> str:
    whose, _, what = name.partition("_")
    if whose in ("my", "peer"):
        owner = "our own" if whose == "my" else "the peer's"
        return f"Of {owner} certificate: {what.replace('_', ' ')}."
    return f"Of the TLS session: {name.replace('_', ' ')}."
