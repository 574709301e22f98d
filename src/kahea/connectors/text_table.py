"""The text of one table of Kamailio's db_text: its columns in the first line, a row in each other.

    id(int,auto) name(string) rate(double) note(string,null)
    1:nick:0.34:a\\tgood\\: friend

Types are int, double and string (or str, blob, time); `auto` numbers rows that have none, `null` lets a field be empty.
Fields end at a delimiter, which is escaped in a text, as are line feed, return, tab, backslash and the null character.
A file with anything else in it is no table, as in Kamailio.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Cell = int | float | str | None

#: Types as files name them, and what SQLite calls columns of them.
TYPES: Final = {"int": "INTEGER", "time": "INTEGER", "double": "REAL", "str": "TEXT", "string": "TEXT", "blob": "TEXT"}
ATTRIBUTES: Final = ("", "auto", "null")

_COLUMN: Final = re.compile(r"([^\s()]+)\(([a-z]+)(?:,([a-z]+))?\)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?[0-9]*(?:\.[0-9]*)?")
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "0": "\0"}
_ESCAPES: Final = {value: f"\\{letter}" for letter, value in _ESCAPED.items()}


class NoTable(ValueError):
    """What a file has is no table; `line` is where, from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the first line has it."""

    name: str
    type: str
    attribute: str = ""

    def __str__(self) -> str:
        return f"{self.name}({self.type}{',' if self.attribute else ''}{self.attribute})"

    def read(self, cell: str) -> Cell:
        """A field's value, None for an empty one. Raises ValueError."""
        kind = TYPES[self.type]
        if not cell:
            return None
        if kind == "TEXT":
            return cell
        if kind == "INTEGER" and _NUMBER.fullmatch(cell):
            return int(cell)
        if kind == "REAL" and _DECIMAL.fullmatch(cell) and any(c.isdigit() for c in cell):
            return float(cell)
        raise ValueError(f"{self.name} is {cell!r}, no {self.type}")

    def write(self, value: Cell, delimiter: str) -> str:
        """A value as a field."""
        if value is None:
            return ""
        if TYPES[self.type] == "TEXT":
            return "".join(_ESCAPES.get(c) or (f"\\{c}" if c == delimiter else c) for c in str(value))
        return f"{float(value):.2f}" if TYPES[self.type] == "REAL" else str(int(value))


def read_columns(line: str) -> list[Column]:
    """The columns that a first line declares. Raises NoTable."""
    found = []
    for word in line.split():
        match = _COLUMN.fullmatch(word)
        if match is None:
            raise NoTable(1, f"{word!r} is no column: name(type) or name(type,attribute)")
        column = Column(match[1], match[2].lower(), (match[3] or "").lower())
        if column.type not in TYPES:
            raise NoTable(1, f"{column} has none of the types {', '.join(TYPES)}")
        if column.attribute not in ATTRIBUTES or (column.attribute == "auto" and TYPES[column.type] != "INTEGER"):
            raise NoTable(1, f"{column} has no such attribute")
        found.append(column)
    if not found:
        raise NoTable(1, "there are no columns")
    return found


def _fields(line: str, delimiter: str) -> list[str]:
    """The fields of a line, unescaped. Raises ValueError."""
    fields, field, characters = [], "", iter(line)
    for character in characters:
        if character == delimiter:
            fields.append(field)
            field = ""
        elif character == "\\":
            letter = next(characters, "")
            if letter != delimiter and letter not in _ESCAPED:
                raise ValueError(f"\\{letter} is no escaped character")
            field += letter if letter == delimiter else _ESCAPED[letter]
        else:
            field += character
    return [*fields, field]


def read_table(text: str, delimiter: str, empty_text: bool) -> tuple[list[Column], list[list[Cell]]]:
    """The columns and rows of a file. A last line that does not end is left out. Raises NoTable.

    `empty_text`: an empty text is one, and not NULL.
    """
    first, *lines = text.split("\n")[:-1] or [""]
    columns = read_columns(first)
    rows = []
    automatic = 0
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        try:
            fields = _fields(line, delimiter)
            if len(fields) == len(columns) + 1 and not fields[-1]:
                fields.pop()  # the last one may end, too
            if len(fields) != len(columns):
                raise ValueError(f"{len(fields)} fields in {len(columns)} columns")
            row: list[Cell] = []
            for column, cell in zip(columns, fields, strict=True):
                value = column.read(cell)
                if value is None and column.attribute == "auto":
                    automatic += 1
                    value = automatic
                elif value is None and empty_text and TYPES[column.type] == "TEXT":
                    value = ""
                elif value is None and column.attribute != "null":
                    raise ValueError(f"{column.name} is empty")
                row.append(value)
        except ValueError as error:
            raise NoTable(number, str(error)) from None
        rows.append(row)
    return columns, rows


def write_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], delimiter: str) -> str:
    """The text of a table."""
    lines = [" ".join(map(str, columns))]
    lines += [delimiter.join(c.write(value, delimiter) for c, value in zip(columns, row, strict=True)) for row in rows]
    return "\n".join(lines) + "\n"


__all__ = ["TYPES", "Cell", "Column", "NoTable", "read_columns", "read_table", "write_table"]
