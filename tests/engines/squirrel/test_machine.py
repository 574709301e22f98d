"""Our machine beside the real ones: programs of all kinds, and generated ones, give and throw the same."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .machines import LACKING, Kamailio, Ours, Package, programs

#: How a text shows where an object is.
ADDRESS = re.compile(r"0x0x[0-9a-f]+")
#: Ours are counted by Python, which does not always tell how many there should be.
COUNTED = re.compile(r"(wrong number of parameters) \(.*\)")
#: Ours tell what they found as well.
EXPECTED = re.compile(r"(?<=expected), not [^']*'?[^']*'?(?='$)")
#: What the package has differently: its integers have 32 bits, and it is of another version.
NOT_IN_PACKAGE = re.compile(
    r"size_|len\(\)$|\d{10}|1 ?<<|>>|1e400|0x|99999|16777|getinfos|clock|abs\(|fib|f\(60\)|RAND|%[-#+ 0-9.]*[xXou]|a0"
    r"|rand|tointeger|\(null|vargv|thread|%123|not enough|parameters|top\(\)|local a = \{\}, b|\+ .\..\)|\(\"%d\"\)"
    r"|\\x4142"
)


def normal(outcome: str) -> str:
    """An outcome without what differs between two runs, or is said in other words."""
    return EXPECTED.sub("", COUNTED.sub(r"\1", ADDRESS.sub("0x", outcome)))


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory):
    if LACKING:
        pytest.skip(LACKING)
    machine = Kamailio(tmp_path_factory.mktemp("squirrel"))
    yield machine
    machine.close()


@cache
def ours() -> Ours:
    return Ours()


def test_programs_do_the_same_as_in_kamailio(kamailio):
    texts = programs()
    different = {}
    for text in texts:
        theirs, here = normal(kamailio.run(text)), normal(ours().run(text))
        if theirs != here:
            different[text] = theirs, here
    assert not different, "\n".join(f"{text}\n  theirs {a}\n  ours   {b}" for text, (a, b) in different.items())
    assert len(texts) > 550


def test_programs_do_the_same_as_in_the_package():
    pytest.importorskip("squirrel", reason="needs the package squirrel-lang")
    package = Package()
    different = {}
    texts = [text for text in programs() if not NOT_IN_PACKAGE.search(text)]
    for text in texts:
        theirs, here = normal(package.run(text)), normal(ours().run(text))
        if theirs != here:
            different[text] = theirs, here
    assert not different, "\n".join(f"{text}\n  theirs {a}\n  ours   {b}" for text, (a, b) in different.items())
    assert len(texts) > 400


# ---- generated programs

_LEAVES = """
    a a b b c s s t.x t.y t['x'] l[0] l[1] l[2] l[9] n k() k() 0 1 2 -1 3 7 -13 255 1000000 0.5 1.5 -2.25 3.0 true false
    null "" "a" "abc" "12" '\\n' [] {} t l t.f(2) u.m(3) u.v t.nosuch s.len() l.len() typeof(a) e
"""
_BINARY = "+ + + - - * * / == != < > <= >= <=> & | ^ && || << >> >>>"
_STEPS = """
    a++; ++a; b--; --b; a += 2; b *= 3; a = b; c = a; t.x++; --t.y; l[0] += a; n++; t.z <- 5; s += a; c = (a = 4)
    t.x -= b
