"""XML documents of scripts (Kamailio's module xmlops): `$xml(name=>doc)`, `$xml(name=>xpath:expression)`.

Documents come from the network: no entity is replaced, nothing is fetched, and size and depth are bounded. So is an
expression, parts of which may come from there, too: one that could take long is refused (`cost`). Documents belong to
the run; in Kamailio they stay for whatever the same process runs next.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from kahea.routing.checks import between
from kahea.routing.module import Module, Param, Value, Variable, function
from kahea.routing.pv import Bound, Format, PvError, named
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

#: Documents of one run, and characters of an expression.
MAX_DOCUMENTS: Final = 64
MAX_EXPRESSION: Final = 1000
#: What an expression may cost, in visits of nodes: a third of a second or so.
MAX_COST: Final = 4_000_000

_STATE: Final = "xmlops"
#: References that every document has.
_REFERENCE: Final = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});")
_DECLARED: Final = re.compile(r"<\?xml\s[^>]*encoding\s*=")
_PREFIX: Final = re.compile(r"[A-Za-z_][\w.-]*")

#: Parts of an expression by what they cost: a visit of every node, or of every node from every node.
_TOKEN: Final = re.compile(
    r"""(?P<quoted>"[^"]*"|'[^']*')|(?P<open>\[)|(?P<close>\])"""
    r"""|(?P<square>\.\.|(?:ancestor|preceding|following)[\w-]*\s*::)"""
    r"""|(?P<whole>//|descendant[\w-]*\s*::|(?<![\w\])*.'"/])\s*/)"""
    r"""|(?P<plain>translate\s*\([^,()]*,\s*(?:'[^']{0,64}'|"[^"]{0,64}"),\s*(?:'[^']{0,64}'|"[^"]{0,64}")\s*\))"""
    r"""|(?P<translate>translate)"""
)


def cost(expression: str, nodes: int) -> int:
    """How many visits of nodes an expression may take in a document of so many, at most.

    What stands in a predicate is evaluated for every node, what stands in one within it for every two of them.
    """
    total, depth = nodes, 0
    for token in _TOKEN.finditer(expression):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        elif kind == "whole":
            total += nodes ** (1 + depth)
        elif kind == "square":
            total += nodes ** (2 + depth)
        elif kind == "translate":
            # Its time grows with the square of texts that the document gives.
            total += MAX_COST + 1
        if total > MAX_COST:
            break
    return total


@dataclass(slots=True)
class Document:
    """A document as text, and read when that is first wanted."""

    source: str
    #: With an encoding in its declaration.
    declared: bool = False
    tree: Any = None
    read: bool = False
    nodes: int = 0


def parse_namespace(given: str) -> tuple[str, str]:
    """Read `prefix=uri`. Raises ValueError."""
    prefix, equals, uri = given.partition("=")
    if not equals or not _PREFIX.fullmatch(prefix.strip()) or not uri.strip():
        raise ValueError(f"expected prefix=uri, not {given!r}")
    return prefix.strip(), uri.strip()


class XmlError(Exception):
    """A document or value that is too long; an expression that is none, or that might take too long."""


