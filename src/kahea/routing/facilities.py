"""The facilities of syslog, as a cfg names them."""

from __future__ import annotations

from typing import Final

#: Kamailio's names with syslog's numbers (RFC 3164 §4.1.1).
FACILITIES: Final = {
    "LOG_KERN": 0,
    "LOG_USER": 1,
    "LOG_MAIL": 2,
    "LOG_DAEMON": 3,
    "LOG_AUTH": 4,
    "LOG_SYSLOG": 5,
    "LOG_LPR": 6,
    "LOG_NEWS": 7,
    "LOG_UUCP": 8,
    "LOG_CRON": 9,
    "LOG_AUTHPRIV": 10,
    "LOG_FTP": 11,
    **{f"LOG_LOCAL{n}": 16 + n for n in range(8)},
}


def facility(value: str) -> str:
    """The name in full, `LOG_` before it. Raises ValueError for one that there is not."""
    name = value if value.startswith("LOG_") else f"LOG_{value}"
    if name not in FACILITIES:
        raise ValueError(f"there is no facility {value!r}")
    return name
