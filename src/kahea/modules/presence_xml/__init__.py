"""Module presence_xml: the event packages whose documents are XML, for module presence.

| file | what |
|---|---|
| `documents.py` | XML from the network, within bounds |
| `pidf.py` | presence documents: merged, and ended |
| `packages.py` | the event packages |
| here | the module |
"""

from __future__ import annotations

from typing import Any

from kahea.modules.presence.events import WatcherInfo
from kahea.modules.presence_xml.packages import PresenceEvent, XcapDiff
from kahea.routing.checks import between, unless
from kahea.routing.module import Module, Param

_ON_OFF = between(0, 1)


class PresenceXml(Module):
    """The event packages `presence`, `presence.winfo` and `xcap-diff`."""

    name = "presence_xml"
    needs = ("presence",)

    db_url = Param("mysql://kamailio:kamailiorw@localhost/kamailio", "The database with the users' rules.")
    xcap_table = Param("xcap", "The table of the users' documents.")
    disable_presence = Param(0, "1: no event package presence.", check=_ON_OFF)
    disable_winfo = Param(0, "1: no event package presence.winfo.", check=_ON_OFF)
    disable_bla = Param(1, "", check=unless(1, "dialog;sla"))
    disable_xcapdiff = Param(0, "1: no event package xcap-diff.", check=_ON_OFF)
    force_active = Param(0, "1: every watcher may see everything, and no rules are asked.", check=unless(1, "rules"))
    default_expires = Param(3600, "Seconds of a request that says none.", check=between(1, 2**31 - 1))

    def start(self) -> None:
        """Hand the event packages to module presence."""
        presence: Any = self.node.module("presence")
        package = PresenceEvent(self.default_expires)
        if not self.disable_presence:
            presence.add_event(package)
        if not self.disable_winfo:
            presence.add_event(WatcherInfo(package))
        if not self.disable_xcapdiff:
            presence.add_event(XcapDiff(self.default_expires))


MODULE = PresenceXml
