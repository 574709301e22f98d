"""Definitions, substitutions and includes: what they make of a cfg, beside Kamailio, and where errors in it are said to
be."""

from __future__ import annotations

from pathlib import Path

import pytest

from kahea.engines.native.diagnostics import CfgError
from kahea.engines.native.parser import parse_file, parse_text
from kahea.engines.native.tree import Assign, Evaluate, GlobalParameter, Program, String

from . import both

#: Small and large letters apart, so that no substitution changes what the harness writes.
DEFINITIONS = r"""
#!define DA "define-a"
#!define DB DA
#!def DC "c" # comment
#!define DD "d" /* c */
#!define DE "e1" \
 "e2"
#!define DF "f1\
f2"
#!define DG 5
#!define DH 1+2
#!define DI $var(v)
#!define DJ "tab\there \x41\102 \q \1"
#!define DK 'raw\n'
#!trydef DA "not this"
#!trydef DL "this"
#!redefine DG 6
#!redef DM "redefined"
#!define DN uri
#!define DO DN == "sip:"
#!ifdef DA
#!define DP "defined"
#!else
#!define DP "undefined"
#!endif
#!ifndef DA
#!define DQ "undefined"
#!else
#!define DQ "defined"
#!endif
#!ifdef NOT_THERE
#!ifdef DA
#!define DR "inner"
#!else
#!define DR "inner else"
#!endif
"a string with #!endif" in what does not count
# #!else
#!define DR "outer else"
#!endif
#!ifdef MOD_tm
#!define DS "tm"
#!endif
#!ifdef KAMAILIO_5_6
#!define DT "5.6"
#!endif
!!define DU "exclamation marks"
#!defenvs HOME
#!subst "/SUBA/suba/"
#!subst "/SUBB/subb/g"
#!subst "!(X1)(Y2)!<\\2\\1>!g"
#!subst "/SUBC(E)?F/<\\1>/g"
#!subst "/^QQ/start/"
#!subst "/ZZ$/end/"
#!subst "/KK/kk/i"
#!subst "!P/Q!pq!"
#!subst "/U\\/V/slash/"
#!subst "/GONE//"
#!subst "/DOLLAR/$$/"
#!subst "/NL.M/any/"
#!substdef "!SDA!sda!g"
#!substdef "!SDB!77!g"
#!substdefs "!SDC!sd c!g"
#!substdef "!SDD!\"quoted\"!"
#!subst "/suba/then/"
#!substdef "!SDE!<$def(DG) $def(NONE) $defn(DG) $env(PATH)>!g"
#!subst "/SUBH/$env(PATH)/"
"""
EXPRESSIONS = r"""
DA
DB
DD
DE
DF
DG
DH
2 * DH
DI
DJ
DK
DL
DM
DP
DQ
DR
DS
DT
DU
HOME
"DA"
'DA'
DA + DB
(DA)
strlen(DA)
DA"joined"
DA "joined"
"SUBA SUBA"
"SUBB SUBB"
"X1Y2 X1Y2"
"SUBCF SUBCEF"
"QQQQ"
"ZZZZ"
"kKk"
"P/Q"
"U/V"
"GONEGONE"
"DOLLAR"
"NLxM"
'SUBA'
"SUB" "A"
SDB
"SDA_SDB_SDC"
SDC
SDD
"SDE and SDE"
"SUBH SUBH"
$var(SDA)
$_s(SDA)
"a\x41\x4z\x4\102\1024\8\q\'\"\\\t|"
'a\n"'
"""
#: With line feeds in them.
MORE = ['DA\n"joined"', '"line1\nline2"', '"QQ\nQQ\nZZ\nZZ"', '"NL\nM"', '"a\\\nb"']


@pytest.mark.skipif(both.KAMAILIO is None, reason="kamailio is not installed")
def test_values_are_kamailios(tmp_path: Path) -> None:
    programs = [
        both.Program(f'$var(v) = 3; $var(sda) = "it"; $var(o) = {expression};\nOUT($(var(o){{s.encode.hexa}}));')
        for expression in [*EXPRESSIONS.strip().splitlines(), *MORE]
    ]
    wrong = both.differences(tmp_path, programs, DEFINITIONS)
    assert not wrong, "\n".join(f"{p.body}: {there} there, {here} here" for p, there, here in wrong)


