"""The global parameters: what a cfg says outside of its routes, under Kamailio's names.

One typed object, made before anything else starts and read by every room above `net`. Names, meanings and
defaults are Kamailio's; sizes are bytes and times seconds unless a parameter says otherwise. A parameter that
stands here has its effect; the others are in `global_inert`, each with its reason.
"""

from __future__ import annotations

import difflib
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any, Final, TypeVar

from kahea.net.address import is_ip
from kahea.routing.facilities import facility
from kahea.routing.global_inert import INERT, NO_SCTP, REFUSED
from kahea.routing.module import ConfigError
from kahea.version import __version__

T = TypeVar("T")

#: What a file, a flag or a cfg may give for a parameter.
Given = bool | int | str | list[Any]

_YES: Final = {"yes", "true", "on", "enable", "1"}
_NO: Final = {"no", "false", "off", "disable", "0"}
_PROTOCOLS: Final = {"udp": 1, "tcp": 2, "tls": 3, "sctp": 4}
#: Names under which `enable_tls` and `enable_sctp` take the opposite.
_NEGATED: Final = ("disable_sctp", "disable_tls", "tls_disable")
_TOS_WORDS: Final = {
    "IPTOS_LOWDELAY": 0x10,
    "IPTOS_THROUGHPUT": 0x08,
    "IPTOS_RELIABILITY": 0x04,
    "IPTOS_MINCOST": 0x02,
}


def _setting(default: T, doc: str, *aliases: str) -> T:
    """A parameter with its default, which gives its type, its meaning and its other names."""
    made: T = field(default=default, metadata=_about(doc, *aliases))
    return made


def _about(doc: str, *aliases: str) -> dict[str, Any]:
    return {"doc": doc, "aliases": aliases}


