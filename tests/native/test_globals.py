"""Global parameters whose effect shows on the wire, beside Kamailio's."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import pytest

from .wire import KAMAILIO, PING, Stage, both, first_line, lines

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="kamailio is not installed")
MODULES = "\n".join(
    f'loadmodule "{name}.so"' for name in ("tm", "sl", "pv", "textops", "textopsx", "xlog", "siputils", "rr", "corex")
)

REPLIES = f"""
listen=udp:@SERVER
check_via=yes
local_rport=yes
sip_warning=1
onsend_route_reply=yes
received_route_mode=1
{MODULES}
request_route {{{PING}
    if ($rU == "stateless") {{ sl_send_reply("404", "Not Found"); exit; }}
    if ($rU == "stateful") {{ t_newtran(); t_reply("486", "Busy"); exit; }}
    $du = "sip:@CALLEE";
    if ($rU == "forward") {{ forward(); exit; }}
    t_relay();
}}
onsend_route {{
    xlog("onsend $mt $rm $rs to $sndto(ip):$sndto(port), $(snd(buf){{s.select,0,\\r}})\\n");
    if ($rs == 202) {{ drop; }}
}}
event_route[core:msg-received] {{
    xlog("received something\\n");
    if ($rm != "OPTIONS") {{ xlog("but not here\\n"); }}
}}
"""


def _stray(host: str) -> str:
    return (
        f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bKtesta\r\n"
        "Via: SIP/2.0/UDP @CALLER;branch=z9hG4bKtestb\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=there\r\n"
        "Call-ID: stray\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )


def replies(s: Stage) -> list[object]:
    """Our own replies, those that we pass on, and those that are not ours."""
    found: list[object] = []
    for user in ("stateless", "stateful"):
        s.send(s.request("OPTIONS", f"sip:{user}@example.com"))
        found.append(lines(s.receive(), "Warning", "Via"))
    for user, status in (("forward", "200 OK"), ("relay", "200 OK"), ("forward", "202 Hidden")):
        s.send(s.request("OPTIONS", f"sip:{user}@example.com"))
        request = s.raw(s.callee)
        found.append(lines(s.blank(request), "Via"))
        s.answer(request, status)
        found.append(first_line(s.receive(wait=0.2 if status.startswith("202") else 5)))
    s.send(_stray("10.9.9.9"), s.callee)
    s.send(_stray("@SERVER"), s.callee)
    found.append(lines(s.receive(), "Via"))
    s.quiet()
    found.append(s.receive(wait=0))
    found.append([line for line in s.logged(r"(?:<script>: )(onsend .*)") if "ping" not in line])
    found.append((s.log.count("received something") > 8, "but not here" in s.log))
    return found


def test_replies(tmp_path: Path) -> None:
    both(REPLIES, tmp_path, replies)


PARSING = f"""
listen=udp:@SERVER
listen=tcp:@SERVER
PARAMETERS
{MODULES}
request_route {{{PING}
    if ($rU == "negative") {{ return -1; }}
    if ($rU == "zero") {{ return 0; }}
    if ($rU == "exit") {{ exit; }}
    if ($rU == "answered") {{ sl_send_reply("200", "OK"); return -5; }}
    append_to_reply("X: user=$rU host=$rd scheme=$rz\\r\\n");
    if ($rd == "new.example") {{ $rU = "777"; append_to_reply("Y: $ru\\r\\n"); }}
    sl_send_reply("200", "OK");
}}
reply_route {{ xlog("reply $rs\\n"); }}
"""


def parsing(s: Stage) -> list[object]:
    """What is taken for a message, and how the parts of its URI are cut; when a connection is closed."""
    found: list[object] = []
    for uri in (
        "sip:+12;x=1@new.example;user=phone",
        "sip:a;x=1@new.example",
        "sip:a@b!c",
        "sip:a@b$c",
        "tel:+123;phone-context=+1",
    ):
        s.send(s.request("OPTIONS", uri))
        found.append(lines(s.receive(), "X", "Y"))
    s.send(s.request("OPTIONS", headers="To: <sip:second@example.com>\r\n"))
    s.quiet()  # whatever was answered to a second To came before this
    for user in ("negative", "zero", "exit", "answered", "fine"):
        with s.connected() as c:
            request = s.request("OPTIONS", f"sip:{user}@example.com", proto="TCP")
            found.append((user, s.over(c, request, 0.15), s.heard(c, 0.15)))
    http = _stray("@SERVER").replace("SIP/2.0 200", "HTTP/1.1 200", 1)
    with s.connected() as c:
        found.append(s.over(c, http.replace("\r\nVia: SIP/2.0/UDP @SERVER", "\r\nVia: SIP/2.0/TCP @SERVER"), 0.15))
    s.quiet()
    found.append(s.log.count("reply 200"))
    return found


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        'phone2tel=0\ntcp_script_mode=1\nhttp_reply_hack=yes\nuri_host_extra_chars="!$"\nsip_parser_mode=0',
    ],
)
def test_parsing(tmp_path: Path, parameters: str) -> None:
    both(PARSING.replace("PARAMETERS", parameters), tmp_path, parsing)


SLOW = f"""
listen=udp:@SERVER
latency_cfg_log=-1
latency_limit_cfg=150000
latency_limit_action=150000
latency_limit_db=1
latency_log=-1
stats_name_separator="."
{MODULES}
loadmodule "cfgutils.so"
loadmodule "db_sqlite.so"
loadmodule "acc.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "kex.so"
modparam("acc", "db_url", "sqlite:///DATABASE")
modparam("usrloc", "preload", "location")
modparam("usrloc", "db_mode", 0)
request_route {{{PING}
    if ($rU == "quick") {{ sl_send_reply("200", "Quick"); exit; }}
    if ($rU == "slow") {{ usleep("200000"); sl_send_reply("200", "Slow"); exit; }}
    if ($rU == "sql") {{ acc_db_request("1 a", "acc"); sl_send_reply("200", "SQL"); exit; }}
    save("location", "2");
    sl_send_reply("200", "$stat(location.users)");
}}
"""


def slow(s: Stage) -> list[object]:
    """What the log tells of, after each request; what statistics are named."""
    found: list[object] = []
    for user in ("quick", "slow", "sql"):
        before = len(s.log)
        s.send(s.request("OPTIONS", f"sip:{user}@example.com"))
        found.append(first_line(s.receive()))
        s.quiet()
        if user == "sql":
            found.append(len(s.logged("(?i)took .* insert into acc|too long .*insert into acc")))
        log = s.log[before:]
        found.append([len(re.findall(each, log)) for each in (r"request.route executed", r"usleep.*took")])
    s.send(s.request("REGISTER", "sip:register@example.com", "Contact: <sip:alice@@CALLER>\r\n"))
    found.append(first_line(s.receive()))
    return found


def test_what_takes_long_and_names_of_statistics(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "acc.db")) as db:
        for name in ("standard", "acc"):
            db.executescript(Path(f"/usr/share/kamailio/db_sqlite/{name}-create.sql").read_text())
    both(SLOW.replace("DATABASE", str(tmp_path / "acc.db")), tmp_path, slow)
