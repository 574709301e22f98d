"""Statistics: that all of Kamailio's names are there, and that the same traffic gives the same numbers in both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from textops_cases import PLAIN
from twin import Kamailio, Ours, needs_kamailio, request

from conftest import Bench
from kahea.net.address import Address
from kahea.net.connections import ConnectionTable
from kahea.net.tcp import TcpListener
from kahea.routing.module import ConfigError, RpcError

Make = Callable[..., Bench]

#: What `stats.get_statistics all` lists in Kamailio 5.6.3, for the modules that are built.
NAMES = """
core: bad_URIs_rcvd bad_msg_hdr drop_replies drop_requests err_replies err_requests fwd_replies fwd_requests rcv_replies
 rcv_replies_18x rcv_replies_401 rcv_replies_404 rcv_replies_407 rcv_replies_480 rcv_replies_486 rcv_requests
 unsupported_methods
dns: failed_dns_request slow_dns_request
registrar: accepted_regs default_expire default_expires_range expires_range max_contacts max_expires rejected_regs
shmem: fragments free_size max_used_size real_used_size total_size used_size
sl: 1xx_replies 200_replies 202_replies 2xx_replies 300_replies 301_replies 302_replies 3xx_replies 400_replies
 401_replies 403_replies 404_replies 407_replies 408_replies 483_replies 4xx_replies 500_replies 5xx_replies 6xx_replies
 failures received_ACKs sent_err_replies sent_replies xxx_replies
tcp: con_reset con_timeout connect_failed connect_success current_opened_connections current_write_queue_size
 established
 local_reject passive_open send_timeout sendq_full
tmx: 2xx_transactions 3xx_transactions 4xx_transactions 5xx_transactions 6xx_transactions UAC_transactions
 UAS_transactions active_transactions inuse_transactions rpl_absorbed rpl_generated rpl_received rpl_relayed rpl_sent
usrloc: registered_users location_contacts location_expires location_users
"""
METHODS = "ack bye cancel info invite message notify options prack publish refer register subscribe update"
OF_REPLIES = ("bye", "cancel", "invite", "message", "prack", "refer", "reg", "update")


def names() -> Iterator[tuple[str, str]]:
    group = ""
    for word in NAMES.split():
        if word.endswith(":"):
            group = word[:-1]
        else:
            yield group, word
    yield from (("core", f"rcv_requests_{method}") for method in METHODS.split())
    for status in range(1, 7):
        yield "core", f"rcv_replies_{status}xx"
        yield from (("core", f"rcv_replies_{status}xx_{method}") for method in OF_REPLIES)


def test_every_name(bench: Make) -> None:
    b = bench("sl", "tm", "tmx", "kex", "usrloc", "registrar")
    b.node.add_listener(TcpListener(Address.of("127.0.0.1", 5060), ConnectionTable()))
    b.node.module("usrloc").domain("location")
    statistics = b.node.statistics
    assert not [f"{group}:{name}" for group, name in names() if statistics.find(group, name) is None]
    assert len(list(names())) > 150
    assert all(isinstance(statistics.value(*key), int) for key in statistics)


# ---- counters and statistics, the modules


def test_counters(bench: Make) -> None:
    b = bench("counters", "kex")
    for given in ("a", "g.b first bee", "c:see"):
        b.node.registry.set_parameter("counters", "script_counter", given)
    b.node.registry.set_parameter("counters", "script_cnt_grp_name", "mine")
    b.node.module("counters").start()
    b.take(PLAIN)
    assert b.call("counters.inc", "a") == b.call("counters.inc", "mine.a") == b.call("counters.add", "g.b", -5) == 1
    assert b.call("counters.inc", "nope") == b.call("counters.reset", "nope") == -1
    call = {name: command.call for name, command in b.node.registry.rpcs.items()}
    assert call["cnt.get"]("mine", "a") == call["cnt.get_raw"]("mine", "a") == 2
    assert call["cnt.get_vars"]("g") == call["cnt.grp_get_all"]("g") == {"b": -5}
    assert call["cnt.list_vars"]("mine") == call["cnt.var_list"]("mine") == ["a", "c"]
    assert {"core", "g", "mine"} <= set(call["cnt.grps_list"]())
    assert [call["cnt.help"](*key) for key in (("g", "b"), ("mine", "c"), ("mine", "a"))] == [
        "first bee",
        "see",
        "custom script counter",
    ]
    call["cnt.reset"]("g", "b")
    assert call["cnt.get"]("g", "b") == 0
    assert b.call("counters.reset", "a") == 1
    assert call["stats.get_statistics"]("mine:") == ["mine:a = 0", "mine:c = 0"]
    for command in ("cnt.get", "cnt.get_raw", "cnt.reset", "cnt.help"):
        with pytest.raises(RpcError, match=r"non-existent counter g\.nope"):
            call[command]("g", "nope")
    assert call["cnt.grp_get_all"]("nope") == {}


def test_a_script_counter_must_be_declared(bench: Make) -> None:
    b = bench("counters", counters={"script_counter": "g.b"})
    (inc,) = b.node.registry.natives["cnt_inc"]
    (check,) = inc.kinds
    assert callable(check)
    assert check(b.node, "g.b") == "g.b"
    assert check(b.node, "core.rcv_requests")
    with pytest.raises(ValueError, match=r"no counter g\.x"):
        check(b.node, "g.x")


@pytest.mark.parametrize(
    ("module", "name", "value"), [("counters", "script_counter", "g."), ("statistics", "variable", "a/other")]
)
def test_what_declares_nothing(bench: Make, module: str, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        bench(module, **{module: {name: value}})


# ---- beside Kamailio

STATS = [name for group, name in names() if group == "core" and name not in ("bad_URIs_rcvd",)]
SLOW = [name for group, name in names() if group in ("sl", "tmx")]  # Kamailio sums these up each second
SCRIPT = """
user = KSR.pv.gete('$rU')
if user.startswith('sl'):
    KSR.sl.sl_send_reply(int(user[2:]), 'X')
