"""xmlops: the same as Kamailio's on documents and expressions, and what a document or an expression can't do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cfgs import KAMAILIO, differences
from textops_cases import PLAIN

from conftest import Bench
from kahea.modules.xmlops import MAX_COST, cost
from kahea.routing.module import ConfigError
from kahea.testing import Simulation

Make = Callable[..., Bench]

XML = '<?xml version="1.0" encoding="UTF-8"?><a x="1"><b>test</b><b id="2">two</b><c><d/></c><n>5</n></a>'
PIDF = (
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:t"><tuple id="8"><status><basic>none</basic></status>'
    "</tuple></presence>"
)
OTHERS = {
    "pidf": PIDF,
    "bad": "notxml",
    "empty": "",
    "entities": '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname"><!ENTITY i "in">]><a>&f;&i;</a>',
    "text": "<a>\u00e9&lt;</a>",
    "space": "  <a/>",
    "kinds": "<a><!-- c --><?pi x?><![CDATA[<z>]]></a>",
    "latin": '<?xml version="1.0" encoding="ISO-8859-1"?><a>x</a>',
    "prefix": '<a xmlns:p="urn:p"><p:b>1</p:b></a>',
    "long": "<r>" + "x" * 5000 + "</r>",
}
#: What is asked of XML, and of the others after their names.
ASKED = """
/a/b/text()
/a/b
/a/b[1]/text()
/a/@x
count(/a/b)
string(/a/b[2])
/a/b[@id="2"]
/nope
/a/n = 5
1 div 3
/a/c
/a
///
/
/a/comment()
/a/b | /a/n
/a/*[self::b or self::n][2]
//d/..
//b[contains(., "e")]
/a/$var(k)
$var(whole)
pidf: /pidf:presence/pidf:tuple/pidf:status/pidf:basic
pidf: /presence
pidf: /pidf:presence/@entity
pidf: //pidf:tuple
bad: /a
empty: /a
entities: /a
text: /a
text: /a/text()
space: /a
kinds: /a/node()
kinds: /a/text()
prefix: /a/p:b
prefix: /a/*
long: /r
none: /a
"""
#: What is written, and where.
WRITTEN = [
    ("/a/b", "1234"), ("/a/@x", "9"), ("/a/b[1]/text()", "t"), ("/a/c", "<q>&amp;</q>"), ("/nope", "x"), ("/a", "root"),
    ("/a/b", ""), ("count(/a)", "x"), ("///", "x"), ("/a/c", "y" * 5000), ("//b[@id]/@id", 'q&quot;&lt;'),
    ("/a/c", "&#65;&#x42;"),
]  # fmt: skip


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def document(text: str) -> str:
    return f'$var(k) = "n"; $var(whole) = "/a/n"; $xml(x=>doc) = "x"; $xml(x=>doc) = {quoted(text)}; '


def read(spec: str) -> str:
    """Code that notes a value, or that it is null."""
    return f'if ($xml({spec}) == $null) {{ $var(o) = $var(o) + "|null"; }} $var(o) = $var(o) + "|" + $xml({spec});'


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_a_cfg_gets_the_same_as_from_kamailio(tmp_path: Path) -> None:
    bodies = []
    for line in ASKED.strip().split("\n"):
        name, colon, expression = line.partition(": ")
        text = OTHERS.get(name, XML) if colon else XML
        where = "none" if name == "none" else "x"
        bodies.append(document(text) + read(f"{where}=>xpath:{expression if colon else line}"))
    bodies += [document(text) + read("x=>doc") for text in (XML, *OTHERS.values())]
    bodies += [
        document(XML) + f"$xml(x=>xpath:{expression}) = {quoted(value)}; " + read("x=>doc")
        for expression, value in WRITTEN
    ]
    bodies += [document(XML) + f"$xml(x=>{spec}) = {value}; " + read("x=>doc") for spec, value in [
        ("doc", "$null"), ("doc", "5"), ("xpath:/a/c", "$null"), ("xpath:/a/c", "5"),
    ]]  # fmt: skip
    # A name is no variable.
    bodies.append('$var(n) = "q"; $xml($var(n)=>doc) = "<r>1</r>"; ' + read("q=>doc") + read("$var(n)=>xpath:/r"))
    bodies.append(document(OTHERS["latin"]) + '$xml(x=>xpath:/a) = "y"; ' + read("x=>doc"))
    assert not differences(
        tmp_path, bodies, extra='modparam("xmlops", "xml_ns", "pidf=urn:ietf:params:xml:ns:pidf")', modules=["xmlops"]
    )


def loaded(make: Make, text: str, **params: int | str) -> Bench:
    """A bench with a run that has a document."""
    made = make("xmlops", xmlops=params)
    made.take(PLAIN)
    assert made.call("xmlops.doc_set", "x", text) == 1
    return made


def test_functions_of_scripts(bench: Make) -> None:
    made = loaded(bench, "<a><b>1</b></a>")
    assert made.call("xmlops.xpath_get", "x", "/a/b/text()") == "1"
    assert made.call("xmlops.xpath_set", "x", "/a/b", "R&D <x> &amp;") == 1
    assert made.call("xmlops.doc_get", "x") == '<?xml version="1.0"?>\n<a><b>R&amp;D &lt;x&gt; &amp;</b></a>\n'
    assert made.call("xmlops.xpath_get", "none", "/a") is None
    assert made.call("xmlops.xpath_set", "x", "/a/b", "\0") == -1
    assert made.call("xmlops.xpath_get", "x", "/a/b/text()") == "R&D <x> &"
    made.take(PLAIN)
    assert made.call("xmlops.doc_get", "x") is None


def test_what_is_written_is_found_under_namespaces(bench: Make) -> None:
    """In Kamailio 5.6.3 prefixes are known to reading only."""
    made = loaded(bench, PIDF, xml_ns="p=urn:ietf:params:xml:ns:pidf")
    assert made.call("xmlops.xpath_set", "x", "//p:basic", "open") == 1
    assert made.call("xmlops.xpath_get", "x", "//p:basic") == "<basic>open</basic>"


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY % f SYSTEM "file:///etc/passwd"> %f;]><a/>',
        '<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></a>',
    ],
)
def test_nothing_is_fetched(bench: Make, text: str) -> None:
    made = loaded(bench, text)
    for expression in ("/a", "string(/a)", "/a/text()"):
        assert "root" not in (made.call("xmlops.xpath_get", "x", expression) or "")


def test_entities_do_not_multiply(bench: Make) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 9))
    made = loaded(bench, f'<!DOCTYPE a [<!ENTITY e0 "lol">{entities}]><a>&e8;</a>')
    began = time.process_time()
    assert len(made.call("xmlops.xpath_get", "x", "/a") or "") < 100
    assert time.process_time() - began < 1


def test_depth_and_size_are_bounded(bench: Make) -> None:
    made = loaded(bench, "<a>" * 500 + "</a>" * 500)
    assert made.call("xmlops.xpath_get", "x", "/a") is None
    assert made.call("xmlops.doc_set", "x", "<a>" + "x" * 4096 + "</a>") == -1
    assert [made.call("xmlops.doc_set", f"d{n}", "<a/>") for n in range(70)].count(-1) == 7


HOSTILE = [
    "//*[//*[//*[//*]]]",
    "//*[count(//*[count(//*) > 1]) > 1]",
    "//*/following::*/preceding::*/following::*/preceding::*",
    "//*[../*[../*[../*]]]",
    "//*[translate(string(/), string(/), string(/))]",
    "/*[count(/descendant::*[count(/descendant::*[count(/descendant::*) > 1]) > 1]) > 1]",
    "//*" * 300,
    "count(" * 300,
    "//*[. = //*[. = //*]]",
    "//*[ancestor::*[descendant::*[ancestor::*]]]",
    "-" * 900 + "1",
    "(" * 900,
    "/a" + "[1]" * 300,
]


