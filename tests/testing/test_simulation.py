"""Nodes with scripts in the simulation: calls, names, settings, waiting, failing, and the plugin."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from kahea.routing.module import ConfigError, RpcError
from kahea.testing import ScriptFailed, Simulation, Unexpected

pytest_plugins = ["pytester"]

RELAY = """
import KSR

def ksr_request_route():
    if KSR.is_CANCEL():
        if KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
        return 1
    if KSR.is_ACK():
        if KSR.rr.loose_route() > 0 or KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
        return 1
    if KSR.tm.t_check_trans() == 0:
        return 1
    if KSR.rr.loose_route() < 0:
        KSR.rr.record_route()
    KSR.tm.t_relay()
    return 1
"""


def test_a_call_and_its_dialog(kahea: Simulation) -> None:
    kahea.node(RELAY, "udp:10.0.0.9:5060", name="proxy")
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact, body="v=0\r\n")
    leg = bob.answer(body="v=0\r\n")
    assert call.wait(200)["Record-Route"] == "<sip:10.0.0.9;lr;ftag=from-alice-1>"
    leg.wait_ack()
    info = call.request("INFO")
    bob.reply(bob.expect("INFO"), 200)
    assert info.wait().status == 200
    again = leg.reinvite(body="v=0\r\n")
    alice.reply(alice.expect("INVITE"), 200)
    leg.acknowledge(again.wait(200))
    alice.expect("ACK")
    assert leg.bye().status == 200
    assert call.ended
    assert call.far_bye is not None
    kahea.finish()
    assert "INVITE" in kahea.ladder()
    assert "proxy" in kahea.ladder().splitlines()[0]


def test_a_caller_cancels(kahea: Simulation) -> None:
    kahea.node(RELAY, "udp:10.0.0.9:5060")
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    leg = bob.ring()
    call.wait(180)
    assert call.cancel(headers=[("Reason", "SIP;cause=200")]).wait().status == 200
    assert call.wait().status == 487
    assert leg.canceled
    kahea.finish()


def test_over_tcp_and_ipv6(kahea: Simulation) -> None:
    kahea.node(RELAY, "udp:10.0.0.9:5060", "tcp:[2001:db8::9]:5060")
    alice = kahea.ua("alice", "udp:10.0.0.1:5060")
    bob = kahea.ua("bob", "tcp:[2001:db8::2]:5060")
    call = alice.invite(bob.contact)
    leg = bob.answer()
    assert len(call.wait(200).all("Record-Route")) == 2
    leg.wait_ack()
    assert leg.bye().status == 200
    kahea.finish()


def test_over_tls(kahea: Simulation) -> None:
    """The virtual network needs no certificates: a script sees the transport all the same."""
    kahea.node(RELAY, "tls:10.0.0.9")
    alice = kahea.ua("alice", "tls:10.0.0.1")
    bob = kahea.ua("bob", "tls:10.0.0.2")
    call = alice.invite(bob.contact)
    leg = bob.answer()
    assert [via.split()[0] for via in leg.invite.all("Via")] == ["SIP/2.0/TLS", "SIP/2.0/TLS"]
    assert "transport=tls" in call.wait(200).all("Record-Route")[0]
    leg.wait_ack()
    assert leg.bye().status == 200
    kahea.finish()


def test_names(kahea: Simulation) -> None:
    kahea.node(RELAY, "udp:10.0.0.9:5060")
    bob = kahea.ua("bob", "udp:10.0.0.2:5070")
    alice = kahea.ua("alice")
    kahea.dns.add("_sip._udp.example.com", "SRV", "10 0 5080 dead.example.com", "20 0 5070 host.example.com")
    kahea.dns.add("dead.example.com", "A", "10.0.0.66")
    kahea.dns.add("host.example.com", "A", "10.0.0.2")
    alice.request("OPTIONS", "sip:bob@host.example.com:5070")
    assert bob.expect("OPTIONS").uri == "sip:bob@host.example.com:5070"
    assert ("host.example.com", "A") in kahea.dns.asked
    assert alice.options("sip:nobody@nowhere.example.com").status >= 400
    with pytest.raises(ValueError, match="is no SRV record"):
        kahea.dns.add("x", "SRV", "10 0 host")


def test_settings_and_parameters(kahea: Simulation, tmp_path: Path) -> None:
    (tmp_path / "route.py").write_text(RELAY)
    (tmp_path / "kahea.toml").write_text('[global]\nserver_header = "Server: file"\n[modules.tm]\nfr_timer = 5000\n')
    kahea.node(tmp_path / "route.py", "10.0.0.9", modules={"tm": {"fr_timer": 1500}})
    alice = kahea.ua("alice")
    reply = alice.options("sip:nobody@10.0.0.77")
    assert reply["Server"] == "file"
    assert 1.5 <= kahea.elapsed < 1.7
    with pytest.raises(ConfigError, match=r"no parameter 'fr_tmer'; did you mean 'fr_timer'\?"):
        kahea.node(RELAY, "10.0.0.10", modules={"tm": {"fr_tmer": 1}})


def test_a_reload_changes_the_routes(kahea: Simulation, tmp_path: Path) -> None:
    script = tmp_path / "route.py"
    answer = "import KSR\ndef ksr_request_route():\n    KSR.sl.sl_send_reply(200, '%s')\n    return 1\n"
    script.write_text(answer % "first")
    node = kahea.node(script, "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")
    assert alice.options("sip:10.0.0.9").reason == "first"
    script.write_text(answer % "second")
    node.reload()
    assert alice.options("sip:10.0.0.9").reason == "second"
    script.write_text("def broken(:\n")
    with pytest.raises(ConfigError):
        node.reload()
    assert alice.options("sip:10.0.0.9").reason == "second"


def test_timers_of_modules_and_the_calendar(kahea: Simulation) -> None:
    script = """