elif user.startswith('tr'):
    KSR.tm.t_newtran(); KSR.tm.t_reply(int(user[2:]), 'X')
elif user == 'forward':
    KSR.pv.sets('$du', 'sip:@SINK'); KSR.forward()
elif user == 'relay':
    KSR.pv.sets('$du', 'sip:@SINK'); KSR.tm.t_relay()
elif user.startswith('stat'):
    name = user[4:]
    out.append([KSR.statistics.update_stat('s1', 2), KSR.statistics.update_stat('s2', 3),
                KSR.statistics.reset_stat(name), KSR.pv.get('$stat(s1)'), KSR.pv.get('$stat(s2)')])
"""


class Counted(Ours):
    """Ours, with messages taken in as from the network: that is where they are counted."""

    def receive(self, message: str, at: str = "@UDP") -> None:
        source = Address.of("127.0.0.1", self.places.ports["@CALLER"])
        data = self.places.fill(message).encode("utf-8", "surrogateescape")
        self.node.on_datagram(self.wires[at], data, source)


def read(names: list[str]) -> str:
    return f"out.append([KSR.pv.get('$stat(%s)' % name) for name in {names!r}])"


def traffic() -> Iterator[str]:
    """Messages that move most of the counters."""
    for code in (100, 180, 200, 202, 204, 301, 305, 400, 404, 408, 480, 483, 486, 500, 503, 603, 700):
        yield request("OPTIONS", f"sip:sl{code}@example.com")
    for method in ("INVITE", "BYE", "PUBLISH", "KDMQ", "FOO", "PRACK"):
        yield request(method, "sip:forward@example.com")
    for code in (200, 302, 404, 486, 500, 603):
        yield request("MESSAGE", f"sip:tr{code}@example.com").replace("z9hG4bKcaller", f"z9hG4bKtr{code}")
    yield request("INVITE", "sip:relay@example.com").replace("z9hG4bKcaller", "z9hG4bKrelay")
    via = "Via: SIP/2.0/UDP @UDP;branch=z9hG4bKstray\r\nVia: SIP/2.0/UDP @SINK;branch=z9hG4bKsink\r\n"
    rest = "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: stray\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n"
    for code, method in (
        (180, "INVITE"),
        (200, "UPDATE"),
        (302, "OPTIONS"),
        (404, "REGISTER"),
        (486, "REFER"),
        (603, "BYE"),
    ):
        yield f"SIP/2.0 {code} X\r\n{via}{rest % method}"


@needs_kamailio
def test_the_same_traffic_counts_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    declared = ["s1", "s2/no_reset"]
    extra = "\n".join(f'modparam("statistics", "variable", "{name}")' for name in declared)
    modules = ["tmx", "statistics", "kex"]
    theirs = Kamailio(tmp_path_factory.mktemp("stats"), extra, modules)
    try:
        ours = Counted(modules=modules)
        for name in declared:
            ours.node.registry.set_parameter("statistics", "variable", name)
        ours.node.module("statistics").start()
        query = request("OPTIONS", "sip:query@example.com")
        before = [side.run(read(STATS), query).out[0] for side in (theirs, ours)]
        slow_before = [side.run(read(SLOW), query).out[0] for side in (theirs, ours)]
        for message in traffic():
            theirs.run(SCRIPT, message)
            ours.run(SCRIPT, message)
        after = [side.run(read(STATS), query).out[0] for side in (theirs, ours)]
        moved = [
            {name: b - a for name, a, b in zip(STATS, old, new, strict=True) if b != a}
            for old, new in zip(before, after, strict=True)
        ]
        assert moved[1] == moved[0]
        assert len(moved[1]) > 20
        for name in ("s1", "s2", "nope"):
            code = SCRIPT
            message = request("OPTIONS", f"sip:stat{name}@example.com")
            assert ours.run(code, message).out == theirs.run(code, message).out
        wanted = ours.run(read(SLOW), query).out[0]
        counted = {name: b - a for name, a, b in zip(SLOW, slow_before[1], wanted, strict=True)}
        deadline = time.monotonic() + 5
        have: dict[str, int] = {}
        while have != counted and time.monotonic() < deadline:
            now = theirs.run(read(SLOW), query).out[0]
            have = {name: b - a for name, a, b in zip(SLOW, slow_before[0], now, strict=True)}
        assert have == counted
        assert sum(value > 0 for value in counted.values()) > 15
    finally:
        theirs.stop()