@pytest.mark.parametrize("expression", HOSTILE)
def test_no_expression_takes_long(bench: Make, expression: str) -> None:
    made = loaded(bench, "<a>" + "<b><c x='1'>t</c></b>" * 190 + "</a>")
    began = time.process_time()
    made.call("xmlops.xpath_get", "x", expression)
    assert time.process_time() - began < 1


def test_costs_of_what_is_asked_every_day() -> None:
    for expression in (
        "/a/b/c[1]/@x", "//tuple[status/basic = 'open']/contact", "/p/q[r[@s = 't']]/text()", "//a | //b | //c",
        "//a[translate(@x, 'AB', 'ab') = 'ab']", "/a[contains(b, '//..[[')]", "count(//a)",
    ):  # fmt: skip
        assert cost(expression, 1000) < MAX_COST, expression


@pytest.mark.parametrize(("name", "value"), [("xml_ns", "x"), ("xml_ns", "=urn:x"), ("xml_ns", "1=u"), ("buf_size", 0)])
def test_parameters_that_can_not_be(bench: Make, name: str, value: str | int) -> None:
    with pytest.raises(ConfigError, match=rf"xmlops\.{name}"):
        bench("xmlops", xmlops={name: value})


@pytest.mark.parametrize("inner", ["x", "x=>", "x=>foo", "x=>xpath", "x=>xpath:", "=>doc", "x=>element:a"])
def test_variables_that_there_are_not(kahea: Simulation, inner: str) -> None:
    with pytest.raises(ConfigError, match=r"\$xml"):
        kahea.node(
            f'#!KAMAILIO\nloadmodule "xmlops.so"\nloadmodule "pv.so"\nrequest_route {{ $var(x) = $xml({inner}); }}\n',
            "udp:10.0.0.9:5060",
        )