import KSR
def ksr_request_route():
    if KSR.is_REGISTER():
        KSR.registrar.save("location", 0)
    elif KSR.registrar.lookup("location") > 0:
        KSR.sl.sl_send_reply(200, "Found")
    else:
        KSR.sl.sl_send_reply(404, "Gone")
    return 1
"""
    node = kahea.node(script, "udp:10.0.0.9:5060", settings={"alias": "example.com"})
    node.node.myself.add_alias("example.com")
    alice = kahea.ua("alice", domain="example.com")
    assert alice.register(expires=60).status == 200
    assert alice.options(alice.uri).reason == "Found"
    kahea.run(120)
    assert alice.options(alice.uri).reason == "Gone"
    assert kahea.wall == pytest.approx(1_767_225_600 + kahea.elapsed)


WAITING = """
import asyncio
import KSR
from kahea.routing.run import wait

async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"ask")
    try:
        return (await asyncio.wait_for(reader.read(20), 5)).decode()
    finally:
        writer.close()

def ksr_request_route():
    user = KSR.pv.get("$rU")
    if user.startswith("port"):
        KSR.sl.sl_send_reply(200, wait(ask(int(user[4:]))))
    else:
        wait(asyncio.sleep(int(user)))
        KSR.sl.sl_send_reply(200, user)
    return 1
