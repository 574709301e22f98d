"""A converted cfg puts the same messages on the wire as the cfg: both run the same calls on the virtual network."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from tests.modules.media_relays import Relay, rtpengine_answer
from tests.tls_files import Authority

from kahea.cli.convert import converted, write
from kahea.routing.registry import available, module_class
from kahea.testing import Simulation, Unexpected

from .stock_flows import SERVER, STOCK, asking, everything, fill, written

_MADE_UP = re.compile(
    rb"(;branch=z9hG4bK|;tag=)[0-9a-f]{4}[0-9a-z.]+|;i=[0-9a-f]+"
    rb'|((?:nonce=|response=)"|SIP-(?:ETag|If-Match): |;tag=uloc-|Call-ID: nathelper-)[^"\r;]+'
)

#: What the stock cfg may be defined with, and the modules that make it possible.
NEEDS: dict[str, tuple[str, ...]] = {
    "WITH_PSTN": (),
    "WITH_VOICEMAIL": (),
    "WITH_BLOCK3XX": (),
    "WITH_BLOCK401407": (),
    "WITH_JSONRPC": (),
    "WITH_ANTIFLOOD": (),
    "WITH_MSGREBUILD": (),
    "WITH_ACCDB": (),
    "WITH_USRLOCDB": (),
    "WITH_AUTH": (),
    "WITH_IPAUTH": ("permissions",),
    "WITH_ALIASDB": ("alias_db",),
    "WITH_SPEEDDIAL": ("speeddial",),
    "WITH_MULTIDOMAIN": ("domain",),
    "WITH_NAT": ("rtpproxy",),
    "WITH_NATSIPPING": ("rtpproxy",),
    "WITH_RTPENGINE": ("rtpengine",),
    "WITH_PRESENCE": ("presence", "presence_xml"),
    "WITH_TLS": ("tls",),
    "WITH_MYSQL": ("db_mysql",),
    "WITH_DEBUG": (),
}
#: What is sent, behind its destination, where a definition does its work.
SHOWS: dict[str, bytes] = {
    "WITH_PSTN": rb"10\.0\.0\.3 INVITE sip:\+3912345678@10\.0\.0\.3 ",
    "WITH_VOICEMAIL": rb"10\.0\.0\.4 INVITE sip:bob@10\.0\.0\.4:5060 ",
    "WITH_BLOCK3XX": rb"10\.0\.0\.1 SIP/2\.0 404 Not found",
    "WITH_BLOCK401407": rb"10\.0\.0\.1 SIP/2\.0 404 Not found",
    "WITH_JSONRPC": rb'127\.0\.0\.1 HTTP/1\.1 200 OK\r\n(?s:.)*"result":\s*\["aloha"\]',
    "WITH_AUTH": rb'10\.0\.0\.1 SIP/2\.0 407 (?s:.)*Digest realm="10\.0\.0\.9"',
    "WITH_IPAUTH": rb"10\.0\.0\.2 MESSAGE (?s:.)*\r\nFrom: <sip:dave@",
    "WITH_ALIASDB": rb"10\.0\.0\.2 INVITE (?s:.)*\r\nTo: <sip:boss@",
    "WITH_SPEEDDIAL": rb"10\.0\.0\.2 INVITE (?s:.)*\r\nTo: <sip:11@",
    "WITH_NAT": rb"10\.0\.0\.2 INVITE (?s:.)*;alias=203\.0\.113\.7~4321~1",
    "WITH_NATSIPPING": rb"203\.0\.113\.7 OPTIONS sip:carol@192\.168\.1\.5:5060 ",
    "WITH_PRESENCE": rb"10\.0\.0\.1 NOTIFY (?s:.)*<note>away</note>",
    "WITH_TLS": rb"10\.0\.0\.8 INVITE sip:tess@10\.0\.0\.8:5061;transport=tls ",
}
#: These decide alone what the others would: a call that is blocked goes to no voicemail.
_ALONE = {"WITH_BLOCK3XX", "WITH_BLOCK401407", "WITH_ANTIFLOOD"}
_HERE = {name for name in available() if not module_class(name).missing()}
_ALL = tuple(name for name, modules in NEEDS.items() if set(modules) <= _HERE)

needs_stock = pytest.mark.skipif(not STOCK.exists(), reason="Debian's kamailio is not installed")


def tls_cfg(folder: Path) -> Path:
    """A server's, with a certificate."""
    made = Authority(folder).sign("server")
    path = folder / "tls.cfg"
    path.write_text(f"[server:default]\nprivate_key = {made.key}\ncertificate = {made.certificate}\n")
    return path


@pytest.fixture(scope="module")
def relays() -> Iterator[tuple[Relay, Relay]]:
    """What stands in for a rtpproxy and a rtpengine."""
    with Relay(40) as proxy, Relay(41, rtpengine_answer) as engine:
        yield proxy, engine


def counting(sim: Simulation) -> None:
    """More calls than one may begin; bodies and headers that the cfgs in `converted` look at."""
    alice = sim.ua("alice", "udp:10.0.0.1:5060", domain=SERVER)
    bob = sim.ua("bob", "udp:10.0.0.2:5060", domain=SERVER)
    bob.register()
    for number in ("1234", "01234", "001234", "0001234", "00000", "+1808", "special", "bob"):
        call = alice.invite(f"sip:{number}@{SERVER}")
        with contextlib.suppress(Unexpected):
            bob.ring(within=1).answer()
            call.wait(200)
            call.bye()
        sim.run(40)
    for body in ("42", "-7", "hello you", "ab", "a text of some length"):
        alice.request("MESSAGE", f"sip:{SERVER}", body=body)
        sim.run(40)
    alice.request("INVITE", f"sip:x@{SERVER}", headers=[("X-Test", "Gone Fishing")])
    sim.run(40)
    asking(sim, alice, f"sip:bob@{SERVER}")


