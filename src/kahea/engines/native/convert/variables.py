"""What Kamailio's variables hold, where their names alone tell: numbers or text."""

from __future__ import annotations

import re
from typing import Final

from kahea.engines.native.convert.code import INT, STR

_NUMBERS: Final = frozenset(
    {
        "$?", "$Rap", "$Rp", "$TS", "$T_branch_idx", "$T_reply_code", "$Tf_s", "$Ts", "$af_id", "$bF", "$bf",
        "$bl", "$branch(count)", "$cnt", "$err.level", "$err.rcode", "$mb_len", "$mf", "$mi", "$ml", "$pp",
        "$prid", "$rc", "$retcode", "$rs", "$rz_id", "$sf", "$sp",
    }
)  # fmt: skip
_TEXTS: Final = frozenset(
    {
        "$Ra", "$Ri", "$aU", "$ad", "$ai", "$an", "$ar", "$au", "$br", "$cT", "$ci", "$cs", "$ct", "$dd", "$di",
        "$dip", "$du", "$fU", "$fd", "$fn", "$ft", "$fu", "$hfl", "$hu", "$mb", "$oU", "$od", "$ou", "$pr",
        "$proto", "$rU", "$rb", "$rd", "$re", "$rm", "$route_uri", "$rr", "$ru", "$rv", "$rz", "$si", "$su",
        "$sut", "$tU", "$td", "$tl", "$tn", "$tt", "$tu", "$ua",
    }
)  # fmt: skip
#: Classes of variables that are text under every name.
_TEXT_CLASSES: Final = ("$hdr(", "$(hdr(", "$sel(", "$(sel(", "$hu", "$T_req($ru")
#: Transformations that give a number, and the classes of those that give text otherwise.
_COUNTING: Final = frozenset({"s.len", "s.int", "s.count", "s.numeric", "param.count", "uri.tosocket"})
_TEXT_TRANSFORMATIONS: Final = ("s.", "uri.", "param.", "nameaddr.", "tobody.", "re.", "line.", "urialias.", "sql.")

#: What every message has.
_NEVER_NULL: Final = frozenset(
    {
        "$?", "$Ri", "$Rp", "$TS", "$T_branch_idx", "$Ts", "$cs", "$ci", "$fd", "$fu", "$mb", "$mi", "$ml", "$ou",
        "$pp", "$pr", "$proto", "$rc", "$rd", "$retcode", "$rm", "$rs", "$ru", "$rv", "$si", "$sp", "$su", "$td", "$tu",
    }
)  # fmt: skip

_LAST: Final = re.compile(r"\{([a-z]+\.[a-z0-9_.]+)[^{}]*\}\)?\Z")
_OWN: Final = re.compile(r"\$\(?(?:var|avp|shv|dsv|xavp|xavu|xavi|sht)\(")


def known_type(variable: str) -> str | None:
    """`int` or `str` where a variable always holds that, else None."""
    if (last := _LAST.search(variable)) is not None:
        if last[1] in _COUNTING:
            return INT
        return STR if last[1].startswith(_TEXT_TRANSFORMATIONS) else None
    if variable in _NUMBERS:
        return INT
    return STR if variable in _TEXTS or variable.startswith(_TEXT_CLASSES) else None


def may_be_null(variable: str) -> bool:
    """Whether a variable may have no value, as a header or an AVP that is not there."""
    return "{" in variable or not (variable in _NEVER_NULL or variable.startswith(("$var(", "$shv(")))


def is_own(variable: str) -> bool:
    """Whether only the script itself gives this variable its values."""
    return _OWN.match(variable) is not None and "{" not in variable
