"""textopsx: where functions may be called, what belongs to a run, and where we differ from Kamailio."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textops_cases import LINES, PLAIN, VALUES, reply
from textops_oracle import stamp

from conftest import Bench
from kahea.routing.run import BRANCH_ROUTE, ONREPLY_ROUTE, Run, current

Make = Callable[..., Bench]
OTHER = PLAIN.replace(b"INVITE", b"OPTIONS")


@pytest.fixture
def b(bench: Make) -> Bench:
    return bench("textops", "textopsx", "maxfwd")


def test_applied_edits_are_as_received(b: Bench) -> None:
    run = b.take(PLAIN)
    before = run.msg
    run.msg.dst_uri = b"sip:next"
    run.msg.facets["mine"] = 1
    b.call("hdr.append", "X-New: 1\r\n")
    b.call("textops.subst_user", "/bob/carl/")
    assert b.call("textopsx.msg_apply_changes") == 1
    assert run.msg is not before
    assert b.call("hdr.get", "X-New") == "1"
    assert b.node.variables.compile("$ou").get(run) == "sip:carl@example.com"
    assert run.msg.dst_uri == b"sip:next"
    assert run.msg.facets["mine"] == 1
    assert not run.msg.edited


@pytest.mark.parametrize("kind", [BRANCH_ROUTE, ONREPLY_ROUTE])
def test_apply_only_where_the_message_is_ours(b: Bench, kind: int) -> None:
    b.take(PLAIN, kind)
    assert b.call("textopsx.msg_apply_changes") == -1
    assert b.call("textopsx.msg_set_buffer", OTHER.decode()) == -1


def test_apply_leaves_a_message_that_would_break(b: Bench) -> None:
    run = b.take(PLAIN)
    b.call("textops.remove_hf", "CSeq")
    before = run.msg
    assert b.call("textopsx.msg_apply_changes") == -1
    assert run.msg is before


def test_set_buffer_takes_the_same_kind_only(b: Bench) -> None:
    run = b.take(PLAIN)
    assert b.call("textopsx.msg_set_buffer", reply(b"200 OK").decode()) == -1
    assert b.call("textopsx.msg_set_buffer", "junk") == -1
    assert b.call("textopsx.msg_set_buffer", OTHER.decode()) == 1
    assert run.msg.method == b"OPTIONS"
    assert run.msg.src_ip == b"127.0.0.1"


def test_change_of_status_shows_at_once(b: Bench) -> None:
    run = b.take(stamp(reply(b"603 Decline"), 0, 5060, 5999))
    assert b.call("textopsx.change_reply_status", 404, "Not Found") == 1
    assert run.msg.status == 404
    assert run.msg.build_response().startswith(b"SIP/2.0 404 Not Found\r\n")


def test_iterators_belong_to_a_run(b: Bench) -> None:
    run = b.take(PLAIN)
    assert b.call("textopsx.hf_iterator_start", "i") == 1
    assert b.call("textopsx.hf_iterator_next", "i") == 1
    other = current.run = Run(b.node, run.msg, BRANCH_ROUTE)
    assert b.call("textopsx.hf_iterator_next", "i") == -1
    assert b.node.variables.compile("$hfitname(i)").get(other) is None
    current.run = run
    assert b.call("textopsx.hf_iterator_hname", "i") == "Via"


def test_an_iterator_ends_with_its_message(b: Bench) -> None:
    b.take(LINES)
    b.call("textopsx.bl_iterator_start", "i")
    assert b.call("textopsx.bl_iterator_next", "i") == 1
    assert b.call("textopsx.msg_apply_changes") == 1
    assert b.call("textopsx.bl_iterator_next", "i") == -1
    assert b.call("textopsx.bl_iterator_rm", "i") == -1


def test_the_last_line_needs_no_line_end(b: Bench) -> None:
    # Kamailio reads a byte beyond it, and can't edit it.
    b.take(LINES)
    b.call("textopsx.bl_iterator_start", "i")
    while b.call("textopsx.bl_iterator_next", "i") > 0:
        last = b.call("textopsx.bl_iterator_value", "i")
        b.call("textopsx.bl_iterator_append", "i", "+")
    assert last == "abc"
    assert b.msg.edited_body() == b"abc def\r\n+abc ghi\r\n+\r\n+abc+"


def test_fnmatch_in_any_case(b: Bench) -> None:
    # As documented; in Kamailio's builds the flag has no effect.
    b.take(PLAIN)
    assert b.call("textopsx.fnmatch_ex", "abc", "A*", "i") == 0
    assert b.call("textopsx.fnmatch_ex", "abc", "A*", "") == -1
    assert b.call("textopsx.fnmatch", "abc", "A*") == -1


def test_parameters_of_headers_that_are_no_credentials(b: Bench) -> None:
    # Kamailio ends here.
    b.take(VALUES)
    assert b.call("textopsx.assign_hf_value2", "X-Foo[*].p", "7") == 1
    assert b.call("textopsx.remove_hf_value2", "X-Foo.nope", "") == -1
    assert b.call("textopsx.include_hf_value", "Supported", "") == -1
    assert b.call("textopsx.exclude_hf_value", "Supported", "") == -1
    assert b.call("textopsx.hf_value_exists", "Supported", "") == -1


@pytest.mark.parametrize("target", ["X-Foo[", "X-Foo[1", "X-Foo[x]", "X-Foo[1]p", "X-Foo.", "a b[1]", "[1]", ".p"])
def test_targets_that_are_none(b: Bench, target: str) -> None:
    b.take(VALUES)
    assert b.call("textopsx.remove_hf_value", target) == -1
    assert b.call("textopsx.assign_hf_value", target, "x") == -1
    assert not b.msg.edited
