"""Module tls beside Kamailio's: who gets in, which certificate is shown, what scripts see, and how we connect."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from processes import KAMAILIO, PATIENCE, Server, request, servers
from tests.tls_files import Authority, Files

from kahea.modules.tls.certificate import PARTS

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

VARIABLES = [
    "tls_version", "tls_cipher_info", "tls_cipher_bits", "tls_description", "tls_peer_server_name",
    "tls_peer_verified", "tls_peer_expired", "tls_peer_revoked", "tls_peer_selfsigned",
    "tls_peer_notBefore", "tls_peer_notAfter",
    *[f"tls_{whose}_{what}" for whose in ("my", "peer") for what in (
        "version", "serial", "raw_cert", "urlencoded_cert", "subject", "issuer",
        *[f"subject_{part}" for part in PARTS], *[f"issuer_{part}" for part in PARTS if part != "uid"],
        "san_email", "san_hostname", "san_ip", "san_uri",
    )],
    *[f"tls({line})" for line in ("m_issuer_line", "m_subject_line", "p_issuer_line", "p_subject_line")],
]  # fmt: skip

SELECTS = [
    "tls",
    "tls.desc",
    "tls.version",
    "tls.cipher",
    "tls.cipher.bits",
    "tls.server_name",
    "tls.my",
    "tls.me.host",
    "tls.myself.sn",
    "tls.my.not_before",
    "tls.my.email",
    "tls.my.verified",
    "tls.peer",
    "tls.peer.version",
    "tls.peer.serialNumber",
    "tls.peer.verified",
    "tls.peer.expired",
    "tls.peer.revoked",
    "tls.peer.self_signed",
    "tls.peer.notBefore",
    "tls.peer.not_after",
    "tls.peer.raw_cert",
    "tls.peer.urlencoded_cert",
    "tls.peer.subject",
    "tls.peer.subject.name",
    "tls.peer.subject.o",
    "tls.peer.subject.ou",
    "tls.peer.subject.countryName",
    "tls.peer.subject.state_or_province_name",
    "tls.peer.subject.l",
    "tls.peer.subject.uid",
    "tls.peer.issuer",
    "tls.peer.issuer.cn",
    "tls.peer.issuer.organization",
    "tls.peer.email",
    "tls.peer.dns",
    "tls.peer.url",
    "tls.peer.IPAddress",
]

#: By the From user, where a request goes.
WAYS = {
    "to_tls": 't_relay_to_tls("127.0.0.1", "@GOOD");',
    "dst_uri": '$du = "sip:127.0.0.1:@GOOD;transport=tls"; t_relay();',
    "sips": '$ru = "sips:x@127.0.0.1:@GOOD"; t_relay();',
    "sips_tcp": '$ru = "sips:x@127.0.0.1:@GOOD;transport=tcp"; t_relay();',
    "sips_udp": '$ru = "sips:x@127.0.0.1:@GOOD;transport=udp"; t_relay();',
    "name": '$xavp(tls=>server_name) = "nameb"; $du = "sip:127.0.0.1:@GOOD;transport=tls"; t_relay();',
    "other_name": '$xavp(tls=>server_name) = "other"; $du = "sip:127.0.0.1:@GOOD;transport=tls"; t_relay();',
    "id": '$xavp(tls=>server_id) = "ida"; $du = "sip:127.0.0.1:@GOOD;transport=tls"; t_relay();',
    "set_id": 'tls_set_connect_server_id("ida"); $du = "sip:127.0.0.1:@GOOD;transport=tls"; t_relay();',
    "unknown_id": '$xavp(tls=>server_id) = "x"; $du = "sip:127.0.0.1:@GOOD;transport=tls"; t_relay();',
    "both": (
        '$xavp(tls=>server_id) = "ida"; $xavp(tls[0]=>server_name) = "nameb"; '
        '$du = "sip:127.0.0.1:@GOOD;transport=tls"; t_relay();'
    ),
    "stranger": '$du = "sip:127.0.0.1:@BAD;transport=tls"; t_relay();',
    "trusting": (
        '$xavp(tls=>server_name) = "nameb"; $du = "sip:127.0.0.1:@BAD;transport=tls"; t_relay();'
    ),
    "expired": '$du = "sip:127.0.0.1:@OLD;transport=tls"; t_relay();',
    "revoked": '$du = "sip:127.0.0.1:@REVOKED;transport=tls"; t_relay();',
}  # fmt: skip


#: The servers, and where they connect to.
Both: TypeAlias = "tuple[list[Server], dict[str, Sink]]"


def _cfg(folder: Path, sinks: dict[str, Sink]) -> str:
    ways = "\n".join(f'if ($fU == "{name}") {{ {way} exit; }}' for name, way in WAYS.items())
    for word, sink in sinks.items():
        ways = ways.replace(word, str(sink.port))
    selected = '$var(selected) = "";' + "".join(
        f'$var(selected) = $var(selected) + "|{name}=" + @{name};\n' for name in SELECTS
    )
    shown = "".join(f"{name}=${name}|" for name in VARIABLES)
    return f"""
