"""Debian's own kamailio.cfg with each of its WITH_* definitions: it runs, or names just what is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kahea.engines import engine_for
from kahea.engines.native.diagnostics import ERROR
from kahea.engines.native.load import read
from kahea.engines.native.parser import parse_file
from kahea.engines.native.tree import LoadModule, ModParam, Word
from kahea.routing.node import Node
from kahea.routing.registry import available, module_class

STOCK = Path("/etc/kamailio/kamailio.cfg")
pytestmark = pytest.mark.skipif(not STOCK.exists(), reason=f"there is no {STOCK} (Debian: kamailio)")


def _definitions() -> list[str]:
    text = STOCK.read_text() if STOCK.exists() else ""
    return sorted(set(re.findall(r"#!ifdef (WITH_\w+)", text)))


def _missing(modules: list[str]) -> list[str]:
    """What ought to be said of them."""
    found = []
    for name in modules:
        if name not in available():
            found.append(f"Kamailio's module {name} is not supported yet")
        elif why := module_class(name).missing():
            found.append(f"module {name}: {why}")
    return found


@pytest.mark.parametrize("definition", ["", *_definitions()])
def test_it_runs_or_names_what_is_missing(definition: str) -> None:
    defines = {definition: ""} if definition else {}
    program = parse_file(STOCK, defines)
    configuration, found = read(program, STOCK)
    modules = [d.file.removesuffix(".so") for d in program.declarations if isinstance(d, LoadModule)]
    wanted = _missing(modules)
    # Parts that want a database want WITH_MYSQL, too, as they do in Kamailio.
    errors = [d for d in found if d.level == ERROR]
    words = [d.value for d in program.declarations if isinstance(d, ModParam) and isinstance(d.value, Word)]
    undefined = [d for d in errors if d.hint == "DBURL is not defined"]
    assert len(undefined) == sum(word.text == "DBURL" for word in words)
    assert [d.message for d in errors if d not in undefined] == wanted
    if errors:
        return
    configuration.given, configuration.program = defines, program
    node = Node(configuration)
    node.use(engine_for(node).load())
    assert node.routes.request is not None
    assert set(modules) <= set(node.registry.modules)
