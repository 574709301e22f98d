"""Expressions made by rule: every operator with operands of every kind, and every variable in every use."""

from __future__ import annotations

from collections.abc import Iterator

from tests.pv.corpus import KEYED, PLAIN, words

from .both import Program

OPERATORS = words("+ - * / mod & | ^ << >> == != eq ne ieq ine < <= > >= && || =~")
SETUP = (
    '$var(i5) = 5; $var(im3) = -3; $var(i0) = 0; $var(s5) = "5"; $var(s05) = "05"; $var(sabc) = "abc"; $var(se) = "";\n'
    '$var(sm3) = "-3"; $var(s5x) = "5abc"; $var(hex) = "0x1f"; $avp(i) = 7; $avp(s) = "x7";\n'
)
OPERANDS = words(
    """
$var(i5) $var(im3) $var(i0) $var(s5) $var(s05) $var(sabc) $var(se) $var(sm3) $var(s5x) $var(hex) $avp(i) $avp(s)
$avp(none) $rU $sp
"""
)
CONSTANTS = ("5", "0", "-3", '"5"', '"abc"', '""', '"0"', '"5abc"', "$null", 'is_method("BYE")', "route(PLUS5)")

SHIFTS = words("$var(i5) $var(i0) $var(s5) $var(sabc) $avp(none) $avp(i)")

#: What compares numbers, or joins conditions, takes no text that is written out; `eq`, `ne` and `=~` no number.
NUMERIC = frozenset(words("- * / mod & | ^ << >> ieq ine < <= > >= && ||"))
TEXTUAL = frozenset({"eq", "ne", "=~"})


def operations() -> Iterator[Program]:
    """Each operator, each operand on its left, all on its right."""
    for operator in OPERATORS:
        for left in OPERANDS:
            # Shifts are as wide as numbers are, and these have 64 bits here.
            right = SHIFTS if operator in ("<<", ">>") else OPERANDS
            pairs = [f"{left} {operator} {each}" for each in right]
            yield Program(SETUP + _shown(pairs))


def operations_with_constants() -> Iterator[Program]:
    """Each operator with a constant on either side."""
    for operator in OPERATORS:
        for constant in CONSTANTS:
            if operator == "<<" and constant == "-3":
                continue
            text, number = constant.startswith('"'), constant.lstrip("-").isdigit()
            if text and operator in NUMERIC:
                continue
            function = "(" in constant and not text
            if not (number and operator == "=~"):
                left = SHIFTS if "<<" in operator or ">>" in operator else OPERANDS
                yield Program(SETUP + _shown([f"{each} {operator} {constant}" for each in left]))
            if not ((number or function) and operator in TEXTUAL):
                right = SHIFTS if "<<" in operator or ">>" in operator else OPERANDS
                yield Program(SETUP + _shown([f"{constant} {operator} {each}" for each in right]))


def _shown(expressions: list[str]) -> str:
    """The value of each, and by adding 1 its type."""
    out = [f'$avp(z) = "ERR"; $avp(z) = {e}; $var(t) = $avp(z) + 1; OUT($avp(z)/$var(t));' for e in expressions]
    return "\n".join(out)


RICH = (
    'Contact: "A" <sip:alice@127.0.0.1:5066;ob>;expires=60;q=0.5, <sip:alice2@127.0.0.1>;expires=30\r\n'
    "Route: <sip:127.0.0.9;lr>, <sip:127.0.0.10:5080;lr;transport=tcp>\r\nRecord-Route: <sip:127.0.0.7;lr>\r\n"
    "Subject: one\r\nX-Multi: a\r\nX-Multi: b,c\r\nX-Multi: d\r\nX-Empty:\r\nX-Folded: first\r\n  second\r\n"
    'Expires: 120\r\nP-Asserted-Identity: "PA" <sip:pa@pa.example.com>, <tel:+123>\r\n'
    'Remote-Party-ID: "R" <sip:rpid@r.example.com>;party=calling\r\n'
    'Diversion: "D" <sip:div@d.example.com>;reason=user-busy;counter=3;privacy=full\r\n'
    "Refer-To: <sip:ref@r.example.com?Replaces=x>\r\n"
    'Authorization: Digest username="auth@dom.example.com", realm="realm1", nonce="n1", uri="sip:x.example.com", '
    'response="00000000000000000000000000000000", algorithm=MD5, opaque="op", qop=auth, nc=00000001, cnonce="cn"\r\n'
    "Content-Type: application/sdp\r\n"
)
URI = "sip:{name}:secret@example.org:5070;transport=tcp;user=phone?X-a=1"
CONTENT = "v=0\r\no=- 1"

TRANSFORMED = words(
    """
$(rU{s.len}) $(ru{uri.host}) $(ru{uri.port}) $(ru{uri.user}) $(ru{uri.param,transport}) $(rm{s.tolower})
$(hdr(X-Multi){s.len}) $(ci{s.substr,0,4}) $(ua{s.md5}) $(fu{uri.user}{s.toupper}) $(avp(none){s.len})
$(hdr(Nope){s.len}) $(var(num){s.int}) $(fn{s.unquote}) $(ct{nameaddr.uri}) $(ct{nameaddr.name}) $(rb{line.count})
$(rb{line.at,0}) $(ru{param.value,transport}) $(ai{uri.host}) $(rU{s.escape.user}) $(rU{s.prefixes,2})
$(rm{s.encode.hexa}) $(cl{s.len}) $(sp{s.len}) $(ru{re.subst,/sip:/tel:/})
"""
)


def variables(known: frozenset[str]) -> Iterator[Program]:
    """Each variable: its value, its type, and what conditions and comparisons make of it."""
    # These are the run's own: another value each time, or the script's.
    other = {"$null", "$$", "$mb", "$T_branch_idx"}
    for each in [*PLAIN, *KEYED, *TRANSFORMED]:
        if each in known and each not in other:
            yield variable(each)


def variable(each: str) -> Program:
    """The program for one variable."""
    body = (
        f"$var(o) = {each}; OUT($(var(o){{s.encode.hexa}})); $var(t) = {each} + 1; OUT($(var(t){{s.encode.hexa}}));\n"
        f"if ({each} == $null) {{ OUT(null); }} if ({each} != $null) {{ OUT(not null); }}\n"
        f'if ({each} == "") {{ OUT(empty); }} if ({each} == 0) {{ OUT(zero); }} if ({each}) {{ OUT(true); }}\n'
        f'if (!{each}) {{ OUT(not); }} if ({each} == "1") {{ OUT(one text); }} if ({each} == 1) {{ OUT(one); }}\n'
        f"$var(l) = strlen({each}); OUT($var(l)); if (defined {each}) {{ OUT(defined); }}\n"
        f'$var(n) = {each} - 1; OUT($var(n)); if ({each} =~ "^[0-9]+$") {{ OUT(digits); }} $var(c) = "a" + {each};\n'
        f"OUT($(var(c){{s.encode.hexa}})); if ({each} > 5) {{ OUT(above 5); }}"
    )
    return Program(body, headers=RICH, uri=URI, content=CONTENT)
