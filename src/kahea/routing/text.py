"""Wire bytes and script text. Below `routing` all is bytes; scripts and modules see `str`, any byte surviving."""

from __future__ import annotations

import re
from typing import Final

_UNFIT_FOR_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(data: bytes) -> str:
    """Bytes of a message as a script sees them; bytes that are no UTF-8 survive as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def wire(value: str) -> bytes:
    """A script's text as it goes on the wire: the inverse of `text`."""
    return value.encode("utf-8", "surrogateescape")


def fit_for_xml(value: str) -> str:
    """A text without the characters that XML 1.0 has no place for."""
    return _UNFIT_FOR_XML.sub("", value)