disable_tcp=no
enable_tls=yes
loadmodule "tls.so"
listen=tls:@STREAM
tcp_accept_no_cl=yes
loadmodule "xhttp.so"
modparam("tls", "config", "{folder}/tls.cfg")
modparam("tls", "xavp_cfg", "tls")
modparam("tls", "low_mem_threshold1", 0)
modparam("tls", "low_mem_threshold2", 0)
modparam("tm", "fr_timer", 500)
request_route {{
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    if ($fU == "seen") {{
        {selected}
        set_reply_body("proto=$proto|pr=$pr|$var(selected)|{shown}", "text/plain");
        if (is_peer_verified()) append_to_reply("Verified: yes\\r\\n");
        if (proto == TLS) append_to_reply("Tls: yes\\r\\n");
        sl_send_reply("200", "OK");
        exit;
    }}
    if ($rU == "out") {{ record_route(); $du = "sip:@SINK"; t_relay(); exit; }}
    record_route();
    {ways}
}}
event_route[xhttp:request] {{ xhttp_reply("200", "OK", "text/plain", "$hu by $proto, $tls_version"); }}
"""


class Sink(threading.Thread):
    """A TLS server that answers one request on each connection, and notes what it saw."""

    def __init__(self, files: Files, authority: Authority) -> None:
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(files.certificate, files.key)
        self.context.load_verify_locations(authority.files.certificate)
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.sni_callback = self._named  # type: ignore[assignment]
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self._name: str | None = None
        self.seen: dict[str, tuple[str | None, str | None, str]] = {}  # by Call-ID: SNI, client, message
        self.start()

    def _named(self, _session: object, name: str | None, _context: object) -> None:
        self._name = name

    def run(self) -> None:
        """Serve until the socket is closed."""
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            plain.settimeout(PATIENCE)
            self._name = None
            with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as stream:
                text = stream.recv(65536).decode()
                if not text:
                    continue
                lines = text.split("\r\n")
                kept = [one for one in lines if one.startswith(("Via", "From", "To", "Call-ID", "CSeq"))]
                callid = next(one for one in lines if one.startswith("Call-ID: ")).removeprefix("Call-ID: ")
                client = stream.getpeercert(binary_form=True)
                self.seen[callid] = self._name, _common_name(client), text
                stream.sendall("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode())


def _common_name(der: bytes | None) -> str | None:
    if not der:
        return None
    found = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)


def trusting() -> ssl.SSLContext:
    """A client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask(
    server: Server, *, name: str | None = None, files: Files | None = None, version: Any = ssl.TLSVersion.TLSv1_3
) -> tuple[str | None, str]:
    """The name in the certificate that a server shows, and its answer; what came instead, if it refuses us."""
    context = trusting()
    context.minimum_version = context.maximum_version = version
    if files is not None:
        context.load_cert_chain(files.certificate, files.key)
    shown = None
    try:
        with context.wrap_socket(server.stream(), server_hostname=name) as stream:
            shown = _common_name(stream.getpeercert(binary_form=True))
            text = request("OPTIONS", "sip:seen@example.com").replace("alice@example", "seen@example")
            stream.sendall(server.fill(text.replace("/UDP", "/TLS")).encode())
            answer = b""
            while b"tls(p_subject_line)=" not in answer:
                data = stream.recv(65536)
                if not data:
                    return shown, "nothing"
                answer += data
            return shown, server.blank(answer.decode())
    except (ssl.SSLError, ConnectionError):
        return None, "refused"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def profiles(authority: Authority, sections: Sequence[tuple[str, str, dict[str, object]]]) -> str:
    """A tls.cfg: of each section its heading, the certificate's name, and further options."""
    lines = []
    for heading, certificate, options in sections:
        lines.append(f"[{heading}]")
        if certificate:
            authority.sign(certificate)
            options = options | {
                "certificate": authority.folder / f"{certificate}.pem",
                "private_key": authority.folder / f"{certificate}.key",
            }
        lines += [f"{key} = {value}" for key, value in options.items()]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Both]:
    folder = authority.folder
    roots = {"ca_list": authority.files.certificate}
    revoked = authority.sign("revoked")
    crl = {"crl": authority.revoke(revoked)}
    (folder / "tls.cfg").write_text(profiles(authority, [
        ("server:default", "default", {"method": "TLSv1.2+", "verify_certificate": "yes"} | roots | crl),
        ("client:default", "", {"method": "TLSv1.2+", "verify_certificate": "yes"} | roots | crl),
        ("client:any", "a", {"server_id": "ida", "server_name": "namea"}),
        ("client:any", "b", {"server_name": "nameb", "verify_certificate": "no"}),
    ]))  # fmt: skip
    stranger = Authority(tmp_path_factory.mktemp("strangers"), "stranger").sign("server")
    sinks = {
        "@GOOD": Sink(authority.sign("good"), authority),
        "@BAD": Sink(stranger, authority),
        "@OLD": Sink(authority.sign("old", days=-1), authority),
        "@REVOKED": Sink(revoked, authority),
    }
    with servers(folder, _cfg(folder, sinks), ["textops", "rr"]) as made:
        yield made, sinks
    for sink in sinks.values():
        sink.socket.close()


