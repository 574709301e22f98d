"""What can go wrong with a connector, kept apart from the libraries that take long to import."""

from __future__ import annotations


class DatabaseError(Exception):
    """Something about the database failed; the text is for the operator."""


class BadUrl(DatabaseError, ValueError):
    """A database URL that says nothing we can connect to."""


class Unavailable(DatabaseError):
    """The database can't be reached, or took too long: a later try may succeed."""


class Refused(DatabaseError):
    """The database answered and refused: a missing table, a violated constraint, a value too long."""
