"""What `kahea check` says of cfgs that are broken as people break theirs; each holds what it must say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kahea.cli.check import every_error, report
from kahea.engines.native.diagnostics import ERROR, NOTE, CfgError, Diagnostic
from kahea.testing import Simulation

HERE = Path(__file__).parent / "broken"
WANTED = re.compile(r"#= (error|warning) (\d+) (\d+) ([\w-]+): (.*?)(?: \| (.*))?")


def said(d: Diagnostic) -> str:
    """A finding as the files write it."""
    return f"{d.level} {d.place.line} {d.place.column} {d.code}: {d.message}" + (f" | {d.hint}" if d.hint else "")


@pytest.mark.parametrize("path", sorted(HERE.glob("*.cfg")), ids=lambda path: path.stem)
def test_broken(path: Path) -> None:
    wanted = [m for line in path.read_text(errors="replace").splitlines() if (m := WANTED.fullmatch(line))]
    found = [d for d in report(path, {}).diagnostics if d.level != NOTE]
    shown = "\n".join(map(said, found))
    assert len(found) == len(wanted), shown
    for match, d in zip(wanted, found, strict=True):
        level, line, column, code, message, hint = match.groups()
        place = (d.level, d.place.line, d.place.column, d.code)
        assert place == (level, int(line), int(column), code), shown
        assert message in d.message, shown
        assert (hint or "") in d.hint, shown


@pytest.mark.parametrize("path", sorted(HERE.glob("*.cfg")), ids=lambda path: path.stem)
def test_what_has_an_error_does_not_start(path: Path) -> None:
    """And the rest does: what check says is what run would do, with the same errors."""
    errors = [d for d in report(path, {}).diagnostics if d.level == ERROR]
    sim = Simulation()
    try:
        if not errors:
            sim.node(path)
            return
        with pytest.raises(CfgError) as raised, every_error(path, {}):
            sim.node(path)
        assert list(map(said, raised.value.diagnostics)) == list(map(said, errors))
    finally:
        sim.close(check=False)


def test_there_are_enough() -> None:
    assert len(list(HERE.glob("*.cfg"))) >= 50
