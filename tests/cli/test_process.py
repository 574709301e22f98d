"""The process's limits, its user and group, and the file with its number."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import environment, free_address, kahea

from kahea.cli.process import become
from kahea.routing.settings import ConfigError, Settings

GOOD = "import KSR\n\ndef ksr_request_route():\n    pass\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def test_unknown_users_and_groups() -> None:
    with pytest.raises(ConfigError, match="there is no user 'nobody-at-all'"):
        become(Settings(user="nobody-at-all"))
    with pytest.raises(ConfigError, match="there is no group 'no-such-group'"):
        become(Settings(group="no-such-group"))


def test_oneself_can_be_become() -> None:
    become(Settings(user=str(os.geteuid()), group=str(os.getegid())))


@as_root
def test_another_user_for_good() -> None:
    program = (
        "import os\nfrom kahea.cli.process import become, limit\nfrom kahea.routing.settings import Settings\n"
        "import resource\n"
        "settings = Settings(user='nobody', disable_core_dump=True)\nlimit(settings)\nbecome(settings)\n"
        "print(os.getuid(), os.geteuid(), os.getgid(), os.getgroups(), resource.getrlimit(resource.RLIMIT_CORE))\n"
        "os.setuid(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment())
    assert re.match(r"(\d+) \1 (\d+) \[\2\] \(0, 0\)\n", done.stdout), done
    assert not done.stdout.startswith("0 ")
    assert "PermissionError" in done.stderr


def test_the_number_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(GOOD)
    file = tmp_path / "kahea.pid"
    words = ["run", str(tmp_path / "good.py"), "-l", free_address(), "-P", str(file), "-DD", "-E", "-m", "64"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kahea", *words], stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stderr is not None
    try:
        assert " runs " in process.stderr.readline()
        assert "-m, -M, -n, -N" in process.stderr.readline()
        assert int(file.read_text()) == process.pid
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()
    assert not file.exists()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(GOOD)
    done = kahea("run", str(tmp_path / "good.py"), "-l", free_address(), "-P", "/no/such/place/pid")
    assert done.returncode == 1
    assert "/no/such/place/pid: No such file or directory" in done.stderr
