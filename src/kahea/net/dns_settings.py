"""The settings of DNS, under the names of Kamailio's global parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

IPV4_ONLY = 1
IPV6_ONLY = 2
PREFER_IPV6 = 4


class DnsSettings(Protocol):
    """What the resolver reads, anew each time: the node's settings, or `DnsDefaults`.

    How names become destinations:

    - `dns_try_ipv6`: ask for AAAA too, if there is an IPv6 listener.
    - `dns_cache_flags`: 1 IPv4 only, 2 IPv6 only, 4 IPv6 first.
    - `dns_try_naptr`: begin with NAPTR where neither port nor transport is given.
    - `dns_naptr_ignore_rfc`: order NAPTR records by our preference of their transport, not by theirs.
    - `dns_udp_pref`, `dns_tcp_pref`, `dns_tls_pref`: these preferences, the highest first; below 0 the transport is
      left out. SRV is asked for in that order, too. `dns_sctp_pref` (20) is read where the settings have it.
    - `dns_srv_lb`: choose among SRV records of one priority by chance, weighted (RFC 2782); else the heaviest
      comes first.
    - `use_dns_failover`: give all destinations; else the first one only.
    - `dns_use_search_list`: complete names without a dot by the search list of resolv.conf.

    `dns_slow_query_ms`: of an answer that took so many milliseconds or more the log tells; 0 for of none.

    How questions are asked (-1: as the system's resolver would): `dns_retr_time`, seconds until a server is
    asked again; `dns_retr_no`, how often each is asked; `dns_servers_no`, how many servers of resolv.conf.

    How answers are kept: `use_dns_cache`; `dns_cache_min_ttl` and `dns_cache_max_ttl` bound the time to live
    (-1: no bound), in seconds; `dns_cache_negative_ttl` is that of "no such name";
    `dns_cache_del_nonexp` lets a full cache drop answers that have not expired, else it keeps no more.
    """

    dns_try_ipv6: bool
    dns_cache_flags: int
    dns_try_naptr: bool
    dns_naptr_ignore_rfc: bool
    dns_udp_pref: int
    dns_tcp_pref: int
    dns_tls_pref: int
    dns_srv_lb: bool
    use_dns_failover: bool
    dns_use_search_list: bool
    dns_retr_time: int
    dns_retr_no: int
    dns_servers_no: int
    dns_slow_query_ms: int
    use_dns_cache: bool
    dns_cache_min_ttl: int
    dns_cache_max_ttl: int
    dns_cache_negative_ttl: int
    dns_cache_del_nonexp: bool


@dataclass(slots=True)
class DnsDefaults:
    """Kamailio's defaults."""

    dns_try_ipv6: bool = True
    dns_cache_flags: int = 0
    dns_try_naptr: bool = False
    dns_naptr_ignore_rfc: bool = True
    dns_udp_pref: int = 30
    dns_tcp_pref: int = 20
    dns_tls_pref: int = 10
    dns_srv_lb: bool = False
    use_dns_failover: bool = False
    dns_use_search_list: bool = True
    dns_retr_time: int = -1
    dns_retr_no: int = -1
    dns_servers_no: int = -1
    dns_slow_query_ms: int = 0
    use_dns_cache: bool = True
    dns_cache_min_ttl: int = 0
    dns_cache_max_ttl: int = -1
    dns_cache_negative_ttl: int = 60
    dns_cache_del_nonexp: bool = False
