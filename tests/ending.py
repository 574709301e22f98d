"""How the servers that tests have started end, so that nothing of them goes on after the tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess


def end(process: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """End a server, and by force after some seconds: at times one of Kamailio's children waits for ever.

    It must lead a process group of its own (`start_new_session=True`), and its children end with it.
    """
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a server and its children at once, without giving them a word."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
