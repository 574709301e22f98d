"""What values Kamailio's grammar takes for each global parameter: data, as real Kamailio accepted and refused them.

Whatever is not listed takes a number, which `yes`, `on` and their kin are too.
"""

from __future__ import annotations

from typing import Final

_STRINGS: Final = """
    async_tkv_evcb async_tkv_gname async_workers_group hdr_name_extra_chars ipv6_hex_style log_engine_data
    log_engine_type log_name log_prefix server_header stats_name_separator tls_ca_list tls_certificate
    tls_private_key uri_host_extra_chars user_agent_header version_table xavp_via_fields xavp_via_params
    xavp_via_reply_params
"""
_SIGNED: Final = """
    core_log corelog debug dns_sctp_pref dns_sctp_preference dns_tcp_pref dns_tcp_preference dns_tls_pref
    dns_tls_preference dns_udp_pref dns_udp_preference ip_free_bind ip_nonlocal_bind ipfreebind latency_cfg_log
    latency_log mem_dbg mem_join mem_log mem_safety mem_status_mode mem_summary memdbg memlog received_route_mode
    sip_parser_log sip_parser_log_oneline sip_parser_mode tcp_connect_timeout tcp_connection_lifetime
    tcp_script_mode tcp_send_timeout tcp_wait_data udp4_raw
"""

#: A string in quotes.
STRINGS: Final = frozenset(_STRINGS.split())
#: A string in quotes or a bare word.
WORDS: Final = frozenset(
    ("chroot", "gid", "group", "log_facility", "mcast", "run_dir", "rundir", "uid", "user", "wdir", "workdir")
)
#: A string, a word or an address.
HOSTS: Final = frozenset(("advertised_address",))
#: A bare IP address.
ADDRESSES: Final = frozenset(("tcp_source_ipv4", "tcp_source_ipv6"))
#: A bare word of these, in any case; those of `tcp_poll_method` may stand in quotes.
CHOICES: Final = {
    "tcp_poll_method": ("poll", "epoll_lt", "epoll_et", "sigio_rt", "select", "kqueue", "/dev/poll"),
    "tls_method": ("SSLv2", "SSLv3", "SSLv23", "TLSv1"),
}
#: What `coreparam[...]` sets; each takes a string, a word or a number.
COREPARAMS: Final = frozenset(("iuid", "random_engine", "timer_sanity_check"))
#: The name of a protocol.
PROTOCOLS: Final = frozenset(("udp_mtu_try_proto",))
#: A number, a string or a word.
ANY: Final = frozenset(("tcp_accept_protocols", "tcp_accept_protos")) | COREPARAMS
#: A number or a word.
NUMBERS_OR_WORDS: Final = frozenset(("tos",))
#: A number that may be negative.
SIGNED: Final = frozenset(_SIGNED.split())
#: The spellings of 1 and of 0.
YES: Final = frozenset(("enable", "on", "true", "yes"))
NO: Final = frozenset(("disable", "false", "no", "off"))
