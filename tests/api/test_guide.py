"""The guide, docs/api.md: every listing runs as it stands there, but for its ports."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from node_process import HOST, NodeProcess, Peer, header
from tests.ports import free_port

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
KAMAILIO = shutil.which("kamailio")


class Guide:
    """The page's listings in a directory, with ports that are free."""

    def __init__(self, directory: Path, first: int, second: int) -> None:
        self.directory = directory
        self.api = free_port()
        self.events = free_port()
        self._ports = {8000: self.api, 8448: self.events, 5071: first, 5072: second}

    def write(self, name: str, directory: Path | None = None) -> Path:
        """The listing whose first line names a file, as that file."""
        found = re.search(rf"^```\w*\n(?:#|--) {re.escape(name)}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        assert found is not None, f"docs/api.md has no {name}"
        text = found[1]
        for port, free in self._ports.items():
            text = re.sub(rf"\b{port}\b", str(free), text)
        path = (directory or self.directory) / name.partition(",")[0]
        path.write_text(text)
        return path


def imported(path: Path) -> Any:
    """A listing as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def service(guide: Guide) -> AsyncIterator[None]:
    """The FastAPI service, served as the page says."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    app = imported(guide.write("service.py")).app
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=guide.api, log_level="warning"))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def failover(alice: Peer, first: Peer, second: Peer) -> None:
    """A call of alice's, whose first carrier refuses it; From is another on the way, and as it was on the way back."""
    alice.request("INVITE", f"sip:+3912345@{HOST}:{alice.node.port}")
    await alice.receive("SIP/2.0 100")
    invite = await first.receive("INVITE")
    assert invite.startswith(f"INVITE sip:+3912345@{HOST}:{first.port} ")
    assert "<sip:+4930111@example.org>" in header(invite, "From")
    first.reply(invite, "503 Service Unavailable")
    invite = await second.receive("INVITE")
    assert "<sip:+4930111@example.org>" in header(invite, "From")
    second.reply(invite, "200 OK")
    answer = await alice.receive("SIP/2.0 200")
    assert f"<sip:alice@{HOST}>" in header(answer, "From")


async def stranger(alice: Peer) -> None:
    """A call of somebody whom the service does not know."""
    alice.request("INVITE", f"sip:+3912345@{HOST}:{alice.node.port}", user="mallory")
    assert (await alice.receive("SIP/2.0 4")).startswith("SIP/2.0 403 ")


Start = Callable[[Guide], tuple[Path, tuple[str, ...]]]
Work = Callable[[Guide, Peer, Peer, Peer], Awaitable[None]]


def run(tmp_path: Path, start: Start, work: Work, *, api: bool = True) -> None:
    """Do some work with a node, its caller, and two carriers."""

    async def main() -> None:
        async with Peer() as first, Peer() as second:
            guide = Guide(tmp_path, first.port, second.port)
            file, more = start(guide)
            async with NodeProcess(tmp_path, file, *more) as node, Peer(node) as alice:
                first.node = second.node = node
                if api:
                    async with service(guide):
                        await work(guide, alice, first, second)
                else:
                    await work(guide, alice, first, second)

    asyncio.run(main())


async def both(_guide: Guide, alice: Peer, first: Peer, second: Peer) -> None:
    await failover(alice, first, second)
    await stranger(alice)


@pytest.mark.parametrize("name", ["router.toml", "route.py", "route.cfg"])
def test_the_http_ways(tmp_path: Path, name: str) -> None:
    run(tmp_path, lambda guide: (guide.write(name), ()), both)


def test_without_its_service(tmp_path: Path) -> None:
    async def work(_guide: Guide, alice: Peer, first: Peer, second: Peer) -> None:
        alice.request("INVITE", f"sip:+3912345@{HOST}:{alice.node.port}")
        await alice.receive("SIP/2.0 503 Try Later")

    for name in ("router.toml", "route.py", "route.cfg"):
        directory = tmp_path / name
        directory.mkdir()
        run(directory, lambda guide, name=name: (guide.write(name), ()), work, api=False)  # type: ignore[misc]


def test_events_over_a_socket(tmp_path: Path) -> None:
    def start(guide: Guide) -> tuple[Path, tuple[str, ...]]:
        guide.write("kahea.toml, beside evapi_route.py")
        return guide.write("evapi_route.py"), ()

    async def work(guide: Guide, alice: Peer, first: Peer, second: Peer) -> None:
        alice.request("INVITE", f"sip:bob@{HOST}:{alice.node.port}")
        assert (await alice.receive("SIP/2.0 4")).startswith("SIP/2.0 408 "), "nobody is connected"
        program = await asyncio.create_subprocess_exec(sys.executable, str(guide.write("events.py")))
        try:
            async with asyncio.timeout(10):
                while True:
                    alice.request("INVITE", f"sip:bob@{HOST}:{alice.node.port}")
                    if not (await alice.receive("SIP/2.0 100")):
                        continue
                    try:
                        invite = await first.receive("INVITE", within=1)
                        break
                    except TimeoutError:
                        continue
            assert invite.startswith(f"INVITE sip:bob@{HOST}:{first.port} ")
            first.reply(invite, "200 OK")
            await alice.receive("SIP/2.0 200")
        finally:
            program.terminate()
            await program.wait()

    run(tmp_path, start, work, api=False)


def test_a_database(tmp_path: Path) -> None:
    def start(guide: Guide) -> tuple[Path, tuple[str, ...]]:
        database = tmp_path / "routes.sqlite"
        with sqlite3.connect(database) as db:
            db.executescript(guide.write("routes.sql").read_text())
        settings = guide.write("kahea.toml, beside sql_route.py")
        settings.write_text(
            settings.read_text().replace("routes.sqlite", str(database).lstrip("/")).replace(":///", ":////")
        )
        return guide.write("sql_route.py"), ()

    async def work(_guide: Guide, alice: Peer, first: Peer, second: Peer) -> None:
        for number, carrier in (("4930123", first), ("4940123", second)):
            alice.request("INVITE", f"sip:{number}@{HOST}:{alice.node.port}")
            carrier.reply(await carrier.receive("INVITE"), "200 OK")
            await alice.receive("SIP/2.0 200")
        for number in ("1212", "' OR '1'='1"):
            alice.request("INVITE", f"sip:{number.replace(' ', '%20')}@{HOST}:{alice.node.port}")
            await alice.receive("SIP/2.0 404 No Route")

    run(tmp_path, start, work, api=False)
