"""Kamailio's `location` tables as SQLAlchemy Core tables, and rows from and to contacts.

Layout as in Kamailio 5.6 (table version 9), so that an existing database works, and both may take turns on
it. Imported only where there is a database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from kahea.connectors.columns import Moment
from kahea.modules.usrloc.contact import ALL_METHODS, SYNC, UNWATCHED, Contact
from kahea.modules.usrloc.notation import socket_text
from kahea.routing.lists import Xavps, Xitem
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.net.address import Listener

LOCATION_VERSION: Final = 9
ATTRIBUTES_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the location table's columns that a parameter may change."""

    user: str = "username"
    domain: str = "domain"
    contact: str = "contact"
    expires: str = "expires"
    q: str = "q"
    callid: str = "callid"
    cseq: str = "cseq"
    methods: str = "methods"
    flags: str = "flags"
    cflags: str = "cflags"
    user_agent: str = "user_agent"
    received: str = "received"
    socket: str = "socket"
    path: str = "path"
    ruid: str = "ruid"
    instance: str = "instance"
    reg_id: str = "reg_id"
    server_id: str = "server_id"
    connection_id: str = "connection_id"
    keepalive: str = "keepalive"
    partition: str = "partition"
    modified: str = "last_modified"


def location_table(metadata: MetaData, name: str, c: Columns, big_times: bool) -> Table:
    """A location table; keys are our names, whatever the columns are called."""
    moment: Any = BigInteger if big_times else Moment
    t_expires = "0" if big_times else "2030-05-28 21:32:15"
    t_modified = "0" if big_times else "2000-01-01 00:00:01"
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column(c.ruid, String(64), key="ruid", nullable=False, server_default=""),
        Column(c.user, String(64), key="user", nullable=False, server_default=""),
        Column(c.domain, String(64), key="domain"),
        Column(c.contact, String(512), key="contact", nullable=False, server_default=""),
        Column(c.received, String(128), key="received"),
        Column(c.path, String(512), key="path"),
        Column(c.expires, moment, key="expires", nullable=False, server_default=t_expires),
        Column(c.q, REAL, key="q", nullable=False, server_default="1.0"),
        Column(c.callid, String(255), key="callid", nullable=False, server_default="Default-Call-ID"),
        Column(c.cseq, Integer, key="cseq", nullable=False, server_default="1"),
        Column(c.modified, moment, key="modified", nullable=False, server_default=t_modified),
        Column(c.flags, Integer, key="flags", nullable=False, server_default="0"),
        Column(c.cflags, Integer, key="cflags", nullable=False, server_default="0"),
        Column(c.user_agent, String(255), key="user_agent", nullable=False, server_default=""),
        Column(c.socket, String(64), key="socket"),
        Column(c.methods, Integer, key="methods"),
        Column(c.instance, String(255), key="instance"),
        Column(c.reg_id, Integer, key="reg_id", nullable=False, server_default="0"),
        Column(c.server_id, Integer, key="server_id", nullable=False, server_default="0"),
        Column(c.connection_id, Integer, key="connection_id", nullable=False, server_default="0"),
        Column(c.keepalive, Integer, key="keepalive", nullable=False, server_default="0"),
        Column(c.partition, Integer, key="partition", nullable=False, server_default="0"),
        UniqueConstraint("ruid", name=f"{name}_ruid_idx"),
        Index(f"{name}_account_contact_idx", "user", "domain", "contact"),
        Index(f"{name}_expires_idx", "expires"),
        Index(f"{name}_connection_idx", "server_id", "connection_id"),
    )


def attributes_table(metadata: MetaData, name: str, c: Columns, big_times: bool) -> Table:
    """The table beside a location table that keeps the contacts' attributes (the parameter xavp_contact)."""
    moment: Any = BigInteger if big_times else Moment
    return Table(
        f"{name}_attrs",
        metadata,
        Column("id", Integer, primary_key=True),
        Column(c.ruid, String(64), key="ruid", nullable=False, server_default=""),
        Column(c.user, String(64), key="user", nullable=False, server_default=""),
        Column(c.domain, String(64), key="domain"),
        Column("aname", String(64), nullable=False, server_default=""),
        Column("atype", Integer, nullable=False, server_default="0"),
        Column("avalue", String(512), nullable=False, server_default=""),
        Column(c.modified, moment, key="modified", nullable=False, server_default="2000-01-01 00:00:01"),
        Index(f"{name}_attrs_account_record_idx", "user", "domain", "ruid"),
        Index(f"{name}_attrs_last_modified_idx", "modified"),
    )


