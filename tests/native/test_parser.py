"""The parser: the tree that a cfg becomes, and the places of its errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from kahea.engines.native.diagnostics import CfgError
from kahea.engines.native.parser import parse_file, parse_text
from kahea.engines.native.tree import (
    Assign,
    Binary,
    Call,
    Evaluate,
    Exit,
    Expression,
    If,
    Number,
    Statement,
    String,
    Unary,
    Variable,
    Word,
)

STOCK = Path("/etc/kamailio/kamailio.cfg")


def body(text: str) -> tuple[Statement, ...]:
    """The statements of a request route."""
    return parse_text("request_route {\n" + text + "\n}\n", "t.cfg").routes()[0].body


def expression(text: str) -> Expression:
    """An expression."""
    (statement,) = body(f"$var(x) = {text};")
    assert isinstance(statement, Assign)
    return statement.value


def errors(text: str, name: str = "t.cfg") -> list[tuple[int, int, str]]:
    """Line, column and message of each error."""
    with pytest.raises(CfgError) as caught:
        parse_text(text, name)
    return [(d.place.line, d.place.column, d.message) for d in caught.value.diagnostics]


@pytest.mark.skipif(not STOCK.exists(), reason="Debian's kamailio is not installed")
@pytest.mark.parametrize(
    "defines",
    [
        (),
        (
            "WITH_MYSQL",
            "WITH_AUTH",
            "WITH_IPAUTH",
            "WITH_NAT",
            "WITH_PSTN",
            "WITH_TLS",
            "WITH_ANTIFLOOD",
            "WITH_JSONRPC",
        ),
    ],
)
def test_the_stock_cfg(defines: tuple[str, ...]) -> None:
    program = parse_file(STOCK, dict.fromkeys(defines, ""))
    assert {r.name for r in program.routes() if r.kind == "request"} > {"", "RELAY", "AUTH", "TOVOICEMAIL"}


def test_an_operator_binds_as_tightly_as_in_kamailio() -> None:
    x, y = Variable(text="$var(a)"), Number(value=2)
    assert expression("!$var(a) == 2") == Binary(operator="==", left=Unary(operator="!", operand=x), right=y)
    assert expression("2 & $var(a) == 2") == Binary(operator="&", left=y, right=Binary(operator="==", left=x, right=y))


def test_if_takes_a_statement_without_braces() -> None:
    call = Call(name="is_method", arguments=(String(text="ACK"),))
    assert body('if (is_method("ACK")) exit; else xlog("a" "b");') == (
        If(
            condition=call,
            body=(Exit(),),
            orelse=(Evaluate(value=Call(name="xlog", arguments=(String(text="ab"),))),),
        ),
    )


def test_a_network_is_one_word() -> None:
    condition = Binary(operator="==", left=Word(text="src_ip"), right=Word(text="10.0.0.0/8"))
    assert body("if (src_ip==10.0.0.0/8) exit;") == (If(condition=condition, body=(Exit(),)),)


def test_each_broken_statement_is_reported() -> None:
    assert errors('request_route {\n  exit\n  $ru = ;\n  xlog("a";\n  drop;\n}\nfoo bar\n') == [
        (2, 7, "expected ; after exit, found $ru"),
        (3, 9, "expected an expression, found ;"),
        (4, 11, "expected ), found ;"),
        (7, 5, "expected = after foo, found bar"),
    ]
