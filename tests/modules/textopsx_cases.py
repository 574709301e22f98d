"""The cases of textopsx, and the list of all cases.

See `textops_cases.py`.
"""

# ruff: noqa: E501 - the tables read better with a case a line

from __future__ import annotations

import textops_cases as t
from textops_cases import Call


def _values() -> list[list[Call]]:
    places = ("", "[1]", "[2]", "[3]", "[4]", "[5]", "[6]", "[-1]", "[-2]", "[-9]", "[*]")
    return [
        *t.each("textopsx", "append_hf_value", *[("X-Foo" + p, "new") for p in (*places, "[0]", "[1", "[x]", ".p")]),
        *t.each("textopsx", "append_hf_value", ("nope", "new"), ("nope[1]", "new"), ("nope[-1]", "new"), ("x_foo", "n")),
        *t.each("textopsx", "append_hf_value", ("", ""), ("X-Foo", ""), ("Supported[3]", "new"), ("X-E[1]", "new")),
        *t.each("textopsx", "insert_hf_value", *[("X-Foo" + p, "new") for p in places]),
        *t.each("textopsx", "insert_hf_value", ("nope", "new"), ("nope[1]", "new"), ("nope[-1]", "new"), ("nope[2]", "n")),
        *t.each("textopsx", "remove_hf_value", *["X-Foo" + p for p in places], *["X-Foo" + p + ".p" for p in places]),
        *t.each("textopsx", "remove_hf_value", "X-Foo.q", "X-Foo.zz", "nope", "nope[*]", "Supported", "Supported[2]"),
        *t.each("textopsx", "remove_hf_value", "Supported[3]", "Supported[4]", "X-E", ""),
        *t.each("textopsx", "assign_hf_value", *[("X-Foo" + p, "new") for p in places]),
        *t.each("textopsx", "assign_hf_value", *[("X-Foo" + p + ".p", "7") for p in places]),
        *t.each("textopsx", "assign_hf_value", ("X-Foo.p", ""), ("X-Foo.zz", "5"), ("X-Foo.zz", ""), ("X-Foo[9]", "5")),
        *t.each("textopsx", "assign_hf_value", ("nope", "5"), ("nope.p", "5"), ("X-Foo", ""), ("X-Foo[1].q", '"z"')),
        *t.each("textopsx", "assign_hf_value", ("Supported[3]", "x"), ("X-Foo[*]", "")),
        *t.each("textopsx", "remove_hf_value2", *[("X-Foo" + p, "") for p in places]),
        *t.each("textopsx", "remove_hf_value2", *[("Authorization" + p, "") for p in (".realm", ".username", ".nonce")]),
        *t.each("textopsx", "remove_hf_value2", ("Authorization.nope", ""), ("Authorization[*].realm", ""), ("nope", "")),
        *t.each("textopsx", "assign_hf_value2", *[("Authorization" + p, '"z"') for p in (".realm", ".new", "[2].realm")]),
        *t.each("textopsx", "assign_hf_value2", ("Authorization.realm", ""), ("Authorization.new", ""), ("X-Foo", "new")),
        *t.each("textopsx", "assign_hf_value2", ("X-Foo[-1]", "new"), ("X-Foo[*]", "new"), ("nope", "x"), ("nope.p", "x")),
        *t.each("textopsx", "assign_hf_value2", ("X-E", "x"), ("X-E.p", "x")),
        *t.each("textopsx", "include_hf_value", *[("Supported", v) for v in ("path", "PATH", "new", "timer")]),
        *t.each("textopsx", "include_hf_value", ("nope", "new"), ("X-Foo", "d"), ("X-Foo", "b"), ("supported", "n"), ("X-E", "x")),
        *t.each("textopsx", "exclude_hf_value", *[("Supported", v) for v in ("path", "timer", "100rel", "nope", "TIMER")]),
        *t.each("textopsx", "exclude_hf_value", ("nope", "x"), ("X-Foo", "d"), ("X-Foo", "c"), ("X-Foo", "b")),
        *t.together("textopsx", "hf_value_exists", *[("Supported", v) for v in ("path", "PATH", "100rel", "nope")]),
        *t.together("textopsx", "hf_value_exists", ("nope", "x"), ("X-Foo", "b"), ("X-Foo", "a"), ("X-Foo", "d"), ("X_Foo", "d")),
        [("textopsx.append_hf_value", "X-Foo[1]", "n1"), ("textopsx.append_hf_value", "X-Foo[1]", "n2")],
        [("textopsx.remove_hf_value", "X-Foo[1]"), ("textopsx.remove_hf_value", "X-Foo[2]"),
         ("textopsx.remove_hf_value", "X-Foo[3]")],
        [("textopsx.remove_hf_value", "X-Foo[2]"), ("textopsx.remove_hf_value", "X-Foo[3]")],
        [("textopsx.exclude_hf_value", "Supported", v) for v in ("path", "100rel", "timer")],
        [("textopsx.keep_hf",)],
        *t.each("textopsx", "keep_hf_re", "", "^X-", "foo", "[", "^(Supported|X-Case)$"),
    ]  # fmt: skip


