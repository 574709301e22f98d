"""Runs the two servers under comparison, Kamailio and Kahea, with one script and the same parameters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

from .peers import PATIENCE, Peer, bracket

HERE = Path(__file__).parent
MODULES = (
    "kex", "corex", "tm", "tmx", "sl", "rr", "pv", "maxfwd", "usrloc", "registrar",
    "textops", "siputils", "xlog", "sanity", "nathelper", "kemix",
)  # fmt: skip

#: What the same scripts need in Kamailio's own language.
NATIVE_MODULES = tuple(name for name in MODULES if name != "kemix")

#: Timers of tm in milliseconds, short so that a flow takes a second or two.
FR, FR_INV, RETR1, RETR2 = 1000, 2000, 200, 400

PARAMETERS: dict[str, dict[str, int | str]] = {
    "tm": {
        "fr_timer": FR,
        "fr_inv_timer": FR_INV,
        "retr_timer1": RETR1,
        "retr_timer2": RETR2,
        "wt_timer": 1500,
        "contacts_avp": "tm_contacts",
        "contact_flows_avp": "tm_contact_flows",
    },
    "usrloc": {"db_mode": 0, "preload": "location", "nat_bflag": 6},
    "registrar": {"received_avp": "$avp(RECEIVED)"},
    "nathelper": {"received_avp": "$avp(RECEIVED)"},
}
SETTINGS: dict[str, int | str] = {
    "server_header": "Server: proxy",
    "user_agent_header": "User-Agent: proxy",
    "dns": "no",
    "rev_dns": "no",
    "auto_aliases": "no",
}


@dataclass(frozen=True)
class Setup:
    """What both servers are told: script, listeners, settings and module parameters."""

    name: str
    script: str
    #: Listener keys: udp, tcp, udp6, tcp6; the value is an advertised address or "".
    listen: Mapping[str, str] = field(default_factory=lambda: {"udp": "", "tcp": "", "udp6": "", "tcp6": ""})
    settings: Mapping[str, int | str] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, int | str]] = field(default_factory=dict)
    #: Flows in progress at once: enough to overlap their timers, few enough for a small machine.
    at_once: int = 6
    standard_port: bool = False

    def all_settings(self) -> dict[str, int | str]:
        return {**SETTINGS, **self.settings}

    def all_parameters(self) -> list[tuple[str, str, int | str]]:
        merged = {name: dict(values) for name, values in PARAMETERS.items()}
        for name, values in self.parameters.items():
            merged.setdefault(name, {}).update(values)
        return [(module, key, value) for module, values in merged.items() for key, value in values.items()]

    def addresses(self, number: int) -> dict[str, tuple[str, int]]:
        """Where a server listens; with the standard port, at a loopback address of this process alone."""
        if self.standard_port:
            pid = os.getpid()
            host = f"127.{100 + number}.{pid >> 8 & 255}.{pid & 255 or 1}"
            return dict.fromkeys(self.listen, (host, 5060))
        port = free_port(hosts=("127.0.0.1", "::1"))
        return {key: ("::1" if key.endswith("6") else "127.0.0.1", port) for key in self.listen}


class Server:
    """A running server process; `log` is what it wrote."""

    kind = ""
    number = 0

    def __init__(self, setup: Setup, directory: Path) -> None:
        self.setup = setup
        self.directory = directory
        self.addresses = setup.addresses(self.number)
        self.process: asyncio.subprocess.Process | None = None
        self.log_path = directory / "log"

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    async def __aenter__(self) -> Server:
        with self.log_path.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(),
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self.environment(),
                start_new_session=True,
            )
        try:
            await self._answering()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _answering(self) -> None:
        """Ask by OPTIONS until it answers; raises with its log where it ended or stayed silent."""
        peer = Peer("probe", "127.0.0.1", "udp", "start")
        await peer.open(self.addresses["udp"])
        process = self.process
        assert process is not None
        try:
            for attempt in range(int(PATIENCE * 40)):
                peer.send(peer.request("OPTIONS", "sip:barrier@test.example", callid=f"start-{attempt}", contact=None))
                with contextlib.suppress(AssertionError):
                    answer = await peer.expect("... OPTIONS", patience=0.05)
                    if answer.status == 200:
                        return
                    break
                if process.returncode is not None:
                    break
            raise RuntimeError(f"{self.kind} does not answer:\n{self.log[-4000:]}")
        finally:
            peer.close()

    async def stop(self) -> None:
        """End this process and its children."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


