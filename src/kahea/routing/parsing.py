"""What the global parameters allow a message to be beyond RFC 3261. It holds for the process, as parsing does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.text import wire
from kahea.sip.message import accept
from kahea.sip.uri import accept_in_hosts, phone_as_tel

if TYPE_CHECKING:
    from kahea.routing.settings import Settings


def tell_parsers(settings: Settings) -> None:
    """Give the parsers their rules."""
    accept(
        http_replies=bool(settings.http_reply_hack),
        repeated_headers=not settings.sip_parser_mode,
        name_characters=wire(settings.hdr_name_extra_chars),
    )
    accept_in_hosts(wire(settings.uri_host_extra_chars))
    phone_as_tel(bool(settings.phone2tel))
