"""BINRPC commands given to Kamailio and to us: the same faults, and answers of the same shape."""

from __future__ import annotations

import shutil
import socket
from typing import Any

import pytest

from kahea.routing.rpc import binrpc

from .clients import HOST, PATIENCE, Fault, kamcmd
from .servers import Kahea, Kamailio, Server

Given = int | float | str


def shape(value: Any) -> Any:
    """Names and types of an answer; of several like things the first."""
    if not isinstance(value, list):
        return type(value).__name__
    shown: list[Any] = []
    for name, inner in value:
        if not shown or shown[-1] != (name, shape(inner)):
            shown.append((name, shape(inner)))
    return shown


def ask(server: Server, command: tuple[Given, ...]) -> Any:
    with server.binrpc() as connection:
        try:
            return connection.call(*command)  # type: ignore[arg-type]
        except Fault as fault:
            return (fault.code, fault.text)


#: The same value from both.
SAME: list[tuple[Given, ...]] = [
    ("core.echo", "a", 5, "b"),
    ("core.echo",),
    ("core.shmmem", "x"),
    ("core.prints", "hi", "there"),
    ("core.printi", 1, -1, 300, 2147483647, -2147483648),
    ("core.printi",),
    ("core.tcp_list",),
    ("core.prints",),
    ("nothing.here",),
    ("system.methodHelp",),
    ("system.methodHelp", "nothing.here"),
    ("system.methodSignature", "core.ps"),
    ("dst_blocklist.view",),
    ("dst_blocklist.mem_info",),
    ("dst_blocklist.debug",),
    ("dns.add_a",),
    ("dns.add_a", "x", "y"),
    ("dns.add_a", "x", 1, "foo", 0),
    ("dns.add_srv", "x", 1),
    ("dns.delete_a", "nothing.example"),
    ("dns.delete_ebl", "nothing.example"),
    ("dns.lookup",),
    ("dns.lookup", "FOO", "a.example"),
    ("dns.delete_all_force",),
    ("dns.view",),
    ("dns.add_a", "a.example", 100, "10.1.2.3", 0),
    ("dns.add_a", "a.example", 100, "10.1.2.4", 0),
    ("dns.delete_aaaa", "a.example"),
    ("dns.delete_a", "a.example"),
    ("dns.delete_all",),
    ("ul.lookup", "nowhere", "alice"),
    ("cfg.get",),
    ("cfg.get", "core", "debug"),
    ("cfg.seti", "core", "debug"),
    ("cfg.seti", "core", "debug", "x"),
    ("cfg.del", "core", "debug"),
    ("cfg.add_group_inst", "core"),
    ("cfg.diff",),
    ("cfg.set_delayed", "core", "dns_udp_pref", 31),
    ("cfg.set_delayed_int", "registrar", "max_contacts", 7),
    ("cfg.diff",),
    ("cfg.rollback",),
    ("cfg.diff",),
    ("cfg.get", "registrar", "max_contacts"),
    ("cfg.set_delayed", "registrar", "max_contacts", 7),
    ("cfg.commit",),
    ("cfg.get", "registrar", "max_contacts"),
    ("cfg.seti", "registrar", "max_contacts", 0),
    ("cfg.sets", "tm", "default_reason", "Oops"),
    ("cfg.get", "tm", "default_reason"),
    ("cfg.sets", "tm", "default_reason", "Server Internal Error"),
    ("cfg.add_group_inst", "registrar[5]"),
    ("cfg.get", "registrar[5]", "max_contacts"),
    ("cfg.seti", "registrar[5]", "max_contacts", 9),
    ("cfg.get", "registrar[5]", "max_contacts"),
    ("cfg.get", "registrar", "max_contacts"),
    ("cfg.set_delayed", "registrar[5]", "max_contacts", 10),
    ("cfg.diff",),
    ("cfg.commit",),
    ("cfg.del_delayed", "registrar[5]", "max_contacts"),
    ("cfg.diff",),
    ("cfg.rollback",),
    ("cfg.del", "registrar[5]", "max_contacts"),
    ("cfg.get", "registrar[5]", "max_contacts"),
    ("cfg.del_group_inst", "registrar[5]"),
]

