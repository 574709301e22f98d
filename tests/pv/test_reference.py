"""Every variable and transformation of the modules that are built: there, with the traits that Kamailio's have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kahea.routing.node import Node
from kahea.routing.registry import available
from kahea.routing.settings import Configuration

HERE = Path(__file__).parent


def rows(name: str) -> Iterator[list[str]]:
    """The lines of a table that are about modules that are built."""
    modules = {"core", *available()}
    for line in (HERE / name).read_text().splitlines():
        words = line.split()
        if words[0] in modules:
            yield words


def test_every_variable() -> None:
    found = Node(Configuration()).variables.variables()
    wrong, count = [], 0
    for module, name, *traits in rows("variables.txt"):
        count += 1
        variable = found.get(name[1:])
        if variable is None:
            wrong.append(f"{module}: {name} is missing")
            continue
        have = {"name": variable.takes_name, "index": variable.takes_index, "write": variable.set is not None}
        if {trait for trait, has in have.items() if has} != set(traits):
            wrong.append(f"{module}: {name} has {have}, wanted {traits}")
    assert not wrong
    assert count >= 229


def test_every_transformation() -> None:
    found = Node(Configuration()).variables.transformations
    wrong, count = [], 0
    for module, name, least, most in rows("transformations.txt"):
        count += 1
        each = found.get(name)
        if each is None:
            wrong.append(f"{module}: {name} is missing")
            continue
        have = (sum(not kind.endswith("?") for kind in each.params), len(each.params))
        if have != (int(least), int(most)):
            wrong.append(f"{module}: {name} takes {have} parameters, wanted {least} to {most}")
    assert not wrong
    assert count > 100
