"""baresip, a SIP phone without a screen, controlled over TCP."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from peer_servers import HOST
from tests.ports import free_port

MODULES = next(iter(Path("/usr/lib").glob("**/baresip/modules")), None)
#: Why there is no phone here, or "".
MISSING = "" if shutil.which("baresip") and MODULES else "baresip is not installed (Debian: baresip-core)"

CONFIG = """poll_method epoll
call_local_timeout 30
call_max_calls 4
sip_listen {host}:{sip}
net_interface {host}
rtp_ports {rtp}-{rtp_end}
audio_source aubridge,null
audio_player aubridge,null
audio_alert aubridge,null
module_path {modules}
module g711.so
module aubridge.so
module_app account.so
module_app menu.so
module ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
"""


class Phone:
    """A baresip with an account at the server, controlled over its TCP port. A context."""

    def __init__(
        self, user: str, server: int, transport: str, directory: Path, certificate: Path | None = None
    ) -> None:
        """`certificate` is a file with one and its key, for connections to the phone over TLS."""
        self.user = user
        self.server = server
        self.uri = f"sip:{user}@{HOST}:{server}"
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        self._control = free_port()
        self._directory = directory / user
        self._directory.mkdir()
        rtp = free_port(22)
        rtp += rtp % 2
        # It binds the next port, too, for TLS.
        values = {"host": HOST, "sip": free_port(2), "rtp": rtp, "rtp_end": rtp + 20}
        text = CONFIG.format(**values, modules=MODULES, control=self._control)
        if certificate is not None:
            text += f"sip_certificate {certificate}\n"
        (self._directory / "config").write_text(text)
        account = f"<{self.uri};transport={transport}>;auth_pass=none;regint=60;answermode=auto"
        (self._directory / "accounts").write_text(account + "\n")
        (self._directory / "contacts").write_text("")

    def __enter__(self) -> Phone:
        log = (self._directory / "log").open("wb")
        command = ["baresip", "-f", str(self._directory), "-t", "60"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while True:
            try:
                self._socket = socket.create_connection((HOST, self._control))
                break
            except OSError:
                if time.monotonic() > end:
                    self._process.kill()
                    self._process.wait()
                    raise AssertionError(self.log()) from None
                time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """What the phone has printed, for a failing test."""
        return (self._directory / "log").read_text(errors="replace")

    def registered(self) -> None:
        """Wait for its registration, which it begins before anybody can listen for its events."""
        end = time.monotonic() + 10
        while " 200 OK " not in self.log():
            assert time.monotonic() < end, self.log()
            time.sleep(0.05)

    def tell(self, command: str, params: str = "") -> None:
        """Send a command, as typed at baresip's menu."""
        text = json.dumps({"command": command, "params": params})
        self._socket.sendall(f"{len(text)}:{text},".encode())

    def until(self, wanted: str) -> dict[str, Any]:
        """Wait for an event, such as CALL_ESTABLISHED; it and those before it are taken off the list."""
        end = time.monotonic() + 15
        while True:
            for i, event in enumerate(self.events):
                if event.get("type") == wanted:
                    del self.events[: i + 1]
                    return event
            left = end - time.monotonic()
            assert left > 0, f"{self.user} never saw {wanted}\n{self.events}\n{self.log()}"
            self._socket.settimeout(left)
            try:
                self._buffer += self._socket.recv(65536)
            except TimeoutError:
                continue
            self._parse()

    def _parse(self) -> None:
        """Take whole netstrings off the buffer."""
        while (colon := self._buffer.find(b":")) > 0:
            size = int(self._buffer[:colon])
            whole = colon + 1 + size + 1
            if len(self._buffer) < whole:
                return
            message = json.loads(self._buffer[colon + 1 : whole - 1])
            self._buffer = self._buffer[whole:]
            if message.get("event"):
                self.events.append(message)
