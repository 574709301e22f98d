"""XML that comes from the network, read within bounds: no entities, nothing fetched, neither deep nor many elements."""

from __future__ import annotations

from typing import Any, Final

from lxml import etree

#: Elements within one another, and all of a document.
MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 4_000

_PARSER: Final = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
)


def read(body: bytes) -> Any:
    """The root element of a document. Raises ValueError."""
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"no XML: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise ValueError("a document type is not accepted")
    level, deep, number = [root], 0, 0
    while level:
        deep, number = deep + 1, number + len(level)
        if deep > MAX_DEPTH or number > MAX_ELEMENTS:
            raise ValueError(f"more than {MAX_ELEMENTS} elements, or more than {MAX_DEPTH} within one another")
        level = [child for element in level for child in element]
    return root


def write(root: Any) -> bytes:
    """A document as bytes, with its declaration."""
    data: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=False)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + data


def local_name(element: Any) -> str:
    """An element's name without its namespace."""
    name: str = etree.QName(element).localname
    return name


__all__ = ["MAX_DEPTH", "MAX_ELEMENTS", "local_name", "read", "write"]
