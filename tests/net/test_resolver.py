"""The resolver before a DNS server of our own: what is asked, kept, shared and survived."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dns_server import DnsServer, Zone
from net_bench import turns

from kahea.net import resolver as resolver_module
from kahea.net.address import P_TCP, P_UDP, Address, Listener
from kahea.net.dns_cache import DnsCache
from kahea.net.dns_client import HostsFile, search_list
from kahea.net.dns_records import Answer, Mx, Naptr, ResolveError, Srv
from kahea.net.dns_settings import DnsDefaults
from kahea.net.resolver import Resolver

Run = Callable[[Any], Any]

ZONE: Zone = {
    ("example.com", "A"): ["192.0.2.1", "192.0.2.2"],
    ("example.com", "AAAA"): ["2001:db8::1"],
    ("alias.example.com", "CNAME"): ["other.example.com."],
    ("other.example.com", "CNAME"): ["example.com."],
    ("_sip._udp.srv.example.com", "SRV"): ["10 0 5070 host.example.com.", "5 0 5080 other-host.example.com."],
    ("host.example.com", "A"): ["192.0.2.10"],
    ("other-host.example.com", "A"): ["192.0.2.11"],
    ("naptr.example.com", "NAPTR"): ['10 50 "s" "SIP+D2U" "" _sip._udp.srv.example.com.'],
    ("text.example.com", "TXT"): ['"one " "two"'],
    ("mail.example.com", "MX"): ["10 host.example.com."],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["example.com."],
}


class World:
    """A server, a resolver that asks it, and a clock that stands still unless told."""

    def __init__(self, server: DnsServer, **options: Any) -> None:
        self.now = 1000.0
        self.server = server
        settings = {k: options.pop(k) for k in list(options) if hasattr(DnsDefaults, k)}
        self.settings = DnsDefaults(**{"use_dns_failover": True, **settings})
        options = {"nameservers": [server.address], "hosts": None, "clock": lambda: self.now} | options
        self.resolver = Resolver(self.settings, **options)

    async def sent(self, host: str, *args: Any) -> list[str]:
        found = await self.resolver.resolve(host.encode(), *args)
        return [str(d.address) for d in found]

    async def close(self) -> None:
        await self.resolver.close()
        self.server.close()


async def world(zone: Zone = ZONE, ttl: int = 300, **options: Any) -> World:
    return World(await DnsServer.start(zone, ttl=ttl), **options)


def test_names_lead_to_destinations(run: Run) -> None:
    async def main() -> None:
        w = await world(dns_try_naptr=True)
        addresses = ["192.0.2.1:5060", "192.0.2.2:5060", "[2001:db8::1]:5060"]
        assert await w.sent("example.com") == addresses
        assert await w.sent("alias.example.com", 5060) == addresses
        assert await w.sent("EXAMPLE.com.", 5060) == addresses
        services = ["192.0.2.11:5080", "192.0.2.10:5070"]
        assert await w.sent("srv.example.com") == services
        assert await w.sent("naptr.example.com") == services
        assert await w.sent("srv.example.com", 0, "udp") == services
        found = await w.resolver.resolve(b"example.com", 5061, "tcp")
        assert {d.proto for d in found} == {P_TCP}
        await w.close()

    run(main())


def test_literals_do_not_wait() -> None:
    r = Resolver(hosts=None)
    found = r.literal(b"[2001:db8::1]", 0, "tcp")
    assert found is not None
    assert (found.proto, found.address) == (P_TCP, Address.of("2001:db8::1", 5060))
    assert r.literal(b"example.com") is None
    assert r.known(b"192.0.2.1", 5070) == [(P_UDP, Address.of("192.0.2.1", 5070), "192.0.2.1")]
    with pytest.raises(ResolveError, match="unknown"):
        r.literal(b"192.0.2.1", 0, "smoke")


def test_a_name_that_leads_nowhere(run: Run) -> None:
    async def main() -> None:
        w = await world()
        with pytest.raises(OSError, match=r"'nx.example.com' leads nowhere: no such host"):
            await w.resolver.resolve(b"nx.example.com")
        with pytest.raises(ResolveError, match="no host name"):
            await w.resolver.resolve(b"\xff\x00")
        assert ("\xff\x00", "A") not in w.server.asked
        await w.close()

    run(main())


def test_answers_are_kept_for_their_time_to_live(run: Run) -> None:
    async def main() -> None:
        w = await world()
        await w.sent("example.com", 5060)
        await w.sent("example.com", 5060)
        assert w.server.asked["example.com", "A"] == 1
        assert w.resolver.known(b"example.com", 5060) is not None
        w.now += 299
        assert w.resolver.known(b"example.com", 5060) is not None
        w.now += 1
        assert w.resolver.known(b"example.com", 5060) is None
        await w.close()

    run(main())


def test_known_does_not_ask(run: Run) -> None:
    async def main() -> None:
        w = await world()
        assert w.resolver.known(b"srv.example.com") is None
        await w.sent("srv.example.com")
        asked = w.server.asked.total()
        assert [str(d.address) for d in w.resolver.known(b"srv.example.com") or []] == [
            "192.0.2.11:5080", "192.0.2.10:5070",
        ]  # fmt: skip
        with pytest.raises(ResolveError):
            await w.resolver.resolve(b"nx.example.com", 5060)
        with pytest.raises(ResolveError):
            w.resolver.known(b"nx.example.com", 5060)
        w.resolver.clear()
        assert w.resolver.known(b"srv.example.com") is None
        assert w.server.asked.total() == asked + 2
        await w.close()

    run(main())


def test_what_is_being_asked_is_not_asked_again(run: Run) -> None:
    async def main() -> None:
        w = await world()
        w.server.held.add("example.com")
        waiting = [asyncio.create_task(w.sent("example.com", 5060)) for _ in range(20)]
        impatient = asyncio.create_task(w.sent("example.com", 5060))
        await turns(lambda: w.server.asked.total() == 2)
        impatient.cancel()
        await asyncio.wait([impatient])
        w.server.release()
        answers = await asyncio.gather(*waiting)
        assert answers == [answers[0]] * 20
        assert w.server.asked == {("example.com", "A"): 1, ("example.com", "AAAA"): 1}
        await w.close()

    run(main())


def test_addresses_are_asked_side_by_side(run: Run) -> None:
    async def main() -> None:
        w = await world()
        w.server.held |= {"host.example.com", "other-host.example.com"}
        task = asyncio.create_task(w.sent("srv.example.com"))
        await turns(lambda: w.server.asked["host.example.com", "AAAA"])
        assert w.server.asked["other-host.example.com", "A"] == 1
        w.server.release()
        assert len(await task) == 2
        await w.close()

    run(main())


def test_a_server_that_fails_is_asked_again_soon_but_not_at_once(run: Run) -> None:
    async def main() -> None:
        w = await world()
        w.server.failing.add("example.com")
        with pytest.raises(ResolveError, match=r"leads nowhere: .*"):
            await w.resolver.resolve(b"example.com", 5060)
        asked = w.server.asked.total()
        with pytest.raises(ResolveError):
            await w.resolver.resolve(b"example.com", 5060)
        assert w.server.asked.total() == asked
        w.server.failing.clear()
        w.now += 5
        assert await w.sent("example.com", 5060)
        await w.close()

    run(main())


def test_a_server_that_is_silent(run: Run) -> None:
    class Quick(DnsDefaults):
        """Less than the second that the setting's unit allows."""

        @property
        def dns_retr_time(self) -> float:  # type: ignore[override]
            return 0.05

        @dns_retr_time.setter
        def dns_retr_time(self, value: float) -> None:
            pass

    async def main() -> None:
        server = await DnsServer.start(ZONE)
        server.silent.add("example.com")
        quick = Quick(dns_retr_no=2, dns_try_ipv6=False)
        r = Resolver(quick, nameservers=[server.address], hosts=None)
        with pytest.raises(ResolveError, match=r"(?i)time"):
            await r.resolve(b"example.com", 5060)
        assert server.asked["example.com", "A"] == 2
        await r.close()
        server.close()

    run(main())


