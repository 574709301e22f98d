"""`t_write_req()`, `t_write_unix()` and `tw_append`: what programs read of a request, as Kamailio writes it."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import KAMAILIO, PATIENCE, Server, compared, request

from kahea.modules.tm.described import parse_group
from kahea.modules.tm.local_programs import Fifos, send_datagram
from kahea.routing.dispatch import Pool
from kahea.routing.module import ConfigError
from kahea.testing import Simulation

CFG = """
modparam("tm", "tw_append", "test: ua=hdr[User-Agent] ; avp[i:10];avp[s:two];AVP[num];x = avp[num];hdr[via];msg[BODY]")
modparam("tm", "tw_append", " a/b :hdr[f];cl=hdr[Content-Length];hdr[X-Fold];hdr[Record-Route];hdr[None];avp[none]")
modparam("tm", "tw_append", "")
modparam("tm", "tw_append", "all:msg[body];b=msg[body]")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if (is_method("ACK")) exit;
    $avp(i:10) = "nine"; $avp(i:10) = "ten"; $avp(two) = "2\\n2"; $avp(num) = 77;
    $var(do) = $hdr(X-Do);
    append_hf("User-Agent: mine\\r\\n");
    if ($var(do) == "applied") { append_hf("Record-Route: <sip:new;lr>\\r\\n"); msg_apply_changes(); }
    if ($var(do) != "none" && !t_newtran()) { sl_send_reply("400", "no transaction"); exit; }
    if ($var(do) == "rport") force_rport();
    if ($var(do) == "lrport") add_local_rport();
    if ($var(do) == "rr") record_route();
    if ($var(do) == "uri") { $rU = "other"; $rd = "there.example"; $rp = "77"; $du = "sip:@SINK"; }
    if ($var(do) == "fail") { $du = "sip:@SINK"; t_on_failure("FAILED"); t_relay(); exit; }
    if ($var(do) == "test") t_write_unix("{folder}/s", "do/test");
    else if ($var(do) == "a/b") t_write_unix("{folder}/s", "do it/a/b");
    else if ($var(do) == "all") t_write_unix("{folder}/s", "$rU/all");
    else if ($var(do) == "fifo") t_write_req("{folder}/fifo", "fifo/test");
    else if ($var(do) == "file") t_write_req("{folder}/file", "file");
    else if ($var(do) == "full fifo") t_write_req("{folder}/full fifo", "do");
    else if ($var(do) == "unread") t_write_req("{folder}/unread", "do");
    else if ($var(do) == "no fifo") t_write_req("{folder}/none", "do");
    else if ($var(do) == "no socket") t_write_unix("{folder}/none", "do");
    else if ($var(do) == "no name") t_write_unix("", "do");
    else if ($var(do) == "to file") t_write_unix("{folder}/file", "do");
    else if ($var(do) == "stream") t_write_unix("{folder}/stream", "do");
    else if ($var(do) == "full") t_write_unix("{folder}/full", "do");
    else if ($var(do) == "literal") t_write_unix("{folder}/$rU", "do");
    else t_write_unix("{folder}/s", "do");
    $var(rc) = "rc " + $rc;
    if ($var(do) == "wait") exit;
    if (!t_reply("480", "$var(rc)")) sl_send_reply("480", "$var(rc)");
}
failure_route[FAILED] {
    t_write_unix("{folder}/s", "failed/test");
    t_reply("480", "$rc");
}
"""
MODULES = ("rr", "textops", "textopsx", "siputils", "nathelper", "corex")

RECORDED = 'Record-Route: <sip:1.2.3.4>\r\nRecord-Route: <sip:a@1.2.3.5;lr;x=y>, "N" <sip:9.9.9.9;lr>;p=1\r\n'
LOOSE = "Record-Route: <sip:1.2.3.4;lr=on>,<sip:3;lr>\r\n"
FOLDED = "X-Fold: a\r\n b\r\nUser-Agent: UA/1\r\n"
CONTACT = "Contact: <sip:alice@@CALLER>\r\n"
SENDER = '"Alice" <sip:alice@example.com>'
#: What is to be done; the method; headers; texts of the request that stand otherwise; the body.
Case = tuple[str, str, str, tuple[tuple[str, str], ...], str]
CASES: list[Case] = [
    *((do, "INVITE", FOLDED, (), "v=0\r\no=x\r\n") for do in (
        "plain", "test", "a/b", "all", "rport", "lrport", "rr", "uri", "applied", "literal", "none",
        "no fifo", "no socket", "no name", "unread", "full fifo", "to file", "stream", "full", "fifo", "file")),
    *(("plain", method, "", (), "body") for method in (
        "MESSAGE", "INFO", "OPTIONS", "BYE", "NOTIFY", "UPDATE", "REGISTER", "PUBLISH", "OTHER")),
    *((do, "OPTIONS", FOLDED, (), "body") for do in ("test", "a/b", "all")),
    ("test", "BYE", "", (), ""),
    ("plain", "INVITE", "", (), ""),
    *(("plain", "INVITE", recorded, (), "") for recorded in (
        LOOSE, RECORDED, "Record-Route: <sip:1.2.3.4>\r\n", "Record-Route: <sip:1.2.3.4>, <sip:5.6.7.8>\r\n",
        "Record-Route: bad\r\n")),
    *(("plain", "INVITE", recorded, ((CONTACT, contact),), "") for recorded in ("", RECORDED, LOOSE) for contact in (
        "", "Contact: *\r\n", "Contact: <bad\r\n", "Contact: sip:q@w;expires=4\r\n",
        'Contact: "N" <sip:1@w;x=y>;q=1, <sip:2@w>;q=1,<sip:3@w>\r\nm: <sip:4@w>\r\n')),
    *(("plain", "INVITE", "", ((SENDER, sender),), "") for sender in (
        "<sip:f@x.org>;a=b", "sip:f@x.org", "Fr   <sip:f@x.org>   ;q")),
    *(("plain", "INVITE", "", (("To: <sip:bob@example.com>", to),), "") for to in (
        't: "T o" <sip:t@x.org> ;tag=x ;y=z', "To: sip:t@x.org;tag=5", 'To: "T"<sip:t@x.org>;x="a;b"\r\n ;y',
        "To:   <sip:t@x.org>;y=z  ")),
    *(("plain", "INVITE", "", (("sip:bob@example.com SIP", f"{uri} SIP"),), "") for uri in (
        "sip:example.org", "tel:+123", "tel:+123;x=y", "sip:a:pw@127.0.0.2:5;x=y?h=2", "sip:a%40@[::1]:5",
        "sip:a;q=1@there.example")),
    ("plain", "INVITE", "", (("CSeq: 1", "CSeq:   001"),), ""),
]  # fmt: skip


class Programs:
    """What listens in a server's folder."""

    def __init__(self, server: Server) -> None:
        folder = server.folder
        kinds = {"s": socket.SOCK_DGRAM, "full": socket.SOCK_DGRAM, "stream": socket.SOCK_STREAM}
        self.sockets = {name: socket.socket(socket.AF_UNIX, kind) for name, kind in kinds.items()}
        for name, each in self.sockets.items():
            each.bind(str(folder / name))
            each.settimeout(PATIENCE)
        self.sockets["stream"].listen()
        fill(folder / "full")
        for name in ("fifo", "unread", "full fifo"):
            os.mkfifo(folder / name)
        self.file = folder / "file"
        self.file.write_bytes(b"")
        self.fifos = {name: os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK) for name in ("fifo", "full fifo")}
        writer = os.open(folder / "full fifo", os.O_WRONLY | os.O_NONBLOCK)
        os.write(writer, bytes(1 << 20))
        os.close(writer)

    def read(self, server: Server, do: str) -> str:
        """What was written for this; the transaction's name and the port are blanked."""
        if do == "file":
            got = self.file.read_bytes()
        elif do == "fifo":
            got = os.read(self.fifos["fifo"], 65536)
        else:
            got = self.sockets["s"].recv(65536)
        text = re.sub(r"\n\d+:\d+\n", "\nID\n", server.blank(got.decode()))
        return text.replace(f"\n{server.ports['@UDP']}\n", "\nPORT\n")

    def close(self) -> None:
        """Let go of all."""
        for each in self.sockets.values():
            each.close()
        for fifo in self.fifos.values():
            os.close(fifo)