def _shell() -> list[list[Call]]:
    patterns = (
        "a*",
        "A*",
        "?bc",
        "[a-c]bc",
        "[!a]bc",
        "*",
        "",
        "a\\*",
        "[[:alpha:]]bc",
        "[^a]bc",
        "[",
        "*[",
        "a**c",
        "*.b",
    )
    return t.together(
        "textopsx", "fnmatch", *[(t, p) for t in ("abc", "a/b", "", ".a", "a*", "[", "a.b") for p in patterns]
    )


def _walk(kind: str, name: str, *steps: str | Call) -> list[Call]:
    """An iterator from its start to its end; steps without arguments are names of its functions."""
    calls: list[Call] = [(f"textopsx.{kind}_iterator_start", name)]
    for step in steps:
        if isinstance(step, str):
            calls.append((f"textopsx.{kind}_iterator_{step}", name))
        elif step[0] == "pv.get":
            calls.append(step)
        else:
            calls.append((f"textopsx.{kind}_iterator_{step[0]}", name, *step[1:]))
    return [*calls, (f"textopsx.{kind}_iterator_end", name)]


def _iterators() -> list[list[Call]]:
    all_headers = ["next", "hname", "hbody"] * 15
    seen: Call = ("pv.get", "$hfitname(a)")
    body: Call = ("pv.get", "$hfitbody(a)")
    a, b = ("append", "X-A: 1\r\n"), ("append", "X-B: 2\r\n")
    before_a, before_b = ("insert", "X-A: 1\r\n"), ("insert", "X-B: 2\r\n")
    return [
        _walk(
            "hf",
            "a",
            "hname",
            "hbody",
            seen,
            body,
            "next",
            seen,
            body,
            "next",
            "prev",
            seen,
            "prev",
            seen,
            "next",
            seen,
        ),
        _walk("hf", "a", *all_headers, "prev", "hname"),
        _walk("hf", "a", "prev", "hname", "next", "hname"),
        _walk("hf", "a", "rm", before_a, a),
        _walk("hf", "a", "next", "next", "rm", "hname", "next", "hname"),
        _walk("hf", "a", "next", "next", a, b, "hname", "next", "hname"),
        _walk("hf", "a", "next", "next", before_a, before_b),
        _walk("hf", "a", "next", "next", "rm", before_a, b),
        _walk("hf", "a", *["next"] * 9, a, ("append", "")),
        [
            *[("textopsx.hf_iterator_start", n) for n in "abcdea"],
            *[("textopsx.hf_iterator_end", n) for n in "abcd"],
        ],
        [
            ("textopsx.hf_iterator_start", ""),
            ("textopsx.hf_iterator_next", ""),
            ("textopsx.hf_iterator_hname", ""),
        ],
    ]


def _line_iterators() -> list[list[Call]]:
    value: Call = ("pv.get", "$blitval(a)")
    return [
        _walk("bl", "a", "value", value, "next", "value", value, "next", value, "next", value),
        _walk("bl", "a", "rm", ("insert", "x"), ("append", "y")),
        _walk("bl", "a", "next", "rm", value, "next", value),
        _walk("bl", "a", "next", "next", ("append", "new\r\n"), ("append", "new2\r\n"), "value", "next", "value"),
        _walk("bl", "a", "next", "next", ("insert", "new\r\n"), ("insert", "new2\r\n")),
        _walk("bl", "a", "next", "rm", ("append", "y\r\n"), ("insert", "z\r\n"), ("append", "")),
        [
            *[("textopsx.bl_iterator_start", n) for n in "abcdea"],
            *[("textopsx.bl_iterator_end", n) for n in "abcd"],
        ],
    ]


def _apply() -> list[list[Call]]:
    part: Call = ("textopsx.msg_apply_changes",)
    return [
        [("hdr.append", "X-A: 1\r\n"), part, ("hdr.is_present", "X-A"), ("hdr.append", "X-B: 1\r\n")],
        [
            ("hdr.remove", "X-Foo"),
            part,
            ("hdr.is_present", "X-Foo"),
            ("hdr.append_after", "X-B: 1\r\n", "Contact"),
        ],
        [("textops.subst_user", "/bob/carl/"), part, ("pv.get", "$rU"), ("pv.get", "$ou")],
        [
            ("textops.replace_body", "v=0", "w"),
            part,
            ("textops.search_body", "^w"),
            ("textops.replace_body", "w", "xyz"),
        ],
        [part],
    ]