def test_one_dead_target_does_not_hide_the_others(run: Run) -> None:
    async def main() -> None:
        w = await world()
        w.server.failing.add("other-host.example.com")
        assert await w.sent("srv.example.com") == ["192.0.2.10:5070"]
        await w.close()

    run(main())


def test_closing_ends_all_waiting(run: Run) -> None:
    async def main() -> None:
        w = await world()
        w.server.silent.add("example.com")
        task = asyncio.create_task(w.sent("example.com", 5060))
        await turns(lambda: w.server.asked.total() == 2)
        await w.close()
        with pytest.raises(ResolveError, match="cancelled"):
            await task

    run(main())


def test_questions_in_flight_are_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "MAX_ASKING", 2)

    async def main() -> None:
        w = await world(dns_try_ipv6=False)
        w.server.silent |= {"a.example.com", "b.example.com"}
        tasks = [asyncio.create_task(w.sent(f"{c}.example.com", 5060)) for c in "ab"]
        await turns(lambda: w.server.asked.total() == 2)
        with pytest.raises(ResolveError, match="too many"):
            await w.sent("example.com", 5060)
        await w.close()
        await asyncio.wait(tasks)
        for task in tasks:
            assert isinstance(task.exception(), ResolveError)

    run(main())


def test_records_for_modules(run: Run) -> None:
    async def main() -> None:
        w = await world()
        query = w.resolver.query
        assert await query("example.com", "A") == ("192.0.2.1", "192.0.2.2")
        assert await query("alias.example.com", "CNAME") == ("other.example.com",)
        assert await query("text.example.com", "TXT") == (b"one two",)
        assert await query("mail.example.com", "MX") == (Mx(10, "host.example.com"),)
        assert await query("1.2.0.192.in-addr.arpa", "PTR") == ("example.com",)
        assert await query(b"_sip._udp.srv.example.com", "SRV") == (
            Srv(10, 0, 5070, "host.example.com"), Srv(5, 0, 5080, "other-host.example.com"),
        )  # fmt: skip
        assert await query("naptr.example.com", "NAPTR") == (
            Naptr(10, 50, "s", "SIP+D2U", "", "_sip._udp.srv.example.com"),
        )
        assert await query("nx.example.com", "A") == ()
        with pytest.raises(ValueError, match="not supported"):
            await query("example.com", "WKS")
        w.server.failing.add("text2.example.com")
        with pytest.raises(ResolveError):
            await query("text2.example.com", "TXT")
        await w.close()

    run(main())


