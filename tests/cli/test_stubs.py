"""What checkers of types make of the stubs: they accept a right script, and find each mistake of a wrong one.

The scripts are in `stubs/`; in a wrong one, each line with a mistake says `wrong:`.
"""

from __future__ import annotations

import json
import keyword
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import kahea

from kahea.cli.stubs import FILES
from kahea.cli.stubs.groups import groups, paragraph
from kahea.routing.module import Function
from kahea.routing.node import Node

HERE = Path(__file__).parent / "stubs"
ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent

#: Scripts of the project, which are right.
SCRIPTS = {
    ".py": ["src/kahea/default/kahea.py", "tests/differential/script_router.py", "bench/scripts/typical.py"],
    ".js": ["tests/differential/script_router.js", "bench/scripts/typical.js"],
    ".lua": ["tests/differential/script_router.lua", "bench/scripts/typical.lua"],
}


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the stubs and the scripts."""
    directory = tmp_path_factory.mktemp("stubs")
    done = kahea("stubs", "-o", str(directory))
    assert done.returncode == 0, done.stderr
    for names in SCRIPTS.values():
        for name in names:
            shutil.copy(ROOT / name, directory)
    for path in HERE.iterdir():
        shutil.copy(path, directory)
    return directory


@pytest.fixture(scope="module")
def functions() -> list[Function]:
    return [function for group in groups(Node()) for function in group.functions]


def check(directory: Path, suffix: str, command: list[str], found: str) -> None:
    """Run a checker over scripts; `found` matches the number of a line with a mistake in what it prints."""
    right = [Path(name).name for name in SCRIPTS[suffix]] + [f"right{suffix}"]
    # Global functions of scripts in JavaScript would meet in one program.
    for names in [[name] for name in right] if suffix == ".js" else [right]:
        done = subprocess.run([*command, *names], cwd=directory, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr
    name = f"wrong{suffix}"
    done = subprocess.run([*command, name], cwd=directory, capture_output=True, text=True, timeout=100)
    assert done.returncode != 0
    lines = {int(number) for number in re.findall(found, done.stdout, re.MULTILINE)}
    assert lines == mistakes(directory / name), done.stdout


def mistakes(script: Path) -> set[int]:
    """The lines of a script that are wrong."""
    return {number for number, line in enumerate(script.read_text().splitlines(), 1) if "wrong:" in line}


def test_mypy(stubs: Path) -> None:
    pytest.importorskip("mypy")
    options = ["--no-incremental", "--check-untyped-defs", "--config-file", ""]
    check(stubs, ".py", [sys.executable, "-m", "mypy", *options], r"^wrong\.py:(\d+): error")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "--strict", "--config-file", "", "KSR.pyi"],
        cwd=stubs,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout


def test_pyright(stubs: Path) -> None:
    program = shutil.which("pyright", path=TOOLS)
    if program is None or subprocess.run([program, "--version"], capture_output=True, timeout=100).returncode:
        pytest.skip("pyright is not installed, or can't start: it needs Node.js")
    check(stubs, ".py", [program], r"wrong\.py:(\d+):\d+ - error")


def test_typescript(stubs: Path) -> None:
    own = ROOT / ".venv" / "node" / "node_modules" / ".bin"
    program = shutil.which("tsc", path=own) or shutil.which("tsc")
    if program is None:
        pytest.skip("tsc is not installed: npm install typescript")
    options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--noImplicitAny", "false", "--types", ""]
    check(
        stubs,
        ".js",
        [program, *options, "--target", "es2022", "--lib", "es2022", "KSR.d.ts"],
        r"^wrong\.js\((\d+),\d+\): error",
    )


def test_luals(stubs: Path, tmp_path: Path) -> None:
    program = shutil.which("lua-language-server")
    if program is None:
        pytest.skip("lua-language-server is not installed; neither Debian nor PyPI nor npm has it")
    (tmp_path / "scripts").mkdir()
    for path in stubs.glob("*.lua"):
        shutil.copy(path, tmp_path / "scripts")
    configuration = {"runtime.version": "LuaJIT", "diagnostics.disable": ["lowercase-global"]}
    (tmp_path / "scripts" / ".luarc.json").write_text(json.dumps(configuration))
    command = [program, f"--check={tmp_path / 'scripts'}", "--checklevel=Warning", f"--logpath={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    report = json.loads((tmp_path / "check.json").read_text())
    found = {
        uri.rpartition("/")[2]: [each["range"]["start"]["line"] + 1 for each in said] for uri, said in report.items()
    }
    assert {name for name, lines in found.items() if lines} == {"wrong.lua"}, done.stdout
    assert set(found["wrong.lua"]) == mistakes(stubs / "wrong.lua")


def test_lua_has_each_function(stubs: Path, functions: list[Function]) -> None:
    """The file is Lua, and its functions take as many parameters as ours."""
    lupa = pytest.importorskip("lupa.lua54")
    lua = lupa.LuaRuntime()
    lua.execute((stubs / "KSR.lua").read_text())
    count = lua.eval("function(f) return debug.getinfo(f, 'u').nparams end")
    for function in functions:
        table = lua.globals().KSR[function.module] if function.module else lua.globals().KSR
        assert count(table[function.name]) == len(function.params), function
    text = (stubs / "KSR.lua").read_text()
    assert text.count("---@param") == sum(len(function.params) for function in functions) + 2  # those of modf
    assert len(functions) > 600


@pytest.mark.parametrize("name", [name for name, _ in FILES.values()])
def test_each_function_is_described(stubs: Path, functions: list[Function], name: str) -> None:
    text = (stubs / name).read_text()
    for function in functions:
        if name.endswith(".pyi") and keyword.iskeyword(function.module):
            assert f'getattr(KSR, "{function.module}")' in text
            continue
        line = function.doc.split("\n")[0]
        assert line.replace("\\", "\\\\").removesuffix('"') in text or line in text, function


def test_descriptions_are_sentences(functions: list[Function]) -> None:
    for function in functions:
        said = paragraph(function.doc)
        assert re.fullmatch(r"[A-Z0-9a-z`$-].{11,250}\.", said), f"{function.module}.{function.name}: {said}"
        assert len(function.names) == len(function.params)


def test_one_language(tmp_path: Path) -> None:
    done = kahea("stubs", "--lang", "lua", "-o", str(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["KSR.lua"]
    assert done.returncode == 0
    done = kahea("stubs", "--lang", "squirrel", "-o", str(tmp_path / "new"))
    assert done.returncode == 1
    assert "there are no stubs for 'squirrel', but for python, javascript, lua" in done.stderr
