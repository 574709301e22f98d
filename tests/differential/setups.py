"""The setups that flows play in: script, listeners and parameters."""

from __future__ import annotations

from .servers import Setup

ROUTER = Setup("router", "script_router.py")
TRICKS = Setup("tricks", "script_tricks.py")
#: For what may disturb others in Kamailio: a closed UDP port, whose ICMP error fails an unrelated send.
ALONE = Setup("alone", "script_tricks.py", at_once=1)
ADVERTISED = Setup("advertised", "script_tricks.py", listen={"udp": "192.0.2.8:5090", "tcp": "192.0.2.8:5091"})
DOUBLE_RR_OFF = Setup("double-rr-off", "script_tricks.py", parameters={"rr": {"enable_double_rr": 0}})
#: For what asks the DNS: Kamailio's worker stands still meanwhile, so other flows keep away.
RESOLVING = Setup(
    "resolving",
    "script_tricks.py",
    settings={"dns_retr_time": 1, "dns_retr_no": 1, "dns_use_search_list": "no"},
)
#: At port 5060, which Kamailio leaves out where it can.
STANDARD_PORT = Setup("standard-port", "script_tricks.py", listen={"udp": "", "tcp": ""}, standard_port=True)
STANDARD_ADVERTISED = Setup(
    "standard-advertised",
    "script_tricks.py",
    listen={"udp": "192.0.2.8", "tcp": "192.0.2.8:5060"},
    standard_port=True,
)
OTHER_ADVERTISED = Setup("other-advertised", "script_tricks.py", listen={"udp": "192.0.2.8", "tcp": "192.0.2.8:5060"})