@dataclass(slots=True)
class Settings:
    """All global parameters that have an effect, as attributes. See `set` and `explain`."""

    # Listening and who we are.
    listen: list[str] = field(
        default_factory=list,
        metadata=_about('Where to listen: `udp:1.2.3.4:5060 advertise 5.6.7.8:5060 name "a"`; all addresses if none.'),
    )
    port: int = _setting(5060, "The port of a listener that names none.")
    disable_tcp: bool = _setting(False, "Do not listen on, nor connect by, TCP.")
    enable_tls: bool = _setting(
        False, "Listen on, and connect by, TLS; the module tls has the certificates.", "tls_enable", *_NEGATED
    )
    enable_sctp: int = _setting(
        2, "SCTP: 0 for none; 2 for if there is any, which there is not yet. With 0, listeners of it are left out.",
        "disable_sctp",
    )  # fmt: skip
    tls_port_no: int = _setting(5061, "The port of a TLS listener that names none.", "tls_log", "tlslog")
    auto_bind_ipv6: bool = _setting(False, "Without `listen`: also on each global IPv6 address.")
    ip_free_bind: int = _setting(
        0,
        "Allow binding to addresses that this host does not have (1), or to both (2).",
        "ipfreebind",
        "ip_nonlocal_bind",
    )
    bind_ipv6_link_local: int = _setting(
        0, "1: find the interface of a link-local IPv6 address to listen on; 2: leave such addresses out."
    )
    mhomed: bool = _setting(
        False, "Send from the listener of the address that the host's routes choose, not from where a message came."
    )
    ipv6_hex_style: str = _setting(
        "c",
        "How IPv6 addresses are written: shortest (c), or with all eight groups in small (a) or capital (A) letters.",
    )
    alias: list[str] = field(
        default_factory=list, metadata=_about("Names that are `myself`, as `[proto:]host[:port]`.", "domain")
    )
    auto_aliases: bool = _setting(
        True, "Take the reverse names of the listeners' addresses as aliases.", "auto_domains"
    )
    advertised_address: str = _setting("", "Address for Via and Record-Route in place of the listener's own.")
    advertised_port: int = _setting(0, "Port for Via and Record-Route in place of the listener's own.")

    # Messages.
    reply_to_via: bool = _setting(False, "Send replies to the address in Via, not to where the request came from.")
    strict_messages: bool = _setting(
        False,
        "Kahea's own: answer a request that breaks RFC 3261 (400, 416, 505) before the script sees it, and drop such "
        "a response. Otherwise, as in Kamailio, what can be routed reaches the script, and what can't is dropped.",
    )
    check_via: bool = _setting(False, "Drop replies outside of transactions whose first Via is not ours.")
    sip_warning: bool = _setting(False, "Tell in a Warning header of our own replies what we saw of the request.")
    local_rport: bool = _setting(False, "Ask for rport in every Via of ours.")
    onsend_route_reply: bool = _setting(False, "Run the onsend route for received replies that are sent on, too.")
    received_route_mode: int = _setting(
        0, "1: run `event_route[core:msg-received]` for each message before it is parsed; `drop` in it drops that."
    )
    sip_parser_mode: int = _setting(1, "0: accept messages with several From, To, Call-ID or CSeq; the first counts.")
    http_reply_hack: bool = _setting(False, "Take HTTP replies for SIP replies.", "http_reply_parse")
    hdr_name_extra_chars: str = _setting(
        "", "Further characters in header names, for `strict_messages`; otherwise these may have any."
    )
    uri_host_extra_chars: str = _setting("", "Further characters in the host of a URI.")
    phone2tel: bool = _setting(True, "Treat SIP URIs with user=phone as tel URIs, with parameters of their number.")
    force_rport: bool = _setting(False, "Treat each request as if it asked for rport (RFC 3581).", "add_rport")
    server_signature: bool = _setting(True, "Add Server and User-Agent to what we make ourselves.")
    server_header: str = _setting(f"Server: kahea ({__version__})", "The Server header of our own replies, whole.")
    user_agent_header: str = _setting(
        f"User-Agent: kahea ({__version__})", "The User-Agent header of our own requests, whole."
    )
    max_while_loops: int = _setting(100, "The most turns of one `while` in a cfg; 0 for no limit.")
    msg_apply_changes_mode: bool = _setting(
        False, "Make the edits of a request part of it before it has a transaction, as if it had been received so."
    )
    return_mode: int = _setting(
        0,
        "What a call in an expression of a cfg is. 0: true or false, by the sign of its return code; 1: that code, "
        "which is true whatever its sign, to be compared by `> 0` and the like.",
    )
    max_recursive_level: int = _setting(256, "How deep the routes of a cfg may call each other.")
    max_branches: int = _setting(12, "The most branches of one request (1 to 30).")
    xavp_via_params: str = _setting("", "The XAVP whose values become parameters of our Via in requests.")
    xavp_via_reply_params: str = _setting("", "The XAVP whose values become parameters of the top Via in replies.")
    xavp_via_fields: str = _setting("", "The XAVP whose `address` and `port` replace those of our Via.")

    # UDP.
    udp_mtu: int = _setting(
        0, "Requests larger than this change to `udp_mtu_try_proto`; 0 for never (RFC 3261 §18.1.1)."
    )
    udp_mtu_try_proto: int = _setting(0, "The protocol for requests larger than `udp_mtu`: TCP or TLS; 0 keeps UDP.")
    maxbuffer: int = _setting(4 << 20, "What a UDP socket's receive buffer is raised to, if the kernel lets us.")
    maxsndbuffer: int = _setting(4 << 20, "What a UDP socket's send buffer is raised to, if the kernel lets us.")
    udp_gather_time: int = _setting(
        5,
        "Kahea's own: milliseconds that a datagram may wait for others while a listener is under load (from 1,600 "
        "datagrams a second), since reading them together costs less; 0 to read each at once.",
    )
    msg_recv_max_size: int = _setting(65535, "The largest message taken off a connection.")
    mcast: str = _setting(
        "", "The interface on which a multicast group is joined; in a cfg, by the listener that follows."
    )
    mcast_loopback: bool = _setting(False, "What is sent to a multicast group comes back to its members on this host.")
    mcast_ttl: int = _setting(-1, "How many hops datagrams to a multicast group may take; -1 for the system's default.")
    tos: int = _setting(0x10, "The IP type-of-service octet of what is sent.")
    pmtu_discovery: int = _setting(
        0, "UDP: 1 sets the don't-fragment bit; 2 lets this host fragment by what it knows of the path's MTU."
    )

    # TCP.
    tcp_accept_aliases: bool = _setting(False, "Take `;alias` in Via as leave to send requests back on a connection.")
    tcp_accept_haproxy: bool = _setting(
        False, "Take the PROXY protocol: a header of a balancer (HAProxy) that says whose a connection is."
    )
    tcp_accept_hep3: bool = _setting(
        False, "Know packets of HEP3 on TCP. Module sipcapture would take them; without it, their connection is closed."
    )
    tcp_accept_iplimit: int = _setting(1024, "The most connections from one address; 0 for no limit.")
    tcp_accept_no_cl: bool = _setting(False, "Accept messages without Content-Length on TCP, taking the body as empty.")
    tcp_accept_unique: int = _setting(0, "Refuse a second connection from the same address and port.")
    tcp_close_rst: bool = _setting(False, "Close connections by RST.")
    tcp_connection_match: int = _setting(0, "1: use only connections of the very listener sent from.")
    tcp_conn_wq_max: int = _setting(32768, "The most bytes queued for one connection.")
    tcp_connect_timeout: int = _setting(10, "Seconds until a connection attempt is given up.")
    tcp_connection_lifetime: int = _setting(120, "Seconds until an idle connection is closed.")
    tcp_crlf_ping: bool = _setting(True, "Answer the keep-alive of two line ends with one (RFC 5626 §4.4.1).")
    tcp_defer_accept: int = _setting(0, "Seconds for which the kernel holds back a connection without data.")
    tcp_delayed_ack: bool = _setting(True, "Let the kernel delay the ACK of a new connection.")
    tcp_keepalive: bool = _setting(True, "Ask the kernel to probe idle connections.")
    tcp_keepcnt: int = _setting(0, "Unanswered probes until a connection is dropped; 0 for the kernel's own.")
    tcp_keepidle: int = _setting(0, "Idle seconds until the first probe; 0 for the kernel's own.")
    tcp_keepintvl: int = _setting(0, "Seconds between probes; 0 for the kernel's own.")
    tcp_linger2: int = _setting(0, "Seconds an orphaned connection stays in FIN_WAIT2; 0 for the kernel's own.")
    tcp_listen_backlog: int = _setting(1024, "Connections waiting to be accepted.")
    tcp_max_connections: int = _setting(2048, "The most connections at one time.")
    tcp_msg_data_timeout: int = _setting(20, "Seconds for the first byte of an accepted connection.")
    tcp_msg_read_timeout: int = _setting(20, "Seconds for a message to be complete once it has begun.")
    tcp_no_connect: bool = _setting(False, "Open no connections; use only those that others opened.")
    tcp_reuse_port: bool = _setting(False, "Connect from the listener's own port.")
    tcp_script_mode: int = _setting(
        0, "0: close a connection if the request route returns a negative code for what came on it; 1: keep it."
    )
    tcp_send_timeout: int = _setting(10, "Seconds until a connection that takes no data is closed.")
    tcp_source_ipv4: str = _setting("", "The IPv4 address to connect from.")
    tcp_source_ipv6: str = _setting("", "The IPv6 address to connect from.")
    tcp_syncnt: int = _setting(0, "SYN retransmissions until a connect fails; 0 for the kernel's own.")
    tcp_wq_max: int = _setting(10485760, "The most bytes queued for all connections.")

    # TLS.
    tls_handshake_timeout: int = _setting(10, "Seconds until a TLS handshake is given up.")
    tls_max_connections: int = _setting(2048, "The most connections with TLS at one time.")

    # DNS (RFC 3263).
    dns_try_ipv6: bool = _setting(True, "Ask for AAAA too, where an IPv6 listener exists.")
    dns_try_naptr: bool = _setting(False, "Ask for NAPTR first.")
    dns_naptr_ignore_rfc: bool = _setting(True, "Order NAPTR answers by our own preferences.")
    dns_udp_pref: int = _setting(
        30, "Preference of UDP among NAPTR answers; negative leaves it out.", "dns_udp_preference"
    )
    dns_tcp_pref: int = _setting(
        20, "Preference of TCP among NAPTR answers; negative leaves it out.", "dns_tcp_preference"
    )
    dns_tls_pref: int = _setting(
        10, "Preference of TLS among NAPTR answers; negative leaves it out.", "dns_tls_preference"
    )
    dns_srv_lb: bool = _setting(
        False, "Choose among SRV answers of one priority by weight (RFC 2782).", "dns_srv_loadbalancing"
    )
    dns_retr_time: int = _setting(-1, "Seconds until a DNS question is asked again; -1 for the resolver's own.")
    dns_retr_no: int = _setting(-1, "Times a DNS question is asked again; -1 for the resolver's own.")
    dns_servers_no: int = _setting(-1, "Servers of resolv.conf that are used; -1 for all.")
    dns_slow_query_ms: int = _setting(
        0, "Milliseconds of which a DNS answer may take no more without being told of; 0 for any."
    )
    dns_use_search_list: bool = _setting(True, "Complete names by resolv.conf's search list.")
    use_dns_cache: bool = _setting(True, "Keep DNS answers for their time to live.", "dns_use_cache")
    use_dns_failover: bool = _setting(False, "Try the next DNS answer when a destination fails.", "dns_use_failover")
    dns_cache_flags: int = _setting(0, "1: IPv4 only, 2: IPv6 only, 4: IPv6 first.")
    dns_cache_negative_ttl: int = _setting(60, "Seconds for which a name without answer is remembered.")
    dns_cache_min_ttl: int = _setting(0, "The shortest time to live, in seconds.")
    dns_cache_max_ttl: int = _setting(2**31 - 1, "The longest time to live, in seconds.")
    dns_cache_del_nonexp: bool = _setting(
        False, "A full cache may drop entries that have not expired.", "dns_cache_delete_nonexpired"
    )

    # Destinations left alone.
    use_dst_blocklist: bool = _setting(False, "Send nothing to destinations where something failed a while ago.")
    dst_blocklist_init: bool = _setting(True, "Without it, `use_dst_blocklist` is off and can't be turned on.")
    dst_blocklist_expire: int = _setting(60, "For how many seconds a destination is left alone.", "dst_blocklist_ttl")
    dst_blocklist_mem: int = _setting(250, "How many KiB of them there may be: 24 bytes for each with IPv4, 36 IPv6.")
    dst_blocklist_udp_imask: int = _setting(
        0, "What does not count over UDP, a sum: 2 nothing could be sent, 4 no connection, 16 silence, 32 a 503."
    )
    dst_blocklist_tcp_imask: int = _setting(0, "The same over TCP, and WS.")
    dst_blocklist_tls_imask: int = _setting(0, "The same over TLS, and WSS.")
    dst_blocklist_sctp_imask: int = _setting(0, "The same over SCTP.")

    # The process, its log and its scripts.
    debug: int = _setting(0, "How much is logged: -1 errors, 0 warnings, 1 notices, 2 information, 3 debugging.")
    log_stderror: bool = _setting(True, "Log to stderr; else to syslog, if there is one on this host.")
    log_facility: str = _setting("LOG_DAEMON", "The facility of lines in syslog that have none of their own.")
    log_name: str = _setting("", "What the lines in syslog are named by; `kahea` if empty.")
    latency_cfg_log: int = _setting(3, "The level at which is told how long the request and the reply route took.")
    latency_limit_cfg: int = _setting(0, "Microseconds below which that is not told.")
    latency_limit_action: int = _setting(
        0, "Microseconds of which a function of a cfg may take no more without being told of; 0 for any."
    )
    latency_limit_db: int = _setting(
        0, "Microseconds of which a database may take no more for a statement without being told of; 0 for any."
    )
    latency_log: int = _setting(-1, "The level at which slow functions and statements are told of.")
    log_color: bool = _setting(False, "Colour the log by level.")
    log_prefix: str = _setting(
        "", "What stands before log lines written while a message is handled; may hold variables."
    )
    log_prefix_mode: int = _setting(0, "Evaluate `log_prefix` once for a message (0), or for each line (1).")
    exit_timeout: int = _setting(60, "Seconds that transactions get to finish after SIGTERM.", "ser_kill_timeout")
    user: str = _setting("", "The user to become once the script is read, by name or number.", "uid")
    group: str = _setting("", "The group to become once the script is read, by name or number.", "gid")
    disable_core_dump: bool = _setting(False, "Leave no core file, should the process crash.")
    open_files_limit: int = _setting(0, "The process's limit of open files; 0 leaves it.")
    server_id: int = _setting(0, "A number for this node among others.")
    iuid: str = _setting("", "A name for this node among others (`$iuid`); in a cfg, `coreparam[iuid]`.")
    rundir: str = _setting(
        "/run/kamailio", "Directory of the sockets and FIFOs that management modules make by default.", "run_dir"
    )
    stats_name_separator: str = _setting(
        "_", "What stands in the names of statistics between a table and what is counted."
    )
    version_table: str = _setting("version", "The table that has the versions of a database's tables.")
    control_socket: str = _setting(
        "",
        'Kahea\'s own: the path of the control socket, for `kahea ctl`; "none" for no such socket. By default it is in '
        "the run directory of the user or service.",
    )
    metrics: str = _setting(
        "", "Kahea's own: where Prometheus finds `/metrics`, as [tcp:][host:]port; nowhere by default."
    )
    workdir: str = _setting("", "Directory to change to before the script is read.", "wdir")
    kemi_request_route_callback: str = _setting(
        "ksr_request_route", "The script's function for requests (`kemi.request_route_callback`)."
    )
    kemi_reply_route_callback: str = _setting("ksr_reply_route", 'The script\'s function for replies; "none" for none.')
    kemi_onsend_route_callback: str = _setting(
        "ksr_onsend_route", 'The script\'s function before a request is sent; "none" for none.'
    )
    kemi_event_route_callback: str = _setting("", "The script's function for events of the core.")
    kemi_received_route_callback: str = _setting(
        "", "The script's function for each message before it is parsed (`core:msg-received`)."
    )
    kemi_pre_routing_callback: str = _setting(
        "", "The script's function before the request route (`core:pre-routing`)."
    )

    def set(self, name: str, value: Given) -> str:
        """Give a parameter a value; a list where it may be given several times.

        Returns "" or, where it has no effect here, why not. Raises ConfigError for an unknown name, a value
        of the wrong type, or a feature that is not supported yet.
        """
        real = _names().get(name)
        if real is None:
            raise ConfigError(f"unknown global parameter {name!r}{nearest(name, _names())}")
        if real in INERT:
            return INERT[real]
        if real in REFUSED:
            wanted, why = REFUSED[real]
            if _plain(value) != wanted:
                raise ConfigError(f"global parameter {name} = {value!r}: {why}")
            return ""
        if name in _NEGATED:
            given = _convert(real, value, bool)
            value = value if given is None else not given
        if real == "log_facility":
            try:
                value = facility(str(value))
            except ValueError as error:
                raise ConfigError(f"global parameter {name}: {error}") from error
        self._give(real, name, value)
        if real == "enable_sctp":
            if self.enable_sctp not in (0, 2):
                raise ConfigError(f"global parameter {name}: {NO_SCTP}")
            return f"{NO_SCTP}; there is none either way" if self.enable_sctp else ""
        return ""

    def _give(self, real: str, name: str, value: Given) -> None:
        """Convert a value to the type of its parameter's default, and keep it."""
        now = getattr(self, real)
        if isinstance(now, list):
            now.extend(str(v) for v in (value if isinstance(value, list) else [value]))
            return
        converted = _convert(real, value, type(now))
        if converted is None:
            raise ConfigError(f"global parameter {name} takes {_WORDS[type(now)]}, not {value!r}")
        words = _CHOICES.get(real)
        if words is not None and converted not in words:
            raise ConfigError(f"global parameter {name} is one of {', '.join(words)}, not {converted!r}")
        if real in _IP and converted:
            converted = converted.strip("[]")
            if is_ip(converted) != _IP[real]:
                raise ConfigError(f"global parameter {name} is an IPv{_IP[real]} address, not {converted!r}")
        low, high = _RANGES.get(real, (None, None))
        if low is not None and high is not None and not low <= converted <= high:
            raise ConfigError(f"global parameter {name} is from {low} to {high}, not {converted}")
        setattr(self, real, converted)

    @staticmethod
    def explain(name: str) -> str:
        """What a parameter means, or why it has no effect here; raises ConfigError for an unknown name."""
        real = _names().get(name)
        if real is None:
            raise ConfigError(f"unknown global parameter {name!r}{nearest(name, _names())}")
        if real in INERT:
            return f"no effect: {INERT[real]}"
        if real in REFUSED:
            return REFUSED[real][1]
        doc: str = next(f for f in fields(Settings) if f.name == real).metadata["doc"]
        return doc

    @staticmethod
    def names() -> list[str]:
        """Every name that is accepted, other names included."""
        return sorted(_names())

    @staticmethod
    def kind(name: str) -> type:
        """The type of a parameter's values: `bool`, `int`, `str` or `list`; `int` for one that has no effect here."""
        return _kinds().get(_names().get(name, name), int)