def same(both: Both, scenario: Any) -> Any:
    """What a scenario gives with either, which must be one."""
    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(scenario, both[0])
    assert ours == theirs
    return ours


def _parts(answer: str) -> dict[str, str]:
    head, _, body = answer.partition("\r\n\r\n")
    found = dict(one.split("=", 1) for one in body.split("|") if "=" in one)
    found["head"] = ",".join(line for line in head.split("\r\n") if line.startswith(("Verified", "Tls")))
    return found


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_scripts_see(both: Any, authority: Authority, version: ssl.TLSVersion) -> None:
    subject = "C=DE,ST=Berlin,L=Mitte,O=Org,OU=Unit,OU=Second,CN=alice,UID=u1,emailAddress=a@b.c"
    names = ["DNS:alice.example", "DNS:second.example", "URI:sip:alice@example", "email:a@example", "IP:127.0.0.9"]
    files = authority.sign("alice", subject, names)
    found = same(both, lambda server: _parts(ask(server, name="foo.example", files=files, version=version)[1]))
    assert found["tls_peer_subject_cn"] == "alice"
    assert found["tls_peer_verified"] == "1"
    assert found["head"] == "Verified: yes,Tls: yes"
    without = same(both, lambda server: _parts(ask(server, version=version)[1]))
    assert without["tls_peer_verified"] == "0"
    assert without["tls_my_subject_cn"] == "default"
    assert without["head"] == "Tls: yes"


def test_whose_certificates_are_taken(both: Any, authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").sign("x")
    old = authority.sign("expired", days=-1)
    revoked = Files(authority.folder / "revoked.pem", authority.folder / "revoked.key", old.made)
    # Of an authority between, for which the list of revoked certificates says nothing.
    between = Authority(tmp_path, "between", by=authority)
    leaf = between.sign("leaf")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf.certificate.read_bytes() + between.files.certificate.read_bytes())
    tries = [None, authority.sign("client"), stranger, old, revoked, Files(chain, leaf.key, leaf.made)]

    def scenario(server: Server) -> list[str]:
        return [
            ask(server, files=files, version=version)[1][:11]
            for files in tries
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        ]

    assert same(both, scenario) == ["SIP/2.0 200"] * 4 + ["refused"] * 8


def test_how_we_connect(both: Any) -> None:
    _, sinks = both

    def scenario(server: Server) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for way in WAYS:
            callid = f"{way}-{server.name}"
            server.caller.send(
                request("MESSAGE", "sip:bob@example.com", callid=callid).replace("alice@example", f"{way}@example")
            )
            answer = server.caller.receive()
            while answer.startswith("SIP/2.0 100") or f"Call-ID: {callid}\r\n" not in answer:
                answer = server.caller.receive()
            seen = next((sink.seen[callid] for sink in sinks.values() if callid in sink.seen), None)
            if seen is not None:
                seen = *seen[:2], server.blank(seen[2]).replace(callid, way)
            found[way] = answer.split("\r\n")[0], seen
            # The next one is to connect anew.
            end = time.monotonic() + PATIENCE
            while "id: " in server.rpc("core.tcp_list"):
                assert time.monotonic() < end
        return found

    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(scenario, both[0])
    refused = {way for way, (_, seen) in ours.items() if seen is None} - {"sips_udp"}
    assert refused == {"stranger", "expired", "revoked"}
    # Kamailio finds out by its timer that nothing was sent.
    assert {theirs[way] for way in refused} == {("SIP/2.0 408 Request Timeout", None)}
    assert {ours.pop(way)[0][:11] for way in refused} == {"SIP/2.0 477"}
    assert ours == {way: seen for way, seen in theirs.items() if way not in refused}


