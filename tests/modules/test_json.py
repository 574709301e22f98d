"""The modules json and jansson beside Kamailio's, and what neither must let in."""

from __future__ import annotations

from pathlib import Path

import cfgs
import pytest

from kahea.modules.jansson import NoSuchPath, look_up, steps
from kahea.routing import json_text
from kahea.routing.json_text import MAX_DEPTH, JsonError, read, read_lenient, write

needs_kamailio = pytest.mark.skipif(cfgs.KAMAILIO is None, reason="needs a real Kamailio to compare with")

DOCUMENT = (
    '{"s":"text","i":5,"neg":-3,"big":12345678901234,"f":1.5,"e":1e3,"t":true,"n":null,"o":{"a":{"b":[1,"x",[2,3]]}},'
    '"l":[10,20,{"k":"v"}],"u":"caf\\u00e9 \\/ \\" x","em":"","dot.key":1,"eo":{},"el":[],"pi":3.14159265358979,'
    '"tiny":1e-7,"huge":1e20,"sp key":1,"nl":"a\\nb","esc":"\\u001b\\u007f"}'
)
MESSAGE = cfgs.MESSAGE.replace("Subject: hello world", "X-J: {}")
PATHS = [
    "s", "i", "neg", "big", "f", "e", "t", "n", "o", "o.a", "o.a.b", "o.a.b[0]", "o.a.b[1]", "o.a.b[2]", "o.a.b[2][1]",
    "l[2].k", "l[-1]", "l[9]", "nosuch", "o.nosuch", "s.x", "i[0]", "u", "em", "dot.key", "", "[0]", ".s", "s.", "o..a",
    "l[", "l[x]", "eo", "el", "l[2]k", "l.0", "o[a]", "l[2]", "pi", "tiny", "huge", "sp key", "nl", "esc", "l[ 1]",
]  # fmt: skip
READ = "$var(j) = $hdr(X-J); $var(r) = 'old'; {}, '$var(r)'); $var(o) = 'rc=' + $rc + ' r=[' + $var(r) + ']';"


def same(folder: Path, bodies: list[str], documents: list[str], modules: tuple[str, ...]) -> None:
    text = cfgs.cfg_text(bodies, "", modules)
    ours = cfgs.Ours(text)
    wrong = []
    with cfgs.kamailio(folder, text) as theirs:
        for document in documents:
            for number, body in enumerate(bodies):
                data = cfgs.request(number, MESSAGE.format(document))
                want, have = theirs.run(data).out, ours.run(data).out
                if want != have:
                    wrong.append(f"{document:.60} {body}\n  kamailio: {want}\n  kahea:    {have}")
    assert not wrong, "\n".join(wrong)


@needs_kamailio
def test_jansson_reads_as_kamailio(tmp_path: Path) -> None:
    bodies = [READ.format(f"jansson_get('{path}', $var(j)") for path in PATHS]
    bodies += [READ.format(f"jansson_array_size('{p}', $var(j)") for p in ("l", "el", "o", "s", "x", "", "o.a.b")]
    bodies += [READ.format(f"jansson_get_field('$var(j)', '{p}'") for p in ("s", "o.a", "nosuch")]
    bodies += [
        "$var(j) = $hdr(X-J); jansson_xdecode($var(j), 'js'); $var(o) = $rc;",
        "$var(j) = $hdr(X-J); $var(r) = ''; jansson_xdecode('$var(j)', 'js'); $var(x) = $rc; "
        "jansson_xencode('js', '$var(r)'); "
        "$var(o) = '' + $var(x) + $rc + $var(r) + $cnt($xavp(js)) + $xavp(js[0]=>s) + $xavp(js[1]=>s);",
    ]
    documents = [
        DOCUMENT, '[1, [2], {"s": 3}]', '[{"s":1},{"s":"b"}]', "notjson", '{"s":1} x', '{"s":1,"s":2}', "5", '"s"',
        '{"s":"a\\u0000b"}', '{"s":"\\ud800"}', '{"s":12345678901234567890}', '{"s":1e999}', '{"s":NaN}', "{'s':1}",
        "{}", "[]", '{"s":"\x01"}', '{"s":"a\udcff"}',
    ]  # fmt: skip
    same(tmp_path, bodies, documents[:1], ("jansson",))
    same(tmp_path, [bodies[0], bodies[6], *bodies[-6:]], documents[1:], ("jansson",))