_WORDS: Final[dict[type, str]] = {bool: "yes or no", int: "an integer", str: "a string"}
#: Addresses, by their version.
_IP: Final = {"tcp_source_ipv4": 4, "tcp_source_ipv6": 6}
_CHOICES: Final = {"ipv6_hex_style": ("A", "a", "c")}
_RANGES: Final = {
    "advertised_port": (0, 65535),
    "dst_blocklist_expire": (0, 2**31 - 1),
    "dst_blocklist_mem": (0, 1 << 20),
    **dict.fromkeys((f"dst_blocklist_{proto}_imask" for proto in ("udp", "tcp", "tls", "sctp")), (0, 255)),
    "max_branches": (1, 30),
    "mcast_ttl": (-1, 255),
    "pmtu_discovery": (0, 2),
    "port": (1, 65535),
    "return_mode": (0, 1),
    "tls_port_no": (1, 65535),
    "tos": (0, 255),
    "udp_gather_time": (0, 100),
    "udp_mtu": (0, 65535),
}

#: Further names of the parameters in `global_inert`.
_INERT_ALIASES: Final = {
    "core_log": "corelog",
    "dns_rev_via": "rev_dns",
    "dns_sctp_preference": "dns_sctp_pref",
    "mem_dbg": "memdbg",
    "mem_log": "memlog",
    "rt_fast_timer_prio": "rt_timer1_prio",
    "rt_ftimer_policy": "rt_timer1_policy",
    "rt_ftimer_prio": "rt_timer1_prio",
    "rt_stimer_policy": "rt_timer2_policy",
    "tcp_async": "tcp_buf_write",
    "rt_stimer_prio": "rt_timer2_prio",
    "shm_mem": "shm",
    "shm_mem_size": "shm",
    "tcp_accept_protos": "tcp_accept_protocols",
}


