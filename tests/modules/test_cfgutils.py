"""cfgutils: chance, pauses and locks on the virtual clock, switches, and the same results as Kamailio's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cfgs import KAMAILIO, differences
from textops_cases import PLAIN

from conftest import Bench
from kahea.routing.module import ConfigError, RpcError
from kahea.testing import Simulation

Make = Callable[..., Bench]

CALLS = r"""
rand_event()
rand_get_prob()
rand_set_prob("0"); rand_event()
rand_set_prob("7"); rand_get_prob()
rand_set_prob(50); rand_get_prob()
rand_reset_prob(); rand_get_prob()
set_gflag("4")
is_gflag("4")
is_gflag("0")
is_gflag("1")
is_gflag(2)
reset_gflag("2"); is_gflag("2")
is_gflag("31")
lock("a"); $var(o)=$var(o)+$rc; trylock("a"); $var(o)=$var(o)+$rc; unlock("a"); $var(o)=$var(o)+$rc; trylock("a")
unlock("a")
unlock("zz")
trylock("$rU"); $var(o)=$var(o)+$rc; trylock("$rU"); $var(o)=$var(o)+$rc; unlock("$rU")
check_route_exists("JUMP")
check_route_exists("$var(n)")
check_route_exists("RP")
check_route_exists("nope")
route_if_exists("JUMP")
route_if_exists("$var(n)")
route_if_exists("NEG")
route_if_exists("SETS")
route_if_exists("nope")
route_if_exists("RP")
route_if_exists("ZERO"); $var(o)="after"
route_if_exists("EX"); $var(o)="after"
core_hash("abc","",16)
core_hash("abc","def","4")
core_hash("$var(n)","","$var(i)")
core_hash("abc","def",0)
core_hash("","",8)
core_hash("abc","",-1)
core_hash("abcde","x",31)
core_hash("abcdefgh","ijk",31)
core_hash("\xc3\xbf\xfe","b\xe9",31)
sleep("0")
usleep("1")
if ($RANDOM >= 0 && $RANDOM <= 2147483647) $var(o)="ok"; rand_reset_prob()
"""
ROUTES = """
route[JUMP] { return 7; }
route[NEG] { return -3; }
route[ZERO] { return 0; }
route[EX] { exit; }
route[SETS] { $var(o)="set"; return; }
onreply_route[RP] { return 1; }
"""
PARAMS = """
modparam("cfgutils", "lock_set_size", 4)
modparam("cfgutils", "initial_gflags", 5)
modparam("cfgutils", "initial_probability", 100)
"""


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_the_same_as_kamailios(tmp_path: Path) -> None:
    calls = CALLS.strip().split("\n")
    # A pause lets Kamailio's only process wait, and ours not at all: there is no loop in this test.
    bodies = [f'$var(n)="JUMP"; $var(i)=2; {c}; $var(o)=$var(o)+"|"+$rc;' for c in calls if "usleep" not in c]
    assert not differences(tmp_path, bodies, extra=PARAMS, modules=["cfgutils"], routes=ROUTES)


CFG = """#!KAMAILIO
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "cfgutils.so"
modparam("cfgutils", "lock_set_size", 1)
request_route {
    switch ($rU) {
        case "sleep": sleep(3); break;
        case "usleep": usleep("250000"); break;
        case "locked": lock("key"); sleep("$hdr(X-Wait)"); unlock("key"); break;
        case "twice":
            lock("twice"); lock("twice"); $var(rc) = $rc; unlock("twice");
            sl_send_reply("20$var(rc)", "x"); exit;
        case "keep": lock("kept"); break;
        case "free": unlock("kept"); break;
        case "try": if (!trylock("kept")) { sl_send_reply("486", "Taken"); exit; } break;
        case "abort": abort();
    }
    sl_send_reply("200", "OK");
}
"""


def test_pauses_suspend_one_run(kahea: Simulation) -> None:
    kahea.node(CFG, "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")
    begin = kahea.now
    slow = alice.request("OPTIONS", "sip:sleep@10.0.0.9")
    short = alice.request("OPTIONS", "sip:usleep@10.0.0.9")
    assert alice.request("OPTIONS", "sip:now@10.0.0.9").wait(200).status == 200
    assert kahea.now - begin < 0.2
    assert short.wait(200).status == 200
    assert 0.25 <= kahea.now - begin < 0.5
    assert slow.wait(200).status == 200
    assert 3 <= kahea.now - begin < 3.2


def test_a_lock_held_over_a_pause_lets_others_wait_in_turn(kahea: Simulation) -> None:
    kahea.node(CFG, "udp:10.0.0.9:5060")
    uas = [kahea.ua(name) for name in ("alice", "bob", "carol")]
    begin = kahea.now
    asked = [
        ua.request("OPTIONS", "sip:locked@10.0.0.9", headers=[("X-Wait", str(n))])
        for ua, n in zip(uas, (2, 1, 1), strict=True)
    ]
    assert uas[0].request("OPTIONS", "sip:now@10.0.0.9").wait(200)
    assert kahea.now - begin < 0.2
    ends = []
    for request in asked:
        request.wait(200)
        ends.append(round(kahea.now - begin))
    assert ends == [2, 3, 4]


def test_a_lock_outlives_its_run(kahea: Simulation) -> None:
    kahea.node(CFG, "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")
    codes = [alice.request("OPTIONS", f"sip:{user}@10.0.0.9").wait().status for user in ("keep", "try", "free", "try")]
    assert codes == [200, 486, 200, 200]


def test_a_run_does_not_wait_for_itself(kahea: Simulation) -> None:
    kahea.node(CFG, "udp:10.0.0.9:5060")
    reply = kahea.ua("alice").request("OPTIONS", "sip:twice@10.0.0.9").wait()
    assert reply.status == 500  # "20-1" is no status
    assert [error for error in kahea.errors if "has the lock 'twice' already" in error]
    kahea.errors.clear()


PYTHON = """
import KSR

