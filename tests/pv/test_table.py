"""Compiling variables and formats: what is an error, where, and what the compiled ones do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.routing.module import Value, Variable
from kahea.routing.pv import PvError, VariableTable
from kahea.routing.pv.syntax import scan
from kahea.routing.run import Run
from kahea.routing.transformations import STANDARD, Transformation

from .conftest import Bench
from .corpus import INVITE, MINIMAL


@pytest.mark.parametrize(
    ("text", "offset", "part"),
    [
        ("ru", 0, "begins with $"),
        ("$rux", 1, "did you mean $ru"),
        ("$hdrr(X)", 1, "did you mean $hdr"),
        ("$(ru{s.lenn})", 5, "did you mean s.len"),
        ("$(ru{s.len)", 10, "no parameters"),
        ("$(ru{s.substr,1})", 15, "needs a parameter"),
        ("$(ru{s.substr,x,1})", 14, "number or a variable"),
        ("$(ru[1])", 5, "takes no index"),
        ("$(ru x)", 4, "expected (, [, { or )"),
        ("$ru(x)", 4, "takes no name"),
        ("$hdr", 1, "needs a name"),
        ("$(hdr(X)[y])", 9, "expected an index"),
        ("$(hdr(X)[1)", 8, "bracket is not closed"),
        ("$(ru", 1, "not closed"),
        ("$ru ", 3, "expected the end"),
        ("$avp(i:x)", 5, "no number"),
        ("$via0(hots)", 6, "did you mean host"),
        ("$sel(from.urii)", 5, "did you mean uri"),
    ],
)
def test_errors_say_where_and_what(bench: Bench, text: str, offset: int, part: str) -> None:
    with pytest.raises(PvError) as caught:
        bench.node.variables.compile(text)
    assert part in str(caught.value)
    assert caught.value.offset == offset


def test_compiled_once(bench: Bench) -> None:
    table = bench.node.variables
    assert table.compile("$ru") is table.compile("$ru")
    assert table.format("to $ru") is table.format("to $ru")


def test_registering_forgets_what_was_compiled() -> None:
    table = VariableTable()
    with pytest.raises(PvError):
        table.compile("$late")
    table.register(Variable("late", lambda run, name, index: 1))
    assert table.compile("$late").get(None) == 1  # type: ignore[arg-type]


def test_a_modules_own_variable(bench: Bench) -> None:
    """Name and index may come from variables; the name may be a format."""
    seen: list[object] = []

    def put(run: Run, name: str, index: object, value: Value) -> None:
        seen.append((name, index, value))

    table = VariableTable()
    for variable in bench.node.variables.variables().values():
        table.register(variable)
    table.register(Variable("mine", lambda run, name, index: f"{name}|{index}", put, True, True))
    run = bench.run()
    run.vars.update(n="name", i=3)
    assert table.compile("$mine(x)").get(run) == "x|None"
    assert table.compile("$(mine(a=>$var(n))[$var(i)])").get(run) == "a=>name|3"
    assert table.compile("$(mine($var(n))[*])").get(run) == "name|*"
    assert table.compile("$mine($avp(none))").get(run) is None
    pv = table.compile("$(mine($var(n))[-1])")
    assert pv.writable
    assert pv.set(run, "v")
    assert seen == [("name", -1, "v")]


def test_a_modules_own_transformation(bench: Bench) -> None:
    table = VariableTable()
    table.register_transformation(Transformation("my.twice", lambda value, by="": f"{value}{by}{value}", ("str?",)))
    table.register(Variable("x", lambda run, name, index: "é"))
    run = bench.run()
    assert table.compile("$(x{my.twice})").get(run) == "éé"
    assert table.compile("$(x{my.twice,-}{s.len})").get(run) == 5


def test_read_only(bench: Bench) -> None:
    pv = bench.node.variables.compile("$ci")
    assert not pv.writable
    assert not pv.set(bench.run(), "x")
    assert not bench.node.variables.compile("$(var(x){s.len})").writable


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a$$b", "a$b"),
        ("$rm", "INVITE"),
        ("<$rm> $(rm{s.len}) $avp(none)$$", "<INVITE> 6 <null>$"),
        ("$mf", "0"),
        ("$fU@$fd;$var(x)", "alice@atlanta.example.com;7"),
    ],
)
def test_formats(bench: Bench, text: str, rendered: str) -> None:
    run = bench.run()
    run.vars["x"] = 7
    found = bench.node.variables.format(text)
    assert found.render(run) == rendered
    assert found.constant == ("$" not in text.replace("$$", ""))


@pytest.mark.parametrize("text", ["$", "a$ b", "$nosuch", "$(ru", "$ru.x"])
def test_format_errors(bench: Bench, text: str) -> None:
    with pytest.raises(PvError):
        bench.node.variables.format(text)


def test_nesting_has_a_bound(bench: Bench) -> None:
    with pytest.raises(PvError, match="too deeply"):
        bench.node.variables.compile("$_s(" * 2000 + "$ru" + ")" * 2000)


@given(st.text(alphabet="$()[]{}.,*=>-+ asrduhvp019\\/\"'é", max_size=40))
def test_any_text_compiles_or_is_a_pv_error(bench: Bench, text: str) -> None:
    for compiled in (bench.node.variables.compile, bench.node.variables.format):
        try:
            compiled("$" + text)
        except PvError:
            continue


@given(st.text(max_size=30))
def test_scan_ends_inside_the_text(text: str) -> None:
    try:
        parts = scan("$" + text)
    except PvError:
        return
    assert 1 < parts.end <= len(text) + 1


@given(st.sampled_from([t for t in STANDARD if t.build is None]), st.text(max_size=40) | st.integers())
def test_no_transformation_raises(bench: Bench, each: Transformation, value: str | int) -> None:
    arguments = {"int": "2", "str": "a", "text": "a", "char": ";"}
    chain = each.name + "".join("," + arguments[kind.rstrip("?")] for kind in each.params)
    if each.name in ("s.keccak", "s.sha3"):
        chain = each.name
    result = bench.get(f"$(var(v){{{chain}}})", MINIMAL, v=value)
    assert result is None or isinstance(result, (int, str))


def test_every_variable_reads_any_message(bench: Bench) -> None:
    """Malformed header bodies give null, never an error."""
    names = [v for v in bench.node.variables.variables().values() if not v.takes_name]
    broken = [
        INVITE.replace(b"From: ", b'From: <<<;;,"').replace(b"To: ", b"To: \xff\xfe"),
        INVITE.replace(b"sip:bob", b"s\xffp:%zz@@").replace(b"CSeq: 314159", b"CSeq: x"),
        INVITE.replace(b"Via: SIP/2.0", b"Via: S\xc0P").replace(b"Contact: ", b'Contact: "<'),
        b"INVITE x SIP/2.0\r\nX:\r\n\r\n",
        b"SIP/2.0 200\r\n\r\n",
    ]
    read = 0
    for data in broken:
        try:
            run = bench.run(data)
        except Exception:  # noqa: BLE001 - what does not even parse has no variables
            continue
        for variable in names:
            value = bench.node.variables.compile(f"${variable.name}").get(run)
            assert value is None or isinstance(value, (int, str)), variable.name
            read += 1
    assert read > 300
