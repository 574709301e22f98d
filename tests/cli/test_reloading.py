"""`kahea run` reloads its cfg: by SIGHUP, and by itself with `--watch`."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from command import free_address
from test_cfg import CFG, answer, running

from kahea.cli.server import RELOAD_CHECK, Server
from kahea.engines import configure
from kahea.routing.settings import Configuration

WAIT = 100  # lines of the log that may come before the one waited for


def until(read: Callable[[], str], text: str) -> str:
    """The next line of the log that has the text."""
    for _ in range(WAIT):
        line = read()
        if text in line:
            return line
    raise AssertionError(f"the log does not say {text!r}")


@pytest.mark.parametrize("watch", [False, True])
def test_a_changed_cfg_is_taken_up(tmp_path: Path, watch: bool) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text("debug=2\nlog_stderror=yes\n" + CFG.replace('"Unasked"', '"One"'))
    more = ["--watch"] if watch else []
    with running(str(cfg), "-l", free_address(), *more) as process:
        assert process.stderr is not None
        address = until(process.stderr.readline, " runs ").split()[-1]
        assert answer(address) == "SIP/2.0 200 One"

        def change(text: str, says: str) -> None:
            new = tmp_path / "new"
            new.write_text(text)
            new.rename(cfg)
            if not watch:
                os.kill(process.pid, signal.SIGHUP)
            assert process.stderr is not None
            until(process.stderr.readline, says)

        text = "debug=2\nlog_stderror=yes\n" + CFG
        change(text.replace('"Unasked"', '"Two"'), "runs in place of")
        assert answer(address) == "SIP/2.0 200 Two"
        change(text.replace("exit;", "exit"), "reload failed")
        assert answer(address) == "SIP/2.0 200 Two"
        change(text.replace('"Unasked"', '"Three"'), "runs in place of")
        assert answer(address) == "SIP/2.0 200 Three"


def test_files_that_a_reload_looked_for_are_watched(tmp_path: Path) -> None:
    """One that is not there yet, one that was broken, one behind a link; and nobody hears of others."""
    (tmp_path / "versions").mkdir()
    first, second = tmp_path / "versions" / "first.cfg", tmp_path / "versions" / "second.cfg"
    text = "debug=2\nlog_stderror=yes\n" + CFG.replace('"Unasked"', "ANSWER")
    first.write_text('import_file "later.cfg"\n#!trydef ANSWER "One"\n' + text)
    second.write_text('include_file "more/broken.cfg"\n' + text)
    cfg = tmp_path / "kamailio.cfg"
    cfg.symlink_to(first)
    with running(str(cfg), "-l", free_address(), "--watch") as process:
        assert process.stderr is not None
        said: list[str] = []

        def read() -> str:
            assert process.stderr is not None
            said.append(process.stderr.readline())
            return said[-1]

        address = until(read, " runs ").split()[-1]
        assert answer(address) == "SIP/2.0 200 One"
        (tmp_path / "of-no-concern").write_text("x")
        (tmp_path / "later.cfg").write_text('#!define ANSWER "Two"\n')
        until(read, "runs in place of")
        assert answer(address) == "SIP/2.0 200 Two"

        (tmp_path / "more").mkdir()
        broken = tmp_path / "more" / "broken.cfg"
        broken.write_text("nonsense\n")
        new = tmp_path / "new"
        new.symlink_to(second)
        new.rename(cfg)
        until(read, "reload failed")
        broken.write_text('#!define ANSWER "Three"\n')
        until(read, "runs in place of")
        assert answer(address) == "SIP/2.0 200 Three"
        assert not [line for line in said if "watchfiles" in line]


def test_messages_pass_while_a_cfg_is_read(tmp_path: Path) -> None:
    """The reading of the cfg ends only when the loop has done something else meanwhile."""
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text("debug=-1\nauto_aliases=no\n" + CFG)
    turned = threading.Event()

    def read() -> Configuration:
        assert turned.wait(10)
        return configure(cfg, None, [free_address()])

    async def main() -> int:
        server = Server(configure(cfg, None, [free_address()]), read)
        await server.start()
        assert server.node.reloader is not None
        first = server.node.reloader.running.generation.number
        asyncio.get_running_loop().call_later(0.05, turned.set)
        server.reload()
        assert server.node.reloader.busy
        for _ in range(3):  # one of these waits for the first, and is enough
            server.reload()
        async with asyncio.timeout(10):
            while server.node.reloader.running.generation.number < first + 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(3 * RELOAD_CHECK)
        await server.stop()
        return server.node.reloader.running.generation.number - first

    assert asyncio.run(main()) == 2