def acknowledged(reply: str) -> str:
    """The ACK to a failure of an INVITE."""
    lines = [line.replace("INVITE", "ACK") if line.startswith("CSeq") else line for line in reply.split("\r\n")]
    kept = [line for line in lines if re.match(r"(Via|From|To|Call-ID|CSeq|t):| ", line)]
    return "\r\n".join(["ACK sip:bob@example.com SIP/2.0", *kept, "Content-Length: 0", "", ""])


def fill(path: Path) -> None:
    """Send to a datagram socket until it has no room."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(str(path))
        try:
            while True:
                sender.send(b"x")
        except BlockingIOError:
            return


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_programs_read_what_kamailio_writes(tmp_path_factory: pytest.TempPathFactory) -> None:
    def played(server: Server, programs: Programs, number: int, case: Case) -> tuple[str, str]:
        do, method, headers, changes, body = case
        text = request(method, "sip:bob@example.com", f"X-Do: {do}\r\n{headers}", callid=f"c{number}", body=body)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        server.caller.send(text)
        while f"\r\nCall-ID: c{number}\r\n" not in (reply := server.caller.expect("SIP/2.0 4")):
            pass
        if method == "INVITE":
            server.caller.send(acknowledged(reply))
        answer = reply.partition("\r\n")[0]
        return answer, programs.read(server, do) if answer.endswith("rc 1") else ""

    def scenario(server: Server) -> list[tuple[str, str]]:
        programs = Programs(server)
        try:
            out = [played(server, programs, number, case) for number, case in enumerate(CASES)]
            server.caller.send(request("INVITE", "sip:bob@example.com", f"X-Do: fail\r\n{RECORDED}", callid="fail"))
            server.sink.reply(server.sink.expect("INVITE"), "486 Busy")
            out.append((server.caller.expect("SIP/2.0 480").partition("\r\n")[0], programs.read(server, "fail")))
            server.caller.send(request("INVITE", "sip:bob@example.com", "X-Do: wait\r\n", callid="wait"))
            name = programs.sockets["s"].recv(65536).decode().split("\n")[15]
            assert server.rpc("tm.reply", "486", "Busy", name, "tag9", "X-H: 1\r\n", "why").strip() == ""
            return [*out, ("tm.reply", server.caller.expect("SIP/2.0 486"))]
        finally:
            programs.close()

    theirs, ours = compared(tmp_path_factory.mktemp("w"), CFG, MODULES, scenario)
    cases = [*CASES, "fail", "tm.reply"]
    assert not [trio for trio in zip(cases, theirs, ours, strict=True) if trio[1] != trio[2]]
    written = [text for _answer, text in ours if text]
    assert len(written) > 50
    assert "P-MsgFlags: 09\n" in ours[-2][1]
    assert ours[-1][1].endswith("why")


@pytest.mark.parametrize(
    "given",
    [
        "test", "test:", "test:abc", "test:$ru", "te st:hdr[x]", ":hdr[x]", "test:msg[head]", "test:pv[x]",
        "test:hdr[]", "test:hdr[x];", "test:hdr[x];;hdr[y]", "test:hdr[ x ]", "test:hdr [x]", "test:a b=hdr[x]",
        "test:hdr[x] y",
        "test:=hdr[x]", "test: ;hdr[x]", "test:a=b=hdr[x]", "test::hdr[x]", "test:hdr[1;2]", "test:avp[i:x]",
        "test:avp[a:b]", "test:avp[$x]", "test:avp[]",
    ],
)  # fmt: skip
def test_what_is_no_group(given: str) -> None:
    """Kamailio 5.6.3 refuses each of these, too."""
    with pytest.raises(ValueError, match=r"expected|no AVP|is none of"):
        parse_group(given)


@pytest.mark.parametrize(
    ("action", "why"),
    [("do/known", ""), ("do/other", "no group 'other'"), ("/known", "expected"), ("do/", "expected")],
)
def test_groups_are_known_when_a_cfg_is_loaded(action: str, why: str) -> None:
    cfg = f"""#!KAMAILIO
