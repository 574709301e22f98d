"""`#!ifexp`, `#!defexp` and `#!defexps`: what they compute, and where they say that something is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.engines.native.diagnostics import CfgError
from kahea.engines.native.directive_values import ValueExpressionError, compute, written
from kahea.engines.native.parser import parse_text
from kahea.engines.native.tree import GlobalParameter, Number, String

DEFINED = {
    "ONE": "1",
    "PORT": "5060",
    "HEX": "0x10",
    "FLAG": "",
    "ADDR": "127.0.0.1",
    "QUOTED": '"edge"',
    "SINGLE": "'core'",
    "NEGATIVE": "-3",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("2 ** 3 ** 2", "512"),
        ("-2 ** 2", "-4"),
        ("10 - 4 - 3", "3"),
        ("7 / 2", "3.5"),
        ("7 % 4", "3"),
        ("1 << 4 | 1", "17"),
        ("6 & 3 ^ 1", "3"),
        ("~0", "-1"),
        ('!0 && !""', "1"),
        ("1 == 1.0", "1"),
        ("PORT + ONE", "5061"),
        ("HEX", "16"),
        ("NEGATIVE + 1", "-2"),
        ("FLAG", "1"),
        ("NOT_DEFINED", "0"),
        ("NOT_DEFINED || FLAG", "1"),
        ('"sip:" + ADDR + ":" + PORT', "sip:127.0.0.1:5060"),
        ('QUOTED == "edge"', "1"),
        ("SINGLE != 'edge'", "1"),
        ('"10" < "9"', "1"),
        ('10 < "9"', "0"),
        ('1 + "2"', "3"),
        ('1 + "two"', "1"),
        ('"a\\"b" + \'c\'', 'a"bc'),
        ("KAMAILIO_VERSION >= 5006000 && KAMAILIO_VERSION < 5007000", "1"),
        ('OS_NAME == "linux"', "1"),
        ("1 # one", "1"),
        ("2 // two", "2"),
        (".5 * 4", "2"),
    ],
)
def test_values(text: str, expected: str) -> None:
    assert written(compute(text, DEFINED)) == expected


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("", "expected a value", 0),
        ("1 +", "expected a value", 3),
        ("1 2", "expected an operator or the end", 2),
        ("(1", "expected )", 2),
        ("* 1", "expected a value, not *", 0),
        ("1 = 1", "'=' has no meaning", 2),
        ("1 / 0", "division by zero", 2),
        ("1 << 63", "shifts are by 0 to 62", 2),
        ("10 ** 400", "range error", 3),
        ('"open', "has no meaning", 0),
        ("(" * 200 + "1" + ")" * 200, "within each other", 100),
    ],
)
def test_what_has_no_value(text: str, message: str, at: int) -> None:
    with pytest.raises(ValueExpressionError) as caught:
        compute(text, DEFINED)
    assert message in str(caught.value)
    assert caught.value.start == at


@given(st.text(alphabet="0123456789.x+-*/%<>=!&|^~()\"'ABNE_ \\", max_size=60))
def test_any_text_has_a_value_or_an_error(text: str) -> None:
    try:
        value = compute(text, DEFINED)
    except ValueExpressionError as error:
        first, last = error.start, error.end
    else:
        first, last = 0, len(written(value))
    assert 0 <= first <= last


CFG = """
#!define PORT 5060
#!define MODE "edge"
#!defexp NEXT PORT + 1
#!defexps AGENT "kahea " + \\
  MODE
#!ifexp PORT == 5060 && MODE == "edge"
port=NEXT
#!ifexp MODE == "core"
debug=1
#!else
debug=2
#!endif
#!else
#!ifexp 1
port=1
#!else
port=2
#!endif
#!endif
user_agent_header=AGENT
!!ifexp !WITH_LOG
log_stderror=no
!!endif
request_route { exit; }
"""


def test_a_cfg_with_them() -> None:
    program = parse_text(CFG, "test.cfg")
    assert {
        declaration.name: [
            value.value if isinstance(value, Number) else value.text
            for value in declaration.values
            if isinstance(value, Number | String)
        ]
        for declaration in program.declarations
        if isinstance(declaration, GlobalParameter) and declaration.name != "log_stderror"
    } == {"port": [5061], "debug": [2], "user_agent_header": ["kahea edge"]}
    assert "log_stderror" in {d.name for d in program.declarations if isinstance(d, GlobalParameter)}


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("#!ifexp 1 +\n#!endif", 12, "#!ifexp: expected a value"),
        ("#!ifexp (PORT\n#!endif", 14, "expected )"),
        ("#!defexp A 1 = 2", 14, "'=' has no meaning"),
        ("#!defexp A 1\n#!defexp A 2", 10, "A is defined already"),
        ("#!ifexp 1", 1, "#!endif"),
    ],
)
def test_errors_have_their_place(line: str, column: int, message: str) -> None:
    with pytest.raises(CfgError) as caught:
        parse_text(f"{line}\nrequest_route {{ exit; }}\n", "test.cfg")
    first = caught.value.diagnostics[0]
    assert message in first.message
    assert first.place.column == column