"""
LEAVES = st.sampled_from(_LEAVES.split())
BINARY = st.sampled_from([*_BINARY.split(), " in "])
UNARY = st.sampled_from(["-", "!", "~", "typeof "])
STEPS = st.sampled_from([step.strip() for step in re.split("[;\n]", _STEPS.strip())])


def expressions() -> st.SearchStrategy[str]:
    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, BINARY, inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            st.tuples(inner, BINARY, inner, BINARY, inner).map(lambda p: "({} {} {} {} {})".format(*p)),
            st.tuples(UNARY, inner).map(lambda p: f"({p[0]}({p[1]}))"),
            st.tuples(inner, inner, inner).map(lambda p: "({} ? {} : {})".format(*p)),
            # what can't be divided so goes unnoticed there, and gives whatever was there before
            st.tuples(st.sampled_from(["s.len()", "-7", "255", "7.5", "n"]), st.integers(1, 9)).map(
                lambda p: f"({p[0]} % {p[1]})"
            ),
            STEPS.map(lambda p: f"({p})"),
            st.lists(inner, max_size=3).map(lambda p: f"[{', '.join(p)}]"),
            st.tuples(inner, inner).map(lambda p: f"(function(x, y = 5) {{ return x + y }})({p[0]}, {p[1]})"),
            inner.map(lambda p: f"(@(x) [x, a++, x])({p})"),
            inner.map(lambda p: f"t.f({p})"),
            inner.map(lambda p: f'("" + {p})'),
        )

    return st.recursive(LEAVES, larger, max_leaves=8)


def statements() -> st.SearchStrategy[str]:
    simple = st.one_of(
        STEPS.map(lambda p: p + ";"),
        expressions().map(lambda p: f"try {{ r.append({p}); }} catch (z) {{ r.append(z); }}"),
        expressions().map(lambda p: f"try {{ c = {p}; }} catch (z) {{ r.append(z); }}"),
        st.just("throw a;"),
        st.just("q.append(@() a + n);"),
    )

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        block = st.lists(inner, min_size=1, max_size=3).map(" ".join)
        return st.one_of(
            st.tuples(expressions(), block).map(lambda p: f"if ({p[0]}) {{ {p[1]} }}"),
            st.tuples(expressions(), block, block).map(lambda p: "if ({}) {{ {} }} else {{ {} }}".format(*p)),
            block.map(lambda p: f"for (local i = 0; i < 3; i++) {{ local j = i; q.append(@() i * 10 + j++); {p} }}"),
            block.map(lambda p: f"foreach (i, v in [1, a, \"x\"]) {{ if (i == 1) continue; r.append(v); {p} }}"),
            block.map(lambda p: f"for (local w = 0; w < 4; w++) {{ if (w == 2) break; {p} }}"),
            # what is thrown out of a block leaves its captured variables there to what comes to be in their place
            block.map(lambda p: p if "@() " in p else f"try {{ {p} }} catch (z) {{ r.append(z); }}"),
            st.tuples(expressions(), block, block, st.sampled_from(["break;", "", "return r;"])).map(
                lambda p: (
                    f"switch ({p[0]}) {{ case 1: case \"a\": {p[1]} {p[3]} case a: {p[2]} default: r.append(a); }}"
                )
            ),
            block.map(lambda p: f"{{ local a = 5; {p} r.append(a); }}"),
            block.map(lambda p: f"(function(a) {{ {p} r.append(a); }})(2);"),
        )  # fmt: skip

    return st.recursive(simple, larger, max_leaves=6)


HEAD = """
local r = [], q = [];
local a = 3, b = 7, c = null, s = "str", n = 10, e = 0.0;
local l = [5, "five", null];
local t = {x = 1, y = "why", f = function(v) { return this.x + v }};
local u = class { v = 2; function m(w) { v += w; return v } }();
local k = function() { a += 1; n -= 1; return a };
"""
TAIL = """
foreach (i, f in q) if (i < 9) try { r.append(f()) } catch (z) { r.append(z) }
r.extend([a, b, c, s, n, t.x, t.y, l, u.v]);
return r;
"""


@pytest.mark.filterwarnings("ignore")
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(body=st.lists(statements(), min_size=1, max_size=6))
def test_generated_programs_do_the_same_as_in_kamailio(kamailio, body):
    program = HEAD + "\n".join(body) + TAIL
    theirs = kamailio.run(program)
    if theirs == "crashed":
        return  # the least integer by -1, and the like
    assert normal(ours().run(program)) == normal(theirs)
