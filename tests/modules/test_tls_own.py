"""Module tls without Kamailio: what a bad tls.cfg is told, and what is our own."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from shutil import which

import pytest
from processes import PATIENCE, Server, request
from test_tls import Sink, trusting
from tests.tls_files import Authority

from kahea.modules.tls.certificate import certificate
from kahea.modules.tls.config import read_profiles
from kahea.modules.tls.selects import select
from kahea.net.address import Address
from kahea.net.connections import ConnectionTable
from kahea.net.tls import TlsConnection, TlsListener, TlsNode
from kahea.net.tls_profiles import Profile
from kahea.routing.generation import Generation, event_message
from kahea.routing.module import ConfigError
from kahea.routing.node import Node
from kahea.routing.pv import PvError
from kahea.routing.run import LOCAL_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.settings import Configuration

needs_kamcmd = pytest.mark.skipif(which("kamcmd") is None, reason="needs kamcmd, a program of Kamailio's")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.sign("cert")
    return made


def read(authority: Authority, text: str) -> list[Profile]:
    file = authority.folder / "tls.cfg"
    file.write_text(text)
    own = {"certificate": str(authority.folder / "cert.pem"), "private_key": str(authority.folder / "cert.key")}
    return read_profiles(file, {}, own, lambda name: str(authority.folder / name))


def test_every_option_is_read(authority: Authority) -> None:
    found = read(authority, """
# A comment, and an empty line