def ksr_request_route():
    if KSR.pv.get("$rU") == "fail":
        KSR.cfgutils.lock("key")
        raise RuntimeError("while it holds a lock")
    KSR.sl.sl_send_reply(200 if KSR.cfgutils.trylock("key") > 0 else 486, "")
    return 1
"""


def test_a_script_that_fails_lets_go_of_its_locks(kahea: Simulation) -> None:
    kahea.node(PYTHON, "udp:10.0.0.9:5060", modules={"cfgutils": {"lock_set_size": 1}})
    alice = kahea.ua("alice")
    assert alice.request("OPTIONS", "sip:fail@10.0.0.9").wait().status == 500
    assert alice.request("OPTIONS", "sip:x@10.0.0.9").wait().status == 200
    assert any("is free again" in error for error in kahea.errors)
    kahea.errors.clear()


def test_abort_ends_a_simulation_by_its_error(kahea: Simulation) -> None:
    kahea.node(CFG, "udp:10.0.0.9:5060")
    assert kahea.ua("alice").request("OPTIONS", "sip:abort@10.0.0.9").wait().status == 500
    assert any("the script aborted the server" in error for error in kahea.errors)
    kahea.errors.clear()


def test_without_a_lock_set_there_are_no_locks(bench: Make) -> None:
    b = bench("cfgutils")
    b.take(PLAIN)
    assert b.call("cfgutils.lock", "a") == b.call("cfgutils.trylock", "a") == b.call("cfgutils.unlock", "a") == -1


def test_memory_in_the_log(bench: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kahea.script")
    b = bench("cfgutils")
    b.take(PLAIN)
    for name in ("pkg_status", "pkg_summary", "shm_status", "shm_summary"):
        assert b.call(f"cfgutils.{name}") == 1
    assert sum("blocks are allocated" in line for line in caplog.messages) == 4
    assert sum(line.startswith("pkg_status: ") and line.endswith(" of dict") for line in caplog.messages) == 1


def test_rpc(bench: Make, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("hello\n")
    b = bench("cfgutils", cfgutils={"initial_gflags": 5, "hash_file": str(path)})
    call = {name.removeprefix("cfgutils."): command.call for name, command in b.node.registry.rpcs.items()}
    assert call["rand_get_prob"]() == "actual probability: 10 percent"
    assert call["rand_set_prob"](40) is None
    assert call["rand_get_prob"]() == "actual probability: 40 percent"
    for given in (101, "x"):
        with pytest.raises(RpcError, match="Invalid"):
            call["rand_set_prob"](given)
    call["rand_reset_prob"]()
    assert call["rand_get_prob"]() == "actual probability: 10 percent"
    assert call["get_gflags"]() == "0x5 (5)"
    call["set_gflag"](16)
    assert [call["is_gflag"](bits) for bits in (16, 17, 24, 0)] == ["TRUE", "TRUE", "FALSE", "TRUE"]
    call["reset_gflag"]("1")
    assert call["get_gflags"]() == "0x14 (20)"
    assert call["get_config_hash"]() == "b1946ac92492d2347c6235b4d2611184"
    assert call["check_config_hash"]() == "Identical hash"
    path.write_text("other")
    assert call["check_config_hash"]() == "Different hash"
    path.unlink()
    with pytest.raises(RpcError, match="Failed to hash"):
        call["check_config_hash"]()


@pytest.mark.parametrize(("name", "value"), [("initial_probability", 101), ("hash_file", "/nowhere/at/all")])
def test_parameters_that_can_not_be(bench: Make, name: str, value: int | str) -> None:
    with pytest.raises(ConfigError, match=name):
        bench("cfgutils", cfgutils={name: value})


@pytest.mark.parametrize(
    ("name", "text"), [("rand_set_prob", "101"), ("set_gflag", "32"), ("is_gflag", "$var(x)"), ("reset_gflag", "-1")]
)
def test_literals_that_kamailio_refuses(bench: Make, name: str, text: str) -> None:
    b = bench("cfgutils")
    ((prepare,),) = [form.kinds for form in b.node.registry.natives[name]]
    assert callable(prepare)
    with pytest.raises(ValueError):
        prepare(b.node, text)


def test_locks_that_nobody_lets_go_of_are_bounded(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kahea.routing.locks.MAX_LOCKS", 2)
    b = bench("cfgutils", cfgutils={"lock_set_size": 4})
    b.take(PLAIN)
    assert [b.call("cfgutils.trylock", key) for key in "abc"] == [1, 1, -1]
    assert b.call("cfgutils.lock", "d") == -1
    assert b.call("cfgutils.unlock", "a") == 1
    assert b.call("cfgutils.lock", "d") == 1
