"""exec beside Kamailio's: what commands are told and what comes of them; and that a message adds no command."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import time
from pathlib import Path

import cfgs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.modules.exec import environment, escaped, quoting
from kahea.sip.message import parse

needs_kamailio = pytest.mark.skipif(cfgs.KAMAILIO is None, reason="needs a real Kamailio to compare with")

MESSAGE = cfgs.MESSAGE.replace(
    "Subject: hello world",
    'Subject: first\r\nm: <sip:x@y>\r\nX-Multi: a\r\nX-Multi: b\r\nX-Quote: it\'s $(id) `id` "x"; echo hi\r\ns: second',
)


async def ours(text: str, count: int, message: str = MESSAGE) -> list[str | None]:
    node = cfgs.Ours(text)
    return [(await node.wait(cfgs.request(n, message))).out for n in range(count)]


@needs_kamailio
def test_commands_as_in_kamailio(tmp_path: Path) -> None:
    """Codes, lines and variables; what the commands were told is read from files that they write."""
    told = tmp_path / "told"
    told.mkdir()
    bodies = [
        f"exec_msg('env | sort | grep ^SIP_ | grep -v SIP_TID | grep -v SIP_ORURI > {told}/@; cat >> {told}/@');"
        " $var(o) = $rc;",
        f"$ru = 'sip:new@host'; exec_msg('env | sort | grep ^SIP_RURI > {told}/@'); $var(o) = $rc;",
        f"exec_cmd('env | grep -c ^SIP_ > {told}/@'); $var(o) = $rc;",
        f"exec_cmd('echo $rU $$HOME > {told}/@'); $var(o) = $rc;",
        f"exec_dset('echo > {told}/@ a; echo sip:z@z #'); $var(o) = '' + $rc + $ru;",
        "exec_cmd('exit 3'); $var(o) = $rc;",
        "exec_msg('/nonexistent'); $var(o) = $rc;",
        "exec_cmd(''); $var(o) = $rc;",
        "if (exec_cmd('exit 1')) { $var(o) = 't'; } else { $var(o) = 'f' + $rc; }",
        "exec_avp('echo one; echo; echo three'); $var(o) = '' + $rc + $avp(i:1) + '|' + $avp(i:2) + '|' + $avp(i:3);",
        "exec_avp('echo one; echo two', '$avp(a);$avp(s:b)'); $var(o) = '' + $rc + $avp(a) + '|' + $avp(b);",
        "exec_avp('echo one; echo two; echo x', '$avp(c)'); $var(o) = '' + $rc + $avp(c) + $cnt($avp(c));",
        "exec_avp('exit 1'); $var(o) = $rc;",
        "exec_avp('true'); $var(o) = $rc;",
        "exec_avp('echo x; exit 1'); $var(o) = '' + $rc + $avp(i:1);",
        "exec_avp('printf nonl'); $var(o) = '' + $rc + $avp(i:1);",
        "$avp(i:1) = 'old'; exec_avp('echo new'); $var(o) = '' + $avp(i:1) + $cnt($avp(i:1));",
        "exec_dset('echo sip:one@x.y; echo; echo sip:two@x.y #'); $var(o) = '' + $rc + $ru + '|' + $branch(count);",
        "exec_dset('true'); $var(o) = '' + $rc + $ru;",
        "exec_dset('echo sip:a@b; exit 1 #'); $var(o) = '' + $rc + $ru;",
        "exec_dset('echo'); $var(o) = '' + $rc + $ru;",
    ]
    bodies = [
        body.replace("@'", f"{n}'").replace("/@;", f"/{n};").replace("/@ ", f"/{n} ") for n, body in enumerate(bodies)
    ]
    text = cfgs.cfg_text(bodies, "", ("exec",))

    def files() -> dict[str, str]:
        found = {path.name: path.read_text() for path in told.iterdir()}
        for path in told.iterdir():
            path.unlink()
        return found

    with cfgs.kamailio(tmp_path, text) as kamailio:
        theirs = [kamailio.run(cfgs.request(n, MESSAGE)).out for n in range(len(bodies))]
    told_there = files()
    here = asyncio.run(ours(text, len(bodies)))
    assert [x for x in zip(bodies, theirs, here, strict=True) if x[1] != x[2]] == []
    assert files() == told_there
    assert len(told_there) == 5


def test_a_message_adds_no_command(tmp_path: Path) -> None:
    """A value is one argument, wherever the variable stands; and the environment is not evaluated."""
    hostile = (
        f"$(touch {tmp_path}/a) `touch {tmp_path}/b` '; touch {tmp_path}/c; ' \" ; touch {tmp_path}/d; \" \\ | & x"
    )
    out = tmp_path / "out"
    bodies = [
        f"exec_cmd('printf %s $hdr(X-Quote) > {out}'); $var(o) = $rc;",
        f"exec_cmd(\"printf %s '$hdr(X-Quote)' > {out}\"); $var(o) = $rc;",
        f"exec_cmd('printf %s \"$hdr(X-Quote)\" > {out}'); $var(o) = $rc;",
        f"exec_msg('printf %s \"$$SIP_HF_X_QUOTE\" > {out}'); $var(o) = $rc;",
        f"$ru = 'sip:' + \"a';touch$$IFS{tmp_path}/e;'\" + '@b'; exec_dset('true > {out}; echo'); $var(o) = $rc;",
    ]
    message = re.sub(r"X-Quote: [^\r]*", lambda _: f"X-Quote: {hostile}", MESSAGE)

    async def run() -> None:
        node = cfgs.Ours(cfgs.cfg_text(bodies, "", ("exec",)))
        for number in range(len(bodies)):
            await node.wait(cfgs.request(number, message))
            if number < 4:
                assert out.read_text() == hostile, bodies[number]

    asyncio.run(run())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@given(WORDS.filter(bool))
def test_an_escaped_value_is_read_back(value: str) -> None:
    """By a reader of shell syntax, in each kind of quotes."""
    assert shlex.split(f"echo {escaped(value, '')}") == ["echo", value]
    single = f"'{escaped(value, chr(39))}'"
    assert shlex.split(f"echo {single}") == ["echo", value]
    assert quoting(f"a '{escaped(value, chr(39))}") == "'"
    assert quoting(f'a "{escaped(value, chr(34))}') == '"'


def test_a_shell_reads_escaped_values_back() -> None:
    value = "a'b\"c$(id)`id`\\ $HOME !x\n|;&*?[]{}~#"
    for quote in ("", "'", '"'):
        command = f"printf %s {quote}{escaped(value, quote)}{quote}"
        assert subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True).stdout == value


def test_a_command_is_bounded(tmp_path: Path) -> None:
    """In time, with what it started; in output; and in number."""
    bodies = [
        f"exec_cmd('(sleep 2; touch {tmp_path}/late) & sleep 20'); $var(o) = $rc;",
        "exec_avp('yes'); $var(o) = $rc;",
    ]
    extra = 'modparam("exec", "time_to_kill", 1)\nmodparam("exec", "max_processes", 1)'

    async def run() -> list[str | None]:
        node = cfgs.Ours(cfgs.cfg_text(bodies, extra, ("exec",)))
        first = asyncio.ensure_future(node.wait(cfgs.request(0)))
        while not node.node.module("exec")._shell.running:
            await asyncio.sleep(0)
        node.node.on_datagram(node.wire, cfgs.request(1), cfgs.Address.of("127.0.0.1", cfgs.CALLER))
        await first  # told of what was sent first: the refusal's
        while node.node.pool.in_flight:
            node.wire.arrived = asyncio.Event()
            await asyncio.wait_for(node.wire.arrived.wait(), 5)
        return re.findall(r"X-Out: (.*)\r", "".join(node._outcome().sink))

    began = time.monotonic()
    assert asyncio.run(run()) == ["-1", "-1"]
    assert time.monotonic() - began < 1.9
    assert asyncio.run(ours(cfgs.cfg_text(bodies[1:], "", ("exec",)), 1)) == ["-1"]
    assert not (tmp_path / "late").exists()


def test_the_environment_has_no_nul_and_every_name() -> None:
    raw = cfgs.request(1, MESSAGE.replace("X-Multi: a", "X-Odd.Name: a\0b").replace("Call-ID", "i"))
    found = environment(parse(raw))
    assert found["SIP_HF_CALLID"] == "call@x"
    assert found["SIP_HF_SUBJECT"] == "first,second"
    assert found["SIP_HF_X_ODD_NAME"] == "ab"
    assert all("\0" not in value for value in found.values())
