"""Reads a cfg as one stream of tokens: follows directives and includes, replaces defined names and what `#!subst` says.

Each token keeps the file and the offset that it was read from, so whatever is said of it later names the right place.
What comes out of a definition stands where the definition's name is used.

A definition replaces a word wherever the grammar could have a name: not in strings, variables or the language's own
words. A substitution changes strings and variables. Later ones see what earlier ones made, their own text included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from kahea.engines.native.diagnostics import ERROR, WARNING, Diagnostic, nearest
from kahea.engines.native.directive_values import Value, ValueExpressionError, compute, written
from kahea.engines.native.lexer import (
    BAD,
    BAD_VARIABLE,
    COMMENT,
    DIRECTIVE,
    DIRECTIVES,
    SPACE,
    STRAY,
    Raw,
    double_quoted,
    token,
)
from kahea.engines.native.reserved import RESERVED
from kahea.engines.native.source import END, SELECT, STRING, VARIABLE, WORD, Source, Token
from kahea.engines.native.tree import Comment, Place
from kahea.routing.module import ConfigError
from kahea.routing.pv import Pv, VariableTable
from kahea.routing.pv.errors import PvError
from kahea.routing.subst import SubstError, Substitution, parse_subst

#: What is defined before anything is read: the version whose language this is.
VERSION: Final = ("KAMAILIO_5", "KAMAILIO_5_6", "KAMAILIO_5_6_3")

_CONDITION: Final = re.compile(r"(?:#!|!!)(?:(ifdef|ifndef|ifexp)(?=[ \t]+\S)|(else|endif)(?=[ \t]*(?:\r?\n|\Z)))")
_BLANK: Final = re.compile(r"[ \t]*")
_ARGUMENT: Final = re.compile(r"[ \t]+(\S+)")
_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_QUOTED: Final = re.compile(r"\s*(?:(\"(?:[^\"\\]|\\.)*\")|'([^']*)')", re.DOTALL)
_UNKNOWN: Final = re.compile(r"#!([a-z_]+)")
_SELECT_WORD: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[A-Za-z_]\w*")
_EVENT: Final = re.compile(r"\s*(\[)\s*([A-Za-z_]\w*(?::[\w.\-]+)+)\s*(\])")
#: First words of a file that say what wrote it for, and nothing to us.
_HEADERS: Final = frozenset({"kamailio", "ser", "openser", "maxcompat", "all"})
#: Variables that have a value while a cfg is read.
_EARLY: Final = frozenset({"def", "defv", "defs", "defn", "env", "envn", "null"})
#: Kamailio stops at ten.
_DEEPEST_INCLUDE: Final = 10
#: A definition in a definition in ...
_DEEPEST_DEFINITION: Final = 30
#: How often definitions may be put in place in one cfg: they could double at each level.
_MOST_EXPANSIONS: Final = 200_000


#: What a word processor makes of quotes.
_ROUND_QUOTES: Final = "“”„‟«»‘’‚"


class TooMuch(Exception):
    """More definitions to put in place than any cfg needs."""


class Definition(NamedTuple):
    """A defined name: its value as text and as tokens, and where it was defined (None: not in a file)."""

    value: str
    tokens: list[Raw]
    place: Place | None


class _Open(NamedTuple):
    """An `#!ifdef` or its kin that waits for its `#!endif`, and whether its `#!else` has been."""

    directive: Raw
    other: bool


class Preprocessor:
    """One reading of a cfg with its includes. `tokens` ends with one of kind END."""

    def __init__(self, defines: Mapping[str, str]) -> None:
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []
        self.diagnostics: list[Diagnostic] = []
        self.sources: dict[str, Source] = {}
        #: Where files were looked for that are not there.
        self.absent: list[str] = []
        self.definitions: dict[str, Definition] = {}
        #: Whether a string or comment runs on to the end of its file.
        self.unclosed = False
        self._substitutions: list[tuple[Substitution, str]] = []
        self._including: list[str] = []
        self._expansions = 0
        self._strays: set[tuple[str, str]] = set()
        self._refused: set[str] = set()
        for name in VERSION:
            self.define(name, "", None)
        for name, value in defines.items():
            self.define(name, value, None)

    def read(self, source: Source) -> None:
        """Take the main file."""
        self._including.append(os.path.realpath(source.name))
        try:
            self._file(source)
        except TooMuch:
            self._say(source, 0, 0, f"definitions are used more than {_MOST_EXPANSIONS:,} times")
        self.tokens.append(Token(END, "", source, len(source.text), len(source.text)))

    def define(self, name: str, value: str, place: Place | None) -> None:
        """Give a name a value, whether it had one or not."""
        self.definitions[name] = Definition(value, _cut(value), place)

    def substitute(self, directive: str, expression: str) -> None:
        """What `--subst` or one of its kin says, before the first line. Raises ConfigError."""
        try:
            name, value = self._add_substitution(directive, expression)
        except SubstError as error:
            raise ConfigError(f"--{directive} {expression}: {error}") from error
        if name:
            self.define(name, value, None)

    def _say(
        self,
        source: Source,
        start: int,
        end: int,
        message: str,
        hint: str = "",
        level: str = ERROR,
        code: str = "syntax",
    ) -> None:
        self.diagnostics.append(Diagnostic(level, code, message, source.place(start, end), hint))

    # ---- tokens

    def _file(self, source: Source) -> None:
        self.sources.setdefault(source.name, source)
        text, at = source.text, 0
        tokens, definitions = self.tokens, self.definitions
        opened: list[_Open] = []
        while (raw := token(text, at)) is not None:
            kind, _, start, at = raw
            if kind == SPACE:
                continue
            if kind == WORD:
                if raw.text in definitions and raw.text not in RESERVED:
                    self._expand(source, raw, raw.text, 0)
                elif raw.text == "include_file" or raw.text == "import_file":
                    at = self._include(source, raw, raw.text)
                else:
                    tokens.append(Token(WORD, raw.text, source, start, at))
                    if raw.text == "event_route":
                        at = self._event(source, at)
            elif kind == STRING:
                self._string(source, raw)
            elif kind == VARIABLE:
                tokens.append(Token(kind, self._substituted(source, raw), source, start, at))
            elif kind == COMMENT:
                self._comment(source, raw)
            elif kind == DIRECTIVE:
                at = self._directive(source, raw, opened)
            elif kind == SELECT:
                tokens.append(Token(kind, self._defined_select(raw.text), source, start, at))
            elif kind == BAD_VARIABLE:
                self._say(source, start, at, raw.text, code="bad-variable")
                tokens.append(Token(VARIABLE, source.text[start:at], source, start, at))
            elif kind == BAD:
                # An open string or comment goes on to the end of the file.
                self._say(source, start, at, raw.text)
                self.unclosed = True
                at = len(text)
            elif kind == STRAY:
                self._stray(source, raw)
            else:
                tokens.append(Token(kind, raw.text, source, start, at))
        for directive, _ in opened:
            self._say(source, directive.start, directive.end, f"{directive.text} without #!endif")

    def _stray(self, source: Source, raw: Raw) -> None:
        """Once for each character of a file."""
        if (source.name, raw.text) not in self._strays:
            self._strays.add((source.name, raw.text))
            message = f"{raw.text!r} means nothing here, and is passed over"
            hint = 'a straight " is meant?' if raw.text in _ROUND_QUOTES else ""
            self._say(source, raw.start, raw.end, message, hint, WARNING, "stray-character")

    def _comment(self, source: Source, raw: Raw) -> None:
        self.comments.append(Comment(text=raw.text, place=source.place(raw.start, raw.end)))
        unknown = _UNKNOWN.match(raw.text)
        if unknown is None or unknown[1] in _HEADERS:
            return
        end = raw.start + unknown.end()
        if hint := nearest(unknown[1], DIRECTIVES.split("|"), "#!"):
            message = f"there is no directive #!{unknown[1]}: the line is a comment"
            self._say(source, raw.start, end, message, hint, WARNING, "unknown-directive")

    def _string(self, source: Source, raw: Raw) -> None:
        text = self._substituted(source, raw)
        last = self.tokens[-1] if self.tokens else None
        if last is not None and last.source is source:
            between = source.text[last.end : raw.start]
            # Kamailio joins a string to what a definition left behind, not the other way round.
            if last.kind == STRING and last.via and source.text[raw.start] == '"' and not between.strip():
                self.tokens[-1] = Token(STRING, last.text + text, source, last.start, raw.end, last.via)
                return
            if last.kind == WORD and (last.text == "loadmodule" or last.text == "loadmodulex"):
                self.define("MOD_" + os.path.basename(text).removesuffix(".so"), "", None)
        self.tokens.append(Token(STRING, text, source, raw.start, raw.end))

    def _event(self, source: Source, at: int) -> int:
        """The name of an event is one token, in which nothing is replaced."""
        match = _EVENT.match(source.text, at)
        if match is None:
            return at
        self.tokens.append(Token("[", "[", source, match.start(1), match.end(1)))
        self.tokens.append(Token(WORD, match[2], source, match.start(2), match.end(2)))
        self.tokens.append(Token("]", "]", source, match.start(3), match.end(3)))
        return match.end()

    def _defined_select(self, text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            found = self.definitions.get(match.group())
            return match.group() if found is None or match.group() in RESERVED else found.value

        return _SELECT_WORD.sub(replaced, text)

    # ---- definitions and substitutions

    def _expand(self, source: Source, use: Raw, name: str, depth: int) -> None:
        if depth > _DEEPEST_DEFINITION:
            self._say(source, use.start, use.end, f"the definition of {name} leads back to itself")
            return
        self._expansions += 1
        if self._expansions > _MOST_EXPANSIONS:
            raise TooMuch
        found = self.definitions[name]
        for raw in found.tokens:
            if raw.kind == WORD and raw.text in self.definitions and raw.text not in RESERVED:
                if raw.text == name:
                    self._say(source, use.start, use.end, f"the definition of {name} leads back to itself")
                    return
                self._expand(source, use, raw.text, depth + 1)
            elif raw.kind in (BAD, BAD_VARIABLE):
                where = f" on line {found.place.line}" if found.place else ""
                self._say(source, use.start, use.end, f"{raw.text}, in the value that {name} was given{where}")
            else:
                text = self._substituted(source, raw) if raw.kind in (STRING, VARIABLE) else raw.text
                self.tokens.append(Token(raw.kind, text, source, use.start, use.end, name))

    def _substituted(self, source: Source, raw: Raw) -> str:
        text = raw.text
        if not self._substitutions:
            return text
        defines = {name: found.value for name, found in self.definitions.items()}
        run: Any = SimpleNamespace(node=SimpleNamespace(configuration=SimpleNamespace(defines=defines)))
        for substitution, expression in self._substitutions:
            try:
                changed = substitution.apply(run, text)
            except SubstError as error:
                self._refuse(source, raw, expression, error)
                continue
            if changed is not None:
                text = changed
        return text

    def _refuse(self, source: Source, raw: Raw, expression: str, error: SubstError) -> None:
        """Once for each substitution that can't be made in some text; the text stays as it is."""
        if expression not in self._refused:
            self._refused.add(expression)
            message = f"the substitution {expression} is left out here: {error}"
            self._say(source, raw.start, raw.end, message, level=WARNING, code="substitution")

    # ---- directives

    def _directive(self, source: Source, raw: Raw, opened: list[_Open]) -> int:
        name = raw.text[2:]
        if name in ("ifdef", "ifndef"):
            return self._condition(source, raw, name, opened)
        if name == "ifexp":
            return self._computed_condition(source, raw, opened)
        if name in ("else", "endif"):
            return self._turn(source, raw, name, opened)
        if name in ("include_file", "import_file"):
            return self._include(source, raw, name)
        if name.startswith("subst"):
            return self._subst(source, raw, name)
        return self._define(source, raw, name)

    def _condition(self, source: Source, raw: Raw, name: str, opened: list[_Open]) -> int:
        found = _ARGUMENT.match(source.text, raw.end)
        if found is None:
            self._say(source, raw.start, raw.end, f"{raw.text} needs a name after a space")
            return raw.end
        start = found.start(1)
        word = self._name(source, start, found[1])
        rest, end = _line(source.text, start + len(word))
        after = _BLANK.match(source.text, start + len(word))
        if after is not None and rest and not rest.startswith(("-", "#", "//", "/*")):
            message = f"{raw.text} looks at one name only: {rest} counts for nothing"
            self._say(source, after.end(), end, message, level=WARNING, code="ignored-text")
        opened.append(_Open(raw, False))
        if (word in self.definitions) != (name == "ifdef"):
            return self._skip(source, end, opened)
        return end

    def _computed_condition(self, source: Source, raw: Raw, opened: list[_Open]) -> int:
        value, end = self._computed(source, raw, raw.end)
        opened.append(_Open(raw, False))
        return end if value else self._skip(source, end, opened)

    def _computed(self, source: Source, raw: Raw, at: int) -> tuple[Value | None, int]:
        """The value of the expression that a directive has from `at` on, and where its line ends."""
        text, end = _line(source.text, at)
        blank = _BLANK.match(source.text, at)
        start = blank.end() if blank else at
        try:
            return compute(text, {name: found.value for name, found in self.definitions.items()}), end
        except ValueExpressionError as error:
            whole = source.text.count("\n", start, end) > 0  # a line that is continued: its parts stand elsewhere
            first, last = (start, end) if whole else (start + error.start, start + error.end)
            self._say(source, first, last, f"{raw.text}: {error}")
            return None, end

    def _name(self, source: Source, start: int, text: str) -> str:
        """The name at the beginning of what follows a directive."""
        match = _NAME.match(text)
        word = match.group() if match else ""
        if text[len(word) : len(word) + 1] == "-":
            self._say(source, start, start + len(text), f"{text}: a name has no -")
        return word

    def _turn(self, source: Source, raw: Raw, name: str, opened: list[_Open]) -> int:
        """`#!else` or `#!endif` after a part that counts."""
        if not _CONDITION.match(source.text, raw.start):
            self._say(source, raw.start, raw.end, f"nothing may stand after {raw.text} on its line")
        if not opened:
            self._say(source, raw.start, raw.end, f"{raw.text} without #!ifdef")
            return raw.end
        if name == "endif":
            opened.pop()
            return raw.end
        return self._skip(source, raw.end, opened)

    def _skip(self, source: Source, at: int, opened: list[_Open]) -> int:
        """Past the `#!else` or `#!endif` that ends the part which does not count."""
        depth = 0
        for match in _CONDITION.finditer(source.text, at):
            if match[1]:
                depth += 1
            elif match[2] == "endif" and depth:
                depth -= 1
            elif match[2] == "endif":
                opened.pop()
                return match.end()
            elif depth == 0:
                return match.end()
        return len(source.text)

    def _define(self, source: Source, raw: Raw, directive: str) -> int:
        found = _ARGUMENT.match(source.text, raw.end)
        if found is None:
            message = f"{raw.text} without a name does nothing"
            self._say(source, raw.start, raw.end, message, level=WARNING, code="ignored-text")
            return raw.end
        if "env" in directive:
            self._environment(source, found, directive)
            return _line(source.text, found.end())[1]
        start = found.start(1)
        name = self._name(source, start, found[1])
        if directive in ("defexp", "defexps"):
            computed, end = self._computed(source, raw, start + len(name))
            value = "" if computed is None else written(computed)
            value = f'"{value}"' if directive == "defexps" else value
        else:
            value, end = _line(source.text, start + len(name))
        self._look_at_definition(source, start, name, found[1])
        known = self.definitions.get(name)
        if known is not None and directive in ("define", "def", "defexp", "defexps"):
            self._already(source, name, start, known)
        elif name and (known is None or directive in ("redefine", "redef")):
            self.define(name, value, source.place(start, start + len(name)))
        return end

    def _look_at_definition(self, source: Source, start: int, name: str, text: str) -> None:
        """Warn of one that does not do what it seems to."""
        end = start + len(name)
        after = text[len(name) : len(name) + 1]
        if name in RESERVED:
            message = f"{name} is a word of the language, which a definition does not replace"
        elif not name or name[0].isdigit():
            end = start + len(text)
            message = f"{text} is no name that a cfg can hold, so nothing is replaced"
        elif after == "=":
            message = f"the value of {name} begins with =: between a name and its value stands a space only"
        elif after == "(":
            message = f"the value of {name} begins with (: a definition takes no arguments"
        else:
            return
        self._say(source, start, end, message, level=WARNING, code="odd-definition")

    def _already(self, source: Source, name: str, start: int, known: Definition) -> None:
        where = f" at {known.place}" if known.place else ""
        hint = "#!redefine changes it, #!trydef sets what is not set"
        self._say(source, start, start + len(name), f"{name} is defined already{where}", hint)

    def _environment(self, source: Source, found: re.Match[str], directive: str) -> None:
        """`#!defenv NAME`, `#!defenv NAME=VARIABLE`; an `s` at the end puts the value in quotes."""
        name, equals, variable = found[1].partition("=")
        start, end = found.span(1)
        if equals and not variable:
            self._say(source, start, end, f"expected the name of an environment variable after {name}=")
            return
        value = os.environ.get(variable or name)
        known = self.definitions.get(name)
        if known is not None:
            self._already(source, name, start, known)
        elif value is not None:
            place = source.place(start, end)
            self.define(name, f'"{value}"' if directive.endswith("s") else value, place)
        elif not directive.startswith("try"):
            message = f"the environment has no {variable or name}"
            self._say(source, start, end, message, f"#!try{directive} defines it only if it is there")

    def _subst(self, source: Source, raw: Raw, directive: str) -> int:
        quoted = _QUOTED.match(source.text, raw.end)
        if quoted is None:
            self._say(source, raw.start, raw.end, f'{raw.text} needs "/what/by what/flags" in quotes')
            return _line(source.text, raw.end)[1]
        group = 1 if quoted[1] is not None else 2
        start, end = quoted.start(group), quoted.end()
        text = double_quoted(quoted[1]) if group == 1 else quoted[2]
        text = self._substituted(source, Raw(STRING, text, start, end))
        try:
            name, value = self._add_substitution(directive, text)
        except SubstError as error:
            self._say(source, start, end, str(error))
            return end
        if directive != "subst":
            self._define_substituted(source, start, name, value, directive)
        return end

    def _add_substitution(self, directive: str, text: str) -> tuple[str, str]:
        """Substitute from here on; the name that `substdef` defines, too, with its value. Raises SubstError."""
        self._substitutions.append((parse_subst(text, _VARIABLES), text))
        if directive == "subst":
            return "", ""
        _, name, value, *_ = re.split(rf"(?<!\\){re.escape(text[0])}", text)
        return name, f'"{value}"' if directive == "substdefs" else value

    def _define_substituted(self, source: Source, start: int, name: str, value: str, directive: str) -> None:
        """`#!substdef` defines its expression as a name, too."""
        place = source.place(start + 1, start + 1 + len(name))
        known = self.definitions.get(name)
        if not name:
            self._say(source, start, start + 1, f"#!{directive} needs a name to define")
        elif known is not None:
            self._already(source, name, start + 1, known)
        else:
            self.define(name, value, place)

    # ---- includes

    def _include(self, source: Source, raw: Raw, directive: str) -> int:
        quoted = _QUOTED.match(source.text, raw.end)
        if quoted is None:
            self._say(source, raw.start, raw.end, f"{raw.text} needs the name of a file in quotes")
            return _line(source.text, raw.end)[1]
        group = 1 if quoted[1] is not None else 2
        start, end = quoted.start(group), quoted.end()
        name = double_quoted(quoted[1]) if group == 1 else quoted[2]
        name = self._substituted(source, Raw(STRING, name, start, end))
        path = _find(source, name)
        if path is None:
            self.absent += [str(path) for path in _candidates(source, name)]
            if directive == "include_file":
                message = f"there is no file {name}"
                self._say(source, start, end, message, "import_file reads a file only if it is there", code="include")
        elif os.path.realpath(path) in self._including:
            self._say(source, start, end, f"{name} includes itself", code="include")
        elif len(self._including) > _DEEPEST_INCLUDE:
            self._say(source, start, end, f"files included more than {_DEEPEST_INCLUDE} deep", code="include")
        else:
            self._included(source, path, start, end)
        return end

    def _included(self, source: Source, path: Path, start: int, end: int) -> None:
        try:
            text = path.read_text("utf-8", "surrogateescape")
        except OSError as error:
            self._say(source, start, end, f"can't read {path}: {error.strerror}", code="include")
            return
        self._including.append(os.path.realpath(path))
        self._file(Source(str(path), text))
        self._including.pop()


