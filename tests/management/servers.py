"""Kamailio and our server as processes, with one KEMI script and the same management interfaces."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from kahea import __path__ as package

from .clients import HOST, PATIENCE, Binrpc

KAMAILIO = shutil.which("kamailio")
MODULES = (
    "ctl", "pv", "tm", "sl", "rr", "usrloc", "registrar", "xlog", "corex", "cfg_rpc", "textops", "xhttp", "jsonrpcs",
)  # fmt: skip

SCRIPT = """
import KSR


def mod_init():
    return Script()


class Script:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        KSR.sl.sl_send_reply(200, "OK")
        return 1

    def ksr_xhttp_event(self, msg, event):
        url = KSR.xhttp.get_hu()
        if url.startswith("/RPC"):
            KSR.jsonrpcs.dispatch()
        elif url.startswith("/empty"):
            KSR.xhttp.xhttp_reply(200, "OK", "", "")
        elif url.startswith("/twice"):
            KSR.hdr.append_to_reply("X-Own: b\\r\\n")
            KSR.xhttp.xhttp_reply(302, "Found it", "text/plain", "first")
            KSR.xhttp.xhttp_reply(200, "OK", "text/plain", "second")
        elif url.startswith("/exec"):
            rc = KSR.jsonrpcs.execx(KSR.pv.getw("$rb"))
            answer = "|".join(str(KSR.pv.getw("$jsonrpl(%s)" % part)) for part in ("code", "text", "body"))
            KSR.xhttp.xhttp_reply(200, "OK", "text/plain", "%s|%s" % (rc, answer))
        else:
            names = ("$hu", "$si", "$sp", "$rm", "$hdr(Host)", "$rb", "$rs", "$pr", "$Rp", "$ml", "$ci", "$fu",
                     "$hdr(Via)", "$cT", "$cl", "$ua", "$sel(cfg_get.core.debug)")
            text = "".join("%s=%s\\n" % (name, KSR.pv.getw(name)) for name in names)
            KSR.xhttp.xhttp_reply(200, "OK", "text/plain", text)
        return 1
"""

CONFIG = """#!KAMAILIO
debug=-1
log_stderror=yes
alias="example.org"
auto_aliases=no
children=1
tcp_children=1
tcp_accept_no_cl=yes
server_header="Server: twin"
listen=udp:{host}:{sip}
listen=tcp:{host}:{sip}
{load}
modparam("ctl", "binrpc", "unix:{folder}/ctl")
modparam("ctl", "binrpc", "unixd:{folder}/ctl.dgram")
modparam("ctl", "binrpc", "tcp:{host}:{tcp}")
modparam("ctl", "binrpc", "udp:{host}:{tcp}")
modparam("jsonrpcs", "transport", 7)
modparam("jsonrpcs", "fifo_name", "{folder}/rpc.fifo")
modparam("jsonrpcs", "fifo_reply_dir", "{folder}/tmp/")
modparam("jsonrpcs", "dgram_socket", "{folder}/rpc.sock")
modparam("xhttp", "url_skip", "^/skip")
modparam("xhttp", "url_match", "^/[^x]")
modparam("xhttp", "event_callback", "ksr_xhttp_event")
modparam("usrloc", "preload", "location")
modparam("app_python3", "load", "{folder}/script.py")
cfgengine "python"
"""

SETTINGS = """
load = [{load}]

[global]
debug = -1
alias = ["example.org"]
auto_aliases = false
tcp_accept_no_cl = true
server_header = "Server: twin"
listen = ["udp:{host}:{sip}", "tcp:{host}:{sip}"]

[modules.ctl]
binrpc = ["unix:{folder}/ctl", "unixd:{folder}/ctl.dgram", "tcp:{host}:{tcp}", "udp:{host}:{tcp}"]

[modules.jsonrpcs]
transport = 7
fifo_name = "{folder}/rpc.fifo"
fifo_reply_dir = "{folder}/tmp"
dgram_socket = "{folder}/rpc.sock"

[modules.xhttp]
url_skip = "^/skip"
url_match = "^/[^x]"
event_callback = "ksr_xhttp_event"

[modules.usrloc]
preload = ["location"]
"""


def free_port() -> int:
    """A port that is free for UDP and TCP alike."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind((HOST, 0))
            port: int = stream.getsockname()[1]
            try:
                datagrams.bind((HOST, port))
            except OSError:
                continue
            return port


class Server:
    """A running server: its ports, and `folder` with its sockets."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sip, self.tcp = free_port(), free_port()
        (folder / "script.py").write_text(SCRIPT)
        (folder / "tmp").mkdir()
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=folder, env=self.environment())
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not answer:\n{self.log[-3000:]}")
            time.sleep(0.05)

    def fill(self, text: str, load: str) -> str:
        return text.format(host=HOST, sip=self.sip, tcp=self.tcp, folder=self.folder, load=load)

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str] | None:
        return None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            with self.binrpc() as connection:
                connection.call("core.uptime")
        except OSError:
            return False
        return (self.folder / "rpc.sock").exists()

    def binrpc(self) -> Binrpc:
        """A connection to its control socket."""
        return Binrpc(self.folder / "ctl")

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Kamailio(Server):
    """The oracle."""

    name = "kamailio"

    def command(self) -> list[str]:
        load = "\n".join(f'loadmodule "{name}.so"' for name in (*MODULES, "app_python3"))
        cfg = self.folder / "kamailio.cfg"
        cfg.write_text(self.fill(CONFIG, load))
        assert KAMAILIO is not None
        command = [KAMAILIO, "-f", str(cfg), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "16"]
        return [*command, "-Y", str(self.folder), "-w", str(self.folder)]


class Kahea(Server):
    """The server under test."""

    name = "kahea"

    def command(self) -> list[str]:
        (self.folder / "kahea.toml").write_text(self.fill(SETTINGS, ", ".join(f'"{name}"' for name in MODULES)))
        return [sys.executable, "-m", "kahea", "run", str(self.folder / "script.py")]

    def environment(self) -> dict[str, str] | None:
        return {**os.environ, "PYTHONPATH": str(Path(package[0]).parent), "KAHEA_RUN": str(self.folder / "run")}
