"""`KSR.x.modf`: native functions called by name from a KEMI script.

No comparison with Kamailio: in 5.6.3 its app_python3 ends the worker, or finds nothing, for most functions called so.
"""

from __future__ import annotations

from typing import Any

import pytest
from twin import FORWARD, Ours, request


@pytest.fixture(scope="module")
def ours() -> Ours:
    return Ours(modules=["textops", "xlog", "kex"])


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ('KSR.x.modf("is_method", "OPTIONS|INVITE")', 1),
        ('KSR.x.modf("is_method", "BYE")', -1),
        ('KSR.x.modf("has_totag")', -1),
        ('KSR.x.modf("is_present_hf", "Via")', 1),
        ('KSR.x.modf("is_present_hf", "X-None")', -1),
        ('KSR.x.modf("mf_process_maxfwd_header", "10")', 2),
        ('(KSR.x.modf("pv_printf", "$var(x)", "<$rm>"), KSR.pv.get("$var(x)"))', [1, "<INVITE>"]),
        ('KSR.x.modf("starts_with", "$rm", "INV")', 1),
        ('KSR.x.modf("search", "^Via:")', 1),
        ('(KSR.x.modf("setbflag", 3), KSR.isbflagset(3))', [1, True]),
        ('KSR.x.modf("xlog", "L_DBG", "$rm\\n")', 1),
    ],
)
def test_a_call(ours: Ours, call: str, value: Any) -> None:
    assert ours.run(f"out.append({call})\n", request()).out == [value]


def test_an_edit_of_the_message(ours: Ours) -> None:
    sent = ours.run('KSR.x.modf("append_hf", "X-Method: $rm\\r\\n")' + FORWARD, request()).sink
    assert "X-Method: INVITE\r\n" in sent[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('"no_such_function"', "no function"),
        ('"is_method"', "other than 0 arguments"),
        ('"pv_printf", "$nothing(", "x"', "pv_printf"),
        ('"search", "("', "search"),
    ],
)
def test_what_it_refuses(ours: Ours, call: str, message: str) -> None:
    code = f"try:\n    KSR.x.modf({call})\nexcept (AttributeError, TypeError) as error:\n    out.append(str(error))\n"
    assert message in ours.run(code, request()).out[0]
