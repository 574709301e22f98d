"""Commands of the shell for modules: awaited, bounded in time, number and output.

What goes wrong is a `CommandFailed`. A command that takes too long is killed with all that it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from typing import Final

#: The most that is read of what a command writes, in bytes.
MAX_OUTPUT: Final = 1 << 20
#: Seconds for a command that was killed to be gone.
PATIENCE: Final = 1.0


class CommandFailed(Exception):
    """A command that was not started, was killed, or wrote too much; the text is for the operator."""


class Shell:
    """Runs commands with `/bin/sh -c`, at most `limit` at a time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = 0

    async def run(
        self,
        command: str,
        environment: Mapping[str, str] | None = None,
        given: bytes | None = None,
        *,
        read: bool = False,
        seconds: float = 0,
    ) -> tuple[int, bytes]:
        """The exit code (negative for a signal) and, if `read`, the output.

        `environment` comes on top of the server's own, `given` is written to its standard input. After `seconds` it is
        killed; 0 lets it run. Raises CommandFailed.
        """
        if self.running >= self.limit:
            raise CommandFailed(f"{self.limit} commands are running already")
        self.running += 1
        try:
            return await self._run(command, environment, given, read=read, seconds=seconds)
        finally:
            self.running -= 1

    async def _run(
        self, command: str, environment: Mapping[str, str] | None, given: bytes | None, *, read: bool, seconds: float
    ) -> tuple[int, bytes]:
        try:
            process = await asyncio.create_subprocess_shell(
                command,
                stdin=DEVNULL if given is None else PIPE,
                stdout=PIPE if read else DEVNULL,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise CommandFailed(f"could not be started: {error}") from error
        try:
            async with asyncio.timeout(seconds or None):
                _, output = await asyncio.gather(_give(process, given), _take(process))
                return await process.wait(), output
        except TimeoutError:
            raise CommandFailed(f"took longer than {seconds:g} s") from None
        finally:
            if process.returncode is None:
                await _kill(process)


async def _kill(process: Process) -> None:
    """Kill a command and what it started, as far as that stayed in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # asyncio sees the end of a process only when the end of its output was read.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while process.stdout is not None and await process.stdout.read(65536):
                pass
            await process.wait()


async def _give(process: Process, data: bytes | None) -> None:
    """Write to the standard input of a command, which need not read it."""
    if process.stdin is None or data is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.close()
        await process.stdin.wait_closed()


async def _take(process: Process) -> bytes:
    """Read all that a command writes. Raises CommandFailed for too much."""
    if process.stdout is None:
        return b""
    output = b""
    while part := await process.stdout.read(65536):
        output += part
        if len(output) > MAX_OUTPUT:
            raise CommandFailed(f"wrote more than {MAX_OUTPUT} bytes")
    return output
