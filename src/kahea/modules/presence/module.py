"""The module `presence`: what it is called, what it needs, and the events of scripts."""

from __future__ import annotations

from typing import ClassVar

from kahea.modules.presence.management import Management
from kahea.modules.presence.notifier import EVENT


class Presence(Management):
    """A server of presence: PUBLISH and SUBSCRIBE are answered, and watchers told (RFC 3903, RFC 6665)."""

    name = "presence"
    needs = ("sl", "tm")
    events: ClassVar = {EVENT: "A NOTIFY was answered, or nobody answered it: `$notify_reply($rs)`, `$subs(...)`."}


__all__ = ["Presence"]