[server:[2001:db8::1]:5063]  # behind it, too
method = "TLSv1.2"
VERIFY_CERTIFICATE = on
require_certificate = 0
verify_depth = 3
ca_list = cert.pem # a comment
cipher_list = "HIGH:!aNULL"
server_name = "a \\"b\\""
server_name_mode = 1
server_id = id
[client:default]
verify_client = off
""")  # fmt: skip
    first, default_client, default_server = found
    assert (first.server, first.address, first.default) == (True, Address.of("2001:db8::1", 5063), False)
    assert (first.method, first.verify, first.require, first.verify_depth) == ("TLSv1.2", True, False, 3)
    assert first.ca_list == str(authority.folder / "cert.pem")
    assert (first.cipher_list, first.server_name, first.server_name_mode) == ("HIGH:!aNULL", 'a "b"', 1)
    assert first.server_id == "id"
    assert first.demands is ssl.CERT_OPTIONAL
    assert (default_client.default, default_client.server, default_client.certificate) == (True, False, "")
    assert (default_server.default, default_server.server, default_server.method) == (True, True, "TLSv1+")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[server]", 1, "is no section"),
        ("[peer:default]", 1, "not of 'peer'"),
        ("[server:192.0.2.1]", 1, "neither an IP address with its port"),
        ("[server:host.example:5061]", 1, "neither an IP address with its port"),
        ("[server:300.0.2.1:5061]", 1, "not an IP address"),
        ("[server:192.0.2.1:70000]", 1, "not a port"),
        ("\nmethod = TLSv1", 2, "before the first section"),
        ("[server:default]\nmethod", 2, "is no option = value"),
        ("[server:default]\n\nmetod = TLSv1", 3, "there is no option 'metod'"),
        ("[server:default]\nmethod = TLSv9", 2, "'TLSv9' is no TLS method"),
        ("[server:default]\nmethod = SSLv3", 2, "SSLv3 is broken"),
        ("[server:default]\nverify_certificate = maybe", 2, "'maybe' is neither yes nor no"),
        ("[server:default]\nverify_client = optional_no_ca", 2, "which Python's ssl can't be told to"),
        ("[server:default]\nverify_client = perhaps", 2, "'perhaps' is none of off, on, optional"),
        ("[server:default]\nverify_depth = deep", 2, "'deep' is no number"),
        ("[server:default]\nserver_name = x ; no comment", 2, None),
        ("[client:default]\n[server:any]", 2, "needs a server_name"),
        ("[client:default]\n[server:default]\ncertificate = gone.pem", 2, "gone.pem: No such file"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(authority: Authority, text: str, line: int, says: str | None) -> None:
    if says is None:
        assert read(authority, text)[0].server_name == "x ; no comment"
        return
    with pytest.raises(ConfigError, match=re.escape(says)) as raised:
        read(authority, text)
    assert str(raised.value).startswith(f"{authority.folder / 'tls.cfg'}:{line}: ")


def test_a_folder_of_files(authority: Authority) -> None:
    folder = authority.folder / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.cfg").write_text("[client:any]\nserver_id = b\n")
    (folder / "a").write_text("[client:any]\nserver_id = a\n")
    (folder / "sub/c.cfg").write_text("not read")
    own = {"certificate": str(authority.folder / "cert.pem"), "private_key": str(authority.folder / "cert.key")}
    assert [one.server_id for one in read_profiles(folder, {}, own, str)] == ["a", "b", "", ""]
    (folder / "c").write_text("server_id = c\n")
    with pytest.raises(ConfigError, match=f"{folder}/c:1: an option stands before the first section"):
        read_profiles(folder, {}, own, str)


def test_a_certificate_that_is_none_is_null() -> None:
    assert certificate(b"no certificate") is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("tls_method", "TLSv1.3", "'TLSv1.3' is no TLS method: SSLv23, TLSv1"),
        ("tls_method", "SSLv2", "SSLv2 is broken"),
        ("verify_client", "optional_no_ca", "certificates that nobody vouches for"),
        ("engine", "pkcs11", "keys in hardware"),
    ],
)
def test_parameters_that_are_refused(name: str, value: str, says: str) -> None:
    configuration = Configuration(load=["tls"])
    configuration.set_module("tls", name, value)
    with pytest.raises(ConfigError, match=says):
        Node(configuration)


CFG = """
disable_tcp=no
enable_tls=yes
listen=tls:@STREAM
loadmodule "tls.so"
loadmodule "cfg_rpc.so"
modparam("tls", "config", "CFG")
modparam("tls", "connection_timeout", 77)
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if ($fU == "alice2") t_on_failure("NEXT");
    $du = "sip:127.0.0.1:" + $rU + ";transport=tls";
    t_relay();
}
failure_route[NEXT] {
    if ($T_reply_code != 503) exit;
    $du = "sip:127.0.0.1:OPEN;transport=tls";
    t_relay();
}
event_route[tls:connection-out] {
    xlog("L_ERR", "made to $sndto(ip):$sndto(port) by $sndto(proto)\\n");
    if ($sndto(port) == CLOSED) drop;
}
"""


def section(authority: Authority, name: str) -> str:
    """A tls.cfg with one certificate."""
    return (
        f"[server:default]\ncertificate = {authority.folder}/{name}.pem\nprivate_key = {authority.folder}/{name}.key\n"
    )


@pytest.fixture(scope="module")
def sinks(authority: Authority) -> Iterator[tuple[Sink, Sink]]:
    made = Sink(authority.sign("open"), authority), Sink(authority.sign("closed"), authority)
    yield made
    for one in made:
        one.socket.close()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, sinks: tuple[Sink, Sink]
) -> Iterator[Server]:
    file = authority.folder / "server.cfg"
    file.write_text(section(authority, "cert"))
    cfg = CFG.replace('"CFG"', f'"{file}"').replace("CLOSED", str(sinks[1].port))
    cfg = cfg.replace("OPEN", str(sinks[0].port))
    made = Server("kahea", tmp_path_factory.mktemp("own") / "kahea", cfg, ["tmx", "xlog"])
    try:
        yield made
    finally:
        made.end()


def test_the_event_of_a_connection_may_drop_what_it_is_for(server: Server, sinks: tuple[Sink, Sink]) -> None:
    to_open, to_closed = sinks
    for sink, answer in ((to_closed, "SIP/2.0 477"), (to_open, "SIP/2.0 200")):
        server.caller.send(request("MESSAGE", f"sip:{sink.port}@example.com", callid=str(sink.port)))
        assert server.caller.expect(answer)
        assert f"made to 127.0.0.1:{sink.port} by 3" in server.log
    assert (len(to_closed.seen), len(to_open.seen)) == (0, 1)


def test_what_one_connection_can_not_carry_goes_on_by_another(server: Server, sinks: tuple[Sink, Sink]) -> None:
    text = request("MESSAGE", f"sip:{sinks[1].port}@example.com", callid="next")
    server.caller.send(text.replace("alice@example", "alice2@example"))
    assert "\r\nCall-ID: next\r\n" in server.caller.expect("SIP/2.0 200")
    assert "next" in sinks[0].seen
    assert "next" not in sinks[1].seen


@pytest.mark.parametrize("drop", [True, False])
def test_the_event_may_be_a_function_of_the_script(drop: bool) -> None:
    configuration = Configuration(load=["tls"])
    configuration.set_module("tls", "event_callback", "on_out")
    node = Node(configuration)
    peer, seen = Address.of("192.0.2.9", 5061), []

    def on_out(run: Run) -> int:
        seen.append((run.name, run.msg.facets["onsend"]))
        run.drop = drop
        return 1

    node.use(Generation(lambda name, _kind="": on_out if name == "on_out" else None))
    listener = TlsListener(Address.of("192.0.2.1", 5061), ConnectionTable(clock=float), TlsNode())
    assert node.module("tls").approve(TlsConnection(listener, peer), b"data") is not drop
    assert seen == [("tls:connection-out", (listener, peer, b"data"))]


def test_the_id_of_a_profile_stays_with_the_run_that_set_it() -> None:
    """Another script's connection does not take it; only what follows a local route has no run of its own."""
    node = Node(Configuration(load=["tls"]))
    tls, peer = node.module("tls"), Address.of("192.0.2.9", 5061)
    found = []

    def chooses(run: Run) -> None:
        found.append(tls.choose(peer)[1])
        if run.name == "sets":
            tls.set_connect_server_id(run, "mine")
            node.pool.run(node.execute, Run(node, event_message(), REQUEST_ROUTE, "other"), chooses)
            found.append(tls.choose(peer)[1])
            found.append(tls.choose(peer)[1])

    node.pool.run(node.execute, Run(node, event_message(), REQUEST_ROUTE, "sets"), chooses)
    assert found == ["", "", "mine", ""]
    tls.set_connect_server_id(Run(node, event_message(), LOCAL_ROUTE), "local")
    assert [tls.choose(peer)[1] for _ in range(2)] == ["local", ""]


