"""TLS of http_client and http_async_client: whom they trust, who they are, which versions they speak."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import certificates
import cfgs
import pytest
from api_server import ApiServer
from certificates import Certificates
from twin import needs_kamailio

from kahea.routing.module import ConfigError

pytestmark = pytest.mark.skipif(certificates.OPENSSL is None, reason="needs openssl to make certificates")

PORT = cfgs.PORT + 14


@dataclass
class Place:
    """The certificates, and the names of the servers with their ports."""

    made: Certificates
    ports: dict[str, int]

    def url(self, server: str, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.ports[server]}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Servers: a good one, those with wrong certificates, one that wants to know who asks, those of old versions."""
    made = certificates.make(tmp_path_factory.mktemp("certificates"))
    servers = {
        "good": ApiServer(PORT, made.server),
        "stranger": ApiServer(PORT + 1, made.stranger),
        "expired": ApiServer(PORT + 2, made.expired),
        "private": ApiServer(PORT + 3, made.server, clients=made.authority),
        "tls1.2": ApiServer(PORT + 4, made.server, newest=ssl.TLSVersion.TLSv1_2),
        "tls1.1": ApiServer(PORT + 5, made.server, newest=ssl.TLSVersion.TLSv1_1),
    }
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(server)
        yield Place(made, {name: server.port for name, server in servers.items()})


#: TLS 1.1, which OpenSSL's own policy has given up.
OLD = "DEFAULT:@SECLEVEL=0"


def cases(place: Place) -> dict[str, tuple[str, str, str]]:
    """Connections by name: the server's URL, parameters, and the code that a script gets if all trust the authority."""
    made, url = place.made, place.url
    who = f"client_cert={made.client[0]};client_key={made.client[1]}"
    return {
        "trusted": (url("good"), "", "200"),
        "stranger": (url("stranger"), "", "60"),
        "anystranger": (url("stranger"), "verify_peer=0", "200"),
        "expired": (url("expired"), "", "60"),
        "anyexpired": (url("expired"), "verify_peer=0;verify_host=0", "200"),
        "othername": (url("good", "localhost"), "", "60"),
        "anyname": (url("good", "localhost"), "verify_host=0", "200"),
        "who": (url("private"), who, "200"),
        "nobody": (url("private"), "", "56"),
        "otherwho": (url("private"), f"client_cert={made.stranger[0]};client_key={made.stranger[1]}", "56"),
        "of12": (url("tls1.2"), "tlsversion=6", "200"),
        "of11": (url("tls1.1"), "tlsversion=6", "35"),
        "from11": (url("tls1.1"), "tlsversion=5", "200"),
        "cipher": (url("tls1.2"), "cipher_suites=ECDHE-RSA-AES128-GCM-SHA256", "35"),
    }


def given(place: Place, connections: dict[str, tuple[str, str, str]]) -> str:
    """The parameters of http_client. A connection takes what was said before it."""
    lines = [
        f'modparam("http_client", "cacert", "{place.made.authority}")',
        f'modparam("http_client", "cipher_suites", "{OLD}")',
    ]
    lines += [f'modparam("http_client", "httpcon", "{n}=>{url};{more}")' for n, (url, more, _) in connections.items()]
    return "\n".join(lines)


def bodies_of(connections: dict[str, tuple[str, str, str]]) -> list[str]:
    return [f'http_connect("{name}", "/ok", "$var(r)"); $var(o) = $rc;' for name in connections]


def ours(text: str, count: int) -> list[str | None]:
    """What so many bodies of a cfg collected."""

    async def run() -> list[str | None]:
        node = cfgs.Ours(text)
        try:
            return [(await node.wait(cfgs.request(number))).out for number in range(count)]
        finally:
            await node.node.stop()

    return asyncio.run(run())


def test_connections(place: Place) -> None:
    connections = cases(place)
    text = cfgs.cfg_text(bodies_of(connections), given(place, connections), ("http_client",))
    out = ours(text, len(connections))
    assert dict(zip(connections, out, strict=True)) == {name: code for name, (_, _, code) in connections.items()}


@needs_kamailio
def test_connections_as_kamailio(place: Place, tmp_path: Path) -> None:
    connections = cases(place)
    text = cfgs.cfg_text(bodies_of(connections), given(place, connections), ("http_client",))
    with cfgs.kamailio(tmp_path, text) as kamailio:
        theirs = {name: kamailio.run(cfgs.request(number)).out for number, name in enumerate(connections)}
    # It depends on who is faster whether libcurl fails as it sends (55) or as it receives.
    theirs = {name: "56" if code == "55" else code for name, code in theirs.items()}
    assert theirs == {name: code for name, (_, _, code) in connections.items()}