def test_pinned_answers_need_no_server() -> None:
    r = Resolver(DnsDefaults(dns_try_ipv6=False), hosts=None)
    r.pin("_sip._udp.Pinned.example", "SRV", [Srv(1, 1, 5099, "host.pinned.example")])
    r.pin("host.pinned.example", "A", ["192.0.2.50"])
    found = r.known(b"pinned.example")
    assert found is not None
    assert [str(d.address) for d in found] == ["192.0.2.50:5099"]
    r.pin("host.pinned.example", "A", [])
    with pytest.raises(ResolveError, match="no such host"):
        r.known(b"pinned.example")
    assert r.unpin("host.pinned.example", "A")
    assert not r.unpin("host.pinned.example", "A")
    assert r.known(b"pinned.example") is None


def test_listeners_say_what_is_of_use() -> None:
    r = Resolver(DnsDefaults(use_dns_failover=True), hosts=None)
    r.serve([Listener(P_TCP, Address.of("::1", 5060))])
    r.pin("_sip._tcp.a.example", "SRV", [Srv(1, 1, 5070, "b.example")])
    r.pin("b.example", "AAAA", ["2001:db8::2"])
    assert [(d.proto, str(d.address)) for d in r.known(b"a.example") or []] == [
        (P_TCP, "[2001:db8::2]:5070"),
    ]
    with pytest.raises(ResolveError):
        r.known(b"b.example", 5060, families=(4,))


def test_chance_is_drawn_anew_each_time() -> None:
    r = Resolver(DnsDefaults(dns_srv_lb=True), hosts=None, rng=random.Random(1))
    r.pin("_sip._udp.a.example", "SRV", [Srv(1, 50, 5060, f"192.0.2.{i}") for i in range(4)])
    seen = {(r.known(b"a.example") or [])[0].address.ip for _ in range(200)}
    assert len(seen) == 4


def test_hosts_file(tmp_path: Path) -> None:
    now = [0.0]
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n# 1.1.1.1 none\n::1\tlocalhost Six.example # x\nnonsense\n192.0.2.1\n")
    hosts = HostsFile(path, lambda: now[0])
    assert hosts.find("localhost", "A") == Answer(("127.0.0.1",))
    assert hosts.find("localhost", "AAAA") == Answer(("::1",))
    assert hosts.find("six.example", "A") == Answer()
    assert hosts.find("none", "A") is None
    assert hosts.find("localhost", "SRV") is None
    path.write_text("192.0.2.9 none\n")
    now[0] += 60
    assert hosts.find("none", "A") == Answer(("192.0.2.9",))
    path.unlink()
    now[0] += 60
    assert hosts.find("none", "A") is None