listen=udp:10.0.0.9:5060
loadmodule "tm.so"
modparam("tm", "tw_append", "known:msg[body]")
request_route {{ t_write_unix("/s", "{action}"); }}
"""
    with Simulation() as simulation:
        if why:
            with pytest.raises(ConfigError, match=why):
                simulation.node(cfg)
        else:
            simulation.node(cfg)


def test_a_group_is_declared_once() -> None:
    script = "def ksr_request_route():\n    pass\n"
    with Simulation() as simulation, pytest.raises(ConfigError, match="'one' is declared twice"):
        simulation.node(script, "udp:10.0.0.9:5060", modules={"tm": {"tw_append": ["one:hdr[a]", "one:hdr[b]"]}})


def test_scripts_write_to_programs(tmp_path: Path) -> None:
    script = f"""import KSR
def ksr_request_route(msg=None):
    codes = [KSR.tm.t_write_unix("{tmp_path}/s", "early")]
    KSR.tm.t_newtran()
    codes.append(KSR.tm.t_write_unix("{tmp_path}/s", "do/one"))
    codes.append(KSR.tm.t_write_unix("{tmp_path}/s", "do/other"))
    codes.append(KSR.tm.t_write_req("{tmp_path}/none", "do/one"))
    codes.append(KSR.tm.t_write_req("\\0", "do/one"))
    KSR.tm.t_reply(480, ",".join(str(code) for code in codes))
