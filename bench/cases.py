"""What is measured: each case one load, with the servers compared under it, or how long a cfg takes to start."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.load import Load
from bench.process import cpu_us, kernel_share, memory_kib, ticks
from bench.servers import HOST, STOCK, BenchError, Kind, Server, ask, free_port
from bench.startup import LONG_CFG, write_long_cfg

RELAY = Kind("bare relay in C", "relay")
MINIMAL = {
    "cfg": Kind("Kamailio, native", "kamailio", "kamailio/minimal.cfg"),
    "python": Kind("Kamailio, app_python3", "kamailio", "scripts/minimal.py"),
    "kahea": Kind("Kahea", "kahea", "scripts/minimal.py"),
}
TYPICAL = {
    "cfg": Kind("Kamailio, native", "kamailio", "kamailio/typical.cfg"),
    "python": Kind("Kamailio, app_python3", "kamailio", "scripts/typical.py"),
    "kahea": Kind("Kahea", "kahea", "scripts/typical.py"),
}
#: Kahea in place of Kamailio, with the very cfg that Kamailio runs.
MINIMAL_CFG = (MINIMAL["cfg"], Kind("Kahea, the same cfg", "kahea", MINIMAL["cfg"].config))
STOCK_CFG = (Kind("Kamailio, native", "kamailio", STOCK), Kind("Kahea, the same cfg", "kahea", STOCK))
LONG = (Kind("Kamailio, native", "kamailio", LONG_CFG), Kind("Kahea, the same cfg", "kahea", LONG_CFG))
#: The registrar of `TYPICAL` with its locations in SQLite, written back.
STORED = (
    Kind("Kamailio, native", "kamailio", TYPICAL["cfg"].config, stored=True),
    Kind("Kahea, the same cfg", "kahea", TYPICAL["cfg"].config, stored=True),
)
#: The other languages: their engines and names, with the endings of the scripts.
LANGUAGES = {"lua": ("Lua", "app_lua"), "js": ("JavaScript", "app_jsdt"), "sq": ("Squirrel", "app_sqlang")}


def of_language(name: str, suffix: str) -> tuple[Kind, ...]:
    """Kamailio and Kahea with one script in another language, and Kahea with its twin in Python."""
    language, module = LANGUAGES[suffix]
    script = f"scripts/{name}.{suffix}"
    return (
        Kind(f"Kamailio, {module}", "kamailio", script),
        Kind(f"Kahea, {language}", "kahea", script),
        Kind("Kahea, Python", "kahea", f"scripts/{name}.py"),
    )


#: What is measured.
CPU, BYTES, TIME = "CPU µs", "bytes", "ms"


@dataclass(frozen=True, slots=True)
class Case:
    """One load and its servers; `unit` is what one of it is called, and `what` its cost."""

    name: str
    title: str
    mode: str
    kinds: tuple[Kind, ...]
    unit: str = "call"
    registered: bool = False
    what: str = CPU


CASES = (
    Case("minimal", "Minimal stateful proxy", "call", (*MINIMAL.values(), RELAY)),
    Case("minimal-cfg", "Minimal stateful proxy, native", "call", MINIMAL_CFG),
    Case("typical", "Registrar and proxy, all routes armed", "call", tuple(TYPICAL.values()), registered=True),
    Case("stock", "Debian's stock kamailio.cfg", "call", STOCK_CFG, registered=True),
    Case("register", "Registrations renewed, in memory", "register", tuple(TYPICAL.values()), unit="REGISTER"),
    Case("register-stored", "Registrations renewed, written back to SQLite", "register", STORED, unit="REGISTER"),
    Case("options", "OPTIONS answered", "options", tuple(TYPICAL.values()), unit="OPTIONS"),
    *(
        Case(f"{suffix}-{name}", f"{language}: {title}", "call", of_language(name, suffix), registered=registered)
        for suffix, (language, _) in LANGUAGES.items()
        for name, title, registered in (
            ("minimal", "minimal stateful proxy", False),
            ("typical", "registrar and proxy, all routes armed", True),
        )
    ),
    Case(
        "contacts",
        "Memory of registered contacts",
        "register",
        tuple(TYPICAL.values()),
        "contact",
        what=BYTES,
    ),
    Case("startup", "A cfg of 5,000 lines", "options", LONG, unit="start", what=TIME),
)


@dataclass(slots=True)
class Scale:
    """How much is measured: calls a second, calls counted, seconds of warm-up, contacts, runs of each."""

    rate: int = 1000
    count: int = 8000
    warm_up: float = 7.0
    users: int = 20_000
    repeat: int = 3


@dataclass(slots=True)
class Result:
    """All runs of one server under one case: what each unit cost, and the kernel's share of CPU time."""

    kind: Kind
    costs: list[float] = field(default_factory=list)
    kernel: list[float] = field(default_factory=list)
    failed: int = 0
    retransmissions: int = 0

    @property
    def median(self) -> float:
        """The median cost of the runs."""
        return statistics.median(self.costs)


