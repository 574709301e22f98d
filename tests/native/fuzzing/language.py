"""Programs of whole route blocks, made from a seed.

A program has a main body and routes that it calls. Everything that it reads it sets first, since `$var` outlives a
message in Kamailio. Numbers stay below 32 bits, since ours have 64: each one that is assigned is taken modulo 1000.
"""

from __future__ import annotations

from random import Random

from ..both import Program

NUMBERS = ["$var(i)", "$var(j)", "$var(k)", "$avp(n)", "$shv(n)", "$xavp(x=>n)", "$xavu(n)", "$vn(n)", "$vz(n)"]
TEXTS = ["$var(s)", "$var(t)", "$avp(s)", "$shv(s)", "$xavp(x[0]=>s)", "$xavu(s)", "$vn(s)", "$xavi(x=>S)"]
#: What is never set, read only.
ABSENT = ["$avp(none)", "$hdr(X-None)", "$xavp(none=>a)", "$vn(never)", "$rt", "$xavp(x=>none)", "$avp(s:none)"]
READ = [
    "$rm", "$fU", "$fd", "$td", "$ua", "$hdr(X-A)", "$(hdr(X-Multi)[0])", "$(hdr(X-Multi)[-1])", "$(hdr(X-Multi)[1])",
    "$si", "$pr", "$rs", "$dp", "$ft", "$hdr(X-Num)", "$hdr(X-Empty)",
]  # fmt: skip
TRANSFORMED = [
    "$(var(s){s.len})", "$(var(t){s.toupper})", "$(var(s){s.substr,1,2})", "$(avp(s){s.select,1,,})",
    "$(var(i){s.len})", "$(var(t){s.int})", "$(hdr(X-A){param.value,b})", "$(hdr(X-A){s.select,-1,;})",
    "$(var(s){re.subst,/b(.)/<\\1>/})", "$(avp(none){s.len})", "$(var(s){s.strip,1}{s.tolower})",
    "$(var(j){s.encode.hexa})", "$(var(t){s.md5}{s.substr,0,6})", "$(var(s){s.rm,b})", "$(var(t){s.numeric})",
    "$(ru{uri.host})", "$(fu{uri.user})", "$(var(s){s.replace,a,$var(i)})", "$(var(k){s.int}{s.len})",
]  # fmt: skip
WORDS = [
    "", "0", "1", "-1", "5", "007", "0x1f", "abc", "ABC", "aBc", "5abc", " 5", "5 ", "+5", "a.c", "a,b,c", "a;b=1;c",
    "x y", "-", "12345", "INVITE", "sip:a@b", "(a)", "a'b", "$$", "a$$b",
]  # fmt: skip
FORMATS = ["$rm", "$var(i)", "a$var(s)b", "$(var(s){s.len})", "$avp(none)", "[$var(j)]", "$var(i)$var(j)", "$rc"]
PATTERNS = [
    "^a", "c$", "^a.c$", "^[0-9]+$", "^$", "^(a|b)", "b+", "^-?[0-9]{1,3}$", "[[:upper:]]", "a\\.c", "(a)(b)?(c)",
    "^[^b]*$", "x|y", "^(abc|ABC)$", "[a-c]{2}", "\\$", "^.{3}$", "^ *5", "a.*c",
]  # fmt: skip
COMPARED = ["==", "!=", "<", "<=", ">", ">="]
TESTS = [
    'is_method("INVITE")', 'is_method("BYE")', "isflagset(1)", "isflagset(2)", "has_body()", 'is_present_hf("X-A")',
    'is_present_hf("X-None")', 'search("X-A")', 'is_in_subnet("127.0.0.1", "127.0.0.0/8")', "has_totag()",
    'search_hf("X-A", "b=", "a")', 'starts_with("$rm", "INV")', "method==INVITE", 'method=="BYE"', "uri==myself",
    "src_ip==127.0.0.1", "src_ip==10.0.0.0/8", 'from_uri=~"alice"', "proto==UDP", "src_port>1", "msg:len>4000",
    'uri=~"^sip:"', "af==INET", "!uri==myself", "isbflagset(1)", "issflagset(1)", "dst_port!=5060",
    "is_alphanum($var(s))", 'is_numeric("$var(t)")', "is_audio_on_hold()", 'in_list("b", "a,b", ",")',
    'pv_isset("$avp(s)")', "is_uri_user_e164($fu)", 'to_uri!="sip:x"', "to_uri==myself", "from_uri!=myself",
]  # fmt: skip
ACTIONS = [
    "setflag(1);", "resetflag(1);", "setflag(2);", "setbflag(1);", "resetbflag(1);", "setsflag(1);", "resetsflag(1);",
    "force_rport();", "add_local_rport();", ";", ";;", "$avp(n) = $null;", "$avp(s) = $null;", "$shv(s) = $null;",
    "$xavu(n) = $null;", "$vn(s) = $null;", "$(avp(n)[*]) = $null;", "$xavp(x) = $null;", "$xavp(x=>s) = \"new\";",
    "pv_unset(\"$avp(s)\");", "$xavi(X=>s) = $null;", "$(avp(s)[1]) = \"pushed\";", "$mf = 5;", "$sf = 2;", "$bf = 2;",
]  # fmt: skip