def split_aor(aor: bytes, use_domain: bool) -> tuple[str, str | None]:
    """The username and domain columns of an AOR."""
    if not use_domain:
        return text(aor), None
    user, at, host = aor.rpartition(b"@")
    return (text(user), text(host)) if at else ("", text(aor))


def join_aor(user: str, domain: str | None, use_domain: bool) -> bytes:
    """The AOR of a row."""
    if not use_domain:
        return wire(user)
    return wire(f"{user}@{domain or ''}" if user else domain or "")


def row_of(contact: Contact, use_domain: bool, nat_flag: int, advertised: bool) -> dict[str, Any]:
    """All columns of a contact."""
    user, domain = split_aor(contact.aor, use_domain)
    return {
        "ruid": text(contact.ruid),
        "user": user,
        "domain": domain,
        "contact": text(contact.uri),
        "received": text(contact.received) or None,
        "path": text(contact.path) or None,
        "expires": contact.expires,
        "q": contact.q / 1000 if contact.q >= 0 else -1.0,
        "callid": text(contact.callid),
        "cseq": contact.cseq,
        "modified": contact.modified,
        "flags": contact.flags,
        "cflags": contact.cflags,
        "user_agent": text(contact.user_agent)[:255],
        "socket": socket_text(contact.sock, advertised) or None,
        "methods": contact.methods if contact.methods != ALL_METHODS else None,
        "instance": text(contact.instance) or None,
        "reg_id": contact.reg_id,
        "server_id": contact.server_id,
        "connection_id": contact.connection_id,
        "keepalive": 1 if contact.cflags & nat_flag else 0,
        "partition": 0,
    }


def contact_of(row: Any, use_domain: bool, find_listener: Callable[[str], Listener | None]) -> Contact:
    """A contact of a row (its columns by our names); one whose listener is not here has none."""
    contact = Contact()
    contact.aor = join_aor(row.user, row.domain, use_domain)
    contact.ruid = wire(row.ruid)
    contact.uri = wire(row.contact)
    contact.received = wire(row.received or "")
    contact.path = wire(row.path or "")
    contact.expires = int(row.expires)
    contact.q = -1 if row.q is None or row.q < 0 else min(1000, round(row.q * 1000))
    contact.callid = wire(row.callid)
    contact.cseq = int(row.cseq)
    contact.modified = contact.last_keepalive = int(row.modified)
    contact.flags = int(row.flags) & 0xFFFFFFFF
    contact.cflags = int(row.cflags) & 0xFFFFFFFF
    contact.user_agent = wire(row.user_agent or "")
    contact.sock = find_listener(row.socket) if row.socket else None
    contact.methods = ALL_METHODS if row.methods is None else row.methods & ALL_METHODS
    contact.instance = wire(row.instance or "")
    contact.reg_id = int(row.reg_id)
    contact.server_id = int(row.server_id)
    contact.connection_id = int(row.connection_id)
    contact.roundtrip = 0
    contact.bucket = UNWATCHED
    contact.state = SYNC
    contact.xavp = None
    return contact


def attribute_rows(contact: Contact, use_domain: bool) -> list[dict[str, Any]]:
    """The rows of a contact's attributes, newest first; only numbers and texts are kept."""
    if contact.xavp is None:
        return []
    user, domain = split_aor(contact.aor, use_domain)
    return [
        {
            "ruid": text(contact.ruid),
            "user": user,
            "domain": domain,
            "aname": item.name,
            "atype": 1 if isinstance(item.value, int) else 0,
            "avalue": str(item.value),
            "modified": contact.modified,
        }
        for item in reversed(contact.xavp.items)
        if isinstance(item.value, (int, str))
    ]


def add_attribute(contact: Contact, row: Any) -> None:
    """Give a contact one attribute of the table. Rows come newest first."""
    if contact.xavp is None:
        contact.xavp = Xavps()
    try:
        value: int | str = int(row.avalue) if row.atype == 1 else row.avalue
    except ValueError:
        value = row.avalue
    contact.xavp.items.insert(0, Xitem(row.aname, row.aname, value))