@cache
def _names() -> dict[str, str]:
    """Every accepted name and the name under which the table or the attribute stands."""
    found = {name: name for name in (*INERT, *REFUSED)} | dict(_INERT_ALIASES)
    for f in fields(Settings):
        found[_outer(f)] = f.name
        found.update(dict.fromkeys(f.metadata["aliases"], f.name))
    return found


@cache
def _kinds() -> dict[str, type]:
    plain = Settings()
    return {f.name: type(getattr(plain, f.name)) for f in fields(Settings)}


def _outer(f: Field[Any]) -> str:
    """The name in a file: `kemi.*` has a dot, which an attribute can't."""
    return f.name.replace("kemi_", "kemi.", 1) if f.name.startswith("kemi_") else f.name


def _plain(value: Given) -> int | str:
    """A value as the tables have it: words for yes and no as 1 and 0."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        word = value.lower()
        return 1 if word in _YES else 0 if word in _NO else value
    return value if isinstance(value, int) else ""


def _convert(real: str, value: Given, kind: type) -> Any:
    """`value` as `kind`, or None where it does not fit."""
    if isinstance(value, str) and real == "udp_mtu_try_proto":
        return _PROTOCOLS.get(value.lower())
    if isinstance(value, str) and real == "tos" and value in _TOS_WORDS:
        return _TOS_WORDS[value]
    if kind is bool:
        word = str(value).lower()
        return True if word in _YES else False if word in _NO else None
    if kind is int:
        plain = _plain(value)
        if isinstance(value, bool) or plain in (0, 1):
            return plain
        try:
            return int(value, 0) if isinstance(value, str) else int(value) if isinstance(value, int) else None
        except ValueError:
            return None
    return value if isinstance(value, str) else None


def nearest(name: str, known: Any) -> str:
    """A hint for a name that is not known: `; did you mean "x"?`, or ""."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""
