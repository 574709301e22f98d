"""What module `presence` can be told, under Kamailio's names."""

from __future__ import annotations

import re
from typing import Final

from kahea.routing.checks import between, unless
from kahea.routing.facilities import facility
from kahea.routing.module import Module, Param
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

_ON_OFF = between(0, 1)
_TABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
#: Columns of a publication that it can be ordered by.
_COLUMNS: Final = frozenset({"priority", "received_time", "expires", "etag", "sender", "ruid"})
_PROCESSES: Final = "one loop does everything here, and NOTIFYs are sent at once"
_HASHES: Final = "tables grow as they must"
_DMQ: Final = "there is no replication between nodes but by a database that they share"


def _table(value: str) -> str:
    if _TABLE.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no name of a table")
    return value


def columns(value: str) -> tuple[str, ...]:
    """`priority, received_time`."""
    return tuple(part.strip() for part in value.split(","))


def _columns(value: str) -> str:
    for name in columns(value):
        if name not in _COLUMNS:
            raise ValueError(f"{name!r} is none of {', '.join(sorted(_COLUMNS))}")
    return value


def _address(value: str) -> str:
    try:
        parse_uri(value.encode("utf-8", "surrogateescape"))
    except ParseError as error:
        raise ValueError(f"{value!r} is no URI") from error
    return value


class Parameters(Module):
    """The parameters alone; `presence` has what they do."""

    # ---- what is kept where
    db_url = Param("", "The database; without one there is no presence server.")
    presentity_table = Param("presentity", "The table of what is published.", check=_table)
    active_watchers_table = Param("active_watchers", "The table of subscriptions.", check=_table)
    watchers_table = Param("watchers", "The table of what was decided of watchers.", check=_table)
    subs_db_mode = Param(
        2,
        "Subscriptions: 0 in memory only; 1 each change is written before it is answered; 2 changes are written each "
        "db_update_period and at the end; 3 in the database alone, so that several servers may share them.",
        check=between(0, 3),
    )
    publ_cache = Param(
        1,
        "Publications: 0 in the database alone; 1 with an index in memory of who has any; 2 in memory alone.",
        check=between(0, 2),
    )
    fetch_rows = Param(500, "Rows that are read from the database at a time.", check=between(1, 100_000))
    retrieve_order = Param(0, "0: the latest publication counts first; 1: as retrieve_order_by says.", check=_ON_OFF)
    retrieve_order_by = Param(
        "priority", "Columns with commas between, the publication with the greatest counts first.", check=_columns
    )
    sip_uri_match = Param(0, "1: URIs that differ in case alone are the same.", check=_ON_OFF)

    # ---- time
    clean_period = Param(100, "Seconds between looking for publications that have ended; 0: never.")
    db_update_period = Param(100, "Seconds between looking for subscriptions that have ended, and writing; 0: never.")
    max_expires = Param(3600, "The longest time that is granted, in seconds.", check=between(1, 2**31 - 1))
    min_expires = Param(
        0, "The shortest time that a subscription may ask for, in seconds.", check=between(0, 2**31 - 1)
    )
    min_expires_action = Param(
        1, "A shorter one than min_expires: 1 is refused with 423, 2 becomes it.", check=between(1, 2)
    )
    expires_offset = Param(0, "Seconds that a publisher is told less than are granted.", check=between(0, 2**31 - 1))
    force_delete = Param(0, "1: watchers are not told of publications that have ended.", check=_ON_OFF)

    # ---- requests
    server_address = Param(
        "", "The URI in our Contacts; without it, the listener that the request came to.", check=_address
    )
    default_socket = Param("", "The listener that NOTIFYs leave by, where the one of the SUBSCRIBE is not known.")
    cseq_offset = Param(0, "How far a SUBSCRIBE's CSeq may lie behind.", check=between(0, 2**31 - 1))
    subs_respond_200 = Param(1, "0 answers a SUBSCRIBE with 202.", check=_ON_OFF)
    timeout_rm_subs = Param(1, "0 keeps a subscription whose NOTIFY nobody answers.", check=_ON_OFF)
    delete_same_subs = Param(0, "1: a new subscription ends those with its Call-ID to the same.", check=_ON_OFF)
    send_fast_notify = Param(
        1, "0: no NOTIFY without a body.", inert="every SUBSCRIBE is answered with a NOTIFY (RFC 6665 §4.2.1.2)"
    )
    pres_subs_mode = Param(1, "0: $subs(...) is null after handle_subscribe().", check=_ON_OFF)
    xavp_cfg = Param("", "The XAVP with `priority` for publications, and `delete_subscription` for reply routes.")
    enable_sphere_check = Param(0, "1: rules that name a sphere hold in that sphere alone; 0: in any.", check=_ON_OFF)

    # ---- without meaning here
    waitn_time = Param(5, "Seconds that NOTIFYs may wait.", inert=_PROCESSES)
    notifier_poll_rate = Param(10, "How often a second notifiers look for work.", inert=_PROCESSES)
    notifier_processes = Param(1, "How many notifiers there are.", inert=_PROCESSES)
    timer_mode = Param(1, "Which process has the timers.", inert=_PROCESSES)
    startup_mode = Param(1, "0 keeps the first second's publications.", inert="a publication has all of its time")
    subs_htable_size = Param(9, "Slots for subscriptions, a power of 2.", inert=_HASHES)
    pres_htable_size = Param(9, "Slots for publications, a power of 2.", inert=_HASHES)
    db_table_lock_type = Param(1, "Locks the tables while writing.", inert="each change is one statement")
    subs_remove_match = Param(0, "Matches all of the dialog to remove a subscription.", inert="it always does")
    local_log_level = Param(2, "The level of some messages.", inert="they have levels of their own")
    local_log_facility = Param(
        "LOG_DAEMON", "The facility of some messages.", check=facility, inert="they have the log's"
    )
    enable_dmq = Param(0, "", check=unless(0, _DMQ))
    enable_pres_dmq = Param(1, "", check=unless(1, _DMQ))
    enable_pres_sync_dmq = Param(1, "", check=unless(1, _DMQ))
    enable_subs_dmq = Param(0, "", check=unless(0, _DMQ))
    enable_subs_sync_dmq = Param(1, "", check=unless(1, _DMQ))
    skip_notify_dmq = Param(0, "", check=unless(0, _DMQ))
    dmq_peer_id = Param("presence", "", check=unless("presence", _DMQ))


__all__ = ["Parameters", "columns"]
