"""Loading the tables, at start and again while the node runs. A load that fails leaves the tables as they were."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.modules.permissions.addresses import AddressTable, Record
from kahea.modules.permissions.parameters import (
    ADDRESSES,
    ALLOW_FILES,
    DENY_FILES,
    TRUSTED,
    PermissionsParameters,
)
from kahea.modules.permissions.rules import Permissions, Rules, read_rules
from kahea.modules.permissions.sources import (
    ADDRESS_VERSION,
    TRUSTED_VERSION,
    BadRecord,
    address_of,
    pages,
    read_file,
)
from kahea.modules.permissions.trusted import Rule, TrustedTable, rule_of
from kahea.routing.module import ConfigError
from kahea.routing.pv import PvError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kahea.connectors.sql import Database
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv

log = logging.getLogger("kahea.permissions")

#: Files of rules that scripts may name in one run of the node.
MAX_FILES: Final = 1024

#: A host name: the last label has a letter.
_NAME: Final = re.compile(r"(?:[\w-]+\.)*\d*[A-Za-z_-][\w-]*\.?")

#: What a load that fails raises.
LoadError: Final = (DatabaseError, BadRecord, OSError)


class PermissionsTables(PermissionsParameters):
    """Who may do what: by address, by rules in files, and peers that need no authentication."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.addresses: AddressTable | None = None
        self.trusted: TrustedTable | None = None
        self.database: Database | None = None
        self.tag: Pv | None = None
        #: Those that were read, by their paths.
        self.files: dict[Path, Rules] = {}

    def start(self) -> None:
        """Read the files, make the pool of connections. Raises ConfigError."""
        self.keep_defaults()
        if self.peer_tag_avp:
            self.tag = self._avp(self.peer_tag_avp)
        if self.db_url and self.load_backends & (ADDRESSES | TRUSTED):
            from kahea.connectors.sql import Database

            try:
                self.database = Database(self.db_url)
            except BadUrl as error:
                raise ConfigError(f"parameter permissions.db_url: {error}") from error
        if self.has_files():
            self.rules_of(self.default_allow_file)
            self.rules_of(self.default_deny_file)
        if self.load_backends & ADDRESSES and self.address_file:
            try:
                self.addresses = self._table(read_file(self.path(self.address_file)))
            except LoadError as error:
                raise ConfigError(f"parameter permissions.address_file: {error}") from error

    def _avp(self, written: str) -> Pv:
        try:
            pv = self.node.variables.compile(written)
        except PvError as error:
            raise ConfigError(f"parameter permissions.peer_tag_avp: {error}") from error
        if pv.name != "avp" or pv.index is not None or not pv.writable:
            raise ConfigError(f"parameter permissions.peer_tag_avp: {written!r} is no AVP")
        return pv

    async def open(self) -> None:
        """Load the tables of the database. Raises ConfigError."""
        if self.database is None:
            return
        try:
            if self.load_backends & ADDRESSES and not self.address_file:
                await self._check_version(self.database, self.address_table, ADDRESS_VERSION)
                self.addresses = await self._address_rows(self.database)
            if self.load_backends & TRUSTED:
                await self._check_version(self.database, self.trusted_table, TRUSTED_VERSION)
                if self.db_mode:
                    self.trusted = await self._trusted_rows(self.database)
        except (DatabaseError, BadRecord) as error:
            await self.stop()
            raise ConfigError(f"permissions: {error}") from error

    async def stop(self) -> None:
        """Let go of the connections."""
        if self.database is not None:
            await self.database.close()

    async def _check_version(self, database: Database, table: str, version: int) -> None:
        from kahea.connectors.versions import Versions

        await Versions(self.node.settings.version_table).check(database, table, version)

    # ---- addresses

    async def reload_addresses(self) -> None:
        """Put what the file or the database has now in place of the addresses. Raises one of LoadError."""
        if not self.load_backends & ADDRESSES:
            raise BadRecord("load_backends leaves out the addresses")
        if self.address_file:
            records = await asyncio.to_thread(read_file, self.path(self.address_file))
            self.addresses = self._table(records)
        elif self.database is None:
            raise BadRecord("neither address_file nor db_url is set")
        else:
            self.addresses = await self._address_rows(self.database)

    async def _address_rows(self, database: Database) -> AddressTable:
        columns = (self.grp_col, self.ip_addr_col, self.mask_col, self.port_col, self.tag_col)
        table = AddressTable(self.max_subnets)
        left_out = 0
        async for page in pages(database, self.address_table, columns):
            left_out += self._fill(table, [address_of(row) for row in page])
        self._tell(table, left_out)
        return table

    def _table(self, records: Sequence[Record]) -> AddressTable:
        table = AddressTable(self.max_subnets)
        self._tell(table, self._fill(table, records))
        return table

    def _fill(self, table: AddressTable, records: Sequence[Record]) -> int:
        """Add records; how many were left out. Raises BadRecord."""
        left_out = 0
        for record in records:
            try:
                left_out += not table.add(record)
            except ValueError as error:
                raise BadRecord(str(error)) from error
        return left_out

    def _tell(self, table: AddressTable, left_out: int) -> None:
        if left_out:
            log.error("%d networks are left out: there are more than max_subnets, %d", left_out, self.max_subnets)
        odd = [entry.host for entry in table.names if _NAME.fullmatch(entry.host) is None]
        if odd:
            log.warning(
                "%d entries are neither addresses nor names, and fit as they are written: %.200r", len(odd), odd
            )
        log.debug("%d addresses, %d networks, %d names", len(table.addresses), len(table.networks), len(table.names))

    # ---- trusted peers

    @property
    def trusted_columns(self) -> tuple[str, ...]:
        """What `rule_of` reads a rule from."""
        return self.source_col, self.proto_col, self.from_col, self.ruri_col, self.tag_col, self.priority_col

    async def reload_trusted(self) -> None:
        """Put what the database has now in place of the trusted peers. Raises one of LoadError."""
        if self.trusted is None or self.database is None:
            raise BadRecord("no trusted peers are kept in memory: see db_url, db_mode and load_backends")
        self.trusted = await self._trusted_rows(self.database)

    async def _trusted_rows(self, database: Database) -> TrustedTable:
        rules: list[Rule] = []
        async for page in pages(database, self.trusted_table, self.trusted_columns):
            rules += [rule for rule in map(rule_of, page) if rule is not None]
        return TrustedTable(rules)

    # ---- files of rules

    def path(self, name: str) -> Path:
        """Where a file is: beside the main configuration file, if its name is no full path."""
        return self.node.configuration.directory / name

    def has_files(self) -> bool:
        """Whether files of rules are loaded."""
        return self.load_backends & (ALLOW_FILES | DENY_FILES) == ALLOW_FILES | DENY_FILES

    def rules_of(self, name: str, *, again: bool = False) -> Rules:
        """The rules of a file, which is read when it is first asked for, or `again`. Raises ConfigError."""
        path = self.path(name)
        found = None if again else self.files.get(path)
        if found is not None:
            return found
        if not self.has_files():
            raise ConfigError(f"{path}: load_backends leaves out the files of rules, which needs both 4 and 8")
        if path not in self.files and len(self.files) >= MAX_FILES:
            raise ConfigError(f"{path}: {MAX_FILES} files of rules are loaded already")
        try:
            rules = self.files[path] = read_rules(path)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        return rules

    def files_of(self, basename: str, *, again: bool = False) -> Permissions:
        """The two files that a basename means. Raises ConfigError."""
        allow, deny = basename + self.allow_suffix, basename + self.deny_suffix
        return Permissions(self.rules_of(allow, again=again), self.rules_of(deny, again=again))