class _EarlyVariables:
    """The variables that have a value while a cfg is read: definitions and the environment."""

    def __init__(self) -> None:
        self._table = VariableTable()

    def compile(self, text: str) -> Pv:
        return self.compile_at(text, 0)[0]

    def compile_at(self, text: str, at: int) -> tuple[Pv, int]:
        try:
            pv, end = self._table.compile_at(text, at)
        except PvError:
            pv, end = None, 0
        if pv is None or pv.name not in _EARLY:
            raise PvError("only definitions and the environment have values while a cfg is read", text[at:])
        return pv, end


_VARIABLES: Final[Any] = _EarlyVariables()


def _cut(value: str) -> list[Raw]:
    """The tokens of a definition's value."""
    found: list[Raw] = []
    at = 0
    while (raw := token(value, at)) is not None:
        at = raw.end
        if raw.kind not in (SPACE, COMMENT, DIRECTIVE, STRAY):
            found.append(raw)
        if raw.kind == BAD:
            break
    return found


def _candidates(source: Source, name: str) -> tuple[Path, ...]:
    """A file by its path, and beside the file that includes it."""
    return Path(name), Path(source.name).parent / name


def _find(source: Source, name: str) -> Path | None:
    """The file that a directive names, if it is there."""
    for path in _candidates(source, name):
        try:
            if path.exists() and not path.is_dir():
                return path
        except (OSError, ValueError):
            continue
    return None


def _line(text: str, at: int) -> tuple[str, int]:
    """The rest of a line, with those that a backslash at the end adds to it, and where it ends."""
    parts = []
    while True:
        end = text.find("\n", at)
        if end < 0:
            end = len(text)
        part = text[at:end].removesuffix("\r")
        if part.endswith("\\") and end < len(text):
            parts.append(part[:-1])
            at = end + 1
            continue
        parts.append(part)
        return "".join(parts).strip(), end
