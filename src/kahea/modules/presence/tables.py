"""The tables of presence in Kamailio's layout (5.6), so that an existing database works.

Imported only where there is a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

from kahea.modules.presence.publications import Presentity, Publication
from kahea.modules.presence.subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kahea.net.address import Listener

PRESENTITY_VERSION: Final = 5
ACTIVE_WATCHERS_VERSION: Final = 12
WATCHERS_VERSION: Final = 3


def presentity_table(name: str) -> Table:
    """What is published."""
    return Table(
        name,
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("username", String(64), nullable=False),
        Column("domain", String(64), nullable=False),
        Column("event", String(64), nullable=False),
        Column("etag", String(128), nullable=False),
        Column("expires", Integer, nullable=False),
        Column("received_time", Integer, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("sender", String(255), nullable=False),
        Column("priority", Integer, nullable=False, server_default="0"),
        Column("ruid", String(64)),
        UniqueConstraint("username", "domain", "event", "etag", name=f"{name}_presentity_idx"),
        UniqueConstraint("ruid", name=f"{name}_ruid_idx"),
        Index(f"{name}_presentity_expires", "expires"),
        Index(f"{name}_account_idx", "username", "domain", "event"),
    )


def active_watchers_table(name: str) -> Table:
    """Subscriptions."""
    return Table(
        name,
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("presentity_uri", String(255), nullable=False),
        Column("watcher_username", String(64), nullable=False),
        Column("watcher_domain", String(64), nullable=False),
        Column("to_user", String(64), nullable=False),
        Column("to_domain", String(64), nullable=False),
        Column("event", String(64), nullable=False, server_default="presence"),
        Column("event_id", String(64)),
        Column("to_tag", String(128), nullable=False),
        Column("from_tag", String(128), nullable=False),
        Column("callid", String(255), nullable=False),
        Column("local_cseq", Integer, nullable=False),
        Column("remote_cseq", Integer, nullable=False),
        Column("contact", String(255), nullable=False),
        Column("record_route", Text),
        Column("expires", Integer, nullable=False),
        Column("status", Integer, nullable=False, server_default="2"),
        Column("reason", String(64)),
        Column("version", Integer, nullable=False, server_default="0"),
        Column("socket_info", String(64), nullable=False),
        Column("local_contact", String(255), nullable=False),
        Column("from_user", String(64), nullable=False),
        Column("from_domain", String(64), nullable=False),
        Column("updated", Integer, nullable=False),
        Column("updated_winfo", Integer, nullable=False),
        Column("flags", Integer, nullable=False, server_default="0"),
        Column("user_agent", String(255), server_default=""),
        UniqueConstraint("callid", "to_tag", "from_tag", name=f"{name}_active_watchers_idx"),
        Index(f"{name}_active_watchers_expires", "expires"),
        Index(f"{name}_active_watchers_pres", "presentity_uri", "event"),
        Index(f"{name}_updated_idx", "updated"),
        Index(f"{name}_updated_winfo_idx", "updated_winfo", "presentity_uri"),
    )


def watchers_table(name: str) -> Table:
    """What was decided of watchers."""
    return Table(
        name,
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("presentity_uri", String(255), nullable=False),
        Column("watcher_username", String(64), nullable=False),
        Column("watcher_domain", String(64), nullable=False),
        Column("event", String(64), nullable=False, server_default="presence"),
        Column("status", Integer, nullable=False),
        Column("reason", String(64)),
        Column("inserted_time", Integer, nullable=False),
        UniqueConstraint("presentity_uri", "watcher_username", "watcher_domain", "event", name=f"{name}_watcher_idx"),
    )


def publication_of(row: Sequence[Any]) -> Publication:
    """The publication of a row, all columns in the order of the table."""
    _, user, domain, event, etag, expires, received, body, sender, priority, ruid = row
    return Publication(
        Presentity(user, domain, event),
        etag,
        int(expires),
        int(received),
        body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogateescape"),
        sender or "",
        int(priority),
        ruid or "",
    )


def publication_row(publication: Publication) -> dict[str, Any]:
    """All columns of a publication."""
    user, domain, event = publication.presentity
    return {
        "username": user,
        "domain": domain,
        "event": event,
        "etag": publication.etag,
        "expires": publication.expires,
        "received_time": publication.received,
        "body": publication.body,
        "sender": publication.sender,
        "priority": publication.priority,
        "ruid": publication.ruid or None,
    }


def subscription_of(row: Any, find_listener: Callable[[str], Listener | None]) -> Subscription:
    """The subscription of a row; one whose listener is not here has none."""
    return Subscription(
        presentity=row.presentity_uri,
        watcher_user=row.watcher_username,
        watcher_domain=row.watcher_domain,
        to_user=row.to_user,
        to_domain=row.to_domain,
        from_user=row.from_user,
        from_domain=row.from_domain,
        event=row.event,
        event_id=row.event_id or "",
        to_tag=row.to_tag,
        from_tag=row.from_tag,
        callid=row.callid,
        remote_cseq=int(row.remote_cseq),
        contact=row.contact,
        local_contact=row.local_contact,
        record_route=row.record_route or "",
        expires=int(row.expires),
        listener=find_listener(row.socket_info) if row.socket_info else None,
        user_agent=row.user_agent or "",
        status=int(row.status),
        reason=row.reason or "",
        flags=int(row.flags),
        local_cseq=int(row.local_cseq),
        version=int(row.version),
    )


def subscription_row(subscription: Subscription) -> dict[str, Any]:
    """All columns of a subscription."""
    s = subscription
    return {
        "presentity_uri": s.presentity,
        "watcher_username": s.watcher_user,
        "watcher_domain": s.watcher_domain,
        "to_user": s.to_user,
        "to_domain": s.to_domain,
        "event": s.event,
        "event_id": s.event_id or None,
        "to_tag": s.to_tag,
        "from_tag": s.from_tag,
        "callid": s.callid,
        "local_cseq": s.local_cseq,
        "remote_cseq": s.remote_cseq,
        "contact": s.contact,
        "record_route": s.record_route or None,
        "expires": s.expires,
        "status": s.status,
        "reason": s.reason or None,
        "version": s.version,
        "socket_info": "" if s.listener is None else s.listener.uri,
        "local_contact": s.local_contact,
        "from_user": s.from_user,
        "from_domain": s.from_domain,
        # Other servers' notifiers have nothing to do for it.
        "updated": -1,
        "updated_winfo": -1,
        "flags": s.flags,
        "user_agent": s.user_agent,
    }
