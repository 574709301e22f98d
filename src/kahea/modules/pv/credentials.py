"""The digest credentials of a request: `$au`, `$ar`, `$adn` and the like; and `$AU`, `$Au` for accounting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get, Row, some, table, text
from kahea.routing.authorized import authorizations
from kahea.routing.module import Value, Variable
from kahea.sip.digest import Credentials, parse_credentials
from kahea.sip.message import H_AUTHORIZATION, H_PROXYAUTHORIZATION
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run


def credentials(run: Run) -> Credentials | None:
    """Those of Proxy-Authorization, else of Authorization; raises ParseError."""
    header = run.msg.header(H_PROXYAUTHORIZATION) or run.msg.header(H_AUTHORIZATION)
    if header is None:
        return None
    found = parse_credentials(header.body)
    return found if found.is_digest else None


def _part(part: Callable[[Credentials], bytes]) -> Get:
    def get(run: Run) -> Value:
        found = credentials(run)
        return None if found is None else text(part(found))

    return get


def _user(found: Credentials) -> bytes:
    return found.username.partition(b"@")[0]


def _domain(found: Credentials) -> bytes:
    return found.username.partition(b"@")[2]


def _account_user(run: Run) -> Value:
    """The authenticated user, or From's."""
    authorized = authorizations(run.msg)
    if authorized:
        return authorized[-1].user
    return some(parse_uri(run.msg.from_.uri).user)


def _account(run: Run) -> Value:
    """The authenticated user with its realm, or From's user and host."""
    authorized = authorizations(run.msg)
    if authorized:
        user, header = authorized[-1]
        return f"{user}@{some(parse_credentials(header.body).realm) or ''}"
    uri = parse_uri(run.msg.from_.uri)
    name, host = some(uri.user), some(uri.host) or ""
    return f"{name}@{host}" if name else host or None


_ROWS: tuple[Row, ...] = (
    ("au", _part(_user), "The user that the credentials name, without a domain."),
    ("ad", _part(_domain), "The domain in the credentials' username."),
    ("aU", _part(lambda found: found.username), "The username of the credentials."),
    ("ar", _part(lambda found: found.realm), "The realm of the credentials."),
    ("aa", _part(lambda found: found.fields.get(b"algorithm", b"")), "The algorithm of the credentials."),
    ("adu", _part(lambda found: found.uri), "The URI of the credentials."),
    ("adn", _part(lambda found: found.nonce), "The nonce of the credentials."),
    ("adc", _part(lambda found: found.cnonce), "The cnonce of the credentials."),
    ("ado", _part(lambda found: found.opaque), "The opaque of the credentials."),
    ("adr", _part(lambda found: found.response), "The response of the credentials."),
    ("AU", _account_user, "The user to account: the authenticated one, or From's."),
    ("Au", _account, "The user and domain to account."),
)

VARIABLES: list[Variable] = [*table(_ROWS)]
