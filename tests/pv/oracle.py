"""Kamailio itself as the oracle: evaluates KEMI calls on a crafted message and says what it got.

One Kamailio is started with a Python script that, for each SIP message, takes a list of calls from a
control socket, makes them, and sends the values back. A session is one message, so lists and edits last for
its calls.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.ending import end
from tests.ports import free_port

BINARY = shutil.which("kamailio")

CONFIG = """
#!define GREETING hello
#!define NUMBER 42
debug=1
log_stderror=yes
memdbg=5
memlog=5
children=1
server_id=7
disable_tcp=yes
auto_aliases=no
alias="example.org"
listen=udp:127.0.0.1:{port} name "main"
listen=udp:127.0.0.1:{port2} advertise 192.0.2.9:5099
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
loadmodule "xlog.so"
loadmodule "kemix.so"
loadmodule "siputils.so"
loadmodule "app_python3.so"
modparam("pv", "shvset", "shared=i:5")
modparam("pv", "varset", "preset=s:abc")
modparam("pv", "avp_aliases", "email=s:email_addr;tmp=i:100")
modparam("app_python3", "load", "{script}")
cfgengine "python"
"""

SCRIPT = """
import json, socket
import KSR as KSR

CONTROL = {control}

class Kamailio:
    def child_init(self, rank):
        if rank == 1:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind(("127.0.0.1", CONTROL))
            self.sock.settimeout(2)
        return 0

    def call(self, step):
        target = KSR
        try:
            for part in step[0].split("."):
                target = getattr(target, part)
            return target(*step[1:])
        except BaseException as error:
            return ["raised", str(error)]

    def work(self):
        data, peer = self.sock.recvfrom(65535)
        values = [self.call(step) for step in json.loads(data)]
        self.sock.sendto(json.dumps(values).encode(), peer)
        KSR.x.drop() if hasattr(KSR.x, "drop") else None
        return 0

    def ksr_request_route(self, msg):
        self.work()
        return 1

    def ksr_reply_route(self, msg):
        self.work()
        return 1

def mod_init():
    return Kamailio()
"""


class Oracle:
    """A running Kamailio; a context manager. `port` and `port2` are where it listens."""

    def __init__(self) -> None:
        self.port, self.port2, self.control = free_port(), free_port(), free_port()
        self.dir = Path(tempfile.mkdtemp(prefix="kahea-oracle-"))
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.local_port = int(self.sock.getsockname()[1])
        self.answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answers.bind(("127.0.0.1", 0))
        self.answers.settimeout(2)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Oracle:
        assert BINARY is not None
        script, config = self.dir / "script.py", self.dir / "kamailio.cfg"
        script.write_text(SCRIPT.replace("{control}", str(self.control)))
        config.write_text(
            CONFIG.replace("{port}", str(self.port))
            .replace("{port2}", str(self.port2))
            .replace("{script}", str(script))
        )
        command = [
            BINARY,
            "-DD",
            "-E",
            "-x",
            "fm",
            "-m",
            "64",
            "-f",
            str(config),
            "-Y",
            str(self.dir),
            "-w",
            str(self.dir),
        ]
        self.log = (self.dir / "log").open("wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True)
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + 15
        hexport = f":{self.control:04X} "
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                break
            if hexport in Path("/proc/net/udp").read_text():
                return
            time.sleep(0.05)
        if self.process is not None:
            end(self.process)
        raise RuntimeError("Kamailio did not start:\n" + (self.dir / "log").read_text(errors="replace"))

    def run(self, message: bytes, calls: list[list[Any]], port: int = 0) -> list[Any]:
        """Send the message and return what each call `[function, *arguments]` gave."""
        self.answers.sendto(json.dumps(calls).encode(), ("127.0.0.1", self.control))
        self.sock.sendto(message, ("127.0.0.1", port or self.port))
        values: list[Any] = json.loads(self.answers.recv(65535))
        return values

    def get(self, message: bytes, *expressions: str) -> list[Any]:
        """The value of each pseudo-variable."""
        return self.run(message, [["pv.get", text] for text in expressions])

    def log_text(self) -> str:
        """What Kamailio logged so far."""
        return (self.dir / "log").read_text(errors="replace")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            end(self.process)
        self.sock.close()
        self.answers.close()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
