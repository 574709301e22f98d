"""Every native function of the modules that are built, as Kamailio's tables have it: argument counts and route kinds.

`kamailio_functions.json` lists the functions that Kamailio's modules export to its native language, and those of its
core. `NOT_ONSEND` there is every route but the onsend route.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kahea.modules.core.forms import NOT_ONSEND
from kahea.routing import run
from kahea.routing.node import Node
from kahea.routing.registry import available
from kahea.routing.settings import Configuration

TABLE: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("kamailio_functions.json").read_text())
BITS = {
    "ANY_ROUTE": 0,
    "NOT_ONSEND": NOT_ONSEND,
    "REQUEST_ROUTE": run.REQUEST_ROUTE,
    "FAILURE_ROUTE": run.FAILURE_ROUTE,
    "ONREPLY_ROUTE": run.ONREPLY_ROUTE | run.CORE_ONREPLY_ROUTE,
    "TM_ONREPLY_ROUTE": run.ONREPLY_ROUTE,
    "CORE_ONREPLY_ROUTE": run.CORE_ONREPLY_ROUTE,
    "BRANCH_ROUTE": run.BRANCH_ROUTE,
    "BRANCH_FAILURE_ROUTE": run.BRANCH_FAILURE_ROUTE,
    "ONSEND_ROUTE": run.ONSEND_ROUTE,
    "EVENT_ROUTE": run.EVENT_ROUTE,
    "LOCAL_ROUTE": run.LOCAL_ROUTE,
}

#: Functions that are not here, or are otherwise, each with the reason.
BINDING = "a binding between Kamailio's modules, not for scripts"
UNDOCUMENTED = "newer than 5.6, and nothing says what it does"
EXCEPTIONS = {
    "bind_app_lua": BINDING,
    "bind_htable": BINDING,
    "bind_json": BINDING,
    "bind_mq": BINDING,
    "bind_tmx": BINDING,
    "bind_textopsx": BINDING,
    "bind_xhttp": BINDING,
    "t_cell_append_branches": UNDOCUMENTED,
    "t_msg_apply_changes": UNDOCUMENTED,
    "t_cancel_branch_idx": UNDOCUMENTED,
    "msg_vbflag_parse": UNDOCUMENTED,
    "msg_vbflag_set": "flags of a Via that nothing reads",
    "msg_vbflag_reset": "flags of a Via that nothing reads",
    "msg_vbflag_is_set": "flags of a Via that nothing reads",
    "t_vbflag_set": "flags of a Via that nothing reads",
    "t_vbflag_reset": "flags of a Via that nothing reads",
    "t_vbflag_is_set": "flags of a Via that nothing reads",
    "add_tcp_alias": "the core's, of the same name, is in force",
    "tel2sip2": UNDOCUMENTED,
    "via_param_rm": UNDOCUMENTED,
    "async_tkv_emit": UNDOCUMENTED,
    "http_async_send": UNDOCUMENTED,
    "http_async_send_xdata": UNDOCUMENTED,
    "http_client_response_headers_clear": UNDOCUMENTED,
    "http_client_request_v2pk": "HTTP/2 without TLS, which the client here does not speak",
    "msg_changed_route": UNDOCUMENTED,
    "allow_register_include_port": UNDOCUMENTED,
    "uac_reg_send_register": UNDOCUMENTED,
    "uac_reg_send_unregister": UNDOCUMENTED,
    "rtpengine_connect": UNDOCUMENTED,
    "rtpengine_destroy": UNDOCUMENTED,
    "rtpengine_subscribe_request": UNDOCUMENTED,
    "rtpengine_subscribe_answer": UNDOCUMENTED,
    "rtpengine_unsubscribe": UNDOCUMENTED,
}
#: Where a second parameter of rtpengine's functions is older than 5.6.
TWO_OF_RTPENGINE = {"rtpengine_query_v", "set_rtpengine_set"}


@cache
def natives() -> dict[str, list[tuple[str, range, int]]]:
    """The forms of every native function: the module, its counts and its route kinds."""
    node = Node(Configuration())
    return {
        name: [(f.module, range(f.least, len(f.kinds) + 1), f.routes) for f in forms]
        for name, forms in node.registry.natives.items()
    }


def bits(names: list[str]) -> int:
    found = 0
    for name in names:
        found |= BITS[name]
    return found


CASES = [
    pytest.param(module, name, entry, id=f"{module}-{name}")
    for module in sorted({*available(), "core"} & TABLE.keys())
    for name, entry in TABLE[module].items()
    if name not in EXCEPTIONS
]


@pytest.mark.parametrize(("module", "name", "entry"), CASES)
def test_a_function_takes_what_it_takes_in_kamailio(module: str, name: str, entry: dict[str, Any]) -> None:
    found = natives().get(name, [])
    owners = {owner for owner, _, _ in found}
    # Two modules may have a function of one name; a function may be another module's here.
    forms = [(counts, routes) for owner, counts, routes in found if owner == module or module not in owners]
    counts = sorted(n for counts, _ in forms for n in counts)
    wanted = entry["params"] if "var" not in entry["params"] else None
    if wanted is not None:
        if module == "rtpengine" and name not in TWO_OF_RTPENGINE:
            wanted = [n for n in wanted if n != 2]
        assert [n for n in counts if n in wanted] == wanted, "a count is missing, or has two forms"
        assert set(counts) == set(wanted)
    for counts_of_form, routes in forms:
        for n in counts_of_form:
            by_count = entry.get("routes_by_params", {}).get(str(n), entry["routes"])
            if n in (wanted or [n]):
                assert routes == bits(by_count)


def test_exceptions_are_exceptions() -> None:
    assert EXCEPTIONS.keys() & natives().keys() <= {"add_tcp_alias"}