SAME += [
    ("cfg.list", "gateway"),
    ("cfg.get", "gateway"),
    ("cfg.get", "gateway", "gw_port"),
    ("cfg.get", "gateway[7]", "gw_port"),
    ("cfg.get", "gateway[7]"),
    ("cfg.help", "gateway", "gw_port"),
    ("cfg.set", "gateway", "gw_port", "5080"),
    ("cfg.get", "gateway", "gw_port"),
    ("cfg.set", "gateway", "gw_host", 7),
    ("cfg.get", "gateway", "gw_host"),
    ("cfg.set_delayed", "gateway", "gw_host", "192.0.2.2"),
    ("cfg.set_delayed", "gateway[7]", "gw_port", 5078),
    ("cfg.diff",),
    ("cfg.commit",),
    ("cfg.get", "gateway[7]"),
    ("cfg.del", "gateway[7]", "gw_port"),
    ("cfg.get", "gateway[7]", "gw_port"),
    ("cfg.seti", "gateway[7]", "gw_port", 5077),
    ("cfg.sets", "gateway", "gw_host", "192.0.2.1"),
    ("cfg.seti", "gateway", "gw_port", 5070),
]

#: The same names and types from both.
ALIKE: list[tuple[Given, ...]] = [
    ("core.version",),
    ("core.info",),
    ("core.uptime",),
    ("core.runinfo",),
    ("core.flags",),
    ("core.psa",),
    ("core.psx",),
    ("core.pwd",),
    ("core.sockets_list",),
    ("core.aliases_list",),
    ("core.tcp_info",),
    ("core.tcp_options",),
    ("core.udp4_raw_info",),
    ("core.shmmem", "m"),
    ("sl.stats",),
    ("core.ppdefines_full",),
    ("cfg.help", "core", "debug"),
    ("ctl.connections",),
    ("dns.add_a", "a.example", 100, "10.1.2.3", 0),
    ("dns.add_aaaa", "a.example", 100, "::1", 0),
    ("dns.add_a", "p.example", 100, "10.1.2.5", 2),
    ("dns.add_a", "n.example", 100, "10.1.2.5", 1),
    ("dns.add_srv", "_sip._udp.example", 100, 10, 20, 5070, "a.example", 0),
    ("dns.lookup", "a", "a.example"),
    ("dns.lookup", "AAAA", "a.example"),
    ("dns.lookup", "SRV", "_sip._udp.example"),
    ("dns.lookup", "A", "p.example"),
    ("dns.lookup", "A", "n.example"),
    ("dns.delete_all_force",),
]

#: Faults whose text begins with Kamailio's; ours go on with the reason.
BEGIN_ALIKE: list[tuple[Given, ...]] = [
    ("cfg.get", "nothing", "x"),
    ("cfg.get", "core", "nothing"),
    ("cfg.help", "core", "nothing"),
    ("cfg.seti", "core", "nothing", 1),
    ("cfg.seti", "core", "dns_cache_flags", 99),
    ("cfg.sets", "core", "debug", "x"),
    ("cfg.add_group_inst", "nothing[1]"),
    ("cfg.del_group_inst", "core[77]"),
    ("cfg.get", "core[77]", "debug"),
]


def test_the_same_answers(kamailio: Kamailio, kahea: Kahea) -> None:
    theirs = [(command, ask(kamailio, command)) for command in SAME]
    assert [(command, ask(kahea, command)) for command in SAME] == theirs


def test_answers_of_the_same_shape(kamailio: Kamailio, kahea: Kahea) -> None:
    def shapes(server: Server) -> list[Any]:
        answers = [(command, ask(server, command)) for command in ALIKE]
        return [(command, shape([(None, v) for v in answer])) for command, answer in answers]

    assert shapes(kahea) == shapes(kamailio)


def test_faults_that_say_more(kamailio: Kamailio, kahea: Kahea) -> None:
    for command in BEGIN_ALIKE:
        code, text = ask(kamailio, command)
        assert ask(kahea, command)[0] == code, command
        assert ask(kahea, command)[1].startswith(text), command