"""


def test_a_script_may_sleep(kahea: Simulation) -> None:
    kahea.node(WAITING, "udp:10.0.0.9:5060")
    began = time.monotonic()
    alice = kahea.ua("alice")
    exchanges = [alice.request("OPTIONS", f"sip:{seconds}@10.0.0.9") for seconds in (30, 10, 20)]
    assert [e.wait().reason for e in exchanges] == ["30", "10", "20"]
    assert 30 <= kahea.elapsed < 30.1
    assert time.monotonic() - began < 2


def test_a_script_may_ask_a_real_server(kahea: Simulation) -> None:
    """It answers late in real time; the script's timeout of five virtual seconds does not come first."""
    kahea.node(WAITING, "udp:10.0.0.9:5060")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.02)
        writer.write(b"from outside")
        writer.close()

    server = kahea.await_(asyncio.start_server(serve, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    assert kahea.ua("alice").options(f"sip:port{port}@10.0.0.9").reason == "from outside"
    server.close()
    assert kahea.elapsed < 1


def test_a_silent_server_costs_the_scripts_timeout(kahea: Simulation) -> None:
    kahea.node(WAITING, "udp:10.0.0.9:5060")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)

    server = kahea.await_(asyncio.start_server(silent, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    began = time.monotonic()
    assert kahea.ua("alice").options(f"sip:port{port}@10.0.0.9").status == 500
    assert 5 <= kahea.elapsed < 5.1
    assert time.monotonic() - began < 2
    assert "TimeoutError" in kahea.errors[0]
    kahea.errors.clear()
    server.close()


def test_several_nodes_and_one_that_dies(kahea: Simulation) -> None:
    to_second = "import KSR\ndef ksr_request_route():\n    KSR.setdsturi('sip:10.0.0.10')\n    KSR.tm.t_relay()\n"
    first = kahea.node(to_second, "udp:10.0.0.9:5060", modules={"tm": {"fr_timer": 2000}})
    second = kahea.node(RELAY, "udp:10.0.0.10:5060")
    alice, bob = kahea.ua("alice", proxy=first), kahea.ua("bob")
    sent = alice.request("OPTIONS", bob.contact)
    bob.reply(bob.expect("OPTIONS"), 200)
    assert sent.wait().status == 200
    second.down()
    assert alice.options(bob.contact).status == 408
    assert (first.transactions, second.transactions) != (0, 0)


def test_errors_fail_the_simulation() -> None:
    with (  # noqa: PT012 - the failure shows when the simulation ends
        pytest.raises(ScriptFailed, match="NameError: name 'nosuch' is not defined"),
        Simulation() as sim,
    ):
        sim.node("def ksr_request_route():\n    nosuch()\n", "udp:10.0.0.9:5060")
        assert sim.ua("alice").options("sip:10.0.0.9").status == 500


def test_transactions_that_stay_are_told_of(kahea: Simulation) -> None:
    kahea.node(RELAY, "udp:10.0.0.9:5060", name="proxy")
    kahea.ua("alice").invite("sip:nobody@10.0.0.77")
    with pytest.raises(AssertionError, match=r"transactions are left after 3 s: \{'proxy': 1\}"):
        kahea.finish(within=3)
    kahea.finish()


def test_a_dialog_is_needed_for_its_requests(kahea: Simulation) -> None:
    kahea.node(RELAY, "udp:10.0.0.9:5060")
    call = kahea.ua("alice").invite("sip:nobody@10.0.0.77")
    with pytest.raises(Unexpected, match="alice has no dialog in which to send BYE"):
        call.bye()


def test_a_failed_test_shows_its_messages(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(
        """
        def test_it(kahea):
            script = "import KSR\\ndef ksr_request_route():\\n    KSR.sl.sl_send_reply(404, 'No')\\n"
            kahea.node(script, "udp:10.0.0.9:5060")
            assert kahea.ua("alice").options("sip:10.0.0.9").status == 200

        def test_errors(kahea):
            kahea.node("def ksr_request_route():\\n    nosuch()\\n", "udp:10.0.0.9:5060")
            kahea.ua("alice").options("sip:10.0.0.9")

        import pytest

        @pytest.mark.kahea(seed=5)
        def test_seed(kahea):
            assert kahea.network.random.random() == __import__("random").Random(5).random()
        """
    )
    if not any(entry.value == "kahea.testing.plugin" for entry in entry_points(group="pytest11")):
        pytester.makeconftest("from kahea.testing.plugin import *")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*SIP messages*", "*alice*node1*", "*OPTIONS*", "*404 OPTIONS*"])
    result.stdout.fnmatch_lines(["*ScriptFailed: *the script failed in request_route*", "*NameError: *nosuch*"])
    assert result.stdout.str().count("- SIP messages -") == 1


MANAGED = """#!KAMAILIO
loadmodule "ctl.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "xhttp.so"
loadmodule "jsonrpcs.so"
rundir="FOLDER"
MORE
request_route {
    sl_send_reply("200", "OK");
}
"""
NAMED = """
modparam("ctl", "binrpc", "unix:FOLDER/ctl")
modparam("ctl", "binrpc", "tcp:127.0.0.1:22499")
modparam("jsonrpcs", "transport", 0)
modparam("jsonrpcs", "fifo_name", "FOLDER/fifo")
modparam("jsonrpcs", "dgram_socket", "FOLDER/datagrams")
modparam("jsonrpcs", "tcp_socket", "tcp:127.0.0.1:22498")
"""


@pytest.mark.parametrize("more", ["", NAMED], ids=["default", "named"])
def test_no_socket_of_the_host_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a socket was opened")

    with Simulation() as sim:
        monkeypatch.setattr(socket, "socket", refused)
        node = sim.node(MANAGED.replace("MORE", more).replace("FOLDER", str(tmp_path)))
        assert sim.ua("alice").request("OPTIONS", "sip:10.0.0.9").wait().status == 200
        assert node.rpc("ctl.listen") == []
    assert list(tmp_path.iterdir()) == []


def test_management_commands(tmp_path: Path) -> None:
    with Simulation() as sim:
        node = sim.node(MANAGED.replace("MORE", "").replace("FOLDER", str(tmp_path)))
        assert node.rpc("core.version").startswith("kahea")
        assert node.rpc("jsonrpc.echo", 1, "two") == ["1", "two"]
        for command, code in (("core.vers", 500), ("kahea.rollback", 400)):
            with pytest.raises(RpcError) as raised:
                node.rpc(command, "x")
            assert raised.value.code == code


GUARDED = """
import KSR

def ksr_request_route():
    if KSR.is_ACK() or KSR.siputils.has_totag() > 0:
        KSR.rr.loose_route()
        KSR.tm.t_relay()
        return 1
    if KSR.is_CANCEL():
        KSR.tm.t_relay()
        return 1
    if KSR.is_REGISTER():
        if KSR.auth.pv_www_authenticate("x.example", "secret", 0) < 0:
            KSR.auth.www_challenge("x.example", 1)
            return 1
        KSR.sl.sl_send_reply(200, "Welcome")
        return 1
    if KSR.auth.pv_proxy_authenticate("x.example", "secret", 0) < 0:
        KSR.auth.proxy_challenge("x.example", 0)
        return 1
    KSR.rr.record_route()
    KSR.tm.t_relay()
    return 1
"""


def test_user_agents_with_a_password_answer_challenges(kahea: Simulation) -> None:
    kahea.node(GUARDED, "udp:10.0.0.9:5060")
    alice, bob = kahea.ua("alice", password="secret"), kahea.ua("bob")
    assert alice.register("sip:x.example").status == 200
    assert bob.register("sip:x.example").status == 401
    call = alice.invite(bob.contact, body="v=0\r\n")
    leg = bob.ring()
    assert 'uri="sip:bob@' in leg.invite["Proxy-Authorization"]
    assert call.invite.cseq == leg.invite.cseq == 2
    leg.answer()
    call.wait(200)
    assert call.exchange.challenge is not None
    assert call.exchange.challenge.status == 407
    leg.wait_ack()
    info = call.request("INFO")
    assert bob.expect("INFO").cseq == 3
    bob.reply(bob.received[-1], 200)
    assert info.wait().status == 200
    assert call.bye().status == 200
    canceled = alice.invite(bob.contact)
    bob.ring()
    canceled.cancel()
    assert canceled.wait().status == 487
    kahea.finish()


def test_a_wrong_password_is_tried_once(kahea: Simulation) -> None:
    kahea.node(GUARDED, "udp:10.0.0.9:5060")
    mallory = kahea.ua("mallory", password="wrong")
    assert mallory.register("sip:x.example").status == 401
    assert len(mallory.received) == 2


def test_a_user_agent_behind_a_nat_writes_what_it_has_inside(kahea: Simulation) -> None:
    kahea.node(RELAY, "udp:10.0.0.9:5060")
    alice, bob = kahea.ua("alice", "udp:192.0.2.7:4321", inside="192.168.1.5:5060"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    leg = bob.answer()
    assert leg.invite["Contact"] == "<sip:alice@192.168.1.5:5060>"
    via = leg.invite.all("Via")[1]
    assert via.startswith("SIP/2.0/UDP 192.168.1.5:5060;")
    assert ";received=192.0.2.7" in via
    assert call.wait(200).destination == "udp:192.0.2.7:4321"
