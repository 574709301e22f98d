"""Accounts with other servers, as rows of Kamailio's table uacreg."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def row(uuid: str, **other: Any) -> Row:
    """An account, with these columns other than usual."""
    usual: Row = {
        "l_uuid": uuid, "l_username": f"l{uuid}", "l_domain": "local.org", "r_username": f"r{uuid}",
        "r_domain": "remote.org", "realm": "", "auth_username": f"a{uuid}", "auth_password": "pw", "auth_ha1": "",
        "auth_proxy": "sip:10.0.0.2", "expires": 3600, "flags": 0, "reg_delay": 0, "contact_addr": "", "socket": "",
    }  # fmt: skip
    return usual | other


def insert(each: Row) -> tuple[str, list[Any]]:
    """The statement that writes a row, and its values."""
    return f"insert into uacreg ({','.join(each)}) values ({','.join('?' * len(each))})", list(each.values())
