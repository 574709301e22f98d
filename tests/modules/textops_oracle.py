"""Runs script functions in a real Kamailio, so that tests can compare what they do with what ours do.

One Kamailio process serves a whole list of cases. Each case is one SIP message and some `KSR.*` calls; the
message names its case in the header `X-Case`. The script makes the calls, reports what they returned on a
control socket, and sends the message on (or answers it), so that its edits are seen on the wire.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.ending import end
from tests.ports import free_port

KAMAILIO = shutil.which("kamailio")

#: Modules besides app_python3 that the oracle's script may use.
MODULES = ("pv", "sl", "textops", "textopsx", "xlog", "kex")

SCRIPT = """
import json, socket
import KSR

cases = json.load(open({cases!r}))
out = None


def mod_init():
    return Script()


def call(path, args):
    target = KSR
    for part in path.split("."):
        target = getattr(target, part)
    return target(*args)


class Script:
    def child_init(self, rank):
        return 0

    def run(self, number):
        global out
        if out is None:
            out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        results = []
        for path, *args in cases[number]["calls"]:
            try:
                results.append(call(path, args))
            except Exception as error:
                results.append("raised " + repr(error))
        out.sendto(json.dumps([number, results]).encode(), ("127.0.0.1", {control}))
        return cases[number]["then"]

    def ksr_request_route(self, msg):
        then = self.run(KSR.pv.get("$hdr(X-Case)"))
        if then == "reply":
            KSR.sl.sl_send_reply(200, "Fine")
        else:
            KSR.pv.sets("$du", "sip:127.0.0.1:{sink}")
            KSR.forward()
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def ksr_reply_route(self, msg):
        self.run(KSR.pv.get("$hdr(X-Case)"))
        return 1
"""

CONFIG = """
debug=0
log_stderror=yes
children=1
server_header="Server: x"
sip_warning=0
dns=no
rev_dns=no
listen=udp:127.0.0.1:{port}
{modules}
{extra}
modparam("app_python3", "load", "{script}")
cfgengine "python"
"""


@dataclass
class Case:
    """Calls to make over one message. `then` is "forward" or "reply"; replies are always sent on."""

    name: str
    calls: list[tuple[object, ...]]
    message: bytes
    then: str = "forward"


@dataclass
class Outcome:
    """What the calls returned, and the bytes sent (None if nothing was)."""

    results: list[object] = field(default_factory=list)
    wire: bytes | None = None


def _receiver() -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.settimeout(1.0)
    return s


def _library() -> Path:
    for path in Path("/usr/lib").glob("**/kamailio/modules"):
        return path
    return Path("/usr/lib/kamailio/modules")


def _write_files(folder: Path, cases: list[Case], port: int, sink: int, control: int, extra: str) -> Path:
    table = {str(n): {"calls": c.calls, "then": c.then} for n, c in enumerate(cases)}
    (folder / "cases.json").write_text(json.dumps(table))
    script = folder / "script.py"
    script.write_text(SCRIPT.format(cases=str(folder / "cases.json"), control=control, sink=sink))
    library = _library()
    names = [m for m in MODULES if (library / f"{m}.so").exists()]
    load = "\n".join(f'loadmodule "{m}.so"' for m in [*names, "app_python3"])
    config = folder / "kamailio.cfg"
    config.write_text(CONFIG.format(port=port, modules=load, script=script, extra=extra))
    return config


def _start(folder: Path, config: Path, port: int) -> subprocess.Popen[bytes]:
    log = (folder / "log").open("ab")
    assert KAMAILIO is not None
    arguments = [KAMAILIO, "-f", str(config), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "16"]
    process = subprocess.Popen(
        [*arguments, "-Y", str(folder), "-w", str(folder)],
        stdout=log,
        stderr=log,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    ping = b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKp\r\n\r\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.05)
        probe.connect(("127.0.0.1", port))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process.poll() is None:
            # Refused (ICMP) until it listens; silence means that somebody took the datagram.
            try:
                probe.send(ping)
                probe.recv(100)
            except TimeoutError:
                return process
            except ConnectionRefusedError:
                time.sleep(0.05)
    end(process)
    raise RuntimeError("Kamailio did not start: " + (folder / "log").read_text(errors="replace")[-2000:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    end(process)


def run_cases(folder: Path, cases: list[Case], extra: str = "") -> list[Outcome]:
    """Run every case in one Kamailio, and return the outcomes in the same order.

    A case that ends Kamailio (some do) has an outcome without results, and a new one goes on after it.
    """
    port = free_port()
    outcomes: list[Outcome] = []
    with _receiver() as sink, _receiver() as control:
        ports = port, sink.getsockname()[1], control.getsockname()[1]
        config = _write_files(folder, cases, *ports, extra)
        process = _start(folder, config, port)
        try:
            for number, case in enumerate(cases):
                outcomes.append(_one(case, number, port, sink, control))
                if not outcomes[-1].results:
                    _stop(process)
                    process = _start(folder, config, port)
        finally:
            _stop(process)
    return outcomes


def stamp(message: bytes, number: int | str, port: int, sink: int) -> bytes:
    """Fill in what a case leaves open: its number and the two ports."""
    for name, value in ((b"@CASE@", number), (b"@PORT@", port), (b"@SINK@", sink)):
        message = message.replace(name, str(value).encode())
    return message


def _one(case: Case, number: int, port: int, sink: socket.socket, control: socket.socket) -> Outcome:
    outcome = Outcome()
    sink_port = sink.getsockname()[1]
    sink.sendto(stamp(case.message, number, port, sink_port), ("127.0.0.1", port))
    try:
        told, outcome.results = json.loads(control.recv(65535))
    except TimeoutError:
        return outcome
    assert told == str(number), "an answer to another case"
    with contextlib.suppress(TimeoutError):
        outcome.wire = unstamp(sink.recv(65535), number, port, sink_port)
    return outcome


def unstamp(wire: bytes, number: int, port: int, sink: int) -> bytes:
    """Undo `stamp`, and take off the Via line that Kamailio put on a request."""
    wire = re.sub(rb"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=[^\r]*\r\n" % port, b"", wire, count=1)
    wire = wire.replace(b"X-Case: %d" % number, b"X-Case: @CASE@")
    return wire.replace(b":%d" % sink, b":@SINK@")
