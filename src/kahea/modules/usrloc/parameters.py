"""The parameters of module usrloc, under Kamailio's names."""

from __future__ import annotations

from collections.abc import Callable

from kahea.routing.checks import between
from kahea.routing.module import Module, Param


def only(default: int, why: str) -> Callable[[int], int]:
    """A check that refuses what has no meaning here, or none yet."""

    def check(value: int) -> int:
        if value != default:
            raise ValueError(f"{value} is not supported yet: {why}")
        return value

    return check


def _column(what: str) -> str:
    return f"Name of the column with {what}."


def _codes(value: str) -> str:
    if not all(part.strip().isdigit() for part in value.split(",")):
        raise ValueError(f"must be response codes with commas between them, or 0 for all, not {value!r}")
    return value


_ON_OFF = between(0, 1)
#: Bigger values than this are mistakes.
_DAY = 86_400


class UsrlocParameters(Module):
    """Where users are: the location tables, in memory and in a database."""

    name = "usrloc"

    # ---- the database

    db_url = Param("mysql://kamailio:kamailiorw@localhost/kamailio", "The database, where db_mode is not 0.")
    db_mode = Param(
        0,
        "0: memory only; 1: every change is written before it is answered; 2: changes are written each "
        "timer_interval and at the end, so that a crash may lose the last ones; 3: the database only, "
        "nothing is kept in memory; 4: read at the start, never written.",
        check=between(0, 4),
    )
    db_load = Param(1, "Whether contacts are read at the start (db_mode 1 and 2).", check=_ON_OFF)
    db_ops_ruid = Param(1, "Rows are changed by their ruid; 0: by AOR, contact and Call-ID.", check=between(0, 1))
    db_insert_update = Param(0, "An insert of a ruid that exists updates it.", check=_ON_OFF)
    db_update_as_insert = Param(0, "Rows are inserted anew instead of updated.", check=_ON_OFF)
    db_check_update = Param(0, "An update that finds no row inserts it.", check=_ON_OFF)
    db_insert_null = Param(0, "Columns without a value are written as NULL, and not left out.", check=_ON_OFF)
    db_timer_clean = Param(0, "Expired rows are removed on the timer in db_mode 1 and 2 too.", check=_ON_OFF)
    db_clean_tcp = Param(0, "Contacts over TCP, TLS or WebSocket are removed at the start, not read.", check=_ON_OFF)
    db_raw_fetch_type = Param(
        0, "1: queries for Oracle.", check=only(0, "there is no Oracle driver that does not block")
    )
    rm_expired_delay = Param(0, "Seconds that expired rows are kept (db_mode 3).", check=between(0, 365 * _DAY))
    server_id_filter = Param(0, "Only rows with this server's server_id are read and removed.", check=_ON_OFF)
    skip_remote_socket = Param(0, "Contacts of listeners that are not here are not read.", check=_ON_OFF)
    fetch_rows = Param(2000, "Rows read at once.", check=between(1, 100_000))
    version_table = Param(1, "Check the version of the location table.", check=_ON_OFF)
    expires_type = Param(0, "Times in the database: 0, as DATETIME; 1, as BIGINT.", check=_ON_OFF)

    user_column = Param("username", _column("user names"))
    domain_column = Param("domain", _column("domains"))
    contact_column = Param("contact", _column("contacts"))
    expires_column = Param("expires", _column("the times when contacts end"))
    q_column = Param("q", _column("q-values"))
    callid_column = Param("callid", _column("Call-IDs"))
    cseq_column = Param("cseq", _column("CSeq numbers"))
    methods_column = Param("methods", _column("supported methods"))
    flags_column = Param("flags", _column("internal flags"))
    cflags_column = Param("cflags", _column("branch flags"))
    user_agent_column = Param("user_agent", _column("User-Agents"))
    received_column = Param("received", _column("the addresses that REGISTERs came from"))
    socket_column = Param("socket", _column("the listeners that REGISTERs came to"))
    path_column = Param("path", _column("Path headers"))
    ruid_column = Param("ruid", _column("the contacts' unique ids"))
    instance_column = Param("instance", _column("instance ids"))
    reg_id_column = Param("reg_id", _column("reg-ids"))
    server_id_column = Param("server_id", _column("server ids"))
    connection_id_column = Param("connection_id", _column("connection ids"))
    keepalive_column = Param("keepalive", _column("whether keepalives are wanted"))
    partition_column = Param("partition", _column("partitions, always 0 here"))

    # ---- the tables

    use_domain = Param(0, "AORs are user@domain, else user alone.", check=_ON_OFF)
    matching_mode = Param(
        0,
        "A contact is matched 0: by its URI; 1: by URI and Call-ID; 2: by URI and Path; 3: by Call-ID alone.",
        check=between(0, 3),
    )
    cseq_delay = Param(
        20,
        "Seconds during which an equal Call-ID and CSeq is a retransmission.",
        check=between(0, _DAY),
    )
    desc_time_order = Param(0, "Contacts are tried newest first, else by q.", check=_ON_OFF)
    nat_bflag = Param(-1, "Branch flag of contacts behind NAT; -1 for none.", check=between(-1, 31))
    preload = Param("", "A table to load at the start.", many=True)
    hash_size = Param(10, "Tables have 2^n slots in ul.dump and as hash ids.", check=between(1, 24))
    xavp_contact = Param("", "XAVP whose fields are kept with a contact, and come back at look-up.")
    timer_interval = Param(60, "Seconds between two runs of the timer.", check=between(1, _DAY))
    timer_procs = Param(0, "Timer processes of Kamailio: one loop does it here, whatever the number.")
    load_rank = Param(1, "Process of Kamailio that loads: the one that there is loads here.")
    handle_lost_tcp = Param(0, "Contacts whose connection is lost are removed.", check=_ON_OFF)
    close_expired_tcp = Param(0, "The connection of a contact that ends is closed.", check=_ON_OFF)

    # ---- keepalives

    ka_mode = Param(
        0, "Keepalives to: 0, none; 1, all; 2, natted ones; 4, UDP ones; 6, natted UDP.", check=between(0, 7)
    )
    ka_method = Param("OPTIONS", "Method of keepalives.")
    ka_from = Param("sip:server@kamailio.org", "From URI of keepalives.")
    ka_domain = Param("kamailio.org", "Domain of their To URI, where use_domain is 0.")
    ka_filter = Param(0, "1: only to contacts with this server's server_id.", check=between(0, 1))
    ka_timeout = Param(
        0, "Seconds without an answer after which a contact is removed; 0: never.", check=between(0, _DAY)
    )
    ka_interval = Param(40, "Seconds between rounds; timer_interval if not given.", check=between(1, _DAY))
    ka_randomize = Param(20, "Up to so many seconds more between rounds, with ka_interval.", check=between(0, _DAY))
    ka_reply_codes = Param("0", "Responses that count as an answer, commas between; 0: all.", check=_codes)
    ka_loglevel = Param(255, "Kamailio's log level (-5..3) for answers; 255: not logged.")
    ka_logmsg = Param(" to-uri: [$tu] remote-addr: [$sas]", "What is added to that line: text with variables.")