class Xmlops(Module):
    """XML documents of a script, and XPath in them."""

    name = "xmlops"

    buf_size = Param(
        4096, "How many bytes a document, or what is written into it, may have.", check=between(1, 16 << 20)
    )
    xml_ns: Param[list[tuple[str, str]]] = Param(
        [], "A prefix for expressions: `prefix=uri`.", many=True, check=parse_namespace
    )

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, strip_cdata=False
        )

    def variables(self) -> Iterator[Variable]:
        """`$xml`."""
        yield from super().variables()
        doc = "A document (`name=>doc`), or what an expression finds in it (`name=>xpath:expression`)."
        yield named("xml", self._bind, writable=True, doc=doc)

    def _bind(self, inner: Value, _index: object) -> Bound:
        """The getter and setter of `name=>doc` or `name=>xpath:expression`; raises PvError."""
        name, arrow, what = str(inner).partition("=>")
        if not arrow or not name.strip():
            raise PvError(f"expected $xml(name=>doc) or $xml(name=>xpath:expression), not {inner!r}")
        of = name.strip()
        if what.strip() == "doc":
            return Bound(
                lambda run: self.doc_get(run, of),
                lambda run, value: self._write(run, of, None, value),
            )
        kind, colon, given = what.partition(":")
        if kind.strip() != "xpath" or not colon or not given.strip():
            raise PvError(f"$xml has doc and xpath:expression, not {what!r}")
        expression: Format = self.node.variables.format(given)
        return Bound(
            lambda run: self.xpath_get(run, of, expression.render(run)),
            lambda run, value: self._write(run, of, expression.render(run), value),
        )

    def _write(self, run: Run, name: str, expression: str | None, value: Value) -> None:
        """Assign to a document, or to what an expression finds in it. Raises PvError."""
        if not isinstance(value, str):
            raise PvError("a document takes text")
        try:
            if expression is None:
                self._set(run, name, value)
            else:
                self._change(run, name, expression, value)
        except XmlError as error:
            raise PvError(str(error)) from error

    # ---- functions

    @function
    def doc_get(self, run: Run, name: str) -> Value:
        """A document; null if there is none of the name."""
        document = _documents(run).get(name)
        return None if document is None else document.source or None

    @function
    def doc_set(self, run: Run, name: str, document: str) -> int:
        """Set a document; -1 if it is too long. Whether it is XML shows when something is looked for in it."""
        try:
            self._set(run, name, document)
        except XmlError as error:
            self.node.log.error("xmlops: %s", error)
            return -1
        return 1

    def _set(self, run: Run, name: str, document: str) -> None:
        documents = _documents(run)
        self._check_size(document, "a document")
        if name not in documents and len(documents) >= MAX_DOCUMENTS:
            raise XmlError(f"there are {MAX_DOCUMENTS} documents already")
        documents[name] = Document(document, bool(_DECLARED.match(document)))

    def _check_size(self, data: str, what: str) -> None:
        if len(wire(data)) > self.buf_size:
            raise XmlError(f"{what} of more than buf_size ({self.buf_size}) bytes")

    @function
    def xpath_get(self, run: Run, name: str, expression: str) -> Value:
        """The nodes that an expression finds, as texts with commas between; null without a document or an expression.

        Elements are given with their tags, attributes and texts as what they say. What is a number or a truth is empty,
        as in Kamailio.
        """
        document = self._document(run, name)
        if document is None:
            return None
        try:
            found = self._find(document, expression)
        except XmlError as error:
            self.node.log.error("xmlops: %s", error)
            return None
        if expression.strip() == "/":
            return _whole(document)
        return ",".join(_shown(each) for each in found)

    @function
    def xpath_set(self, run: Run, name: str, expression: str, value: str) -> int:
        """Make a text the content of all nodes that an expression finds; -1 for what is no expression.

        References such as `&amp;` in the text are what they stand for, as in Kamailio; any other `&` is itself.
        """
        try:
            self._change(run, name, expression, value)
        except XmlError as error:
            self.node.log.error("xmlops: %s", error)
            return -1
        return 1

    def _change(self, run: Run, name: str, expression: str, value: str) -> None:
        document = self._document(run, name)
        if document is None:
            raise XmlError(f"there is no XML in $xml({name}=>doc)")
        self._check_size(value, "a value")
        content = _REFERENCE.sub(lambda found: html.unescape(found[0]), value)
        try:
            for each in self._find(document, expression):
                _write_content(each, content)
            changed = _whole(document)
            self._check_size(changed, "a document")
        except (XmlError, ValueError) as error:
            # What was changed so far is forgotten: the text is what it was.
            document.read = False
            raise XmlError(str(error)) from error
        document.source = changed
        document.nodes = _count(document.tree)

    def _document(self, run: Run, name: str) -> Document | None:
        """A document that can be looked into."""
        document = _documents(run).get(name)
        if document is None or not document.source:
            return None
        if not document.read:
            document.read = True
            try:
                document.tree = etree.fromstring(wire(document.source), self._parser).getroottree()
                document.nodes = _count(document.tree)
            except (etree.XMLSyntaxError, ValueError) as error:
                self.node.log.error("xmlops: $xml(%s=>doc) is no XML: %s", name, error)
                document.tree = None
        return None if document.tree is None else document

    def _find(self, document: Document, expression: str) -> list[Any]:
        """The nodes that an expression finds. Raises XmlError."""
        if len(expression) > MAX_EXPRESSION or cost(expression, document.nodes) > MAX_COST:
            raise XmlError(f"an expression that may take too long: {expression[:100]!r}")
        try:
            found = document.tree.xpath(expression, namespaces=dict(self.xml_ns) or None)
        except (etree.XPathError, ValueError) as error:
            raise XmlError(f"{expression!r} can't be evaluated: {error}") from error
        return [each for each in found if not isinstance(each, tuple)] if isinstance(found, list) else []


def _documents(run: Run) -> dict[str, Document]:
    found = run.state.setdefault(_STATE, {})
    assert isinstance(found, dict)
    return found


def _count(tree: Any) -> int:
    """Elements, attributes and texts."""
    return sum(3 + len(each.attrib) for each in tree.getroot().iter())


def _shown(node: Any) -> str:
    """A node as a script sees it."""
    if isinstance(node, str):
        return str(node)
    if not isinstance(node.tag, str):
        return node.text or ""
    shown: str = etree.tostring(node, encoding="unicode", with_tail=False)
    parent = node.getparent()
    if parent is None:
        return shown
    # Those namespaces are declared further up.
    end = shown.index(">")
    head = shown[:end]
    for prefix, uri in parent.nsmap.items():
        head = head.replace(f' xmlns{":" + prefix if prefix else ""}="{uri}"', "", 1)
    return head + shown[end:]


def _whole(document: Document) -> str:
    """A document with its declaration, as libxml2 writes it; UTF-8 where that names no encoding."""
    encoding = document.tree.docinfo.encoding
    declared = f' encoding="{encoding}"' if document.declared else ""
    body = etree.tostring(document.tree, encoding=encoding if declared else "UTF-8", xml_declaration=False)
    return f'<?xml version="1.0"{declared}?>\n{text(body)}\n'


def _write_content(node: Any, value: str) -> None:
    """Make a text the content of a node. Raises ValueError for characters that XML has no place for."""
    if isinstance(node, etree._ElementUnicodeResult):
        parent = node.getparent()
        if node.is_attribute:
            parent.set(node.attrname, value)
        elif node.is_tail:
            parent.tail = value
        else:
            parent.text = value
    else:
        if isinstance(node.tag, str):
            del node[:]
        node.text = value or None


MODULE = Xmlops
