"""What the compiler makes of programs, and what it says of wrong ones."""

from __future__ import annotations

import dis
import traceback
from pathlib import Path

import pytest

from kahea.engines.native.compiler import compile_program
from kahea.engines.native.diagnostics import CfgError
from kahea.engines.native.load import load
from kahea.engines.native.parser import parse_text
from kahea.routing.node import Node

from .both import Ours, Program, cfg, lines, request


def errors(body: str) -> list[str]:
    """The messages of the errors of a route."""
    with pytest.raises(CfgError) as caught:
        Ours(cfg([Program(body)]))
    return [each.message for each in caught.value.diagnostics]


def test_all_errors_are_told() -> None:
    found = errors('xlogg("x");\n$var(a) = $nope;\nroute(RELAI);\nis_method();\nif (5 == "5") exit;')
    assert found == [
        "there is no function xlogg()",
        "there is no variable $nope",
        "there is no route[RELAI]",
        "is_method() takes 1 argument, not 0",
        "a number is needed here, not text",
    ]


def test_an_error_shows_its_line() -> None:
    with pytest.raises(CfgError) as caught:
        Ours(cfg([Program('xlogg("x");')]))
    text = str(caught.value)
    assert '    xlogg("x");\n    ^~~~~~~~~~' in text
    assert "did you mean xlog?" in text


def test_a_function_of_a_module_that_is_not_loaded() -> None:
    of_another = "cnxcc_terminate_all() belongs to Kamailio's module cnxcc, which is not supported yet"
    assert errors("cnxcc_terminate_all();") == [of_another]
    assert errors('save("location", "0");') == ["save() belongs to module registrar, which is not loaded"]


def test_a_traceback_names_the_line_of_the_cfg(caplog: pytest.LogCaptureFixture) -> None:
    programs = lines("route(INNER);")
    programs[0].routes = 'route[INNER] {\n  $var(x) = 1;\n  xlog("x");\n}'
    text = cfg(programs)
    ours = Ours(text)

    def fails(*_: object) -> int:
        raise ZeroDivisionError

    globals_ = ours.node.routes.find("INNER").__globals__  # type: ignore[union-attr]
    globals_["xlog"] = fails
    ours.send(request(programs[0], 10))
    record = next(r for r in caplog.records if r.exc_info)
    assert record.exc_info is not None
    frames = traceback.extract_tb(record.exc_info[2])
    at = [(f.name, f.lineno) for f in frames if f.filename == "kamailio.cfg"]
    row = text.split("\n").index('  xlog("x");') + 1
    assert [name for name, _ in at] == ["request_route", "route[T0]", "route[INNER]"]
    assert at[-1] == ("route[INNER]", row)


def test_what_calls_are_in_expressions() -> None:
    routes = "route[NO] { return -8; }\nroute[YES] { return 10; }\n"
    body = """
        $var(out) = "";
        if (route(NO)) { $var(out) = $var(out) + " no"; }
        if (!route(NO)) { $var(out) = $var(out) + " not no"; }
        if (route(YES) && route(NO)) { $var(out) = $var(out) + " both"; }
        if (route(NO) == -8) { $var(out) = $var(out) + " -8"; }
        if (route(NO) < 0) { $var(out) = $var(out) + " below"; }
        if (route(YES) > 0) { $var(out) = $var(out) + " above"; }
        if (route(YES) == 10) { $var(out) = $var(out) + " 10"; }
        if (is_method("BYE")) { $var(out) = $var(out) + " bye"; }
        if (is_method("BYE") > 0) { $var(out) = $var(out) + " truly"; }
        if (is_method("BYE") < 0) { $var(out) = $var(out) + " none"; }
        $var(sum) = route(YES) + route(NO);
        $var(text) = "x" + route(YES);
        OUT($var(out));
        OUT($var(sum));
        OUT($var(text));
    """
    by_mode = {}
    for mode in (0, 1):
        program = Program(body, routes=routes)
        text = cfg([program]).replace("\n", f"\nreturn_mode={mode}\n", 1)
        by_mode[mode] = Ours(text).run([program])[0][:3]
    assert by_mode[0] == [" not no above", "1", "x1"]
    assert by_mode[1] == [" no both -8 below above 10 bye none", "2", "x10"]


def test_routes_that_call_themselves_have_an_end() -> None:
    program = Program(
        "$var(n) = 0; route(REC); OUT($var(n));", routes="route[REC] { $var(n) = $var(n) + 1; route(REC); }"
    )
    assert Ours(cfg([program])).run([program]) == [["254", "RC 1"]]


def test_a_route_may_be_there_once() -> None:
    with pytest.raises(CfgError, match=r"there is a route\[DUP\] already"):
        Ours(cfg([Program("exit;", routes="route[DUP] { exit; }\nroute[DUP] { exit; }")]))


def stores(body: str, routes: str = "") -> int:
    """How many statements of a program's route keep a return code."""
    ours = Ours(cfg([Program(body, routes=routes)]))
    route = ours.node.routes.find("T0")
    return sum(each.opname == "STORE_ATTR" and each.argval == "rc" for each in dis.get_instructions(route))  # type: ignore[arg-type]


def test_only_codes_that_are_read_are_kept() -> None:
    assert stores('is_method("BYE"); is_method("ACK"); $var(x) = 1;') == 0
    assert stores('is_method("BYE"); is_method("ACK"); $var(x) = $rc;') == 1
    assert stores('if (is_method("BYE")) { is_method("ACK"); } OUT($rc);') == 2
    assert stores('while (is_method("BYE")) { OUT($rc); is_method("ACK"); }') == 1
    assert stores('is_method("BYE"); route(READS);', "route[READS] { OUT($rc); }") == 1
    assert stores('is_method("BYE"); route(READS);', 'route[READS] { is_method("ACK"); OUT($rc); }') == 0


def test_a_route_that_only_returns_is_not_called() -> None:
    body = 'is_method("BYE"); route(IDLE); OUT($rc); if (route(IDLE)) OUT(so); $var(b) = route(IDLE); OUT($var(b));'
    program = Program(body, routes="route[IDLE] { return; }")
    ours = Ours(cfg([program]))
    assert ours.run([program]) == [["1", "so", "1", "RC 1"]]
    assert "route[IDLE]" not in ours.node.routes.find("T0").__code__.co_names  # type: ignore[union-attr]


def test_a_test_has_a_return_code() -> None:
    program = Program(
        'is_method("BYE"); OUT($rc); is_method("OPTIONS|INVITE"); OUT($rc); if (!is_method("X")) OUT(no);'
    )
    assert Ours(cfg([program])).run([program]) == [["-1", "1", "no", "RC 1"]]


def test_compiling_pauses_in_the_midst_of_a_long_route() -> None:
    program = parse_text(cfg([Program("\n".join(['xlog("x");'] * 500))]), "long.cfg")
    pauses: list[None] = []
    compile_program(program, Node(load(program, Path("long.cfg"))), lambda: pauses.append(None))
    assert len(pauses) > 500