def measure(case: Case, scale: Scale, tell: Callable[[str], None]) -> list[Result]:
    """Measure a case: its servers take turns, so that a change of the machine's mood meets all of them."""
    if case.what == TIME:
        write_long_cfg()
    results = [Result(kind) for kind in case.kinds if not kind.missing()]
    for turn in range(scale.repeat):
        for result in results:
            run_once(case, scale, result)
            tell(f"{case.name} {turn + 1}/{scale.repeat}: {result.kind.label}: {result.costs[-1]:.0f}")
    return results


def run_once(case: Case, scale: Scale, result: Result) -> None:
    """A fresh server, a warm-up, and one load whose cost is added to the result."""
    callee = free_port()
    with Server(result.kind, callee) as server:
        if case.what == TIME:
            result.costs.append(server.seconds * 1000)
            return
        user_at = server.port if case.registered else callee
        with Load(case.mode, server.port, callee, f"sip:callee@{HOST}:{user_at}") as load:
            if case.registered:
                register_callee(server.port, callee)
            if case.what == BYTES:
                cost_of_contacts(scale, server, load, result)
            else:
                cost_of_load(case, scale, server, load, result)
        if not server.alive() or "Traceback" in server.log():
            raise BenchError(f"{result.kind.label} failed under load:\n{server.log()[:3000]}")


def cost_of_load(case: Case, scale: Scale, server: Server, load: Load, result: Result) -> None:
    """CPU time of one load over its count, less what the idle server uses in that time."""
    before, start = cpu_us(server.pid), time.monotonic()
    time.sleep(2)
    idle = (cpu_us(server.pid) - before) / (time.monotonic() - start)
    # Memory grows to its size, and work that is put off is then in the window as much as it is missing.
    users = scale.count if case.mode == "register" else 0
    load.run(scale.rate, users or int(scale.rate * scale.warm_up), users=users)
    before, start, spent = cpu_us(server.pid), time.monotonic(), ticks(server.pid)
    outcome = load.run(scale.rate, scale.count, users=users)
    used = cpu_us(server.pid) - before - idle * (time.monotonic() - start)
    result.costs.append(used / scale.count)
    result.kernel.append(kernel_share(server.pid, spent))
    result.failed += outcome.failed
    result.retransmissions += outcome.retransmissions


def cost_of_contacts(scale: Scale, server: Server, load: Load, result: Result) -> None:
    """Memory that the server gains by so many registered contacts, over their number."""
    load.run(scale.rate, 2000, prefix="warm")
    time.sleep(7)  # transactions of the warm-up are freed
    before = memory_kib(server.pid)
    outcome = load.run(scale.rate * 2, scale.users)
    time.sleep(7)
    result.costs.append((memory_kib(server.pid) - before) * 1024 / scale.users)
    result.failed += outcome.failed
    result.retransmissions += outcome.retransmissions


def register_callee(port: int, callee: int) -> None:
    """Register callee@server at SIPp's address; raises BenchError if it is refused."""
    contact = f"Contact: <sip:callee@{HOST}:{callee}>\r\nExpires: 3600\r\n"
    status = ask(port, "REGISTER", "callee", contact, timeout=2)
    if status != 200:
        raise BenchError(f"the callee's registration was answered by {status or 'nothing'}")
