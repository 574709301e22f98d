"""`kahea new`: what it writes works as it is, in every language."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from command import environment, free_address, kahea
from test_cfg import running, said

from kahea.cli import check as checking
from kahea.cli.new import LANGUAGES, create

ROOT = Path(__file__).parents[2]
INSTALLED = any(each.value == "kahea.testing.plugin" for each in entry_points(group="pytest11"))


def run(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project, as its author does."""
    return subprocess.run(command, cwd=directory, env=environment(), capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_tests_pass(tmp_path: Path, language: str) -> None:
    project = tmp_path / "my-router"
    create(project, language)
    plugins = [] if INSTALLED else ["-p", "kahea.testing.plugin"]
    done = run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout

    script = project / LANGUAGES[language].script
    readme = (project / "README.md").read_text()
    assert "# my-router" in readme
    assert "@" not in readme
    for path in project.iterdir():
        assert path.name in readme or path.name in ("README.md", "__pycache__"), f"{path.name} is not explained"
    checked = checking.report(script, {}, None)
    assert not checked.failed(strict=True), checked.text()


@pytest.mark.parametrize("language", ["python", "native"])
def test_it_serves(tmp_path: Path, language: str) -> None:
    done = kahea("new", str(tmp_path / "new"), "--lang", language)
    assert done.returncode == 0, done.stderr
    with running(str(tmp_path / "new" / LANGUAGES[language].script), "-l", free_address()) as process:
        assert " runs " in said(process)


def test_the_real_server_takes_the_cfg(tmp_path: Path) -> None:
    program = shutil.which("kamailio")
    if program is None:
        pytest.skip("the kamailio binary is not installed")
    create(tmp_path / "new", "native")
    done = run(tmp_path, program, "-c", "-f", "new/router.cfg", "-Y", str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_type_checkers_take_it(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    create(tmp_path / "py", "python")
    done = run(tmp_path / "py", sys.executable, "-m", "mypy", "--no-incremental", "--strict", "router.py")
    assert done.returncode == 0, done.stdout
    create(tmp_path / "js", "javascript")
    own = ROOT / ".venv" / "node" / "node_modules" / ".bin"
    program = shutil.which("tsc", path=own) or shutil.which("tsc")
    if program is not None:
        done = run(tmp_path / "js", program, "-p", "jsconfig.json")
        assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = kahea("new", str(tmp_path), "--lang", "lua")
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert os.listdir(tmp_path) == ["mine.txt"]
    done = kahea("new", str(tmp_path / "x"), "--lang", "cobol")
    assert done.returncode == 1
    assert "there is no project in 'cobol', but in python, lua, javascript, squirrel, native" in done.stderr
    assert not (tmp_path / "x").exists()
