"""The Contacts of a redirect: the destination set, as the script left it (RFC 3261 §8.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kahea.sip.message import Message

#: What `rich_redirect` adds to each Contact: the branch's flags as a parameter, its path as a Route in the URI.
FLAGS: Final = 1
PATH: Final = 2

_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9_!$&'()*+\-./:\[\]~]")


def add_contacts(msg: Message, rich: int = 0) -> None:
    """Have the next reply to a request carry its destination set; `rich` is a sum of `FLAGS` and `PATH`."""
    contacts = []
    if msg.uri_changed:
        contacts.append(_contact(msg.uri, msg.path, msg.q, msg.bflags, rich))
    contacts += [_contact(b.uri, b.path, b.q, b.flags, rich) for b in msg.branches]
    if contacts:
        msg.reply_edits.append(b"Contact: " + b", ".join(contacts) + b"\r\n")


def _contact(uri: bytes, path: bytes | None, q: int, flags: int, rich: int) -> bytes:
    if rich & PATH and path:
        mark = b"&" if b"?" in uri else b"?"
        uri += mark + b"Route=" + _UNSAFE.sub(lambda found: b"%%%02x" % found[0][0], path)
    text = b"<" + uri + b">"
    if q >= 0:
        text += b";q=%.3g" % (q / 1000)
    if rich & FLAGS:
        text += b";flags=%d" % flags
    return text