def wire(sim: Simulation) -> list[tuple[float, str, str, bytes]]:
    """What went over the wire, in order, without what each server makes up."""
    return [(p.sent_at, p.source.ip, p.destination.ip, _MADE_UP.sub(rb"\1\2", p.data)) for p in sim.trace]


def played(
    script: Path,
    defines: dict[str, str],
    play: Callable[[Simulation], object],
    more: Iterable[str] = (),
) -> list[tuple[float, str, str, bytes]]:
    # A busy disk takes longer than the usual grace, and the database would count as down.
    sim = Simulation(1, grace=2 if {"WITH_ACCDB", "WITH_USRLOCDB"} & defines.keys() else 0.25)
    sim.node(script, f"udp:{SERVER}:5060", f"tcp:{SERVER}:5060", *more, defines=defines)
    play(sim)
    assert not [e for e in sim.errors if "Traceback" in e]
    sim.close(check=False)
    return wire(sim)


@needs_stock
def test_every_definition_is_here() -> None:
    assert set(NEEDS) == set(re.findall(r"#!ifdef (WITH_\w+)", STOCK.read_text()))


@needs_stock
@pytest.mark.parametrize(
    "defines",
    [
        (),
        ("WITH_BLOCK3XX", "WITH_BLOCK401407"),
        ("WITH_PSTN", "WITH_VOICEMAIL", "WITH_JSONRPC", "WITH_MSGREBUILD"),
        ("WITH_ANTIFLOOD",),
        ("WITH_ACCDB", "WITH_USRLOCDB"),
        ("WITH_AUTH",),
        ("WITH_AUTH", "WITH_IPAUTH"),
        ("WITH_ALIASDB", "WITH_SPEEDDIAL"),
        ("WITH_MULTIDOMAIN", "WITH_AUTH", "WITH_USRLOCDB"),
        ("WITH_NAT",),
        ("WITH_NAT", "WITH_NATSIPPING", "WITH_AUTH"),
        ("WITH_NAT", "WITH_RTPENGINE"),
        ("WITH_PRESENCE",),
        ("WITH_TLS", "WITH_AUTH"),
        tuple(name for name in _ALL if name not in _ALONE),
        _ALL,
    ],
    ids=" ".join,
)
def test_the_stock_cfg_and_its_conversion_send_the_same(
    tmp_path: Path, defines: tuple[str, ...], relays: tuple[Relay, Relay]
) -> None:
    lacking = {module for name in defines for module in NEEDS[name]} - _HERE
    if lacking:
        pytest.skip(f"there is no {', '.join(sorted(lacking))}")
    proxy, engine = relays
    database = tmp_path / "kamailio.db"
    given = {**dict.fromkeys(defines, ""), "DBURL": f'"sqlite:///{database}"'}
    cfg = tmp_path / "kamailio.cfg"
    text = STOCK.read_text()
    for old, new in (
        ('pstn.gw_ip = ""', 'pstn.gw_ip = "10.0.0.3"'),
        ('srv_ip = ""', 'srv_ip = "10.0.0.4"'),
        ("udp:127.0.0.1:7722", proxy.url),
        ("udp:127.0.0.1:2223", engine.url),
        ("/etc/kamailio/tls.cfg", str(tls_cfg(tmp_path))),
    ):
        assert old in text
        text = text.replace(old, new)
    cfg.write_text(text)
    write(converted(cfg, given), tmp_path / "python", "kamailio")
    found = []
    for script, defined in ((cfg, given), (tmp_path / "python" / "kamailio.py", {})):
        fill(database)
        sent = played(script, defined, everything, [f"tls:{SERVER}:5061"] if "WITH_TLS" in defines else [])
        found.append((sent, written(database), (proxy.take(), engine.take())))
        database.unlink()
    for native, python in zip(found[0][0], found[1][0], strict=False):
        assert native == python
    assert found[0] == found[1]
    assert len(found[0][0]) > 100
    everything_sent = [f"{to} ".encode() + data for _, _, to, data in found[0][0]]
    for name in SHOWS.keys() & set(defines):
        assert any(re.match(SHOWS[name], sent) for sent in everything_sent), name
    to_proxy, to_engine = map(bool, found[0][2])
    assert to_engine == ({"WITH_NAT", "WITH_RTPENGINE"} <= set(defines))
    assert to_proxy == ("WITH_NAT" in defines and not to_engine)


@pytest.mark.parametrize("defines", [{}, {"WITH_STATS": ""}], ids=["plain", "defined"])
@pytest.mark.parametrize("cfg", sorted((Path(__file__).parent / "converted").glob("*.cfg")), ids=lambda path: path.stem)
def test_other_cfgs_and_their_conversions_send_the_same(tmp_path: Path, cfg: Path, defines: dict[str, str]) -> None:
    write(converted(cfg, defines), tmp_path, cfg.stem)
    native = played(cfg, defines, counting)
    assert played(tmp_path / f"{cfg.stem}.py", {}, counting) == native
    assert len(native) > 40
