"""The pages of `docs/reference/` say what the modules declare, and leave nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kahea.cli.reference import pages
from kahea.routing.checks import Unless
from kahea.routing.node import Node

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "docs" / "reference"
MODULES = sorted((ROOT / "src" / "kahea" / "modules").rglob("*.py"))


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


def test_the_pages_are_those_of_today(made: dict[str, str]) -> None:
    there = {path.name: path.read_text() for path in DIRECTORY.iterdir()}
    behind = sorted(name for name in there.keys() | made.keys() if there.get(name) != made.get(name))
    assert not behind, f"{', '.join(behind)}: run `make docs` and commit what it writes"


def test_everything_is_on_its_page(made: dict[str, str]) -> None:
    node = Node()
    for module in node.registry.modules.values():
        page = made[f"{module.name}.md"]
        for function in module.functions():
            assert f"KSR.{function.module}.{function.name}(".replace("KSR..", "KSR.") in page, function
        for form in module.natives():
            assert f"\n{form.name}(" in page, form
        for name in module.params():
            assert f"\n| `{name}` |" in page, f"{module.name}.{name}"
        for variable in module.variables():
            assert f"${variable.name}" in page or f"$({variable.name}" in page, variable
        for command in module.rpcs():
            assert f"| `{command.name}" in page, command.name
        for event in module.events:
            assert f"event_route[{event}]" in page
    for name in node.variables.transformations:
        assert re.search(rf"^\| `{re.escape(name)}[,`\[]", made["transformations.md"], re.MULTILINE), name


def test_natives_of_exported_functions_are_told(made: dict[str, str]) -> None:
    """Those that no declaration names, which the registry made."""
    assert "\nsend_reply_mode(code, reason: reason, mode)\n" in made["sl.md"]
    assert "KSR.tm.t_reply(code: int, reason: str) -> int\nt_reply(code, reason: literal)\n" in made["tm.md"]
    assert "In a cfg may stand in `request_route`" in made["maxfwd.md"]


def test_everything_is_described(made: dict[str, str]) -> None:
    node = Node()
    for module in node.registry.modules.values():
        doc = (type(module).__doc__ or "").strip()
        assert len(doc) > 12, f"{module.name}: say what it is for"
        assert not doc.startswith("Kamailio's module"), f"{module.name}: say what it is for, as the index shows it"
        for each in (*module.natives(), *module.variables(), *module.rpcs(), *module.functions()):
            assert each.doc, f"{module.name}: {each.name} has no docstring"
        for name, param in module.params().items():
            assert param.doc or param.inert or isinstance(param.check, Unless), f"{module.name}.{name} is not described"
    for name, transformation in node.variables.transformations.items():
        assert transformation.doc, f"{{{name}}} is not described"


@pytest.mark.parametrize("path", [p for p in MODULES if "run_event(" in p.read_text()], ids=lambda p: p.stem)
def test_events_are_declared(path: Path) -> None:
    """An event route that a module's file names is among its `events`."""
    declared = {event for module in Node().registry.modules.values() for event in module.events}
    for name in re.findall(r'"([a-z_]+:[a-z-]+(?::[a-z-]+)?)[:"{]', path.read_text()):
        assert any(event.startswith(name) for event in declared), f"{path.name}: {name} is in no module's `events`"