class Kamailio(Server):
    """The oracle, with app_python3."""

    kind = "kamailio"
    number = 1

    @staticmethod
    def missing() -> str:
        """Why it can't be run here, or an empty string."""
        if shutil.which("kamailio") is None:
            return "the kamailio binary is not installed"
        found = list(Path("/usr/lib").glob("*/kamailio/modules/app_python3.so"))
        return "" if found else "Kamailio's app_python3 is not installed"

    def configuration(self) -> str:
        python = [("app_python3", "load", str(HERE / self.setup.script))]
        return self.cfg((*MODULES, "app_python3"), python) + 'cfgengine "python"\n'

    def cfg(self, modules: Sequence[str], more: list[tuple[str, str, int | str]]) -> str:
        """What a cfg says before its routes."""
        lines = ["#!KAMAILIO", "log_stderror=yes", "debug=2", "fork=yes", "children=1", "tcp_children=1"]
        lines += ["memdbg=5", "memlog=5", "disable_sctp=yes", 'alias="test.example"']
        for key, value in self.setup.all_settings().items():
            quoted = value if isinstance(value, int) or value in ("yes", "no") else f'"{value}"'
            lines.append(f"{key}={quoted}")
        for key, advertised in self.setup.listen.items():
            host, port = self.addresses[key]
            extra = f" advertise {advertised}" if advertised else ""
            lines.append(f"listen={key.rstrip('6')}:{bracket(host)}:{port}{extra}")
        lines += [f'loadmodule "{name}.so"' for name in modules]
        for module, key, value in [*self.setup.all_parameters(), *more]:
            shown = value if isinstance(value, int) else f'"{value}"'
            lines.append(f'modparam("{module}", "{key}", {shown})')
        return "\n".join([*lines, ""])

    def command(self) -> list[str]:
        cfg = self.directory / "kamailio.cfg"
        cfg.write_text(self.configuration())
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
            "128",
            "-M",
            "16",
            "-Y",
            run,
            "-w",
            run,
        ]


class Kahea(Server):
    """The server under test: `kahea run` with a kahea.toml beside the script."""

    kind = "kahea"
    number = 2

    def configuration(self) -> str:
        settings = {"debug": 2, "alias": ["test.example"], **self.setup.all_settings()}
        lines = ["[global]", *(f"{key} = {_toml(value)}" for key, value in settings.items())]
        for module, values in _by_module(self.setup.all_parameters()).items():
            lines += [f"\n[modules.{module}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
        return "\n".join([*lines, ""])

    def command(self) -> list[str]:
        script = self.directory / self.setup.script
        shutil.copy(HERE / self.setup.script, script)
        (self.directory / "kahea.toml").write_text(self.configuration())
        command = [sys.executable, "-m", "kahea", "run", str(script)]
        for key, advertised in self.setup.listen.items():
            host, port = self.addresses[key]
            spec = f"{key.rstrip('6')}:{bracket(host)}:{port}"
            command += ["-l", spec + (f"/{advertised}" if advertised else "")]
        return command

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "src")}


class NativeKamailio(Kamailio):
    """The oracle in its own language: the script's twin, `script_*.cfg`."""

    kind = "native_kamailio"
    number = 3

    @staticmethod
    def missing() -> str:
        """Why it can't be run here, or an empty string."""
        return "" if shutil.which("kamailio") else "the kamailio binary is not installed"

    def configuration(self) -> str:
        routes = (HERE / self.setup.script).with_suffix(".cfg").read_text()
        return self.cfg(NATIVE_MODULES, []) + routes


class NativeKahea(NativeKamailio):
    """The server under test, with the very cfg that Kamailio is given."""

    kind = "native_kahea"
    number = 4

    @staticmethod
    def missing() -> str:
        """Why it can't be run here, or an empty string."""
        return ""

    def command(self) -> list[str]:
        cfg = self.directory / "kamailio.cfg"
        cfg.write_text(self.configuration())
        return [sys.executable, "-m", "kahea", "run", str(cfg)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "src")}


def _by_module(parameters: list[tuple[str, str, int | str]]) -> dict[str, dict[str, int | str]]:
    grouped: dict[str, dict[str, int | str]] = {}
    for module, key, value in parameters:
        grouped.setdefault(module, {})[key] = value
    return grouped


def _toml(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return str(value) if isinstance(value, int) else '"' + str(value).replace('"', '\\"') + '"'
