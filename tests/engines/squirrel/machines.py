"""The machines that programs are compared in: ours, that of Kamailio's app_sqlang, and that of the package
squirrel-lang, whose integers have 32 bits."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.ending import end
from tests.ports import free_port

from kahea.engines.squirrel.runtime.machine import Machine

HERE = Path(__file__).parent
HARNESS = HERE / "harness.sq"
MODULES = Path("/usr/lib/x86_64-linux-gnu/kamailio/modules")
LACKING = (
    ""
    if shutil.which("kamailio") is not None and (MODULES / "app_sqlang.so").exists()
    else "needs a real Kamailio with app_sqlang"
)

CFG = """#!KAMAILIO
debug=-2
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:@PORT
mpath="@MODULES"
loadmodule "kex.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "app_sqlang.so"
modparam("app_sqlang", "load", "@DIR/script.sq")
cfgengine "sqlang"
"""
ROUTE = """
function ksr_request_route() {
  KSR.textops.set_reply_body(run(KSR.pv.get("$rb")), "text/plain");
  KSR.sl.sl_send_reply(200, "OK");
  return 1;
}
"""


def programs() -> list[str]:
    """The programs that all machines run."""
    return (HERE / "programs.txt").read_text(encoding="latin-1").split("\n---\n")


class Ours:
    """Our machine."""

    def __init__(self) -> None:
        self.machine = Machine(lambda: None)
        self.machine.load(HARNESS.read_bytes(), str(HARNESS))()

    def run(self, program: str) -> str:
        """What a program gives or throws."""
        found: str = self.machine.root["run"](self.machine.root, program)
        return found


class Kamailio:
    """Kamailio's machine: each program comes as a request's body, and goes back in the reply's."""

    def __init__(self, directory: Path) -> None:
        self._port = free_port()
        (directory / "script.sq").write_text(HARNESS.read_text() + ROUTE)
        cfg = CFG
        for mark, value in (("@DIR", directory), ("@PORT", self._port), ("@MODULES", MODULES)):
            cfg = cfg.replace(mark, str(value))
        (directory / "k.cfg").write_text(cfg)
        self._directory = directory
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._count = 0
        self._start()

    def _start(self) -> None:
        directory = self._directory
        with (directory / "log").open("ab") as out:
            self._server = subprocess.Popen(
                ["kamailio", "-DD", "-E", "-x", "fm", "-m", "64", "-Y", str(directory), "-f", str(directory / "k.cfg")],
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def run(self, program: str) -> str:
        """What a program gives or throws; `crashed` if it ended the server."""
        body = program.encode("latin-1")
        self._count += 1
        number = self._count
        head = (
            "OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self._socket.getsockname()[1]};branch=z9hG4bK{number}\r\n"
            "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n"
            f"Call-ID: {number}\r\nCSeq: 1 OPTIONS\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        deadline = time.monotonic() + 10
        self._socket.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                self._socket.sendto(head + body, ("127.0.0.1", self._port))
                reply = self._socket.recv(65536)
                while f"Call-ID: {number}\r\n".encode() not in reply:
                    reply = self._socket.recv(65536)
                return reply.partition(b"\r\n\r\n")[2].decode("latin-1")
            except (TimeoutError, ConnectionRefusedError):
                if self._server.poll() is not None:
                    self._start()
                    return "crashed"
        return "no answer"

    def close(self) -> None:
        """End the server."""
        end(self._server)
        self._socket.close()


class Package:
    """The machine of the package squirrel-lang."""

    def __init__(self) -> None:
        import squirrel

        self._machine = squirrel.SQVM(4096)
        self._machine.execute(HARNESS.read_text())

    def run(self, program: str) -> str:
        """What a program gives or throws."""
        self._machine.get_roottable()["source"] = program
        found: str = self._machine.execute("return run(source)")
        return found