@pytest.mark.skipif(both.KAMAILIO is None, reason="kamailio is not installed")
def test_a_second_main_route_is_added_to_the_first(tmp_path: Path) -> None:
    programs = [both.Program("route(MAIN2);", routes="route[MAIN2] { OUT(called); }")]
    text = both.cfg(programs).replace(
        "request_route {", 'request_route { append_to_reply("X-Out: first\\r\\n"); }\nroute {'
    )
    ours = both.Ours(text).run(programs)
    with both.Kamailio(tmp_path, text) as kamailio:
        assert kamailio.run(programs) == ours == [["first", "called", "RC 1"]]


# ---- places


def program(tmp_path: Path, **files: str) -> Program:
    """The program of `main`; `__` in a name stands for a slash."""
    for name, text in files.items():
        path = tmp_path / (name.replace("__", "/") + ".cfg")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return parse_file(tmp_path / "main.cfg", {})


def errors(tmp_path: Path, **files: str) -> list[str]:
    """The errors of a program, with the files they are in."""
    with pytest.raises(CfgError) as caught:
        program(tmp_path, **files)
    return [str(d.place).replace(f"{tmp_path}/", "") + f" {d.message}" for d in caught.value.diagnostics]


def test_errors_are_in_the_file_that_they_are_in(tmp_path: Path) -> None:
    main = 'debug=1\ninclude_file "parts/one.cfg"\nrequest_route {\n  include_file "two.cfg"\n  exit\n}\nx y\n'
    one = 'import_file "none.cfg"\nimport_file "three.cfg"\nlog_name=\n\nfork=yes\n'
    found = errors(tmp_path, main=main, parts__one=one, parts__three="children\n", two="\n  $var(x) = ;\n")
    assert found == [
        "main.cfg:5:7 expected ; after exit, found }",
        "main.cfg:7:3 expected = after x, found y",
        "parts/one.cfg:5:1 expected a value after log_name =, found fork",
        "parts/three.cfg:1:9 expected = after children, found log_name",
        "two.cfg:2:13 expected an expression, found ;",
    ]


def test_an_included_file_is_looked_for_beside_the_one_that_includes_it(tmp_path: Path) -> None:
    found = program(tmp_path, main='include_file "a/b.cfg"\ndebug=3\n', a__b='include_file "c.cfg"\n', a__c="debug=2\n")
    values = [(Path(d.place.file).name, d.place.line) for d in found.declarations if isinstance(d, GlobalParameter)]
    assert values == [("c.cfg", 1), ("main.cfg", 2)]


def test_a_file_that_includes_itself(tmp_path: Path) -> None:
    assert errors(tmp_path, main='include_file "other.cfg"\n', other='\ninclude_file "main.cfg"\n') == [
        "other.cfg:2:14 main.cfg includes itself"
    ]


def test_an_error_in_a_definition_is_where_it_is_used_and_tells_of_it() -> None:
    with pytest.raises(CfgError) as caught:
        parse_text("#!define CHECK $var(x) = ;\nrequest_route {\n  CHECK\n}\n", "t.cfg")
    (found,) = caught.value.diagnostics
    assert (found.place.line, found.place.column, found.message) == (3, 3, "expected an expression, found ;")
    assert found.hint == "CHECK stands for $var(x) = ;, defined at t.cfg:1:10"
    assert "  CHECK\n      ^~~~~" in str(caught.value)


def test_what_comes_of_a_definition_stands_where_it_is_used() -> None:
    text = '#!define LOG xlog("a", 1)\n#!subst "/a/bb/"\nrequest_route {\n\tLOG; $var(x) = "a";\n}\n'
    call, assign = parse_text(text, "t.cfg").routes()[0].body
    assert isinstance(call, Evaluate)
    assert (call.place.line, call.place.column, call.place.end_column) == (4, 2, 5)
    assert isinstance(assign, Assign)
    assert isinstance(assign.value, String)
    assert assign.value.text == "bb"
    assert (assign.value.place.column, assign.value.place.end_column) == (17, 20)


def test_definitions_from_the_command_line() -> None:
    text = "#!ifdef A\n#!trydef B 1\ndebug=B\n#!endif\n#!define C 1\n"
    found = parse_text(text, "t.cfg", {"A": "", "B": "3"})
    (parameter,) = found.declarations
    assert isinstance(parameter, GlobalParameter)
    assert found.defines["B"] == "3"
    with pytest.raises(CfgError, match="C is defined already"):
        parse_text(text, "t.cfg", {"C": "2"})
