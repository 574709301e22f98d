"""The servers under test as processes: `kahea run`, and Kamailio with the same script."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.ports import free_port

import kahea

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]
DEFAULT_SCRIPT = ROOT / "src/kahea/default/kahea.py"

#: Kamailio with the default script: what src/kahea/default/kahea.toml says, less the database.
CONFIGURATION = """#!KAMAILIO
debug=0
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
kemi.onsend_route_callback="none"
kemi.reply_route_callback="none"
{modules}
modparam("usrloc", "preload", "location")
modparam("usrloc", "db_mode", 0)
modparam("app_python3", "load", "{script}")
cfgengine "python"
"""
MODULES = """kex corex tm tmx sl rr pv maxfwd usrloc registrar textops textopsx siputils xlog sanity
app_python3"""


class ServerProcess:
    """A server as a person starts it, on UDP and TCP of one loopback port. A context."""

    def __init__(self, kind: str, directory: Path, script: Path | None = None, *more: str) -> None:
        self.kind = kind
        self.directory = directory
        self.script = script
        self.more = more
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """The command line."""
        listen = ["-l", f"udp:{HOST}:{self.port}", "-l", f"tcp:{HOST}:{self.port}"]
        if self.kind == "kahea":
            script = [] if self.script is None else [str(self.script)]
            return [sys.executable, "-m", "kahea", "run", *script, *listen, *self.more]
        if self.script is not None and self.script.suffix == ".cfg":
            cfg = self.script
        else:
            cfg = self.directory / "kamailio.cfg"
            load = "\n".join(f'loadmodule "{name}.so"' for name in MODULES.split())
            cfg.write_text(CONFIGURATION.format(modules=load, script=self.script or DEFAULT_SCRIPT))
        run = str(self.directory)
        return [
            "kamailio",
            "-f",
            str(cfg),
            "-DD",
            "-E",
            "-x",
            "fm",
            "-m",
            "64",
            "-Y",
            run,
            "-w",
            run,
            *listen,
            *self.more,
        ]

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self.directory / f"{self.kind}.log").open("ab")
        source = str(Path(kahea.__file__).parents[1])
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"KAHEA_STATE": str(self.directory), "PYTHONPATH": source},
        )
        end = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < end:
            if ask(self.port, "OPTIONS", timeout=0.3):
                return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the server did not start:\n{self.log()}")

    def log(self) -> str:
        """What it has printed."""
        return (self.directory / f"{self.kind}.log").read_text(errors="replace")

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            code = self.process.wait()
            if self.kind == "kamailio":  # at times one of its children waits for ever; that is not ours to test
                return code
            raise AssertionError(f"the server did not end:\n{self.log()}") from None

    def __exit__(self, *_: object) -> None:
        self.stop()


def missing(kind: str) -> str:
    """Why a kind of server can't be had here, or ""."""
    if kind == "kamailio" and shutil.which("kamailio") is None:
        return "kamailio is not installed"
    if kind == "kamailio" and not list(Path("/usr/lib").glob("*/kamailio/modules/app_python3.so")):
        return "kamailio-python3-modules is not installed"
    return ""


def ask(port: int, method: str, to: str = "", headers: str = "", timeout: float = 2.0) -> bytes:
    """Send one request over UDP; the final response, or nothing if there is none in time."""
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind((HOST, 0))
        s.settimeout(timeout)
        me = f"{HOST}:{s.getsockname()[1]}"
        tag = os.urandom(6).hex()
        to = to or f"sip:{HOST}:{port}"
        request = (
            f"{method} sip:{HOST}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{tag};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <{to}>;tag={tag}\r\nTo: <{to}>\r\nCall-ID: {tag}\r\n"
            f"CSeq: 1 {method}\r\n{headers}Content-Length: 0\r\n\r\n"
        )
        try:
            s.sendto(request.encode(), (HOST, port))
            while True:
                answer = s.recv(65535)
                if int(answer.split(b" ", 2)[1]) >= 200:
                    return answer
        except OSError:
            return b""
