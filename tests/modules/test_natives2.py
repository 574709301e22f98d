"""Native functions of textops, textopsx, siputils, pv, sanity and xlog: literals that won't do, and some results."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from textops_cases import PLAIN

from conftest import Bench
from kahea.routing.module import Native

Make = Callable[..., Bench]
MODULES = ("textops", "textopsx", "siputils", "sanity", "xlog")


def form(bench: Bench, name: str, count: int) -> Native:
    """The form of a function that takes so many arguments."""
    (found,) = [f for f in bench.node.registry.natives[name] if f.least <= count <= len(f.kinds)]
    return found


def prepared(bench: Bench, kind: Any, given: str) -> Any:
    """An argument as the compiled cfg hands it over."""
    if callable(kind):
        return kind(bench.node, given)
    if kind == "pv":
        return bench.node.variables.compile(given)
    if kind == "format":
        return bench.node.variables.format(given)
    assert bench.run is not None
    if kind in ("str", "int"):
        rendered = bench.node.variables.format(given).render(bench.run)
        return int(rendered) if kind == "int" else rendered
    return given


def native(bench: Bench, name: str, *arguments: str) -> Any:
    """Call a native function with arguments as a cfg has them."""
    found = form(bench, name, len(arguments))
    value = found.call(bench.run, *(prepared(bench, k, a) for k, a in zip(found.kinds, arguments, strict=False)))
    return (1 if value else -1) if isinstance(value, bool) else value


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("is_method", ["FOO|INVITE"]),
        ("is_method", [""]),
        ("is_method", ["$rm"]),
        ("is_present_hf", ["X Y"]),
        ("is_present_hf", ["$var(x)"]),
        ("search_hf", ["", "x", "a"]),
        ("subst", ["hello"]),
        ("subst_user", ["/(a/b/"]),
        ("has_body", ["$var(x)/x"]),
        ("is_privacy", ["everything"]),
        ("in_list", ["a", "a,b", ", "]),
        ("append_hf_value", ["Subject.x", "v"]),
        ("remove_hf_value", ["Subject[x]"]),
        ("get_uri_param", ["x", "$ci"]),
        ("is_supported", ["replaces"]),
        ("xlog", ["err", "x"]),
        ("xlog", ["FOO", "L_ERR", "x"]),
        ("pv_evalx", ["$nosuch", "x"]),
    ],
)
def test_literals_that_kamailio_refuses_at_start(bench: Make, name: str, arguments: list[str]) -> None:
    b = bench(*MODULES)
    b.take(PLAIN)
    with pytest.raises(ValueError):
        native(b, name, *arguments)


@pytest.mark.parametrize(
    ("wanted", "method", "expected"),
    [
        ("INVITE", b"INVITE", 1),
        ("invite|ack", b"ACK", 1),
        ("ACK , BYE", b"INVITE", -1),
        ("FOO", b"FOO", 1),
        ("foo", b"FOO", 1),
        ("FOO", b"BAR", -1),
        ("KDMQ|INVITE", b"KDMQ", 1),
    ],
)
def test_is_method(bench: Make, wanted: str, method: bytes, expected: int) -> None:
    b = bench("textops")
    for data in (PLAIN.replace(b"INVITE", method), PLAIN.replace(b"INVITE sip:bob@example.com", b"SIP/2.0 200 OK")):
        data = data.replace(b"INVITE", method)
        b.take(data)
        assert native(b, "is_method", wanted) == expected


def test_lines_know_where_they_are(bench: Make, caplog: pytest.LogCaptureFixture) -> None:
    b = bench("xlog", xlog={"prefix": ""})
    b.take(PLAIN)
    code = compile("\n\nxlogl()", "/etc/some.cfg", "exec")
    exec(code, {"xlogl": lambda: native(b, "xlogl", "L_ERR", "$rm at $cfg(line)")})
    # The helper above is the script here.
    assert caplog.messages[0].endswith(f":INVITE at {native.__code__.co_firstlineno + 3}")


def test_xlogm_passes_over_methods(bench: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kahea.script")
    b = bench("xlog", xlog={"methods_filter": 2})
    b.take(PLAIN)
    assert native(b, "xlogm", "L_ERR", "INVITE is 1") == 1
    b.node.module("xlog").methods_filter = 1
    assert native(b, "xlogm", "L_ERR", "not this") == 1
    assert [r.getMessage() for r in caplog.records] == ["<script>: INVITE is 1"]


def test_xavp_push_dst(bench: Make) -> None:
    b = bench("pv")
    run = b.take(PLAIN)
    assert native(b, "xavp_push_dst", "dst") == -1
    for name, value in (("uri", "sip:a@b"), ("dsturi", "sip:proxy"), ("socket", "udp:127.0.0.1:5060")):
        assert native(b, "xavp_child_sets", "dst", name, value) == 1
    assert native(b, "xavp_push_dst", "dst") == 1
    assert (run.msg.uri, run.msg.dst_uri, run.msg.send_sock) == (b"sip:a@b", b"sip:proxy", b.listener)
    assert native(b, "xavp_child_sets", "dst", "socket", "udp:192.0.2.1:1") == 1
    assert native(b, "xavp_push_dst", "dst") == -1