def test_the_hosts_file_comes_before_dns(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("198.51.100.1 example.com\n")

    async def main() -> None:
        w = await world(hosts=path)
        assert await w.sent("example.com", 5060) == ["198.51.100.1:5060"]
        assert w.server.asked.total() == 0
        await w.close()

    run(main())


def test_search_list(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\nsearch lan.example Example.com.\n")
    assert search_list(conf) == ["lan.example", "example.com"]
    conf.write_text("domain a.example\n")
    assert search_list(conf) == ["a.example"]
    monkeypatch.setattr(resolver_module, "search_list", lambda: ["lan.example", "example.com"])

    async def main() -> None:
        w = await world(dns_try_ipv6=False)
        assert await w.sent("host", 5060) == ["192.0.2.10:5060"]
        assert w.server.order == [("host.lan.example", "A"), ("host.example.com", "A")]
        w.settings.dns_use_search_list = False
        with pytest.raises(ResolveError):
            await w.sent("host", 5061)
        assert w.server.order[-1] == ("host", "A")
        await w.close()

    run(main())


# The cache by itself.


def kept(**settings: Any) -> tuple[DnsCache, list[float]]:
    now = [0.0]
    return DnsCache(DnsDefaults(**settings), lambda: now[0], room=4), now


@pytest.mark.parametrize(
    ("settings", "answer", "seconds"),
    [
        ({}, Answer(("192.0.2.1",), 100), 100),
        ({"dns_cache_min_ttl": 200}, Answer(("192.0.2.1",), 100), 200),
        ({"dns_cache_max_ttl": 50}, Answer(("192.0.2.1",), 100), 50),
        ({"dns_cache_negative_ttl": 30}, Answer(), 30),
        ({"dns_cache_negative_ttl": 0}, Answer(), 0),
        ({}, Answer(error="timed out"), 3),
        ({"dns_cache_negative_ttl": 1}, Answer(error="timed out"), 1),
        ({}, Answer(("192.0.2.1",), 0), 0),
        ({"use_dns_cache": False}, Answer(("192.0.2.1",), 100), 0),
    ],
)
def test_how_long_answers_are_kept(settings: dict[str, Any], answer: Answer, seconds: float) -> None:
    cache, now = kept(**settings)
    cache.put(("a", "A"), answer)
    if seconds:
        now[0] = seconds - 0.001
        assert cache.get(("a", "A")) == answer
    now[0] = seconds
    assert cache.get(("a", "A")) is None


def test_a_full_cache_keeps_no_more_until_something_expires() -> None:
    cache, now = kept()
    for i in range(6):
        cache.put((f"{i}", "A"), Answer(("192.0.2.1",), 10 + i))
    assert len(cache) == 4
    assert cache.get(("4", "A")) is None
    now[0] = 10
    cache.put(("9", "A"), Answer(("192.0.2.1",), 10))
    assert cache.get(("9", "A")) is not None
    assert len(cache) == 4


def test_a_full_cache_may_drop_what_was_not_used_longest() -> None:
    cache, _ = kept(dns_cache_del_nonexp=True)
    for i in range(4):
        cache.put((f"{i}", "A"), Answer(("192.0.2.1",), 100))
    assert cache.get(("0", "A")) is not None
    cache.put(("9", "A"), Answer(("192.0.2.1",), 100))
    assert cache.get(("1", "A")) is None
    assert cache.get(("0", "A")) is not None
    assert len(cache) == 4


def test_slow_answers_are_told_of(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        w = await world(dns_slow_query_ms=500, dns_try_ipv6=False)
        for name, seconds in (("other-host.example.com", 0.4), ("host.example.com", 0.6)):
            w.server.held.add(name)
            waiting = asyncio.ensure_future(w.sent(name, 5060))
            await turns(lambda: w.server.asked[name, "A"])  # noqa: B023
            w.now += seconds
            w.server.release()
            await waiting
        assert w.resolver.slow == 1
        await w.close()

    with caplog.at_level("WARNING"):
        run(main())
    assert "DNS took 600 ms for A host.example.com" in caplog.text
    assert "other-host" not in caplog.text
