"""The same expressions and assignments in Kamailio 5.6.3 and here, side by side, on one start of Kamailio.

`KNOWN` lists where this server differs on purpose, with the reason: what 5.6.3 gets wrong, or what only later
versions do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from . import assignments, corpus
from .conftest import Bench
from .corpus import Call, get, put
from .oracle import BINARY, Oracle

pytestmark = pytest.mark.skipif(BINARY is None, reason="Kamailio is not installed")

KNOWN: list[tuple[str, str]] = [
    (r"\$sel\(contact", "5.6.3 reads Contact's values from the last"),
    (r"\$sel\((ruri\.params|msg)", "5.6.3 does not resolve these selects, which its list has"),
    (r"^register: .*\$hflc\(Contact\)", "5.6.3 does not count *"),
    (r"tel:.* \$rU=(''|None): .*\$ru$", "5.6.3 reads a tel URI without a number"),
    (
        r"^(params|phone|tilde): .*s\.decode\.base64}",
        "5.6.3 decodes characters that are not of the alphabet to rubbish",
    ),
    (r"^percent: .*s\.urldecode", "5.6.3 takes what is no hexadecimal digit for one"),
    (r"^int( zero)?: .*s\.replace,a,\$var\(two\)", "5.6.3 writes the parameter over the value"),
    (r"^\[::1\]~5061~3: .*sock\.", "5.6.3 takes what is no socket for a host"),
]


class Pair:
    """Both servers."""

    def __init__(self, oracle: Oracle, bench: Bench) -> None:
        self.oracle = oracle
        self.bench = bench

    def differences(self, message: str, calls: list[Call]) -> list[str]:
        """Make the calls in both on one message; a line for each unlike and unknown result."""
        data = corpus.MESSAGES.get(message) or message.encode()
        return self.compare(data, calls, message)

    def compare(self, data: bytes, calls: list[Call], label: str) -> list[str]:
        theirs = self.oracle.run(data, calls)
        run = self.bench.run(data)
        ours = [self.bench.call(run, call) for call in calls]
        return [
            f"{label}: {call}: kamailio {want!r}, kahea {have!r}"
            for call, want, have in zip(calls, theirs, ours, strict=True)
            if not alike(want, have) and not known(call, label)
        ]


def alike(want: Any, have: Any) -> bool:
    """Equal, in type too. Bytes that are no UTF-8 reach its scripts as an error, and ours as surrogates."""
    if isinstance(want, list) and want[:1] == ["raised"] and "decode" in str(want[1]):
        return isinstance(have, str) and any("\udc80" <= char <= "\udcff" for char in have)
    if isinstance(want, str) and isinstance(have, str) and want.startswith("<<xavp:"):
        return have.startswith("<<xavp:")
    return type(want) is type(have) and bool(want == have)


def known(call: Call, label: str) -> bool:
    """Whether a difference is one of `KNOWN`."""
    text = f"{label}: {' '.join(str(part) for part in call)}"
    return any(re.search(pattern, text) for pattern, _ in KNOWN)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    assert BINARY is not None
    with Oracle() as oracle:
        yield Pair(oracle, Bench(oracle.port, oracle.port2, oracle.local_port))


PREPARED = [
    put("$var(one)", 1),
    put("$var(two)", 2),
    put("$var(h)", "X-Multi"),
    put("$var(m)", "b"),
]


def report(lines: list[str]) -> None:
    limit = int(os.environ.get("ORACLE_LINES", "40"))
    assert not lines, f"{len(lines)} differences:\n" + "\n".join(lines[:limit])


@pytest.mark.parametrize("message", list(corpus.MESSAGES))
def test_variables(pair: Pair, message: str) -> None:
    report(pair.differences(message, [get(each) for each in corpus.PLAIN]))


@pytest.mark.parametrize("message", ["invite", "reply", "minimal", "register"])
def test_variables_with_names(pair: Pair, message: str) -> None:
    report(pair.differences(message, PREPARED + [get(each) for each in corpus.KEYED]))


def test_syntax(pair: Pair) -> None:
    report(pair.differences("invite", PREPARED + [get(each) for each in corpus.SYNTAX]))


@pytest.mark.parametrize("name", list(corpus.VALUES))
def test_string_transformations(pair: Pair, name: str) -> None:
    calls = [*PREPARED, put("$avp(v)", corpus.VALUES[name])]
    calls += [get(f"$(avp(v){{{each}}})") for each in corpus.STRING_FUNCTIONS]
    report(pair.compare(corpus.INVITE, calls, name))


@pytest.mark.parametrize("index", range(len(corpus.URI_VALUES)))
def test_uri_transformations(pair: Pair, index: int) -> None:
    calls = [put("$var(m)", "lr"), put("$avp(v)", corpus.URI_VALUES[index])]
    calls += [get(f"$(avp(v){{{each}}})") for each in corpus.URI_FUNCTIONS]
    report(pair.compare(corpus.INVITE, calls, corpus.URI_VALUES[index]))


@pytest.mark.parametrize("index", range(len(corpus.PARAM_VALUES)))
def test_param_transformations(pair: Pair, index: int) -> None:
    calls = [put("$var(m)", "b"), put("$avp(v)", corpus.PARAM_VALUES[index])]
    calls += [get(f"$(avp(v){{{each}}})") for each in corpus.PARAM_FUNCTIONS]
    report(pair.compare(corpus.INVITE, calls, corpus.PARAM_VALUES[index]))


@pytest.mark.parametrize("index", range(len(corpus.ADDRESS_VALUES)))
def test_address_transformations(pair: Pair, index: int) -> None:
    value = corpus.ADDRESS_VALUES[index]
    functions = [each for each in corpus.ADDRESS_FUNCTIONS if each != "urialias.decode" or "~" in value]  # 5.6.3 dies
    calls = [put("$avp(v)", value)] + [get(f"$(avp(v){{{each}}})") for each in functions]
    report(pair.compare(corpus.INVITE, calls, value))


def test_assignments(pair: Pair) -> None:
    lines = []
    for i, (message, calls) in enumerate(assignments.sessions()):
        lines += [f"session {i}: {line}" for line in pair.differences(message, calls)]
    report(lines)


@pytest.mark.parametrize("uri", assignments.URIS)
def test_request_uri_assignments(pair: Pair, uri: bytes) -> None:
    data = corpus.MINIMAL.replace(b"sip:h SIP", uri + b" SIP")
    lines = []
    for name, value in assignments.URI_ASSIGNMENTS:
        lines += pair.compare(data, [put(name, value), get("$ru"), get("$ou")], f"{uri!r} {name}={value!r}")
    report(lines)


@pytest.mark.parametrize("message", ["invite", "reply", "minimal"])
def test_kemix(pair: Pair, message: str) -> None:
    report(pair.differences(message, assignments.kemix()))
