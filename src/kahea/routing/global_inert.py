"""Global parameters that change nothing here, each with its reason; and those that are refused, with theirs.

Apart from the settings themselves, so that a reader of those meets only what has an effect. A name in `INERT`
is accepted with any value and explained to the operator; a name in `REFUSED` is refused unless it is given
the value in the table, which asks for what happens anyway.
"""

from __future__ import annotations

from typing import Final

_ONE_PROCESS = "a node is one process with one event loop; start more nodes for more cores"
_ASYNC = "every run of a script may wait without holding up another; there are no async workers"
_NO_SHM = "memory is Python's own; there is no shared or private pool to size or check"
_NO_RT = "the node asks for no real-time scheduling; set it from outside (chrt, systemd's CPUSchedulingPolicy)"
_OUTSIDE = "the service manager decides this (systemd, a container), before the process starts"
_LOOP = "the event loop owns the sockets' polling and hand-over"
_RPC_LOCKS = "RPC commands run in the event loop, one at a time, and need no locks"
_TLS_MODULE = "Kamailio has no TLS in its core either: the module tls has a parameter for it"
_SCTP_ONLY = "it concerns SCTP, which is not supported yet"
_RAW = "datagrams leave in batches (sendmmsg); a raw socket would save nothing"
_VIA_NAMES = "the sender's address is told in a Via that has a name (RFC 3261 §18.2.1), whatever DNS says of the name"

#: Accepted with any value: the thing they tune does not exist in this architecture.
INERT: Final[dict[str, str]] = {
    "async_nonblock": _ASYNC,
    "async_usleep": "there are no async workers that poll",
    "async_workers": _ASYNC,
    "async_workers_group": _ASYNC,
    "children": _ONE_PROCESS,
    "chroot": "parts of the server are read when they are first needed; the service manager can confine all of it",
    "corelog": "the core's own messages are logged at their own level",
    "dns": _VIA_NAMES,
    "dns_cache_gc_interval": "the DNS cache drops its oldest entries when it is full; it has no sweeper",
    "dns_cache_init": "the DNS cache costs nothing until it is used",
    "dns_cache_mem": "the DNS cache is bounded by its number of entries",
    "dns_cache_rec_pref": "an answer is kept until it expires, and takes no other's place before",
    "dns_sctp_pref": _SCTP_ONLY,
    "dns_search_full_match": "an answer must be for the name that was asked for, search suffix included",
    "dst_blocklist_gc_interval": "what is over is dropped when it is met, or when room is needed",
    "fork": "the node stays in the foreground; a service manager puts it into the background",
    "fork_delay": _ONE_PROCESS,
    "log_engine_data": "logging is Python's: attach a handler to the logger `kahea`",
    "log_engine_type": "logging is Python's: attach a handler to the logger `kahea`",
    "mem_add_size": _NO_SHM,
    "mem_join": _NO_SHM,
    "mem_safety": _NO_SHM,
    "mem_status_mode": _NO_SHM,
    "mem_summary": _NO_SHM,
    "memdbg": _NO_SHM,
    "memlog": _NO_SHM,
    "mlock_pages": _OUTSIDE,
    "modinit_delay": "modules start one after another, each when those that it needs are ready",
    "msg_clone_extra_size": _NO_SHM,
    "msg_time": "a message has the time at which it was read; the kernel's stamp differs by microseconds",
    "pv_buffer_size": "a variable's value may be of any length",
    "pv_buffer_slots": "a variable's value may be of any length",
    "pv_cache_action": "compiled variables are kept for as long as the script that uses them",
    "pv_cache_limit": "compiled variables are kept for as long as the script that uses them",
    "random_engine": "random numbers are Python's (Mersenne Twister), and the system's where they must be secret",
    "real_time": _NO_RT,
    "rev_dns": _VIA_NAMES,
    "route_locks_size": "messages of one call can't run side by side in two workers, since there is one loop",
    "rpc_exec_delta": _RPC_LOCKS,
    "rpc_exec_locks": _RPC_LOCKS,
    "rpc_exec_locks_mode": _RPC_LOCKS,
    "rt_policy": _NO_RT,
    "rt_prio": _NO_RT,
    "rt_timer1_policy": _NO_RT,
    "rt_timer1_prio": _NO_RT,
    "rt_timer2_policy": _NO_RT,
    "rt_timer2_prio": _NO_RT,
    "sctp_children": _ONE_PROCESS,
    "shm": _NO_SHM,
    "shm_force_alloc": _NO_SHM,
    "sip_parser_log": "messages that can't be parsed are logged at debug level, whatever their kind",
    "sip_parser_log_oneline": "messages that can't be parsed are logged on one line",
    "socket_workers": _ONE_PROCESS,
    "sql_buffer_size": "an SQL statement may be of any length",
    "tcp_buf_write": "sending never waits: what a connection does not take at once is queued, within `tcp_conn_wq_max`",
    "tcp_check_timer": "a connection is looked at when its own time is up, not in intervals",
    "tcp_children": _ONE_PROCESS,
    "tcp_clone_rcvbuf": "a message that outlives its read owns its bytes already",
    "tcp_fd_cache": _LOOP,
    "tcp_main_threads": _ONE_PROCESS,
    "tcp_poll_method": _LOOP,
    "tcp_rd_buf_size": "a connection's buffer grows with its message, up to `msg_recv_max_size`",
    "tcp_wait_data": _LOOP,
    "tcp_wq_blk_size": _NO_SHM,
    "timer_sanity_check": "the timers are in a wheel of their own, which no script and no module can damage",
    "tls_ca_list": _TLS_MODULE,
    "tls_certificate": _TLS_MODULE,
    "tls_method": _TLS_MODULE,
    "tls_private_key": _TLS_MODULE,
    "tls_require_certificate": _TLS_MODULE,
    "tls_send_timeout": "`tcp_send_timeout` holds for TLS, too",
    "tls_threads_mode": _ONE_PROCESS,
    "tls_verify": _TLS_MODULE,
    "udp4_raw": _RAW,
    "udp4_raw_mtu": _RAW,
    "udp4_raw_ttl": _RAW,
    "udp_receiver_mode": _ONE_PROCESS,
    "verbose_startup": "raise `debug` to see how the node starts",
    "wait_worker1_mode": _ONE_PROCESS,
    "wait_worker1_time": _ONE_PROCESS,
    "wait_worker1_usleep": _ONE_PROCESS,
}

#: Why there is no SCTP.
NO_SCTP: Final = "SCTP is not supported yet: Kahea has no transport for it"
#: Refused: the one value that asks for nothing else than what happens, and what is missing.
REFUSED: Final[dict[str, tuple[int | str, str]]] = {
    "async_tkv_evcb": ("", "events of a type, a key and a value (`core:tkv`) are not made here"),
    "async_tkv_gname": ("", "events of a type, a key and a value (`core:tkv`) are not made here"),
    "coreparam": ("", 'it has the parameter\'s name in brackets: `coreparam[iuid] = "east"`'),
    "socket": ("", "it is a block, `socket = { bind = udp:192.0.2.1:5060; }`, or `listen = udp:192.0.2.1:5060`"),
    "tcp_accept_protocols": (
        92,
        "what is taken off TCP follows from what is loaded (xhttp) and from `tcp_accept_haproxy` and `tcp_accept_hep3`",
    ),
    "tls_connection_match_domain": (0, "connections to one address are shared, whatever their TLS domain"),
    "udp_accept_proxy": (
        0,
        "headers of the PROXY protocol are not taken off datagrams; over TCP, `tcp_accept_haproxy` does so",
    ),
}
