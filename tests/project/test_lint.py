"""The linters, as tests: ruff, mypy --strict, and the rooms' contracts of import-linter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent

CHECKS = {
    "ruff check": ["ruff", "check", "--no-cache", "."],
    "ruff format": ["ruff", "format", "--no-cache", "--check", "."],
    "mypy --strict": ["mypy"],
    "import-linter": ["lint-imports", "--no-cache"],
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("check", CHECKS)
def test_lint(check: str) -> None:
    program, *arguments = CHECKS[check]
    tool = shutil.which(program, path=TOOLS)
    if tool is None:
        pytest.skip(f"{program} is not installed beside this interpreter")
    done = subprocess.run([tool, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