def _status() -> list[list[Call]]:
    changes = [
        (404, "Not Found"),
        (404, ""),
        (99, "x"),
        (700, "x"),
        (200, "OK"),
        (699, "x"),
        (180, "x"),
        (300, "y"),
        (183, "z"),
    ]
    return [
        *t.each("textopsx", "change_reply_status", *changes, (0, "x"), (299, "x"), (202, "x")),
        *t.each("textopsx", "change_reply_status_code", 404, 99, 700, 200, 180, 604, 183, 202),
        [("textopsx.change_reply_status", 404, "A"), ("textopsx.change_reply_status", 405, "BB")],
        [("textopsx.change_reply_status", 404, "A"), ("textopsx.change_reply_status_code", 405), ("pv.get", "$rs")],
        [("textopsx.change_reply_status", 404, "A"), ("pv.get", "$rs"), ("pv.get", "$rr")],
        [("textopsx.change_reply_status", 404, "A"), ("hdr.append", "X: 1\r\n"), ("textopsx.msg_apply_changes",),
         ("pv.get", "$rs"), ("pv.get", "$rr"), ("hdr.is_present", "X")],
        [("hdr.append", "X-A: 1\r\n"), ("textops.search", "^SIP/2.0"), ("textops.replace", "Decline", "X")],
        [("textops.set_body", "abc", "t/p"), ("textops.subst_uri", "/a/b/"), ("textops.subst_user", "/a/b/")],
        [("textops.append_body_part", "x", "y/z"), ("textops.set_reply_body", "abc", "t/p")],
    ]  # fmt: skip


def _own_replies() -> list[list[Call]]:
    return [
        [("hdr.append_to_reply", "X-R: 1\r\n"), ("hdr.append_to_reply", "X-S: 1\r\n")],
        [("textops.set_reply_body", "abc", "text/plain")],
        [("textops.set_reply_body", "", "text/plain"), ("textops.set_reply_body", "abc", "")],
        [("hdr.append_to_reply", "X-R: 1\r\n"), ("textops.set_reply_body", "abc", "a/b")],
    ]


def all_cases() -> list[tuple[str, bytes, list[Call], str]]:
    """(name, message, calls, what to do then) of every case."""
    tables: list[tuple[str, bytes, list[list[Call]]]] = [
        ("hdr", t.PLAIN, t.hdr()),
        ("search", t.LINES, t.search()),
        ("search-empty", t.EMPTY, t.search()[-60:-40] + t.bodies()),
        (
            "search-utf8",
            t.UTF8,
            t.each("textops", "replace_all", ("é", "e"), ("abc", "Ä"), ("日.", "x"), ("^.", "y"))[:3],
        ),
        (
            "search-utf8",
            t.UTF8,
            t.each("textops", "replace_body_all", ("É", "e"), ("^.", "<"), ("[^a]$", "!")),
        ),
        ("strings", t.PLAIN, [*t.strings(), *t.together("textops", "search_str", *t.SEARCHES)]),
        ("subst", t.LINES, t.subst()),
        ("subst-slash", t.SLASH, t.each("textops", "subst_body", *t.BODY_SUBSTS)),
        (
            "subst-utf8",
            t.UTF8,
            t.each("textops", "subst_body", *t.BODY_SUBSTS[-2:], "/(日)(本)/\\2\\1é/", "/É/\\0\\0/g"),
        ),
        ("headers", t.PLAIN, t.headers()),
        ("body", t.PLAIN, t.bodies()),
        ("body-untyped", t.UNTYPED, t.bodies()),
        ("body-unmeasured", t.UNMEASURED, t.bodies()[:3]),
        ("multipart", t.PARTS, t.multipart()),
        ("multipart-make", t.PLAIN, t.make_multipart()),
        ("values", t.VALUES, _values()),
        ("shell", t.PLAIN, _shell()),
        ("iterator", t.PLAIN, _iterators()),
        ("iterator-lines", t.LINES, _line_iterators()),
        ("apply", t.PLAIN, _apply()),
    ]
    tables += [("shape", message, calls) for message, calls in t.shapes()]
    for value in t.PRIVACY:
        calls = t.together(
            "textops", "is_privacy", "id", "header", "none", "user", "critical", "session", "ID", "foo", ""
        )
        tables.append(("privacy", t.request(headers=b"Privacy: " + value + b"\r\n"), calls))
    for before, behind in t.HOLDS:
        body = t.SDP.replace(b"@", before) + behind
        for kind in (b"application/sdp", b"text/plain"):
            tables.append(("hold", t.request(body, kind), [[("textops.is_audio_on_hold",)]]))
    for status in (b"603 Decline", b"180 Ringing", b"200 OK"):
        tables.append((f"status-{status[:3].decode()}", t.reply(status), _status()))
    tables.append(("status-request", t.PLAIN, _status()[:2] + _status()[12:14]))
    named = [
        (f"{name}-{table}-{number}", message, calls, "forward")
        for table, (name, message, group) in enumerate(tables)
        for number, calls in enumerate(group)
    ]
    answered = t.PLAIN.replace(b":5999;branch", b":@SINK@;branch")
    return named + [(f"reply-{n}", answered, calls, "reply") for n, calls in enumerate(_own_replies())]
