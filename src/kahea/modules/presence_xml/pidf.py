"""Presence documents (RFC 3863): several become one, and one that ends says that its user can't be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from kahea.modules.presence_xml.documents import local_name, read, write
from kahea.routing.text import fit_for_xml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kahea.modules.presence.events import Document

NAMESPACE: Final = "urn:ietf:params:xml:ns:pidf"
#: Bytes of the documents that are merged; older ones are left out.
MAX_MERGED: Final = 131_072


def merge(documents: Sequence[Document]) -> bytes:
    """One document out of several, newest first; b"" if nothing is left.

    The newest is taken whole, and what stands in each older one is added, but for those with a tuple that a newer one
    has as well. Of one that is about to go only its tuples stay, closed. One alone stays as it is.
    """
    if len(documents) == 1 and not documents[0].removed:
        return documents[0].body
    base: Any = None
    known: set[str] = set()
    size = 0
    for document in documents:
        size += len(document.body)
        if size > MAX_MERGED:
            break
        try:
            root = read(document.body)
        except ValueError:
            continue  # a row that something else wrote
        if document.removed:
            root = closed(root)
        if base is None:
            base = root
            known = _tuple_ids(root)
            continue
        ids = _tuple_ids(root)
        if ids & known or local_name(root) != "presence" or local_name(base) != "presence":
            continue
        known |= ids
        base.extend(list(root))
    return b"" if base is None else write(base)


def _tuple_ids(root: Any) -> set[str]:
    return {each.get("id", "") for each in root if local_name(each) == "tuple"}


def closed(root: Any) -> Any:
    """The document of a user who is gone: the tuples of this one with no more than that they are closed."""
    made = etree.Element(root.tag, nsmap=root.nsmap)
    made.attrib.update(root.attrib)
    for each in root:
        if local_name(each) == "tuple":
            ended = etree.SubElement(made, each.tag)
            ended.attrib.update(each.attrib)
            space = etree.QName(each).namespace or NAMESPACE
            etree.SubElement(etree.SubElement(ended, f"{{{space}}}status"), f"{{{space}}}basic").text = "closed"
    return made


def available(presentity: str) -> bytes:
    """The document of a user who has published nothing and is taken to be there (`force_dummy_presence`)."""
    root = etree.Element(f"{{{NAMESPACE}}}presence", nsmap={None: NAMESPACE})
    root.set("entity", fit_for_xml(presentity))
    there = etree.SubElement(root, f"{{{NAMESPACE}}}tuple", id="available")
    etree.SubElement(etree.SubElement(there, f"{{{NAMESPACE}}}status"), f"{{{NAMESPACE}}}basic").text = "open"
    etree.SubElement(root, f"{{{NAMESPACE}}}note").text = "Available"
    return write(root)


def most_important(documents: Sequence[Document], element: str, priorities: Sequence[str]) -> bytes:
    """Of several documents, newest first, the one whose `element` says what stands last in `priorities`; of those that
    say nothing of them, or the same, the newest. b"" for none."""
    found, most = b"", -1
    for document in documents:
        try:
            root = read(document.body)
        except ValueError:
            continue
        said = next(((each.text or "").strip() for each in root.iter(f"{{*}}{element}")), "")
        importance = priorities.index(said) + 1 if said in priorities else 0
        if importance > most:
            found, most = write(closed(root)) if document.removed else document.body, importance
    return found


__all__ = ["NAMESPACE", "available", "closed", "merge", "most_important"]
