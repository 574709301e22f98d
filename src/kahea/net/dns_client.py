"""Asking DNS: c-ares by aiodns, the hosts file, and the search list of resolv.conf."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import aiodns
import pycares

from kahea.net.address import is_ip
from kahea.net.dns_records import Answer, Mx, Naptr, Record, Srv
from kahea.net.dns_settings import DnsSettings

log = logging.getLogger("kahea.net")

LONGEST = 30.0  # seconds for one question, whatever the servers do
TIMEOUT = 2.0  # seconds until a server is asked again, unless set
TRIES = 2
HOSTS_CHECK = 5.0  # seconds between looks at the hosts file
_MISSING = {aiodns.error.ARES_ENOTFOUND, aiodns.error.ARES_ENODATA}


class Client(Protocol):
    """Who answers questions: aiodns, or a test."""

    async def ask(self, name: str, kind: str) -> Answer:
        """Ask one question. Does not raise: a failure is an answer's `error`."""

    async def close(self) -> None:
        """Give up what is being asked."""


class AresClient:
    """Asks name servers: those given as `ip` or `ip:port`, else those of resolv.conf."""

    def __init__(self, settings: DnsSettings, nameservers: Sequence[str] | None = None) -> None:
        self.settings = settings
        self.nameservers = list(nameservers) if nameservers else None
        self._resolver: aiodns.DNSResolver | None = None
        self._opened_with: tuple[int, int, int] | None = None
        self._closing: asyncio.Task[None] | None = None

    def _wishes(self) -> tuple[int, int, int]:
        """The settings that a resolver is opened with."""
        return self.settings.dns_retr_time, self.settings.dns_retr_no, self.settings.dns_servers_no

    def _current(self) -> aiodns.DNSResolver:
        """The resolver, opened anew where the settings have changed."""
        wishes = self._wishes()
        if self._resolver is None or self._opened_with != wishes:
            old, self._resolver = self._resolver, self._open()
            self._opened_with = wishes
            if old is not None:
                self._closing = asyncio.ensure_future(old.close())
        return self._resolver

    def _open(self) -> aiodns.DNSResolver:
        settings = self.settings
        resolver = aiodns.DNSResolver(
            nameservers=self.nameservers,
            loop=asyncio.get_running_loop(),
            timeout=settings.dns_retr_time if settings.dns_retr_time > 0 else TIMEOUT,
            tries=settings.dns_retr_no if settings.dns_retr_no > 0 else TRIES,
        )
        count = settings.dns_servers_no
        servers = self.nameservers or list(resolver.nameservers)
        if 0 < count < len(servers):
            resolver.nameservers = servers[:count]
        return resolver

    async def ask(self, name: str, kind: str) -> Answer:
        """Ask one question; see `Client`."""
        try:
            resolver = self._current()
            async with asyncio.timeout(LONGEST):
                result = await resolver.query_dns(name, kind)
        except aiodns.error.DNSError as error:
            code, text = error.args[0], str(error.args[-1])
            return Answer() if code in _MISSING else Answer(error=text)
        except TimeoutError:
            return Answer(error="timed out")
        except (OSError, RuntimeError, ValueError, pycares.AresError) as error:
            return Answer(error=str(error))
        return _answer(result, kind)

    async def close(self) -> None:
        """Give up what is being asked; a later question begins anew."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()


def _answer(result: pycares.DNSResult, kind: str) -> Answer:
    """The records of the type asked for, wherever aliases led, with the least time to live on the way."""
    records: list[Record] = []
    wanted = getattr(pycares, f"QUERY_TYPE_{kind}")
    for record in result.answer:
        if record.type == wanted:
            records.append(_READ[kind](record.data))
    ttl = min((record.ttl for record in result.answer), default=0)
    return Answer(tuple(records), ttl)


_READ: dict[str, Callable[..., Record]] = {
    "A": lambda data: str(data.addr),
    "AAAA": lambda data: str(data.addr),
    "CNAME": lambda data: str(data.cname),
    "MX": lambda data: Mx(data.priority, data.exchange),
    "NAPTR": lambda data: Naptr(data.order, data.preference, data.flags, data.service, data.regexp, data.replacement),
    "NS": lambda data: str(data.nsdname),
    "PTR": lambda data: str(data.dname),
    "SRV": lambda data: Srv(data.priority, data.weight, data.port, data.target),
    "TXT": lambda data: bytes(data.data),
}


class HostsFile:
    """Addresses by the hosts file; read again when it has changed."""

    def __init__(self, path: Path | None, clock: Callable[[], float]) -> None:
        """`path` None: there is none."""
        self.path = path
        self.clock = clock
        self._checked = float("-inf")
        self._stamp: tuple[int, int] | None = None
        self._ips: dict[str, list[str]] = {}

    def find(self, name: str, kind: str) -> Answer | None:
        """The answer to a question for A or AAAA, None if the file does not know the name."""
        if self.path is None or kind not in ("A", "AAAA"):
            return None
        self._refresh(self.path)
        ips = self._ips.get(name)
        if ips is None:
            return None
        family = 4 if kind == "A" else 6
        return Answer(tuple(ip for ip in ips if is_ip(ip) == family))

    def _refresh(self, path: Path) -> None:
        now = self.clock()
        if now - self._checked < HOSTS_CHECK:
            return
        self._checked = now
        try:
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._ips = _read_hosts(path.read_text("utf-8", "replace"))
                self._stamp = stamp
        except OSError as error:
            if self._stamp is not None:
                log.warning("%s: %s", path, error.strerror)
            self._ips, self._stamp = {}, None


def _read_hosts(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        ip, *names = line.partition("#")[0].split() or [""]
        if is_ip(ip):
            for name in names:
                found.setdefault(name.lower().removesuffix("."), []).append(ip)
    return found


def search_list(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The domains that complete a short name; by resolv.conf, else this host's own domain."""
    domains: list[str] | None = None
    with contextlib.suppress(OSError):
        for line in path.read_text("utf-8", "replace").splitlines():
            words = re.split(r"\s+", line.strip())
            if words[0] in ("search", "domain") and len(words) > 1:
                domains = words[1:7]
    if domains is None:
        own = socket.gethostname().partition(".")[2]
        domains = [own] if own else []
    return [domain.lower().strip(".") for domain in domains if domain.strip(".")]
