"""Texts that are numbers, telephone numbers or plain letters and digits; ASCII only."""

from __future__ import annotations

from typing import Final

DIGITS: Final = frozenset("0123456789")
ALPHANUM: Final = DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def is_numeric(text: str) -> bool:
    """Whether there is a digit, and nothing else."""
    return text != "" and DIGITS.issuperset(text)


def is_alphanum(text: str, extra: str = "") -> bool:
    """Whether all are letters, digits or of `extra`."""
    return text != "" and (ALPHANUM.issuperset(text) or (extra != "" and (ALPHANUM | set(extra)).issuperset(text)))


def is_tel_number(text: str) -> bool:
    """Whether these are digits behind at most one plus."""
    return is_numeric(text[1:] if text[:1] == "+" else text)


def is_e164(text: str, longest: int) -> bool:
    """Whether this is a plus and at least two digits, at most `longest` characters in all (ITU-T E.164)."""
    return text[:1] == "+" and 2 < len(text) <= longest and is_numeric(text[1:])
