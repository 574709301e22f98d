"""The parser on arbitrary text: it says what is wrong, and soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kahea.engines.native.check import check
from kahea.engines.native.diagnostics import ERROR, CfgError
from kahea.engines.native.parser import parse_text
from kahea.engines.native.tree import Program

#: What the language is made of, so that random texts get past the first token.
_PIECES = """
    ( ) { } [ ] ; , : . = == != =~ < <= > >= << >> && || | & ^ ~ ! + - * / mod and or not eq ne ieq ine @ $ % ? \\ ' "
    if else switch case default while break return exit drop defined strlen( strempty( selval( (int) (str) route(X)
    route[X] route request_route reply_route onreply_route[1] failure_route[X] branch_route onsend_route
    event_route[tm:local-request] event_route[ xlog("x") is_method( setflag(1) force_rport $ru $var(x) $(ru{s.len})
    $avp($var(y)) $( $x( @ruri.user @via[1] @ 0 1 08 0x1f 101b 99999999999999999999 "a" 'b' "a\\n" "\\ method uri src_ip
    myself 10.0.0.0/8 1.2.3 300.1.1.1 [::1] ::1 udp:127.0.0.1:5060 uri:host msg:len yes no
    debug=1 listen= alias= advertise name virtual loadmodule modparam("tm", flags avpflags a:1 cfgengine loadpath
    socket={ bind= grp.x=1 desc socket= coreparam[
    # // /* */
"""
DIRECTIVES = [
    "\n#!define A 1\n", "\n#!define A B\n", "\n#!define B A\n", "\n#!define C A A\n", "\n#!redefine A C\n",
    "\n#!trydef A (\n", "\n#!ifdef A\n", "\n#!ifndef A\n", "\n#!else\n", "\n#!endif\n", "\n#!endif x\n",
    '\n#!subst "/a/b/g"\n', '\n#!subst "/(/b/"\n', '\n#!substdef "!A!x!"\n', '\n#!substdefs "!A!x!g"\n',
    "\n#!subst x\n", "\n#!defenv HOME\n", "\n#!trydefenvs A=\n", '\ninclude_file "none"\n', '\nimport_file "none"\n',
    "\n!!define A \\\n", " A ", " B ", " C ",
]  # fmt: skip
texts = st.lists(
    st.sampled_from([*_PIECES.split(), *DIRECTIVES, "\n", "\x00", "é", "\udc80"]) | st.text(max_size=3), max_size=60
)


def parse(text: str) -> Program | CfgError:
    """The program, or the one error that may be raised."""
    started = time.process_time()
    try:
        result: Program | CfgError = parse_text(text, "fuzz.cfg", {"D": "x"})
    except CfgError as error:
        result = error
    assert time.process_time() - started < 10  # on the slowest machine; what is quadratic takes minutes
    return result


def hold_places(error: CfgError, text: str) -> None:
    """Every error has a place in the text."""
    lines = text.split("\n")
    for found in error.diagnostics:
        assert 1 <= found.place.line <= len(lines)
        assert 1 <= found.place.column <= len(lines[found.place.line - 1]) + 1
        assert found.message


@given(
    texts, st.sampled_from(["", " "]), st.sampled_from(["%s", "request_route {\n%s\n}", "route[X] { if (%s) exit; }"])
)
@settings(max_examples=400, deadline=None)
def test_pieces_of_the_language(pieces: list[str], between: str, frame: str) -> None:
    text = frame.replace("%s", between.join(pieces))
    result = parse(text)
    if isinstance(result, CfgError):
        hold_places(result, text)


@given(st.text())
@settings(max_examples=100, deadline=None)
@example("$var(")
@example("\n" * 1000 + '"')
def test_any_text(text: str) -> None:
    result = parse(text)
    if isinstance(result, CfgError):
        hold_places(result, text)


@given(texts)
@settings(max_examples=60, deadline=None)
def test_check_comes_to_an_end(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.cfg"
    path.write_text("request_route {\n" + " ".join(pieces) + "\n}\n", "utf-8", "surrogateescape")
    found = check(path, {})
    assert all(d.message for d in found.diagnostics)


@pytest.mark.parametrize(
    "body",
    [
        "if ($rm == 1) exit; " + "else if ($rm == 2) exit; " * 400,
        "if (" + " || ".join(f"$rU == {i}" for i in range(400)) + ") exit;",
        "if (" + " && ".join(f'is_method("A{i}")' for i in range(400)) + ") exit;",
        "$var(x) = " + " + ".join(f'"{i}"' for i in range(2000)) + ";",
        "$var(x) = " + " - ".join(map(str, range(400))) + ";",
        "switch ($rU) { " + " ".join(f"case {i}: exit;" for i in range(1000)) + " }",
        "if (1) { " * 50 + "exit;" + " }" * 50,
        "$var(x) = 1; " * 5000,
    ],
    ids=lambda body: body[:24],
)
def test_long_programs_are_compiled(tmp_path: Path, body: str) -> None:
    path = tmp_path / "long.cfg"
    path.write_text(f'loadmodule "textops.so"\nrequest_route {{\n{body}\n}}\n')
    assert not [d for d in check(path, {}).diagnostics if d.level == ERROR]


STOCK = Path("/etc/kamailio/kamailio.cfg")


@pytest.mark.skipif(not STOCK.exists(), reason="Debian's kamailio is not installed")
@given(
    st.integers(0, 30_000),
    st.integers(0, 40),
    st.sampled_from(["", "(", ")", "{", "}", '"', ";", "\n#!endif\n", "/*", "$"]),
)
@settings(max_examples=60, deadline=None)
def test_the_stock_cfg_with_a_piece_replaced(at: int, size: int, by: str) -> None:
    text = STOCK.read_text()
    text = text[:at] + by + text[at + size :]
    result = parse(text)
    if isinstance(result, CfgError):
        hold_places(result, text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "request_route {" * 20_000,
        "request_route { $var(x) = " + "(" * 50_000,
        "request_route { $var(x) = " + "!" * 50_000 + "1; }",
        "request_route { $var(x) = 1" + " + 1" * 30_000 + "; }",
        "request_route { if (1) exit; " + "else if (1) exit; " * 5_000 + "}",
        "request_route { " + "if (1) " * 20_000 + "exit; }",
        "request_route { $var(x) = " + "9" * 100_000 + "; }",
        "a " * 200_000,
        "a=" * 100_000,
        "listen=" + "a." * 100_000,
        "listen=" + "127.0.0.1 " * 20_000,
        '"' + "\\" * 100_000,
        '"a" ' * 50_000,
        "$(" * 50_000,
        "$var(" * 20_000,
        "$(" * 20_000 + ")" * 20_000,
        "$(x[" * 20_000 + ")" * 20_000,
        "[" * 100_000,
        ":" * 100_000,
        "a:" * 100_000,
        "1." * 100_000,
        "/*" * 100_000,
        "#!ifdef A\n" * 20_000,
        "#!else\n" * 20_000,
        "".join(f"#!define A{i} A{i + 1} A{i + 1}\n" for i in range(40)) + "A0",
        "#!define A A A\nA",
        "@a" + "[1]" * 50_000 + "x",
        "@a" + ".b" * 50_000 + "[",
        "route[a] { exit; }\n" * 5_000,
        "\n".join("}" * 20_000),
    ],
    ids=lambda text: text[:24].replace("\n", " "),
)
def test_a_lot_of_something(text: str) -> None:
    parse(text)
