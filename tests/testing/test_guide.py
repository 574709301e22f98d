"""Every listing of docs/testing.md does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "testing.md"
#: Those of which the page has a script.
LANGUAGES = ("py", "lua", "js", "sq", "cfg")
LISTING = re.compile(r"^```python\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def listings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the listings as files."""
    directory = tmp_path_factory.mktemp("guide")
    text = GUIDE.read_text()
    found = LISTING.findall(text)
    assert len(found) == text.count("```python"), "a listing has no file name in its first line"
    for name, code in found:
        (directory / name).write_text(code)
    return directory


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in that directory."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_tests_of_the_guide_pass(listings: Path) -> None:
    installed = any(e.value == "kahea.testing.plugin" for e in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "kahea.testing.plugin"]
    done = run(listings, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin)
    assert done.returncode == 0, done.stdout + done.stderr
    written = sum(
        path.read_text().count("\ndef test_") + path.read_text().startswith("def test_")
        for path in listings.glob("test_*.py")
    )
    written += len(LANGUAGES) - 1  # that one is run in each
    assert f"{written} passed" in done.stdout


def test_it_works_by_itself(listings: Path) -> None:
    done = run(listings, "by_itself.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SIP/2.0 200 Alive\n")
    assert "OPTIONS" in done.stdout