"""
    with Simulation() as simulation, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
        program.bind(str(tmp_path / "s"))
        simulation.node(script, "udp:10.0.0.9:5060", modules={"tm": {"tw_append": ["one:hdr[Call-ID];c=hdr[CSeq]"]}})
        alice = simulation.ua("alice", "udp:10.0.0.1:5060")
        answer = alice.request("OPTIONS", "sip:bob@10.0.0.9").wait()
        assert answer.reason == "-1,1,-1,-1,-1"
        text = program.recv(65536).decode()
        assert text.startswith("0.3\nsip_request.do\nOPTIONS\nbob\n10.0.0.9\n10.0.0.9\n5060\n")
        assert len(simulation.errors) == 4
        simulation.errors.clear()
        assert re.search(r"\nCall-ID: \S+\nc: \d+ OPTIONS\n\.\n\.\n$", text)


def written(write: Callable[[], None], meanwhile: Callable[[], None]) -> tuple[str, bool]:
    """What became of a write in a run of a script, and whether the loop went on before its end, which `meanwhile` may
    bring about."""

    async def play() -> tuple[str, bool]:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def work() -> None:
            try:
                write()
            except OSError as error:
                ended.set_result(type(error).__name__)
            else:
                ended.set_result("written")

        Pool().run(work)
        waited = not ended.done()
        meanwhile()
        return await asyncio.wait_for(ended, PATIENCE), waited

    return asyncio.run(play())


def test_a_full_socket_holds_up_one_run_only(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
        program.bind(path)
        fill(Path(path))
        assert written(lambda: send_datagram(path, b"late", 0.05), lambda: None) == ("TimeoutError", True)
        assert written(lambda: send_datagram(path, b"soon", PATIENCE), lambda: program.recv(1) and None) == (
            "written", True)  # fmt: skip
        program.setblocking(False)
        got = [program.recv(10)]
        while got[-1] == b"x":
            got.append(program.recv(10))
        assert got[-1] == b"soon"


def test_a_slow_reader_of_a_fifo_gets_all_or_its_writer_gives_up(tmp_path: Path) -> None:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    fifos = Fifos()
    with pytest.raises(OSError, match="No such device"):
        fifos.write(path, b"nobody reads", 1)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    data = bytes(range(256)) * 1024  # more than a pipe holds
    got = bytearray()

    def others_wait_and_then_read() -> None:
        with pytest.raises(BlockingIOError, match="part of another"):
            fifos.write(path, b"other", 1)
        asyncio.get_running_loop().add_reader(reader, lambda: got.extend(os.read(reader, 65536)))

    try:
        assert written(lambda: fifos.write(path, data, PATIENCE), others_wait_and_then_read) == ("written", True)
        got += os.read(reader, 1 << 20)
        assert bytes(got) == data
        assert written(lambda: fifos.write(path, data, 0.05), lambda: None) == ("TimeoutError", True)
        assert written(lambda: fifos.write(path, b"full", 0.05), lambda: None) == ("BlockingIOError", False)
    finally:
        os.close(reader)