def test_what_is_trusted_without_a_word(place: Place) -> None:
    """The system's authorities, who know nothing of this one; `cacert` of a connection, which Kamailio has not; and no
    version of TLS that OpenSSL's policy has given up."""
    body = f'http_client_query("{place.url("good")}/", "$var(r)"); $var(o) = $rc;'
    own = {
        "stranger": (place.url("stranger"), f"cacert={place.made.stranger[0]}", "200"),
        "policy": (place.url("tls1.1"), f"cacert={place.made.authority}", "35"),
    }
    lines = [f'modparam("http_client", "httpcon", "{name}=>{url};{more}")' for name, (url, more, _) in own.items()]
    text = cfgs.cfg_text([*bodies_of(own), body], "\n".join(lines), ("http_client",))
    assert ours(text, 3) == ["200", "35", "60"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("cacert", "/nowhere.pem"), ("client_cert", "/nowhere.pem"), ("cipher_suites", "NONSENSE"), ("tlsversion", "7"),
     ("tlsversion", "SSLv3")],
)  # fmt: skip
def test_what_can_not_be_used_is_said_at_the_start(parameter: str, value: str) -> None:
    extra = f'modparam("http_client", "httpcon", "c=>https://127.0.0.1/;{parameter}={value}")'
    with pytest.raises(ConfigError):
        cfgs.Ours(cfgs.cfg_text([], extra, ("http_client",)))


def test_a_key_of_another_certificate(place: Place) -> None:
    extra = (
        f'modparam("http_client", "client_cert", "{place.made.client[0]}")\n'
        f'modparam("http_client", "client_key", "{place.made.server[1]}")'
    )
    with pytest.raises(ConfigError, match=r"client\.pem"):
        cfgs.Ours(cfgs.cfg_text([], extra, ("http_client",)))


def asynchronous(place: Place, body: str, **given: str | int) -> str | None:
    """What the route for the answer collected of an asynchronous query."""
    lines = [f'modparam("http_async_client", "{name}", {json.dumps(value)})' for name, value in given.items()]
    route = 'route[REPLY] {\n$var(o) = "ok=" + $http_ok + " rs=" + $http_rs + " " + $http_err;\nroute(END);\n}\n'
    modules = ("http_async_client",)
    return ours(cfgs.cfg_text([f"t_newtran(); {body}"], "\n".join(lines), modules, route), 1)[0]


def test_asynchronous_queries(place: Place, tmp_path: Path) -> None:
    made, url = place.made, place.url
    assert certificates.OPENSSL is not None
    words = [certificates.OPENSSL, "x509", "-hash", "-noout", "-in", made.authority]
    hashed = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / f"{hashed}.0").write_text(Path(made.authority).read_text())

    def ask(server: str, before: str = "", host: str = "127.0.0.1") -> str:
        return f'{before} http_async_query("{url(server, host)}/ok", "REPLY");'

    trusted = {"tls_ca_path": str(tmp_path)}
    who = f'$http_req(tls_client_cert) = "{made.client[0]}"; $http_req(tls_client_key) = "{made.client[1]}";'
    good, refused = "ok=1 rs=200 ", "ok=0 rs= SSL peer certificate or SSH remote key was not OK"
    assert asynchronous(place, ask("good")) == refused
    assert asynchronous(place, ask("good"), **trusted) == good
    assert asynchronous(place, ask("good", f'$http_req(tls_ca_path) = "{tmp_path}";')) == good
    assert asynchronous(place, ask("stranger"), **trusted) == refused
    assert asynchronous(place, ask("expired"), **trusted) == refused
    assert asynchronous(place, ask("expired"), tls_verify_peer=0) == good
    assert asynchronous(place, ask("good", host="localhost"), **trusted) == refused
    assert asynchronous(place, ask("good", host="localhost"), tls_verify_host=0, **trusted) == good
    assert asynchronous(place, ask("private"), **trusted) == "ok=0 rs= Failure when receiving data from the peer"
    assert asynchronous(place, ask("private", who), **trusted) == good
    client = {"tls_client_cert": made.client[0], "tls_client_key": made.client[1]}
    assert asynchronous(place, ask("private"), **trusted, **client) == good
    assert asynchronous(place, ask("tls1.2"), tls_version=6, **trusted) == good
    assert asynchronous(place, ask("tls1.1"), tls_version=6, **trusted) == "ok=0 rs= SSL connect error"
