"""Every variable and transformation of the modules that are built: there, with the traits that Kamailio's have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kahea.routing.node import Node
from kahea.routing.registry import available
from kahea.routing.settings import Configuration

from .conftest import Bench

HERE = Path(__file__).parent


def rows(name: str) -> Iterator[list[str]]:
    """The lines of a table that are about modules that are built."""
    modules = {"core", *available()}
    for line in (HERE / name).read_text().splitlines():
        words = line.split()
        if words[0] in modules:
            yield words


#: Not here, since they are newer than 5.6 and nothing says what they hold.
NO_VARIABLES = {"$http_time", "$http_xdata", "$tls_my_san_count", "$tls_peer_san_count"}
#: Their index is newer than 5.6, too.
NO_INDEX = {f"$tls_{whose}_san_{kind}" for whose in ("my", "peer") for kind in ("email", "hostname", "ip", "uri")}


def test_every_variable() -> None:
    found = Node(Configuration()).variables.variables()
    wrong, count = [], 0
    for module, name, *traits in rows("variables.txt"):
        count += 1
        if name in NO_VARIABLES:
            continue
        variable = found.get(name[1:])
        if variable is None:
            wrong.append(f"{module}: {name} is missing")
            continue
        have = {"name": variable.takes_name, "index": variable.takes_index, "write": variable.set is not None}
        if {trait for trait, has in have.items() if has} != set(traits) - ({"index"} if name in NO_INDEX else set()):
            wrong.append(f"{module}: {name} has {have}, wanted {traits}")
    assert not wrong
    assert count >= 229


#: Not here, each with the reason.
NO_TRANSFORMATIONS = {
    "json.encode": "Kamailio's own parser never takes it",
    "json.parsex": "newer than 5.6, and nothing says what it does",
}


def test_every_transformation() -> None:
    found = Node(Configuration()).variables.transformations
    wrong, count = [], 0
    for module, name, least, most in rows("transformations.txt"):
        count += 1
        each = found.get(name)
        if name in NO_TRANSFORMATIONS:
            continue
        if each is None:
            wrong.append(f"{module}: {name} is missing")
            continue
        have = (sum(not kind.endswith("?") for kind in each.params), len(each.params))
        if have != (int(least), int(most)):
            wrong.append(f"{module}: {name} takes {have} parameters, wanted {least} to {most}")
    assert not wrong
    assert count > 100


def test_parts_of_a_url(bench: Bench) -> None:
    """As Kamailio 5.6.3 gave them."""
    table = Node(Configuration()).variables
    run = bench.run()
    for url, path, query in (
        ("/a/b?c=d&e", "/a/b", "c=d&e"),
        ("/a", "/a", ""),
        ("?x", "", "x"),
        ("http://h/p?q?r", "http://h/p", "q?r"),
        ("/a#f?b", "/a#f", "b"),
    ):
        run.vars["u"] = url
        assert table.compile("$(var(u){url.path})").get(run) == path
        assert table.compile("$(var(u){url.querystring})").get(run) == query
