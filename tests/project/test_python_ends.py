"""The other end of the supported Pythons: `pip install .` alone makes a server there, and its tests pass.

The run that this is part of uses one interpreter; whichever of the oldest and newest it is not runs here, in
a virtual environment of its own that is kept for the next time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENDS = ("3.11", "3.13")
#: The shorter selection: what is compiled and what is closest to the language.
SELECTION = ("sip", "net", "tm", "routing", "modules", "engines", "cli")
DEVELOPMENT = (
    "pytest>=8",
    "pytest-timeout>=2.3",
    "hypothesis>=6.100",
    "dnspython>=2.6",
    "asyncpg>=0.30",
    "asyncmy>=0.2.10",
    "pymongo>=4.13",
)


def run(*command: str, timeout: float) -> str:
    """Run in a clean environment: neither this checkout's sources nor this interpreter's packages, nor Kamailio, since
    comparisons with it say nothing of an interpreter."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "VIRTUAL_ENV"}
    folders = clean["PATH"].split(os.pathsep)
    clean["KAHEA_CFLAGS"] = "-O0 -g0"  # how fast it would be is not asked; the compiler's time is most of the test's
    clean["PATH"] = os.pathsep.join(f for f in folders if not (Path(f) / "kamailio").exists())
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, env=clean) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # so that pytest ends the servers of its tests
            killer = threading.Timer(60, process.kill)
            killer.start()
            out, errors = process.communicate()
            killer.cancel()
    assert process.returncode == 0, f"{' '.join(command)}\n{out[-6000:]}\n{errors[-4000:]}"
    return out


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("version", ENDS)
def test_the_other_end(version: str) -> None:
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return  # this very run is its test
    found = subprocess.run([ROOT / "scripts/find-python", version], capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(f"no CPython {version} on this machine")
    venv = ROOT / f".venv-{version}"
    python = str(venv / "bin/python")
    if not Path(python).exists():
        run(found.stdout.strip(), "-m", "venv", str(venv), timeout=120)
    run(python, "-m", "pip", "-q", "--disable-pip-version-check", "install", *DEVELOPMENT, timeout=300)
    run(python, "-m", "pip", "-q", "--disable-pip-version-check", "install", ".", timeout=600)
    assert "0." in run(str(venv / "bin/kahea"), "--version", timeout=60)
    tests = [f"tests/{room}" for room in SELECTION if (ROOT / "tests" / room).exists()]
    print(run(python, "-m", "pytest", "-q", *tests, timeout=900)[-300:])