def test_every_command_of_the_oracle_is_known(kamailio: Kamailio, kahea: Kahea) -> None:
    theirs, ours = (set(ask(server, ("system.listMethods",))) for server in (kamailio, kahea))
    lacking = theirs - ours
    assert lacking <= MISSING, f"not built: {sorted(lacking - MISSING)}"
    for name in sorted(theirs & ours):
        described = ask(kahea, ("system.methodHelp", name))
        assert described != ["undocumented"], name


#: Commands that are not built yet.
MISSING: set[str] = {
    "tm.cancel", "tm.clean", "tm.hash_stats", "tm.list", "tm.reply", "tm.reply_callid",
    "tm.t_uac_start", "tm.t_uac_wait", "tm.t_uac_wait_block",
}  # fmt: skip


@pytest.mark.skipif(shutil.which("kamcmd") is None, reason="needs Debian's kamcmd")
def test_debians_kamcmd_over_every_transport(kahea: Kahea) -> None:
    folder = kahea.folder
    places = (f"unix:{folder}/ctl", f"unixd:{folder}/ctl.dgram", f"tcp:{HOST}:{kahea.tcp}", f"udp:{HOST}:{kahea.tcp}")
    for where in places:
        assert kamcmd(where, "core.echo", "a", "5", "s:7") == "a\n5\n7\n"
        assert kamcmd(where, "core.printi", "x").startswith("error: 400 - error at parameter 0: expected integer")
        # `ps` is kamcmd's own short form.
        assert "one event loop" in kamcmd(where, "ps")
    assert kamcmd(places[0], "ul.add", "location", "alice", "sip:a@h", "60", "-1.5", ".", "0", "0", "31") == ""
    assert "Address: sip:a@h" in kamcmd(places[0], "ul.lookup", "location", "alice")
    assert kamcmd(places[0], "ul.rm", "location", "alice") == ""


def test_a_text_is_no_number_but_a_number_is_a_text(kahea: Kahea) -> None:
    code, text = ask(kahea, ("core.printi", "5"))
    assert (code, text) == (400, "error at parameter 0: expected integer type but record doesn't match type")
    # Kamailio wants `s:5` of kamcmd here.
    assert ask(kahea, ("core.prints", 5, 0.5)) == ["5", "0.5"]


def test_datagrams_that_are_no_packets(kahea: Kahea) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE)
        peer.connect((HOST, kahea.tcp))
        for data in (b"", b"\xa1", b"hello", b"\xa1\x03\xff" + b"x" * 20, b"\xa1\x0f" + b"\xff" * 30):
            peer.send(data)
            head, body = peer.recv(65536)[:4], b""
            assert head[1] >> 4 == binrpc.FAULT, data
            assert not body
        peer.send(binrpc.request(b"abcd", "core.echo", "still here"))
        assert b"still here" in peer.recv(65536)


def test_kahea_answers_two_in_one_write_and_a_slow_writer(kahea: Kahea) -> None:
    with kahea.binrpc() as connection:
        stream = binrpc.request(b"1", "core.echo", "one") + binrpc.request(b"2", "core.echo", "two")
        for i in range(0, len(stream), 7):
            connection.socket.sendall(stream[i : i + 7])
        assert connection.receive()[0].cookie == b"1"
        assert b"two" in connection.receive()[1]
        connection.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"corrupted packet" in connection.receive()[1]
        with pytest.raises(ConnectionError):
            connection.receive()


def test_who_is_there(kahea: Kahea) -> None:
    listening = ask(kahea, ("ctl.listen",))
    assert listening[:4] == ["binrpc", "unix_stream", f"{kahea.folder}/ctl", ""]
    assert ["binrpc", "tcp", HOST, str(kahea.tcp)] in [listening[i : i + 4] for i in range(0, 16, 4)]
    with kahea.binrpc() as other:
        other.call("core.version")
        assert ask(kahea, ("ctl.connections",)) == [2]
        assert ask(kahea, ("ctl.who",))[:6] == [
            "binrpc", "unix_stream", "<anonymous unix socket>", "", f"{kahea.folder}/ctl", "",
        ]  # fmt: skip
