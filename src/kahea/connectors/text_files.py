"""Databases of text files, a directory each (Kamailio's db_text): SQLite does the work, on a copy.

A directory is read when it is first asked, into a file of SQLite's that nobody else sees; so it can do all that SQLite
can. What changed is written back when it is let go of, or by `dump_all`; as in Kamailio, a crash forgets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kahea.connectors.errors import Unavailable
from kahea.connectors.options import TEXT
from kahea.connectors.text_table import TYPES, Cell, Column, NoTable, read_table, write_table

log = logging.getLogger("kahea.sql")

SCHEME: Final = "text://"
#: Where a directory is that is named without a slash at the front, as in Kamailio.
BASE: Final = Path("/etc/kamailio")

_TABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER: Final = re.compile(r"INT", re.IGNORECASE)
_DECIMAL: Final = re.compile(r"REAL|FLOA|DOUB|NUMERIC|DECIMAL", re.IGNORECASE)
#: A column by which rows are replaced, so that no two are the same in it: the contact's identifier of `location`.
_UNIQUE: Final = "ruid"


class TextDirectory:
    """One directory, and the copy of its tables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._copies: Path | None = None
        self._remove: weakref.finalize[..., TextDirectory] | None = None
        self._users = 0
        self._lock = threading.Lock()
        self._loaded = False
        self._columns: dict[str, list[Column]] = {}
        self._seen: dict[str, tuple[int, int]] = {}  # of each file: when it was written, and its size
        self._known: dict[str, bytes] = {}  # digests of tables' texts, as they stand in the files
        self._refused: set[str] = set()  # files that are no tables, and stay as they are

    @property
    def copy(self) -> Path:
        """The file of SQLite's, in a folder that only this user may enter."""
        if self._copies is None:
            self._copies = Path(tempfile.mkdtemp(prefix="kahea-text-"))
            self._remove = weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
        return self._copies / "copy.sqlite3"

    def take(self) -> None:
        """One more uses it."""
        self._users += 1

    async def ready(self) -> None:
        """See that the copy is there and, in `db_mode` 1, as the files are. Raises OSError, Unavailable."""
        if self._loaded and not TEXT.mode:
            return
        try:
            await asyncio.to_thread(self._read)
        except sqlite3.Error as error:
            raise Unavailable(f"{self.folder}: {error}") from error

    async def release(self) -> None:
        """One less uses it; the last writes back what changed."""
        self._users -= 1
        if self._users == 0:
            DIRECTORIES.pop(self.folder, None)
            await asyncio.to_thread(self._end)

    async def dump(self) -> None:
        """Write back the tables that changed. Raises OSError, Unavailable."""
        try:
            await asyncio.to_thread(self._dump)
        except sqlite3.Error as error:
            raise Unavailable(f"{self.folder}: {error}") from error

    # ---- in a thread

    def _read(self) -> None:
        with self._lock:
            files = {
                each.name: (status.st_mtime_ns, status.st_size)
                for each in os.scandir(self.folder)
                if _TABLE.fullmatch(each.name) and each.is_file() and (status := each.stat())
            }
            changed = [name for name, seen in files.items() if self._seen.get(name) != seen]
            if changed or not self._loaded:
                with contextlib.closing(sqlite3.connect(self.copy, timeout=4)) as db, db:
                    for name in changed:
                        self._read_table(db, name)
                self._seen = files
            self._loaded = True

    def _read_table(self, db: sqlite3.Connection, name: str) -> None:
        db.execute(f'DROP TABLE IF EXISTS "{name}"')
        self._columns.pop(name, None)
        self._refused.add(name)
        path = self.folder / name
        try:
            columns, rows = read_table(
                path.read_bytes().decode("utf-8", "surrogateescape"), TEXT.delimiter, TEXT.empty_text
            )
            if len(rows) > TEXT.most_rows:
                raise NoTable(TEXT.most_rows + 2, f"there are more than {TEXT.most_rows} rows")
            declared = ", ".join(f"{_quoted(c.name)} {TYPES[c.type]}{_rules(c)}" for c in columns)
            db.execute(f'CREATE TABLE "{name}" ({declared})')
            db.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(columns))})', rows)
        except NoTable as error:
            log.error("%s:%d: this is no table: %s", path, error.line, error)
            return
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            log.error("%s: this is no table: %s", path, error)
            db.execute(f'DROP TABLE IF EXISTS "{name}"')
            return
        for column in columns:
            if column.attribute == "auto":
                self._number(db, name, _quoted(column.name))
            if column.name == _UNIQUE:
                with contextlib.suppress(sqlite3.IntegrityError):
                    db.execute(f'CREATE UNIQUE INDEX "{name}_{_UNIQUE}" ON "{name}" ({_UNIQUE})')
        self._refused.discard(name)
        self._columns[name] = columns
        self._known[name] = _digest(self._text(db, name, columns))

    @staticmethod
    def _number(db: sqlite3.Connection, table: str, column: str) -> None:
        db.execute(
            f'CREATE TRIGGER "{table}_auto_{column[1:-1]}" AFTER INSERT ON "{table}" WHEN NEW.{column} IS NULL BEGIN '
            f'UPDATE "{table}" SET {column} = (SELECT coalesce(max({column}), 0) + 1 FROM "{table}") '
            "WHERE rowid = NEW.rowid; END"
        )

    def _dump(self) -> None:
        with self._lock:
            if not self._loaded:
                return
            with contextlib.closing(sqlite3.connect(self.copy, timeout=4)) as db:
                for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                    if name in self._refused:
                        log.error("%s stays as it is: it is no table", self.folder / name)
                        continue
                    columns = self._columns.get(name) or list(_made(db, name))
                    text = self._text(db, name, columns)
                    if _digest(text) != self._known.get(name):
                        self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        fresh = path.with_name(f".{name}.new")
        fresh.write_bytes(text.encode("utf-8", "surrogateescape"))
        if path.exists():
            shutil.copymode(path, fresh)
        fresh.replace(path)
        status = path.stat()
        self._seen[name] = (status.st_mtime_ns, status.st_size)
        self._known[name] = _digest(text)

    @staticmethod
    def _text(db: sqlite3.Connection, name: str, columns: list[Column]) -> str:
        rows: Iterable[tuple[Cell, ...]] = db.execute(f'SELECT * FROM "{name}" ORDER BY rowid')
        return write_table(columns, rows, TEXT.delimiter)

    def _end(self) -> None:
        try:
            self._dump()
        except (OSError, sqlite3.Error) as error:
            log.error("%s: what changed could not be written: %s; it is in %s", self.folder, error, self.copy)
            if self._remove is not None:
                self._remove.detach()
        if self._remove is not None:
            self._remove()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rules(column: Column) -> str:
    """What the copy minds of a column: as in Kamailio, texts are the same in any case."""
    return f"{' COLLATE NOCASE' if TYPES[column.type] == 'TEXT' else ''}{'' if column.attribute else ' NOT NULL'}"


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _made(db: sqlite3.Connection, table: str) -> Iterator[Column]:
    """The columns of a table that a module made, and no file had."""
    for _, name, declared, full, _, key in db.execute(f"PRAGMA table_info({_quoted(table)})"):
        number = bool(_NUMBER.search(declared))
        kind = "int" if number else "double" if _DECIMAL.search(declared) else "string"
        yield Column(name, kind, "auto" if key and number else "" if full else "null")


#: Those in use.
DIRECTORIES: Final[dict[Path, TextDirectory]] = {}


def directory(url: str) -> TextDirectory | None:
    """The directory of a URL `text://...`; None for other URLs."""
    if not url.startswith(SCHEME):
        return None
    folder = BASE / url.removeprefix(SCHEME)
    return DIRECTORIES.setdefault(folder, TextDirectory(folder))


async def dump_all() -> None:
    """Write back what changed in any of them. Raises OSError, Unavailable."""
    for each in list(DIRECTORIES.values()):
        await each.dump()


__all__ = ["SCHEME", "TextDirectory", "directory", "dump_all"]
