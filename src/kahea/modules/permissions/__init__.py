"""Who may do what (Kamailio's module permissions): by address, by rules in files, and peers that need no password.

| file | what |
|---|---|
| `addresses.py` | addresses, networks and names in groups |
| `trusted.py` | the rules of the table `trusted` |
| `rules.py` | files of rules that allow or deny |
| `sources.py` | reading addresses from a file or a table |
| `parameters.py`, `loading.py` | the parameters; loading, and again while the node runs |
| `functions.py` | the functions of scripts |
| here | the management commands |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.permissions.functions import PermissionsFunctions
from kahea.modules.permissions.loading import LoadError
from kahea.routing.module import RpcError, rpc
from kahea.routing.run import can_wait, wait
from kahea.routing.text import wire
from kahea.routing.transformations.strings import core_hash

if TYPE_CHECKING:
    from kahea.modules.permissions.addresses import AddressTable
    from kahea.routing.node import Node

_OK: Final = "Reload OK"
_NO_TAG: Final = "NULL"
#: Slots of Kamailio's tables, whose numbers and order its dumps show.
_SLOTS: Final = 128
#: Bytes of an address that decide on its slot.
_HASHED: Final = 4


class Permissions(PermissionsFunctions):
    """Who may do what: by address, by rules in files, and peers that need no authentication."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._reloading = False
        self._reloaded_at = -math.inf

    # ---- reloading

    def _reload(self, load: Callable[[], Coroutine[Any, Any, None]], what: str) -> str:
        now = self.node.now()
        if self._reloading or now - self._reloaded_at < self.reload_delta:
            raise RpcError(500, "ongoing reload")
        if not can_wait():
            raise RpcError(500, "can't wait for a reload here")
        self._reloaded_at = now
        self._reloading = True
        try:
            wait(load())
        except LoadError as error:
            self.node.log.error("permissions: the %s stay as they were: %s", what, error)
            raise RpcError(500, "Reload failed.") from error
        finally:
            self._reloading = False
        return _OK

    @rpc("permissions.addressReload")
    def rpc_address_reload(self) -> str:
        """Read the addresses anew, from the file or the database; if that fails, they stay as they were."""
        return self._reload(self.reload_addresses, "addresses")

    @rpc("permissions.trustedReload")
    def rpc_trusted_reload(self) -> str:
        """Read the trusted peers that are kept in memory anew; if that fails, they stay as they were."""
        return self._reload(self.reload_trusted, "trusted peers")

    # ---- dumps

    def _loaded(self, what: str) -> AddressTable:
        if self.addresses is None:
            raise RpcError(500, f"No {what} table")
        return self.addresses

    @rpc("permissions.addressDump")
    def rpc_address_dump(self) -> list[dict[str, Any]]:
        """The single addresses, in the order of Kamailio's table."""
        entries = self._loaded("address").addresses
        return [
            {
                "table": slot,
                "group": entry.group,
                "item": {"ip": entry.host, "port": entry.port, "tag": entry.tag or _NO_TAG},
            }
            for slot, entry in _by_slot(reversed(entries), lambda entry: entry.ip.packed()[:_HASHED])
        ]

    @rpc("permissions.subnetDump")
    def rpc_subnet_dump(self) -> list[dict[str, Any]]:
        """The networks, by group."""
        return [
            {
                "id": number,
                "group": entry.group,
                "item": {"ip": entry.host, "mask": entry.mask, "port": entry.port, "tag": entry.tag or ""},
            }
            for number, entry in enumerate(self._loaded("subnet").ordered_networks())
        ]

    @rpc("permissions.domainDump")
    def rpc_domain_dump(self) -> list[dict[str, Any]]:
        """The names, in the order of Kamailio's table."""
        entries = self._loaded("domain list").names
        return [
            {
                "table": slot,
                "group": entry.group,
                "item": {
                    "domain_name": entry.host,
                    "port": entry.port,
                    "tag": entry.tag or _NO_TAG,
                },
            }
            for slot, entry in _by_slot(reversed(entries), lambda entry: wire(entry.host))
        ]

    @rpc("permissions.trustedDump")
    def rpc_trusted_dump(self) -> list[dict[str, Any]]:
        """The trusted peers that are kept in memory, in the order of Kamailio's table."""
        if self.trusted is None:
            raise RpcError(500, "No trusted table")
        return [
            {
                "table": slot,
                "item": {
                    "ip": rule.source,
                    "proto": rule.proto,
                    "pattern": _NO_TAG if rule.from_pattern is None else rule.from_pattern,
                    "ruri_pattern": _NO_TAG if rule.ruri_pattern is None else rule.ruri_pattern,
                    "tag": rule.tag or _NO_TAG,
                    "priority": rule.priority,
                },
            }
            for slot, rule in _by_slot(self.trusted.rules, lambda rule: wire(rule.source))
        ]

    # ---- files of rules

    def _test(self, given: tuple[str | None, str | None, str | None]) -> str:
        basename, uri, contact = given
        if basename is None or uri is None or contact is None:
            raise RpcError(500, "Not enough parameters (basename, URI and contact)")
        for name in (basename + self.allow_suffix, basename + self.deny_suffix):
            if self.path(name) not in self.files:
                self.node.log.error("permissions: no script has loaded the file %s", self.path(name))
                return "Denied"
        return "Allowed" if self.files_of(basename).let(uri, (contact,)) else "Denied"

    @rpc("permissions.testUri")
    def rpc_test_uri(self, basename: str | None = None, uri: str | None = None, contact: str | None = None) -> str:
        """Whether the files of a basename, which a script must have loaded, let a URI go with a contact."""
        return self._test((basename, uri, contact))

    @rpc("permissions.allowUri")
    def rpc_allow_uri(self, basename: str | None = None, uri: str | None = None, contact: str | None = None) -> str:
        """As `permissions.testUri`."""
        return self._test((basename, uri, contact))


def _by_slot(entries: Iterable[Any], key: Callable[[Any], bytes]) -> list[tuple[int, Any]]:
    """Entries by the slots that they have in Kamailio, those of one slot in their order."""
    slots = [(core_hash(key(entry).decode("latin-1")) % _SLOTS, entry) for entry in entries]
    return sorted(slots, key=lambda pair: pair[0])


MODULE = Permissions
