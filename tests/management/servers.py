"""Kamailio and our server as processes, with one and the same cfg."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.ending import end
from tests.ports import free_port

from kahea import __path__ as package

from .clients import HOST, Binrpc

KAMAILIO = shutil.which("kamailio")
MODULES = (
    "ctl", "pv", "tm", "sl", "rr", "usrloc", "registrar", "xlog", "corex", "cfg_rpc", "textops", "xhttp", "jsonrpcs",
    "xhttp_prom",
)  # fmt: skip

CONFIG = """#!KAMAILIO
debug=-1
log_stderror=yes
alias="example.org"
auto_aliases=no
children=1
tcp_children=1
tcp_accept_no_cl=yes
server_header="Server: twin"
user_agent_header="User-Agent: twin"
listen=udp:{host}:{sip}
listen=tcp:{host}:{sip}
mpath="{library}"
gateway.gw_host = "192.0.2.1" desc "where calls go"
gateway.gw_port = 5070 desc "its port"
gateway[7].gw_port = 5077
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
modparam("tm", "fr_timer", 1200)
modparam("usrloc", "preload", "location")
modparam("xhttp_prom", "xhttp_prom_stats", "483_replies")
modparam("xhttp_prom", "prom_counter", "name=calls; label=method:ip;")
modparam("xhttp_prom", "prom_counter", "name=plain")
modparam("xhttp_prom", "prom_gauge", "name=level")
modparam("xhttp_prom", "prom_gauge", "name=levels; label=a:b:c")
modparam("xhttp_prom", "prom_histogram", "name=times")
modparam("xhttp_prom", "prom_histogram", "name=sizes; label=kind; buckets=3.1:5:6.5")

request_route {{
    if ($rU == "open") {{
        t_newtran();
        t_reply("183", "Progress");
        exit;
    }}
    sl_send_reply("200", "OK");
}}

event_route[tm:local-request] {{
    if ($hdr(X-Do) == "drop") drop;
    if ($hdr(X-Do) == "uri") $ru = "sip:changed@x.y";
    if ($hdr(X-Do) == "add") append_hf("X-Added: $hdr(X-Do)\\r\\n");
    if ($hdr(X-Do) == "remove") remove_hf("X-Do");
    if ($hdr(X-Do) == "body") set_body("another body", "text/plain");
    if ($hdr(X-Do) == "see") append_hf("X-Seen: $rm $ru $du $si $Ri $(hdr(Via){{s.substr,0,20}}) $fs\\r\\n");
}}

event_route[xhttp:request] {{
    if ($hu =~ "^/RPC") {{
        jsonrpc_dispatch();
    }} else if ($hu =~ "^/empty") {{
        xhttp_reply("200", "OK", "", "");
    }} else if ($hu =~ "^/twice") {{
        append_to_reply("X-Own: b\\r\\n");
        xhttp_reply("302", "Found it", "text/plain", "first");
        xhttp_reply("200", "OK", "text/plain", "second");
    }} else if ($hu =~ "^/exec") {{
        jsonrpc_exec("$rb");
        xhttp_reply("200", "OK", "text/plain", "$jsonrpl(code)|$jsonrpl(text)|$jsonrpl(body)");
    }} else if (prom_check_uri()) {{
        prom_dispatch();
    }} else if ($hu =~ "^/count") {{
        $var(codes) = "";
        prom_counter_inc("calls", "2", "INVITE", "192.0.2.1"); $var(codes) = $var(codes) + " " + $rc;
        prom_counter_inc("calls", "2", "INVITE"); $var(codes) = $var(codes) + " " + $rc;
        prom_counter_inc("nothing", "2"); $var(codes) = $var(codes) + " " + $rc;
        prom_counter_inc("plain", "-2"); $var(codes) = $var(codes) + " " + $rc;
        prom_counter_inc("plain", "7"); $var(codes) = $var(codes) + " " + $rc;
        prom_counter_inc("level", "1"); $var(codes) = $var(codes) + " " + $rc;
        prom_gauge_set("level", "-12.5"); $var(codes) = $var(codes) + " " + $rc;
        prom_gauge_set("levels", "7", "x", "", "z w"); $var(codes) = $var(codes) + " " + $rc;
        prom_gauge_set("levels", "7", "x", "y", "z w"); $var(codes) = $var(codes) + " " + $rc;
        prom_gauge_reset("nothing"); $var(codes) = $var(codes) + " " + $rc;
        prom_histogram_observe("times", "0.3"); $var(codes) = $var(codes) + " " + $rc;
        prom_histogram_observe("sizes", "5", "big"); $var(codes) = $var(codes) + " " + $rc;
        prom_histogram_observe("sizes", "1e3", "big"); $var(codes) = $var(codes) + " " + $rc;
        xhttp_reply("200", "OK", "text/plain", "$var(codes)");
    }} else if ($hu =~ "^/cfg") {{
        $var(before) = $sel(cfg_get.gateway.gw_port);
        cfg_select("gateway", 7);
        $var(chosen) = $sel(cfg_get.gateway.gw_port);
        $var(host) = $sel(cfg_get.gateway.gw_host);
        cfg_reset("gateway");
        xhttp_reply("200", "OK", "text/plain",
            "$var(before) $var(chosen) $var(host) $sel(cfg_get.gateway.gw_port) $sel(cfg_get.core.debug)");
    }} else {{
        xhttp_reply("200", "OK", "text/plain",
            "$hu|$si|$sp|$rm|$hdr(Host)|$rb|$rs|$pr|$Rp|$ml|$ci|$fu|$hdr(Via)|$cT|$cl|$ua");
    }}
}}
"""


class Server:
    """A running server: its ports, and `folder` with its sockets."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sip, self.tcp = free_port(), free_port()
        (folder / "tmp").mkdir()
        self.cfg = folder / "kamailio.cfg"
        load = "\n".join(f'loadmodule "{name}.so"' for name in MODULES)
        library = next(iter(Path("/usr/lib").glob("**/kamailio/modules")), "/")
        self.cfg.write_text(
            CONFIG.format(host=HOST, sip=self.sip, tcp=self.tcp, folder=folder, library=library, load=load)
        )
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, start_new_session=True, cwd=folder, env=self.environment()
            )
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
        end(self._process)


class Kamailio(Server):
    """The oracle."""

    name = "kamailio"

    def command(self) -> list[str]:
        assert KAMAILIO is not None
        command = [KAMAILIO, "-f", str(self.cfg), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "16"]
        return [*command, "-Y", str(self.folder), "-w", str(self.folder)]


class Kahea(Server):
    """The server under test."""

    name = "kahea"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "kahea", "run", "-f", str(self.cfg)]

    def environment(self) -> dict[str, str] | None:
        return {**os.environ, "PYTHONPATH": str(Path(package[0]).parent), "KAHEA_RUN": str(self.folder / "run")}