SETS = [
    ("string", "a", "'text'"), ("str", "a.b.c", "'x'"), ("int", "a", "5"), ("integer", "a", "'-12'"),
    ("int", "a", "'12345678901234'"), ("int", "a", "'abc'"), ("int", "a", "''"), ("real", "pi", "'3.14159'"),
    ("real", "pi", "'2'"), ("real", "x", "'abc'"), ("true", "t", "0"), ("false", "t", "0"), ("null", "t", "0"),
    ("obj", "o", '\'{"b":1}\''), ("object", "o", "'[1]'"), ("array", "o", "'[1, 2]'"), ("arr", "o", "'[1]'"),
    ("array", "o", '\'{"b":1}\''), ("obj", "o", "'bad'"), ("bad", "o", "'x'"), ("string", "a", "'q\"uo\\te'"),
    ("str", "", "'x'"), ("str", "a[0]", "'x'"), ("str", "[0]", "'x'"), ("str", "a", "'café'"),
    ("str", "a", '"tab\\there\\r\\n"'), ("str", "a", "'a/b'"), ("str", "a", "5"), ("int", "a", "5", "'[]'"),
    ("str", "[0]", "'x'", "'[1,2]'"), ("str", "[5]", "'x'", "'[1,2]'"), ("str", "l[1]", "'x'", '\'{"l":[1,2]}\''),
    ("str", "l[2]", "'x'", '\'{"l":[1,2]}\''), ("str", "l.k", "'x'", '\'{"l":[1,2]}\''),
    ("str", "s.k", "'x'", '\'{"s":1}\''), ("str", "k", "'x'", "'notjson'"), ("str", "k", "'x'", "''"),
    ("str", "k", "'x'", '\'{"z":1.50, "y":{"b":2,"a":1e5}, "k":0}\''), ("real", "k", "'1e10'"), ("real", "k", "'1e-9'"),
    ("real", "k", "'0.1'"), ("real", "k", "'1e30'"), ("real", "k", "'123456789.123456789'"), ("int", "", "5", "'{}'"),
    ("obj", "", '\'{"b":1}\'', '\'{"a":1}\''), ("str", "k", "'x'", "5"), ("int", "a", "'5x'"),
]  # fmt: skip
APPENDS = [
    ("int", "", "0", "'[]'"), ("int", "list", "5", '\'{"list":[0]}\''), ("int", "", "1", '\'{"b":2}\''),
    ("obj", "", '\'{"a":1, "b":100}\'', '\'{"b":2, "c":3}\''), ("obj", "o", '\'{"a":1}\'', '\'{"o":{"b":2}}\''),
    ("int", "nosuch", "1", '\'{"b":2}\''), ("int", "b", "1", '\'{"b":2}\''), ("int", "a", "1"),
    ("array", "", "'[1,2]'", "'[0]'"), ("str", "", "'x'", "'bad'"), ("obj", "", '\'{"a":1}\'', "'[0]'"),
    ("str", "", "'x'"), ("int", "[0]", "7", "'[[1],2]'"),
]  # fmt: skip


@needs_kamailio
def test_jansson_writes_as_kamailio(tmp_path: Path) -> None:
    bodies = []
    for function, cases in (("jansson_set", SETS), ("jansson_append", APPENDS)):
        for kind, path, value, *before in cases:
            bodies.append(
                f"$var(r) = {before[0] if before else '$null'}; {function}('{kind}', '{path}', {value}, '$var(r)'); "
                "$var(o) = 'rc=' + $rc + ' r=[' + $var(r) + ']';"
            )
    bodies += [
        "$xavp(a=>foo) = 'bar'; $xavp(a[0]=>n) = 5; $xavp(a[0]=>n) = 7; jansson_xencode('a', '$var(r)'); "
        "$var(o) = 'rc=' + $rc + $var(r);",
        "$var(r) = 'old'; jansson_xencode('none', '$var(r)'); $var(o) = 'rc=' + $rc + $var(r);",
        "$xavp(a) = 'bar'; $var(r) = 'old'; jansson_xencode('a', '$var(r)'); $var(o) = 'rc=' + $rc + $var(r);",
        "$xavp(a=>x) = 'q\"/\\x'; jansson_xencode('a', '$var(r)'); $var(o) = 'rc=' + $rc + $var(r);",
        "$var(r) = $null; jansson_set('str', 'from', $fu, '$var(r)'); jansson_set('str', 'h', $hdr(X-J), '$var(r)'); "
        "$var(o) = $var(r);",
    ]
    same(tmp_path, bodies, ['","admin":true,"x":"'], ("jansson",))


@needs_kamailio
def test_json_as_kamailio(tmp_path: Path) -> None:
    names = ["s", "i", "big", "f", "e", "t", "n", "o", "o.a", "l", "nosuch", "u", "em", "dot.key", "", "eo", "el", "nl"]
    bodies = [READ.format(f"json_get_field('$var(j)', '{name}'") for name in names]
    bodies += [READ.format(f"json_get_string('$var(j)', '{name}'") for name in names]
    bodies += [
        f"$var(j) = $hdr(X-J); $var(o) = '[' + $(var(j){{json.parse,{name}}}) + ']';"
        for name in (*names, "o.a.b", "l[0]", "l[2].k", "l[7]", "o.nosuch", "s.x")
        if name
    ]
    same(tmp_path, bodies, [DOCUMENT], ("json",))
    few = [b for b in bodies if "'s'" in b or "parse,s" in b]
    documents = ["notjson", '{"s":"a" x', "{'s':'x'}", '{"s":1,"s":2}', '{"s":1} x', "[1,2]", "5", '{"s":"a\\u0000b"}']
    same(tmp_path, few, documents, ("json",))


@pytest.mark.parametrize("parse", [read, read_lenient])
def test_depth_and_size_are_bounded(parse: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(parse)
    parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    parse('["' + "[" * 10_000 + '"]')
    with pytest.raises(JsonError, match="deeper"):
        parse("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    with pytest.raises(JsonError):
        parse('{"a":' * 100_000)
    monkeypatch.setattr(json_text, "MAX_TEXT", 100)
    with pytest.raises(JsonError, match="characters"):
        parse("[" + " " * 100 + "]")


def test_what_is_written_can_be_read() -> None:
    document = {"a": [1, True, None, 'q"\\\x1b/é'], "b": {"c": -(1 << 63)}, "": []}
    assert read(write(document)) == document


def test_paths() -> None:
    assert steps("a.b[0][1].c") == ["a", "b", 0, 1, "c"]
    assert look_up({"a": [{"b": 5}]}, steps("a[0].b")) == 5
    for bad in ("a[-1]", "a[x]", "a[0]b", "a[0"):
        with pytest.raises(NoSuchPath):
            steps(bad)
