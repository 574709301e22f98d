"""Every function of KSR, called from each language on the same message: the same results, the same messages.

The functions are the registry's, so one that is added is tested without a word here. Each is called with sets of
arguments that its types and the names of its parameters suggest; what it returned, with its type, what it made of the
message, and what it sent must not depend on the language.
"""

from __future__ import annotations

import inspect
import logging
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kahea.routing.module import Function
from kahea.routing.run import REQUEST_ROUTE, Run
from kahea.sip.message import parse
from kahea.testing import Simulation

MESSAGE = (
    b"INVITE sip:bob;x=1@10.0.0.9:5060;line=abc SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKcall%d;rport\r\n"
    b"From: \"Alice\" <sip:alice@example.com>;tag=a1\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Contact: <sip:alice@10.0.0.1:5060>\r\n"
    b"Call-ID: call%d@10.0.0.1\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Max-Forwards: 70\r\n"
    b"User-Agent: test \xff\xc3\xa9\r\n"
    b"Subject: lunch\r\n"
    b"Subject: again\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Length: 12\r\n\r\nhello\r\nyou\r\n"
)  # fmt: skip

#: Values for parameters by what their names contain, the first that fits.
STRINGS = [
    ("uri", "sip:carol@10.0.0.3:5060"),
    ("pv", "$ru"),
    ("regex|expression|pattern|match", "^Sub"),
    ("header|hname|field", "Subject"),
    ("line", "X-Added: yes\r\n"),
    ("method", "INVITE"),
    ("level", "info"),
    ("host|domain", "10.0.0.9"),
    ("ip|address", "10.0.0.1"),
    ("reason", "Fine"),
    ("table|location", "location"),
    ("route", "nosuch"),
    ("code|status", "404"),
]
INTS = [("code|status", 404), ("limit|max", 10), ("flag", 3)]

#: What differs between two calls in one language too: only its type is compared.
CHANCE = re.compile(r"uuid|tag$|rand|sruid|time|unique|\bid\b|hash|gettimeofday|get_www")
#: Tags, branches and nonces that a node makes up.
MADE_UP = re.compile(rb"(?<=tag=)[0-9a-f]{16,}(\.[0-9a-f]+)?|(?<=z9hG4bK)[0-9a-f]{20,}|(?<=nonce=\")[^\"]*")
#: Functions that are not called here, each with the reason.
LEFT_OUT = {
    ("waiting", "take"): "it is what records results",
    **{("exec", name): "it waits for a real program" for name in ("exec_avp", "exec_cmd", "exec_dset", "exec_msg")},
}


@dataclass(frozen=True)
class Call:
    """One call of one function."""

    function: Function
    arguments: tuple[int | str, ...]

    @property
    def path(self) -> str:
        """As after `KSR.`."""
        return f"{self.function.module}.{self.function.name}".lstrip(".")


def chosen(kind: str, name: str, number: int) -> int | str:
    """An argument: 0 the likely one, 1 an empty or extreme one, 2 bytes that are no text."""
    if kind in ("int", "long"):
        likely = next((value for words, value in INTS if re.search(words, name)), 1)
        return (likely, 0, -7)[number]
    likely = next((value for words, value in STRINGS if re.search(words, name)), "abc")
    return (likely, "", "a\udcff\u00e9\0b")[number]


def calls(functions: list[Function]) -> list[Call]:
    """All calls."""
    made = []
    for function in functions:
        if (function.module, function.name) in LEFT_OUT:
            continue
        try:
            names = [p for p in inspect.signature(function.call).parameters if p not in ("run", "self")]
        except ValueError:
            names = []
        names += ["x"] * len(function.params)
        for number in range(3 if function.params else 1):
            arguments = tuple(chosen(k, n, number) for k, n in zip(function.params, names, strict=False))
            made.append(Call(function, arguments))
    return made


def in_python(call: Call, number: int) -> str:
    arguments = ", ".join(ascii(a) for a in call.arguments)
    path = "KSR" + "".join(f"['{part}']" if part in ("async", "exec") else f".{part}" for part in call.path.split("."))
    path = re.sub(r"(KSR(?:\.\w+)*)\['(\w+)'\]", r"getattr(\1, '\2')", path)
    return f"def c{number}():\n    take({path}({arguments}))\n"


def in_lua(call: Call, number: int) -> str:
    def literal(value: int | str) -> str:
        if isinstance(value, int):
            return str(value)
        return '"' + "".join(f"\\{b:03d}" for b in value.encode("utf-8", "surrogateescape")) + '"'

    arguments = ", ".join(literal(a) for a in call.arguments)
    path = "KSR" + "".join(f'["{part}"]' for part in call.path.split("."))
    return f"function c{number}() take({path}({arguments})) end\n"


def in_javascript(call: Call, number: int) -> str:
    def literal(value: int | str) -> str:
        if isinstance(value, int):
            return str(value)
        return '"' + "".join(f"\\u{ord(c):04x}" for c in value) + '"'

    arguments = ", ".join(literal(a) for a in call.arguments)
    path = "KSR" + "".join(f'["{part}"]' for part in call.path.split("."))
    return f"function c{number}() {{ take({path}({arguments})); }}\n"


def in_squirrel(call: Call, number: int) -> str:
    def literal(value: int | str) -> str:
        if isinstance(value, int):
            return str(value)
        return '"' + "".join(f"\\x{b:02x}" for b in value.encode("utf-8", "surrogateescape")) + '"'

    arguments = ", ".join(literal(a) for a in call.arguments)
    path = "KSR" + "".join(f'["{part}"]' for part in call.path.split("."))
    return f"function c{number}() {{ take({path}({arguments})); }}\n"


