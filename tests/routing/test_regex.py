"""POSIX regular expressions against the C library's own, which is what Kamailio matches with."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kahea.routing.anyof import AnyOf
from kahea.routing.basic_regex import compile_basic
from kahea.routing.regex import RegexError, compile_posix, compile_shell, finder

EXTENDED, ICASE, NEWLINE = 1, 2, 4  # of glibc's regex.h
GROUPS = 10


class _Match(ctypes.Structure):
    _fields_ = [("start", ctypes.c_int), ("end", ctypes.c_int)]


try:
    libc = ctypes.CDLL(None)
    libc.regcomp  # noqa: B018 - raises where there is none
    libc.gnu_get_libc_version  # noqa: B018
except (OSError, AttributeError):
    libc = None  # type: ignore[assignment]

needs_glibc = pytest.mark.skipif(libc is None, reason="the C library is not glibc")


def c_search(pattern: str, text: str, flags: int, syntax: int = EXTENDED) -> tuple[int, int] | str | None:
    """Where the C library finds the pattern, "bad" if it refuses it."""
    regex = ctypes.create_string_buffer(512)
    if libc.regcomp(regex, pattern.encode(), syntax | flags):
        return "bad"
    try:
        found = (_Match * GROUPS)()
        if libc.regexec(regex, text.encode(), GROUPS, found, 0):
            return None
        return found[0].start, found[0].end
    finally:
        libc.regfree(regex)


def our_search(pattern: str, text: str, flags: int) -> tuple[int, int] | str | None:
    try:
        regex = compile_posix(pattern, ignore_case=bool(flags & ICASE), newline=bool(flags & NEWLINE))
    except RegexError:
        return "bad"
    found = regex.search(text)
    return found.span() if found else None


_ATOMS = st.sampled_from(
    [
        *("a", "b", "B", ".", "^", "$", "0", " ", "-", "\n", "{", "}", "]", "(", ")", "*"),
        *("[ab]", "[^a]", "[[:alpha:]]", "[a-c]", "[]a]", "[^]a]", "[a-]", "[[:digit:]b]", "[\\]", "[b-a]"),
        *("\\.", "\\^", "\\\\", "\\w", "\\W", "\\s", "\\b", "[[.a.]]", "[[=b=]]"),
        *("a*", "b+", "c?", "a{2}", "b{1,2}", "a{,2}", "a{3,1}", "(a)", "(b*)"),
        *("|", "a|ab", "(a|ab)", "(ab|a)", "(a|b)*", "(b|bc+)", "(a+)+"),
    ]
)
_PATTERNS = st.lists(_ATOMS, max_size=6).map("".join)
_TEXTS = st.text(alphabet="abcABC01 .-^\\]\n", max_size=12)
_FLAGS = st.sampled_from([0, ICASE, NEWLINE, ICASE | NEWLINE])


@needs_glibc
@settings(suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(_PATTERNS, _TEXTS, _FLAGS)
@example("a[^b]c", "a\nc", NEWLINE)
@example("[a-c-e]", "a", 0)
@example("a{,2}$", "aaa", 0)
@example("a**", "aa", 0)
@example("[", "[", 0)
@example("a[", "a[", 0)
@example("a\\", "a", 0)
@example("\\B", "", 0)
@example("$*", "", 0)
@example("\\b+", "a", 0)
def test_matches_where_the_c_library_does(pattern: str, text: str, flags: int) -> None:
    inner = re.sub(r"\[\^\]?|\\.", "x", pattern)
    if not flags & NEWLINE and ("^" in inner[1:] or "$" in inner[:-1]):
        # Next to a line feed in the match, glibc takes anchors for those of lines even then.
        return
    assert our_search(pattern, text, flags) == c_search(pattern, text, flags)


@needs_glibc
@given(st.lists(st.text(alphabet="abc", max_size=4), min_size=1, max_size=4), _TEXTS)
def test_plain_alternatives_take_the_longest(words: list[str], text: str) -> None:
    pattern = "|".join(words)
    if pattern:
        assert our_search(pattern, text, 0) == c_search(pattern, text, 0)
    assert our_search(f"x({pattern})", "x" + text, 0) == c_search(f"x({pattern})", "x" + text, 0)


@given(st.lists(st.text(alphabet="abK", max_size=4), min_size=1, max_size=4), st.text("abkK\u212a\0é", max_size=12))
@example(["ab", ""], "")
@example(["kab"], "aKAkAB")
@example(["b\\."], "ab.")
def test_plain_texts_are_found_as_by_an_engine(words: list[str], text: str) -> None:
    pattern = "|".join(words)
    for ignore_case in (True, False):
        engine = compile_posix(pattern, ignore_case=ignore_case).search(text)
        assert (finder(pattern, ignore_case=ignore_case)(text) is None) == (engine is None)


@pytest.mark.parametrize("pattern", ["a(b)", "^ab", "a.b", "ab$", "[ab]", "a+b", "é"])
def test_other_expressions_are_found_by_an_engine(pattern: str) -> None:
    assert not isinstance(finder(pattern, ignore_case=False).__self__, AnyOf)  # type: ignore[attr-defined]
    assert isinstance(finder("ab|cd", ignore_case=False).__self__, AnyOf)  # type: ignore[attr-defined]


@given(st.text(max_size=40))
def test_any_pattern_compiles_or_is_refused(pattern: str) -> None:
    with contextlib.suppress(RegexError):
        compile_posix(pattern).search(pattern)


def test_escaped_letters() -> None:
    assert our_search("\\d", "d", 0) == (0, 1)
    assert our_search("\\d", "5", 0) is None
    assert our_search("\\d", "d", ICASE) is None  # as in glibc
    assert our_search("\\t", "\t", 0) is None


def test_non_ascii_characters_are_characters() -> None:
    assert our_search("^.$", "é", 0) == (0, 1)
    assert our_search("É", "é", ICASE) == (0, 1)


def test_back_references_name_closed_groups() -> None:
    assert our_search("(a.)\\1", "abab", 0) == (0, 4)
    assert our_search("(a\\1)", "aa", 0) == "bad"
    assert our_search("(a)\\2", "aa", 0) == "bad"


def test_too_long_a_pattern_is_refused() -> None:
    with pytest.raises(RegexError, match="longer"):
        compile_posix("a" * 5000)


def test_what_backtracks_and_is_slow_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "kahea.script"):
        compile_posix("^(told+)+\\1$")
        compile_posix("^(told+)+$")
        compile_posix("(told)\\1$")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "a*a*a*a*b$", "(.*)*c$"])
def test_no_text_makes_a_search_last(pattern: str) -> None:
    # With backtracking each of these would outlive the test's time limit by far.
    assert compile_posix(pattern).search("a" * 60_000 + "!") is None


def test_what_is_found_in_text_that_is_not_ascii() -> None:
    match = compile_posix("<(.*)>").search("\u00e9 <a\udcff\u00e9> \u00e9")
    assert match is not None
    assert (match.span(), match[1]) == ((2, 7), "a\udcff\u00e9")


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a*c", "abbc", True),
        ("a?c", "abc", True),
        ("[!a]bc", "xbc", True),
        ("[^a]bc", "abc", False),
        ("[]x]", "]", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("[[:digit:]]*", "5 x", True),
        ("*", "a/b\nc", True),
        ("[", "[", True),
        ("a[b", "a[b", True),
        ("a\\", "a", False),
        ("***a", "xa", True),
        ("", "", True),
    ],
)
def test_shell_patterns(pattern: str, text: str, matches: bool) -> None:
    assert (compile_shell(pattern).fullmatch(text) is not None) is matches


_BASIC = st.lists(
    st.sampled_from(
        [
            *("a", "b", ".", "^", "$", "0", "(", ")", "{", "}", "|", "+", "?", "*", "]", "a{1}", "a|b", "(a)"),
            *("[ab]", "[^a]", "[]a]", "[^]a]", "[[:alpha:]]", "[a*^$(|]", "[[.a.]]", "\\.", "\\*", "\\\\", "\\w"),
            *("a*", "b\\+", "c\\?", "a\\{2\\}", "b\\{1,2\\}", "\\(a\\)", "\\(b*\\)", "\\(a\\|ab\\)", "\\(^a$\\)"),
            *("\\|", "\\(", "\\)", "\\{", "^*", "\\(*a\\)", "a^", "$a"),
        ]
    ),
    max_size=5,
).map("".join)


@needs_glibc
@given(_BASIC, st.text(alphabet="abc0.^$(){}|+?*", max_size=10))
@example("^*ab", "*ab")
@example("a\\|*b", "*b")
@example("\\(^a\\)", "a")
@example("a\\{1", "a")
@example("[", "[")
def test_basic_expressions(pattern: str, text: str) -> None:
    try:
        found = compile_basic(pattern).search(text)
        ours: object = found.span() if found else None
    except RegexError:
        ours = "bad"
    theirs = c_search(pattern, text, 0, syntax=0)
    assert ours == theirs
