"""The parameters of module permissions, under Kamailio's names."""

from __future__ import annotations

from kahea.routing.checks import between
from kahea.routing.lookups import column_name, table_name
from kahea.routing.module import Module, Param

#: Bits of `load_backends`.
ADDRESSES, TRUSTED, ALLOW_FILES, DENY_FILES = 1, 2, 4, 8


def _backends(value: int) -> int:
    if not value & (ADDRESSES | TRUSTED | ALLOW_FILES | DENY_FILES):
        raise ValueError("nothing is loaded: it is a sum of 1, 2, 4 and 8")
    return value


class PermissionsParameters(Module):
    """Who may do what: by address, by rules in files, and peers that need no authentication."""

    name = "permissions"

    default_allow_file = Param("permissions.allow", "The file that allows, for `allow_routing()`.")
    default_deny_file = Param("permissions.deny", "The file that denies, for `allow_routing()`.")
    check_all_branches = Param(1, "0: allow_routing looks at the first branch only.", check=between(0, 1))
    allow_suffix = Param(".allow", "What the names of files that allow end in, with the dot.")
    deny_suffix = Param(".deny", "What the names of files that deny end in, with the dot.")
    address_file = Param("", "The file of addresses, which are then not in the database.")
    db_url = Param("", "The database with the tables `address` and `trusted`.")
    address_table = Param("address", "The table of addresses.", check=table_name)
    grp_col = Param("grp", "Its column with the group, 1 or above.", check=column_name)
    ip_addr_col = Param("ip_addr", "Its column with the address, or name.", check=column_name)
    mask_col = Param("mask", "Its column with the prefix length; 0 is a single address.", check=column_name)
    port_col = Param("port", "Its column with the port, 0 for any.", check=column_name)
    db_mode = Param(0, "1: allow_trusted works in memory; 0: each call asks the database.", check=between(0, 1))
    trusted_table = Param("trusted", "The table of trusted peers.", check=table_name)
    source_col = Param("src_ip", "Its column with the source address.", check=column_name)
    proto_col = Param("proto", "Its column with the protocol; `any` fits each, `none` never.", check=column_name)
    from_col = Param("from_pattern", "Its column with the pattern for the From URI.", check=column_name)
    ruri_col = Param("ruri_pattern", "Its column with the pattern for the Request-URI.", check=column_name)
    tag_col = Param("tag", "The column of both tables with the tag.", check=column_name)
    priority_col = Param("priority", "Its column with the priority, the highest first in memory.", check=column_name)
    peer_tag_avp = Param("", "The AVP that gets the tag of what was found, as `$avp(name)`.")
    peer_tag_mode = Param(
        0, "1: allow_trusted adds the tags of all peers that fit, and returns how many.", check=between(0, 1)
    )
    max_subnets = Param(512, "The most networks; further ones are left out.", check=between(0, 1 << 24))
    load_backends = Param(
        0xFFFF, "What is loaded, a sum: 1 addresses, 2 trusted peers, 4 files that allow, 8 that deny.", check=_backends
    )
    reload_delta = Param(5, "Seconds between two reloads, at least.", check=between(0, 1 << 24))
    trusted_cleanup_interval = Param(
        60, "Seconds until a table that was replaced is freed.", inert="what nobody uses any more is freed at once"
    )