LANGUAGES = {
    "py": (
        in_python,
        "import KSR\n"
        "def take(v):\n"
        "    kind = {int: 'int', str: 'str', bool: 'bool', type(None): 'null'}[type(v)]\n"
        "    KSR.waiting.take(kind, '' if v is None else str(v).lower() if kind == 'bool' else v)\n"
        "def ksr_request_route():\n    pass\n",
    ),
    "lua": (
        in_lua,
        "local kinds = {number = 'int', string = 'str', boolean = 'bool', ['nil'] = 'null'}\n"
        "function take(v)\n"
        "  KSR.waiting.take(kinds[type(v)], v == nil and '' or type(v) == 'string' and v\n"
        "    or type(v) == 'number' and string.format('%d', v) or tostring(v))\n"
        "end\n"
        "function ksr_request_route() end\n",
    ),
    "js": (
        in_javascript,
        "var kinds = {number: 'int', string: 'str', boolean: 'bool', object: 'null'};\n"
        "function take(v) { KSR.waiting.take(kinds[typeof v], v === null ? '' : String(v)); }\n"
        "function ksr_request_route() { }\n",
    ),
    "sq": (
        in_squirrel,
        'local kinds = {integer = "int", string = "str", bool = "bool", ["null"] = "null"};\n'
        'function take(v) { KSR.waiting.take(kinds[typeof v], v == null ? "" : v.tostring()); }\n'
        "function ksr_request_route() { }\n",
    ),
}


class Every:
    """One node with a script in one language that has a function for each call."""

    def __init__(self, language: str, made: list[Call], **modules: Any) -> None:
        random.seed(7)
        self.simulation = Simulation(seed=1)
        write, head = LANGUAGES[language]
        script = head + "".join(write(call, number) for number, call in enumerate(made))
        self.node = self.simulation.node(script, "udp:10.0.0.9:5060", language=language, modules=modules)
        self.node.node.abort = lambda: None
        self.simulation.ua("alice", "udp:10.0.0.1:5060")

    def call(self, number: int) -> dict[str, Any]:
        """What one call does."""
        node = self.node.node
        waiting = node.module("waiting")
        waiting.taken.clear()
        msg = parse(MESSAGE % (number, number))
        listener = self.node.listeners[0]
        source = type(listener.address).of("10.0.0.1", 5060)
        msg.set_origin(
            b"10.0.0.1", 5060, b"10.0.0.9", 5060, listener.proto, source, listener, 0, node.wall(), number + 1
        )
        run = Run(node, msg, REQUEST_ROUTE)
        errors = len(self.simulation.errors)
        sent = len(self.simulation.trace)
        route = node.routes.find(f"c{number}")
        # In the loop, where what waits is woken.
        self.simulation.plan(0, node.pool.run, node.execute, run, route)
        self.simulation.run_until(lambda: node.pool.in_flight == 0, within=30)
        result = waiting.taken[-1] if waiting.taken else ("raised", "")
        return {
            "result": result,
            "errors": len(self.simulation.errors) - errors if waiting.taken else 1,
            "message": run.msg.rebuild(),
            "target": (run.msg.uri, run.msg.dst_uri, run.msg.flags, run.drop),
            "sent": [MADE_UP.sub(b"", p.data) for p in self.simulation.trace[sent:] if p.source.ip == "10.0.0.9"],
        }

    def close(self) -> None:
        self.simulation.close(check=False)


def compared(call: Call, outcome: dict[str, Any]) -> dict[str, Any]:
    """What of an outcome must be the same."""
    if call.function.ret == "none":
        # What it returns is a language's own, as in Kamailio: None in Python, false in the others.
        return {**outcome, "result": outcome["result"][0] in ("null", "bool")}
    if CHANCE.search(call.path):
        kind, _ = outcome["result"]
        return {"result": kind}
    return outcome


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """Thousands of errors that are expected."""
    logging.getLogger("kahea").setLevel(logging.CRITICAL + 1)
    yield
    logging.getLogger("kahea").setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("language", "modules"),
    [("lua", {}), ("lua", {"app_lua": {"runtime": "5.4"}}), ("js", {}), ("sq", {})],
    ids=["luajit", "lua5.4", "javascript", "squirrel"],
)
def test_every_function_gives_the_same_as_from_python(
    language: str, modules: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some functions write files
    first = Simulation()
    functions = list(first.node("def ksr_request_route():\n    pass\n").node.registry.functions.values())
    first.close()
    made = calls(sorted(functions, key=lambda f: (f.module, f.name)))
    assert len(made) > 1000
    python, other = Every("py", made), Every(language, made, **modules)
    different = {}
    results = set()
    raised = 0
    try:
        for number, call in enumerate(made):
            random.seed(number)
            wanted = compared(call, python.call(number))
            random.seed(number)
            found = compared(call, other.call(number))
            results.add(wanted["result"])
            raised += wanted["result"] == ("raised", "")
            if found != wanted:
                different[f"{call.path}{call.arguments}"] = {
                    k: (wanted[k], found[k]) for k in wanted if wanted[k] != found[k]
                }
    finally:
        python.close()
        other.close()
    assert not different, "\n".join(f"{call}: {what}" for call, what in different.items())
    assert len(results) > 30
    assert raised < len(made) / 20
