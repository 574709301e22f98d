"""Native functions of textops, textopsx, siputils, pv, sanity and xlog in a cfg: the same in Kamailio and here."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from cfgs import KAMAILIO, MESSAGE, Ours, cfg_text, differences, kamailio, request
from native_calls import CALLS, OPTIONS, PARTS

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

BODY = (
    "--bb\r\nContent-Type: text/plain\r\n\r\nplain text\r\n--bb\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=x\r\n"
    "--bb\r\nContent-Type: text/html\r\nX-Part: yes\r\n\r\n<b>\r\n--bb--\r\n"
)
MULTIPART = (
    MESSAGE.partition("Content-Type")[0] + "X-A: 1\r\nX-A: 2\r\nx-b: three\r\nX-A: 3\r\nSubject: again\r\n"
    "Privacy: id;critical\r\nDate: Thu, 26 Nov 2020 04:00:00 GMT\r\n"
    f"Content-Type: multipart/mixed;boundary=bb\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
)
QUERY = MESSAGE.replace("INVITE", "OPTIONS").replace("sip:bob@example.com;x=1", "sip:example.com;x=1")
SET = '$var(h)="Subject"; $var(x)="hello"; $var(i)=1; $xavp(x=>a)="1"; $xavp(x=>b)="2";'


@pytest.mark.parametrize(
    ("calls", "message", "least"), [(CALLS, MESSAGE, 270), (PARTS, MULTIPART, 75), (OPTIONS, QUERY, 15)]
)
def test_calls(tmp_path: Path, calls: str, message: str, least: int) -> None:
    bodies = [f'{SET} {call}; $var(o)=$var(o)+"|"+$rc;' for call in calls.strip().split("\n")]
    assert len(bodies) >= least
    assert not differences(tmp_path, bodies, message)


LINES = r"""
xlog("a $var(x)\n")
xlog("L_ERR","b $var(x)\n")
xlog("L_WARN","b $ru $avp(none) $$\n")
xlog("L_DBG","b\n")
xlog("$var(i)","c $var(x)\n")
xlog("$var(x)","d $var(x)\n")
xlog("LOG_LOCAL3","L_CRIT","e $var(x)\n")
xlogl("f $var(x)\n")
xlogl("L_ALERT","g $var(x)\n")
xlogl("LOG_LOCAL3","L_NOTICE","h $var(x)\n")
xlogm("L_ERR","i $var(x)\n")
xdbg("j $var(x)\n")
xdbgl("k $var(x)\n")
xbug("l $var(x)\n")
xalert("m $var(x)\n")
xcrit("n $var(x)\n")
xerr("o $var(x)\n")
xwarn("p $var(x)\n")
xnotice("q $var(x)\n")
xinfo("r $var(x)\n")
"""
LEVELS = {
    "ALERT": logging.CRITICAL, "BUG": logging.CRITICAL, "CRITICAL": logging.CRITICAL, "ERROR": logging.ERROR,
    "WARNING": logging.WARNING, "NOTICE": 25, "INFO": logging.INFO, "DEBUG": logging.DEBUG,
}  # fmt: skip


def test_log_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kahea.script")
    bodies = [f"{SET} {call}; $var(o)=$rc;" for call in LINES.strip().split("\n")]
    text = cfg_text(bodies).replace("debug=-1", "debug=2")
    ours = Ours(text)
    outs = []
    with kamailio(tmp_path, text) as theirs:
        for number in range(len(bodies)):
            want, have = theirs.run(request(number)), ours.run(request(number))
            assert have.out == want.out
            outs.append(have.out)
        log = theirs.log()
    found = re.findall(r"(\w+): (?:\{[^}]*\} )?(<script>: .*)\n", log)
    wanted = [(LEVELS[level], line) for level, line in found]
    assert [(r.levelno, r.getMessage()) for r in caplog.records if "<script>" in r.getMessage()] == wanted
    assert len(wanted) >= 15
    assert outs.count("-1") == 1