@needs_kamcmd
def test_parameters_change_while_it_runs(server: Server) -> None:
    with trusting().wrap_socket(server.stream()):
        assert _timeouts(server)[-1] in (76, 77)
        server.rpc("cfg.set_now_int", "tls", "connection_timeout", "100")
        assert _timeouts(server)[-1] in (98, 99, 100)
    server.rpc("cfg.set_now_int", "tcp", "max_tls_connections", "5")
    assert "max_connections: 5\n" in server.rpc("tls.info")
    assert "max_tls_connections: 5\n" in server.rpc("core.tcp_info")
    server.rpc("cfg.set_now_int", "tcp", "max_tls_connections", "50")


def _timeouts(server: Server) -> list[int]:
    end = time.monotonic() + PATIENCE
    while "established" not in (told := server.rpc("tls.list")):
        assert time.monotonic() < end
    return [int(found) for found in re.findall(r"timeout: (\d+)", told)]


def shown_by(authority: Authority, name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert((authority.folder / f"{name}.pem").read_text())


@needs_kamcmd
def test_reloads_under_load_lose_no_connection(server: Server, authority: Authority) -> None:
    """Twelve connections ask and ask while certificates change; a thirteenth sees each new one."""
    authority.sign("next")
    file = authority.folder / "server.cfg"
    done = threading.Event()

    def asking(number: int) -> int:
        answers = 0
        with trusting().wrap_socket(server.stream()) as stream:
            while not done.is_set() or answers < 10:
                text = server.fill(request("OPTIONS", "sip:ping@example.com", callid=f"{number}-{answers}"))
                stream.sendall(text.replace("/UDP", "/TLS").encode())
                assert stream.recv(65536).startswith(b"SIP/2.0 200")
                answers += 1
        return answers

    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(asking, number) for number in range(12)]
        try:
            for turn in range(20):
                name = ("next", "cert")[turn % 2]
                file.write_text(section(authority, name))
                assert "reloaded" in server.rpc("tls.reload")
                with trusting().wrap_socket(server.stream()) as stream:
                    assert stream.getpeercert(binary_form=True) == shown_by(authority, name)
        finally:
            done.set()
        assert min(one.result() for one in asked) >= 10


@pytest.mark.parametrize("path", ["peer.subject.org", "peer.bogus", "desc.bits", "peer.san.email", "bogus"])
def test_a_select_that_there_is_not(path: str) -> None:
    with pytest.raises(PvError, match=f"there is no select @tls.{path}"):
        select([(name, None) for name in path.split(".")])
    with pytest.raises(PvError):
        select([("peer", "1")])