class Writer:
    """Writes one program."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.name = f"F{seed}"
        self.routes: list[str] = []
        self.loops = 0
        self.budget = 60
        self.multiplied = 0

    def any(self, *options: str) -> str:
        return self.random.choice(options)

    def one(self, options: list[str]) -> str:
        return self.random.choice(options)

    # ---- expressions

    def number(self, depth: int) -> str:
        """An expression with a number as its value, most of the time."""
        r = self.random.random()
        if depth <= 0 or r < 0.25:
            return self.any(
                self.one(NUMBERS), self.one(NUMBERS), str(self.random.randint(-3, 12)), "0x1f", "017", "101b", "$rc",
                "$?", self.one(ABSENT), "$hdr(X-Num)", "$rs", "$retcode", "yes", "off", "$(var(s){s.len})", "$var(t)",
            )  # fmt: skip
        if r < 0.55:
            operator = self.any("+", "-", "*", "/", "mod", "&", "|", "^", "+", "-", ">>")
            if operator == "*":
                self.multiplied += 1
                if self.multiplied > 1:
                    operator = "-"
            right = self.any("1", "2", "0", "31") if operator == ">>" else self.number(depth - 1)
            return self.wrapped(f"{self.number(depth - 1)} {operator} {right}")
        if r < 0.6:
            return f"{self.any('-', '~', '(int)', '!', 'not ', '-')}{self.atom(depth - 1)}"
        if r < 0.66:
            return f"strlen({self.text(depth - 1)})"
        if r < 0.7:
            return f"(int){self.any(self.atom(depth - 1), '(' + self.text(depth - 1) + ')')}"
        if r < 0.8 and depth > 1:
            return f"({self.one(NUMBERS)} = {self.number(depth - 1)})"
        return f"({self.condition(depth - 1)})"

    def wrapped(self, text: str) -> str:
        return f"({text})" if self.random.random() < 0.6 else text

    def atom(self, depth: int) -> str:
        if self.random.random() < 0.5:
            return self.any(self.one(NUMBERS), self.one(TEXTS), self.one(ABSENT), "5", "$rc")
        return f"({self.number(depth)})"

    def text(self, depth: int) -> str:
        """An expression with a text as its value, most of the time."""
        r = self.random.random()
        if depth <= 0 or r < 0.35:
            return self.any(
                self.one(TEXTS), self.one(TEXTS), self.literal(), self.literal(), self.one(READ), self.one(TRANSFORMED),
                self.one(ABSENT),
            )  # fmt: skip
        if r < 0.75:
            left = self.any(self.literal(), self.one(TEXTS), self.one(TRANSFORMED), self.text(depth - 1))
            return f"({left} + {self.any(self.text(depth - 1), '(' + self.number(depth - 1) + ')')})"
        if r < 0.85:
            return f"(str){self.atom(depth - 1)}"
        return f'("~" + {self.choice(depth)})'

    def choice(self, depth: int) -> str:
        """`selval`, where it is no number: Kamailio can use it as such only if all of it is constant."""
        sides = [self.any(self.text(depth - 1), self.number(depth - 1)) for _ in range(2)]
        return f"selval({self.condition(depth - 1)}, {sides[0]}, {sides[1]})"

    def literal(self) -> str:
        """A string in quotes."""
        r = self.random.random()
        if r < 0.3:
            return f'"{self.one(FORMATS)}"'
        word = self.one(WORDS)
        if r < 0.45 and "'" not in word:
            return f"'{word}'"
        if r < 0.55:
            return self.any(
                '"a\\tb"', '"a\\"b"', '"a\\\\b"', '"\\x41b"', '"\\101c"', '"a" "b"', '"a\\qb"', "'a\\tb'", "'\\\\'"
            )
        return f'"{word}"'

    def condition(self, depth: int) -> str:
        """An expression that is true or not."""
        r = self.random.random()
        if depth <= 0 or r < 0.15:
            return self.any(self.one(TESTS), self.one(NUMBERS), self.one(ABSENT), self.one(TEXTS), self.called())
        if r < 0.35:
            return f"{self.number(depth - 1)} {self.one(COMPARED)} {self.number(depth - 1)}"
        if r < 0.5:
            sides = [self.text(depth - 1), self.any(self.text(depth - 1), f"({self.number(depth - 1)})", "$null")]
            if self.random.random() < 0.3:
                sides = [
                    self.one(NUMBERS + TEXTS),
                    self.any(self.number(depth - 1), "$null", self.one(NUMBERS + TEXTS)),
                ]
            return f"{sides[0]} {self.any('==', '!=')} {sides[1]}"
        if r < 0.58:
            return f"{self.text(depth - 1)} {self.any('eq', 'ne')} {self.text(depth - 1)}"
        if r < 0.62:
            return f"{self.number(depth - 1)} {self.any('ieq', 'ine')} {self.number(depth - 1)}"
        if r < 0.72:
            pattern = f'"{self.one(PATTERNS)}"' if self.random.random() < 0.85 else self.one(TEXTS)
            return f"{self.text(depth - 1)} =~ {pattern}"
        if r < 0.9:
            operator = self.any("&&", "||", "and", "or")
            return self.wrapped(f"{self.condition(depth - 1)} {operator} {self.condition(depth - 1)}")
        if r < 0.95:
            return f"{self.any('!', 'not ')}{self.any(self.one(TESTS), '(' + self.condition(depth - 1) + ')')}"
        return self.any(f"defined {self.one(TEXTS + ABSENT)}", f"strempty({self.text(depth - 1)})")

    # ---- statements

    def block(self, depth: int, *, breaks: bool = False) -> str:
        count = self.random.randint(1, 4)
        return "\n".join(self.statement(depth, breaks=breaks) for _ in range(count))

    def statement(self, depth: int, *, breaks: bool = False) -> str:
        self.budget -= 1
        r = self.random.random()
        self.multiplied = 0
        if depth <= 0 or self.budget < 0 or r < 0.4:
            return self.simple(breaks=breaks)
        if r < 0.65:
            return self.branch(depth, breaks=breaks)
        if r < 0.8:
            return self.switch(depth)
        if r < 0.9:
            return self.loop(depth)
        return f"{self.called(depth)};\n{self.shown()}"

    def simple(self, *, breaks: bool) -> str:
        r = self.random.random()
        if r < 0.25:
            return f"{self.one(NUMBERS)} = ({self.number(3)}) mod 1000;"
        if r < 0.3:
            return f"{self.one(NUMBERS)} = {self.called()};"
        if r < 0.5:
            return f"{self.one(TEXTS)} = {self.text(2)};"
        if r < 0.52:
            return f"{self.one(TEXTS)} = {self.choice(2)};"
        if r < 0.56:
            return f"{self.one(TEXTS + NUMBERS)} = {self.any('$null', self.one(TESTS[:6]), self.one(ABSENT))};"
        if r < 0.68:
            return self.one(ACTIONS)
        if r < 0.74:
            return f'{self.any("is_method", "is_method")}("{self.any("INVITE", "BYE")}"); {self.shown()}'
        if r < 0.78 and breaks:
            return "break;"
        if r < 0.81:
            return self.leave()
        return self.shown()

    def leave(self) -> str:
        value = self.any("1", "-1", "2", "-2", self.number(2), f"({self.number(2)})", "$rc", "$var(s)", "", "", "-2")
        return self.any(*[f"return {value};"] * 6, "return;", "return();", "exit;", "drop;", "exit();", "return(-1);")

    def shown(self) -> str:
        """Tell a value."""
        each = self.one(NUMBERS + TEXTS)
        return self.any(
            f"OUT({self.random.randint(1, 99)} $rc);", f"$var(o) = {each}; OUT($(var(o){{s.encode.hexa}}));",
            f"OUT(<{each}>);", "$var(rc) = $rc; OUT(rc $var(rc));", "OUT($re);",
        )  # fmt: skip

    def body(self, depth: int, *, breaks: bool = False) -> str:
        if self.random.random() < 0.15:
            return self.any(self.shown().split(";")[0] + ";" if depth else ";", "setflag(2);", "$var(i) = 3;")
        return f"{{\n{self.block(depth - 1, breaks=breaks)}\n}}"

    def branch(self, depth: int, *, breaks: bool) -> str:
        out = f"if ({self.condition(3)}) {self.body(depth, breaks=breaks)}"
        while self.random.random() < 0.25:
            out += f" else if ({self.condition(2)}) {self.body(depth, breaks=breaks)}"
        if self.random.random() < 0.5:
            out += f" else {self.body(depth, breaks=breaks)}"
        return out

    def switch(self, depth: int) -> str:
        texts = self.random.random() < 0.5
        subject = self.text(2) if texts else self.number(2)
        labels = self.random.sample(["a", "abc", "5", "0", "", "INVITE", "a,b,c", "1"], 3)
        numbers = self.random.sample(range(-2, 8), 3)
        out = f"switch ({subject}) {{\n"
        # Before texts, Kamailio takes no default.
        default = self.random.randint(1 if texts else 0, 5)
        for i in range(3):
            if default == i:
                out += f"default:\n{self.block(depth - 1, breaks=True)}\n{self.any('break;', '', 'break;')}\n"
            label = f'"{labels[i]}"' if texts else str(numbers[i])
            if texts and self.random.random() < 0.3:
                label = f'/"{self.one(PATTERNS)}"'
            body = "" if self.random.random() < 0.2 else self.block(depth - 1, breaks=True)
            out += f"case {label}:\n{body}\n{self.any('break;', '', 'break;')}\n"
        return out + "}"

    def loop(self, depth: int) -> str:
        self.loops += 1
        counter = f"$var(c{self.loops})"
        condition = f"{counter} < {self.random.randint(0, 4)}"
        extra = self.condition(1)
        condition = self.any(
            condition, condition, f"{condition} && {extra}", f"{counter} - {self.random.randint(1, 3)}"
        )
        body = self.block(depth - 1, breaks=True)
        return f"{counter} = 0;\nwhile ({condition}) {{\n{counter} = {counter} + 1;\n{body}\n}}"

    # ---- routes

    def called(self, depth: int = 1) -> str:
        """A call of a route: a fixed one, or one that is written for this."""
        r = self.random.random()
        if r < 0.5 or len(self.routes) > 5 or depth < 1 or self.budget < 5:
            return self.any(*["route(PLUS5)", "route(MINUS5)"] * 3, 'route("PLUS5")', "route(ONE)", "route(NORET)")
        name = f"{self.name}_{len(self.routes)}"
        self.routes.append("")
        at = len(self.routes) - 1
        end = self.any(self.leave(), self.leave(), "", self.simple(breaks=False))
        self.routes[at] = f"route[{name}] {{\n{self.block(min(depth, 2))}\n{end}\n}}"
        if r < 0.7:
            return f'route("{name}")'
        if r < 0.8:
            return self.any(f'route("{self.name}_" + "{at}")', f'route($rU + "_{at}")', f'route($rU + "_" + {at})')
        return f"route({name})"


#: What every program sets first.
PROLOGUE = """\
$var(i) = 3; $var(j) = -2; $var(k) = 0; $avp(n) = 7; $shv(n) = 11; $xavp(x=>n) = 4; $xavu(n) = 6; $vn(n) = 2;
$vz(n) = 9; $var(s) = "abc"; $var(t) = "5"; $avp(s) = "a,b,c"; $shv(s) = ""; $xavp(x[0]=>s) = "x y"; $vn(s) = "INVITE";
$xavu(s) = "5abc"; $xavi(x=>S) = "aBc"; $var(o) = ""; $var(rc) = 0; is_method("INVITE"); if ("abc" =~ "b") setflag(9);
"""

HEADERS = (
    "X-A: a=1;b=2;c\r\nX-Multi: one\r\nX-Multi: two, three\r\nX-Multi: 3\r\nX-Num: 12\r\nX-Empty:\r\nX-Text: a.c\r\n"
)


def program(seed: int) -> Program:
    """The program of a seed."""
    writer = Writer(seed)
    body = "\n".join(writer.statement(3) for _ in range(writer.random.randint(2, 6)))
    shown = "\n".join(
        f"$var(o) = {each}; OUT($(var(o){{s.encode.hexa}}));" for each in [*NUMBERS, *TEXTS, "$mf", "$bf", "$sf", "$re"]
    )
    tail = writer.any("", "", "return 7;", writer.leave())
    return Program(
        f"{PROLOGUE}{body}\n{shown}\n{tail}",
        headers=HEADERS, routes="\n".join(writer.routes), name=writer.name,
        method=writer.any("INVITE", "INVITE", "OPTIONS"), content=writer.any("", "v=0\r\n"),
    )  # fmt: skip
