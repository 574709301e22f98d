"""The servers that are measured: how each is started, found ready and ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
HOST = "127.0.0.1"
#: Debian's own configuration, where its package is installed; it is read there.
STOCK = "/etc/kamailio/kamailio.cfg"
#: Seconds: in which the last workers come up, that an answer is waited for, and until it is asked again.
SETTLING, ASKING, PAUSE = 0.5, 0.5, 0.02
#: By a script's ending, the cfg in which Kamailio runs it.
LANGUAGES = {".py": "python", ".lua": "lua", ".js": "javascript", ".sq": "squirrel"}


class BenchError(Exception):
    """The measurement could not be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A server and how it is configured: `config` is a cfg or a script, below this directory unless it is an absolute
    path, or nothing for the relay. `stored`: a cfg keeps its locations in a file of SQLite's."""

    label: str
    program: str
    config: str = ""
    stored: bool = False

    def command(self, port: int, callee: int, scratch: Path) -> list[str]:
        """The command line that serves on a port of the loopback address."""
        listen = ["-l", f"udp:{HOST}:{port}"]
        if self.stored:
            listen += ["-A", f'LOCATIONS="{locations_url(scratch)}"']
        if self.program == "kahea":
            return [kahea_python(), "-m", "kahea", "run", str(HERE / self.config), *listen]
        if self.program == "relay":
            return [str(build_relay()), str(port), str(callee)]
        common = ["-DD", "-E", "-x", "fm", "-m", "1024", "-M", "64", "-Y", str(scratch), "-w", str(scratch), *listen]
        language = LANGUAGES.get(Path(self.config).suffix)
        if language is not None:
            script = f'--substdef=!SCRIPT!"{HERE / self.config}"!g'
            return ["kamailio", "-f", str(HERE / f"kamailio/{language}.cfg"), script, *common]
        return ["kamailio", "-f", str(HERE / self.config), *common]

    def missing(self) -> str:
        """Why this server can't be measured on this machine, or ""."""
        if self.program == "kamailio" and shutil.which("kamailio") is None:
            return "kamailio is not installed"
        if self.config and not (HERE / self.config).exists():
            return f"there is no {self.config}"
        if self.program == "relay" and shutil.which("gcc") is None:
            return "gcc is not installed"
        return ""


def locations_url(scratch: Path) -> str:
    """The database of a server that keeps its locations."""
    return f"sqlite:///{scratch}/locations.sqlite3"


def make_locations(scratch: Path) -> None:
    """Make that database with its tables, which Kamailio does not make by itself."""
    from kahea.connectors.sql import Database
    from kahea.modules.usrloc.store import Layout, Store

    async def make() -> None:
        database = Database(locations_url(scratch))
        await Store(database, "location", Layout(), lambda _: None).prepare()
        await database.close()

    asyncio.run(make())


def kahea_python() -> str:
    """The interpreter that Kahea runs on: `BENCH_PYTHON`, or this one."""
    return os.environ.get("BENCH_PYTHON", sys.executable)


def build_relay() -> Path:
    """Compile the bare relay, once, beside its source."""
    source, program = HERE / "relay.c", HERE.parent / "build/bench-relay"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-o", str(program), str(source)], check=True)
    return program


def free_port() -> int:
    """A UDP port of the loopback address that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOST, 0))
        port: int = s.getsockname()[1]
        return port


class Server:
    """A running server: a context that starts it, waits until it answers, and ends it."""

    def __init__(self, kind: Kind, callee: int, *words: str) -> None:
        """`words` are further arguments of its command."""
        self.kind = kind
        self._words = words
        self.port = free_port()
        self._callee = callee
        self._scratch = Path(tempfile.mkdtemp(prefix="kahea-bench-"))
        self._process: subprocess.Popen[bytes] | None = None
        #: From its start to its first answer.
        self.seconds = 0.0

    def __enter__(self) -> Server:
        log = (self._scratch / "log").open("wb")
        if self.kind.stored:
            make_locations(self._scratch)
        command = [*self.kind.command(self.port, self._callee, self._scratch), *self._words]
        started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"KAHEA_STATE": str(self._scratch)},
        )
        try:
            self._wait_ready()
            self.seconds = time.monotonic() - started
            time.sleep(SETTLING)
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def pid(self) -> int:
        """The first process; its descendants belong to the server too."""
        assert self._process is not None
        return self._process.pid

    def _wait_ready(self) -> None:
        assert self._process is not None
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            if self.kind.program == "relay" or ask(self.port, "OPTIONS", timeout=ASKING) == 200:
                return
        raise BenchError(f"{self.kind.label} did not start:\n{self.log()[-2000:]}")

    def log(self) -> str:
        """What the server has printed."""
        return (self._scratch / "log").read_text(errors="replace")

    def alive(self) -> bool:
        """Whether the first process still runs."""
        return self._process is not None and self._process.poll() is None

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)


def ask(port: int, method: str, user: str = "", headers: str = "", timeout: float = 0.5) -> int:
    """Send one request to the server itself; the final status, or 0 for no answer in time."""
    return answer(port, method, user, headers, timeout)[0]


def answer(port: int, method: str, user: str = "", headers: str = "", timeout: float = 0.5) -> tuple[int, str]:
    """Send one request to the server itself; the final status and its reason, or 0 and "" for no answer in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOST, 0))
        s.settimeout(timeout)
        me = f"{HOST}:{s.getsockname()[1]}"
        tag = os.urandom(6).hex()
        to = f"sip:{user}@{HOST}:{port}" if user else f"sip:{HOST}:{port}"
        request = (
            f"{method} sip:{HOST}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{tag};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:bench@{me}>;tag={tag}\r\nTo: <{to}>\r\nCall-ID: {tag}\r\n"
            f"CSeq: 1 {method}\r\n{headers}Content-Length: 0\r\n\r\n"
        )
        try:
            s.sendto(request.encode(), (HOST, port))
            while True:
                _, status, phrase = s.recv(65535).partition(b"\r\n")[0].decode().split(" ", 2)
                if int(status) >= 200:
                    return int(status), phrase
        except OSError:
            time.sleep(PAUSE)
            return 0, ""
