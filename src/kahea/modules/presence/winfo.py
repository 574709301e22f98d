"""Documents that tell who watches (RFC 3858)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxml import etree

from kahea.modules.presence.subscription import STATUS_NAMES
from kahea.routing.text import fit_for_xml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kahea.modules.presence.subscription import Subscription

_NAMESPACE: Final = "urn:ietf:params:xml:ns:watcherinfo"


def watcher_info(resource: str, package: str, version: int, watchers: Iterable[Subscription], *, full: bool) -> bytes:
    """The watchers of a presentity: all of them, or those that changed.

    A watcher's id is its Call-ID, and its event always "subscribe", as Kamailio has it.
    """
    root = etree.Element(f"{{{_NAMESPACE}}}watcherinfo", nsmap={None: _NAMESPACE})
    root.set("version", str(version))
    root.set("state", "full" if full else "partial")
    listed = etree.SubElement(root, f"{{{_NAMESPACE}}}watcher-list")
    listed.set("resource", fit_for_xml(resource))
    listed.set("package", package)
    for subscription in watchers:
        watcher = etree.SubElement(listed, f"{{{_NAMESPACE}}}watcher")
        watcher.set("id", fit_for_xml(subscription.callid))
        watcher.set("event", "subscribe")
        watcher.set("status", STATUS_NAMES.get(subscription.status, "pending"))
        watcher.text = fit_for_xml(subscription.watcher)
    document: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=False, pretty_print=True)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + document


__all__ = ["watcher_info"]
