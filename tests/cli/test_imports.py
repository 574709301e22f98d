"""What a script imports is read anew by a reload, watched, and counts for the hash of its generation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command import free_address
from imports import LANGUAGES, say, write
from test_cfg import answer, running
from test_reloading import until

from kahea.routing.module import ConfigError
from kahea.testing import Simulation


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reload_reads_what_a_script_imports(kahea: Simulation, tmp_path: Path, language: str) -> None:
    node = kahea.node(write(tmp_path, language), "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")

    def answer(user: str) -> str:
        return alice.options(f"sip:{user}@10.0.0.9").reason

    def files() -> set[str]:
        return {path.name for path in node.node.routes.files}

    script, first, late = (f"{name}.{language}" for name in ("script", "first", "late"))
    assert answer("first") == "One"
    assert files() == {script, first}
    assert answer("late") == "Two"
    assert files() == {script, first, late}

    # As long as the word before, and as old: a cache by time and size would not notice.
    hashes = [node.node.routes.hash]
    was = (tmp_path / first).stat()
    say(tmp_path, language, "first", "Uno")
    os.utime(tmp_path / first, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert answer("first") == "One"
    node.reload()
    hashes.append(node.node.routes.hash)
    assert answer("first") == "Uno"
    say(tmp_path, language, "late", "Due")
    node.reload()
    assert answer("late") == "Due"

    (tmp_path / first).write_text("((")
    with pytest.raises(ConfigError, match=first):
        node.reload()
    assert (answer("first"), answer("late")) == ("Uno", "Due")
    node.rollback(node.node.reloader.generations()[0].generation.number)
    hashes.append(node.node.routes.hash)
    assert answer("first") == "One"
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_files_are_not_counted_twice(kahea: Simulation, tmp_path: Path, language: str) -> None:
    node = kahea.node(write(tmp_path, language), "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")
    for _ in range(5):
        assert alice.options("sip:late@10.0.0.9").reason == "Two"
    assert len(node.node.routes.files) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_script_imports_is_watched(tmp_path: Path, language: str) -> None:
    script = write(tmp_path, language)
    with running(str(script), "-E", "-d", "-d", "-l", free_address(), "--watch") as process:
        assert process.stderr is not None
        address = until(process.stderr.readline, " runs ").split()[-1]
        assert answer(address) == "SIP/2.0 200 One"
        say(tmp_path, language, "first", "Uno")
        until(process.stderr.readline, "runs in place of")
        assert answer(address) == "SIP/2.0 200 Uno"