def test_http_over_tls(both: Both) -> None:
    def scenario(server: Server) -> str:
        context = trusting()
        with context.wrap_socket(server.stream()) as stream:
            stream.sendall(b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while not answer.endswith(b", TLSv1.3"):
                answer += stream.recv(65536)
        return re.sub(r"(Server|Sia): .*", r"\1: #", answer.decode())

    assert same(both, scenario).endswith("\r\n\r\n/here by tls, TLSv1.3")


def test_what_comes_over_tls_is_relayed(both: Both) -> None:
    """Over UDP and back; the sender's connection takes what is for the port in its Via."""

    def scenario(server: Server) -> list[str]:
        context = trusting()
        found = []
        with context.wrap_socket(server.stream()) as stream:
            for uri in ("sip:out@example.com", "sips:out@example.com"):
                text = server.fill(request("MESSAGE", uri, callid=uri[:4])).replace("/UDP", "/TLS")
                stream.sendall(text.replace(";branch", ";alias;branch").encode())
                got = server.sink.expect("MESSAGE")
                server.sink.reply(got, "200 OK")
                found += [got, server.blank(stream.recv(65536).decode())]
        return [re.sub(r";i=[0-9a-f]+", ";i=#", re.sub(r"rport=\d+", "rport=#", one)) for one in found]

    found = same(both, scenario)
    assert "Via: SIP/2.0/TLS" in found[0]
    assert "transport=tls" in found[2]


def test_names_choose_certificates_and_demands_and_all_may_change(both: Both, authority: Authority) -> None:
    file = authority.folder / "tls.cfg"
    before = file.read_text()
    names = [None, "one", "x.one", "wide", "x.wide", "below", "X.Below", "strict", "dup", "unknown"]
    client = authority.sign("client")

    def scenario(server: Server) -> list[Any]:
        living = server.stream()
        told = server.rpc("tls.reload")
        tries = [ask(server, name=name, files=files) for name in names for files in (None, client)]
        with living:
            return [told, *[(shown, answer[:11]) for shown, answer in tries]]

    def rejected(server: Server) -> tuple[str, str | None]:
        return server.rpc("tls.reload")[:24], ask(server)[0]

    old = {"method": "TLSv1"}
    strict = {"verify_certificate": "yes", "require_certificate": "yes", "ca_list": authority.files.certificate}
    try:
        file.write_text(profiles(authority, [
            ("server:default", "default2", {"method": "TLSv1.2+"}),
            ("server:any", "one", {"server_name": "one"} | old),
            ("server:any", "wide", {"server_name": "wide", "server_name_mode": "1"}),
            ("Server:Any", "below", {"Server_Name": '"below"', "server_name_mode": "2"}),
            ("server:any", "strict", {"server_name": "strict"} | strict),
            ("server:any", "dup1", {"server_name": "dup"}),
            ("server:any", "dup2", {"server_name": "dup"}),
        ]))  # fmt: skip
        found = same(both, scenario)
        shown = [one[0] for one in found[1:]]
        wanted = "default2 one default2 wide wide default2 below - dup2 default2"
        assert " ".join(one or "-" for one in shown[::2]) == wanted
        assert shown[15] == "strict"
        file.write_text(file.read_text().replace("dup2.pem", "nowhere.pem"))
        assert same(both, rejected) == ("error: 500 - Error while", "default2")
        file.write_text("[server:default]\nfoo = 1\n")
        assert same(both, rejected) == ("error: 500 - Error while", "default2")
    finally:
        file.write_text(before)
    same(both, lambda server: server.rpc("tls.reload"))


def test_what_management_tells(both: Both) -> None:
    def scenario(server: Server) -> list[str]:
        context = trusting()
        with context.wrap_socket(server.stream()), server.stream() as plain:
            end = time.monotonic() + PATIENCE
            while "established" not in server.rpc("tls.list") or "opened_connections: 2" not in server.rpc("tls.info"):
                assert time.monotonic() < end
            told = [server.rpc(name) for name in ("tls.list", "tls.info", "core.tcp_list", "core.tcp_info")]
            plain.sendall(b"x")
        while "id: " in server.rpc("tls.list"):
            assert time.monotonic() < end
        return [re.sub(r"(\s(?:id|src_port|timeout|ref_count|state|dst_port|flags): ).*", r"\1#", one) for one in told]

    found = same(both, scenario)
    assert found[0].count("cipher") == 2
    assert "opened_tls_connections: 2" in found[3]
