"""Rules of the house that no linter knows: every file says why it exists, and can be read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
COMPILED = sorted((ROOT / "src").rglob("*.pyx"))
LIMIT = 600

#: Longer files, each with the reason why its room can't be divided.
LONG: dict[str, str] = {
    "src/kahea/routing/dispatch.pyx": "what every message passes, in C functions that call one another",
    "src/kahea/sip/message.pyx": "one C class, whose methods read what its fields point at",
    "src/kahea/tm/layer.pyx": "one C class, whose methods call each other as C functions",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*SOURCES, *COMPILED], ids=name)
def test_a_file_can_be_read(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LIMIT or LONG.get(name(path)), f"{lines} lines: divide it, or give a reason in LONG"


def test_reasons_are_still_needed() -> None:
    for entry in LONG:
        assert (ROOT / entry).read_text().count("\n") > LIMIT, f"{entry} is short again: take it out of LONG"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_says_why_it_exists(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "no docstring"


#: Compiled parts that Python can see into; one with C functions alone has no types to state.
VISIBLE = [p for p in COMPILED if re.search(r"^(def|class|cdef class|cpdef) ", p.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("path", VISIBLE, ids=name)
def test_compiled_parts_have_types(path: Path) -> None:
    assert path.with_suffix(".pyi").exists(), "a compiled part states its types in a .pyi"


@pytest.mark.timeout(300)
def test_types_agree_with_the_compiled_parts() -> None:
    pytest.importorskip("mypy")
    modules = [".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in VISIBLE]
    command = [
        sys.executable,
        "-m",
        "mypy.stubtest",
        "--concise",
        "--ignore-disjoint-bases",
        "--ignore-unused-allowlist",
    ]
    command += ["--allowlist", str(Path(__file__).with_name("stubtest_allowlist.txt")), *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


CLOCKS = {"time", "monotonic", "perf_counter", "sleep", "now", "utcnow", "today"}
CLOCK_MODULES = {"time", "datetime", "date"}


@pytest.mark.parametrize(
    "path",
    [p for p in SOURCES if p.relative_to(ROOT / "src/kahea").parts[0] in ("sip", "tm", "routing")],
    ids=name,
)
def test_the_core_reads_no_clock(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    read = [
        ast.unparse(f)
        for f in calls
        if isinstance(f, ast.Attribute)
        and f.attr in CLOCKS
        and isinstance(f.value, ast.Name)
        and f.value.id in CLOCK_MODULES
    ]
    assert not read, f"time is passed in: {read}"
