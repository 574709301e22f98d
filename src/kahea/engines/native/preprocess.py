"""Reads a cfg as one stream of tokens: follows directives and includes, replaces defined names and what `#!subst` says.

Each token keeps the file and the offset that it was read from, so whatever is said of it later names the right place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from kahea.engines.native.diagnostics import ERROR, WARNING, Diagnostic
from kahea.engines.native.lexer import BAD, COMMENT, DIRECTIVE, Raw, token, unescape
from kahea.engines.native.source import END, NUMBER, STRING, WORD, Source, Token
from kahea.engines.native.tree import Comment

_BLANK = re.compile(r"[ \t]*")
_NAME = re.compile(r"[A-Za-z_0-9][A-Za-z0-9_.]*")
_CONDITION = re.compile(r"(?:#!|!!)(ifdef|ifndef|else|endif)(?![A-Za-z0-9_])|\"(?:[^\"\\]|\\.)*\"|'[^']*'", re.DOTALL)
_QUOTED = re.compile(r"\s*(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)')", re.DOTALL)
#: Kamailio stops at ten; nothing sane comes near.
_MOST_INCLUDES = 64


class Stop(Exception):
    """Nothing after this can be understood."""


class Preprocessor:
    """One reading of a cfg with its includes. `tokens` ends with one of kind END."""

    def __init__(self, defines: Mapping[str, str]) -> None:
        self.defines: dict[str, str] = dict(defines)
        self.substitutions: list[tuple[re.Pattern[str], str, bool]] = []
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []
        self.diagnostics: list[Diagnostic] = []
        self.sources: dict[str, Source] = {}
        self._values: dict[str, list[Raw]] = {}
        self._including: list[str] = []

    def read(self, source: Source) -> None:
        """Take the main file."""
        self._file(source)
        self.tokens.append(Token(END, "", source, len(source.text), len(source.text)))

    def error(self, source: Source, start: int, end: int, message: str, hint: str = "", level: str = ERROR) -> None:
        """Note a finding."""
        self.diagnostics.append(Diagnostic(level, "syntax", message, source.place(start, end), hint))

    def _file(self, source: Source) -> None:
        self.sources.setdefault(source.name, source)
        text, at = source.text, 0
        opened: list[Raw] = []
        while True:
            raw = token(text, at)
            if raw is None:
                break
            at = raw.end
            kind = raw.kind
            if kind == "space":
                continue
            if kind == COMMENT:
                self.comments.append(Comment(raw.text, place=source.place(raw.start, raw.end)))
            elif kind == BAD:
                self.error(source, raw.start, raw.end, raw.text)
            elif kind == DIRECTIVE:
                at = self._directive(source, raw, opened)
            elif kind == WORD:
                if raw.text in ("include_file", "import_file"):
                    at = self._include(source, raw, raw.text)
                elif raw.text in self.defines:
                    self._expand(source, raw, raw.text, ())
                else:
                    self.tokens.append(Token(WORD, raw.text, source, raw.start, raw.end))
            elif kind == STRING:
                self.tokens.append(Token(STRING, self._substituted(raw.text), source, raw.start, raw.end))
            else:
                self.tokens.append(Token(kind, raw.text, source, raw.start, raw.end))
        for raw in opened:
            self.error(source, raw.start, raw.end, f"{raw.text} without #!endif")

    # ---- definitions

    def _expand(self, source: Source, use: Raw, name: str, within: tuple[str, ...]) -> None:
        if name in within:
            self.error(source, use.start, use.end, f"the definition of {name} contains itself")
            return
        value = self.defines[name]
        for raw in self._cut(name, value):
            if raw.kind == WORD and raw.text in self.defines:
                self._expand(source, use, raw.text, (*within, name))
            elif raw.kind == BAD:
                self.error(source, use.start, use.end, f"{raw.text}, in the value of {use.text}: {value}")
            else:
                text = self._substituted(raw.text) if raw.kind == STRING else raw.text
                self.tokens.append(Token(raw.kind, text, source, use.start, use.end, use.text))

    def _cut(self, name: str, value: str) -> list[Raw]:
        found = self._values.get(name)
        if found is None:
            found, at = [], 0
            while (raw := token(value, at)) is not None:
                at = raw.end
                if raw.kind not in ("space", COMMENT, DIRECTIVE):
                    found.append(raw)
            self._values[name] = found
        return found

    def _substituted(self, text: str) -> str:
        for pattern, by, everywhere in self.substitutions:
            text = pattern.sub(by, text, 0 if everywhere else 1)
        return text

    def define(self, name: str, value: str) -> None:
        """Give a name a value, whether it had one or not."""
        self.defines[name] = value
        self._values.pop(name, None)

    # ---- directives

    def _directive(self, source: Source, raw: Raw, opened: list[Raw]) -> int:
        name = raw.text[2:]
        if name in ("ifdef", "ifndef"):
            return self._condition(source, raw, name, opened)
        if name == "else":
            if not opened:
                self.error(source, raw.start, raw.end, f"{raw.text} without #!ifdef")
                return raw.end
            return self._skip(source, raw.end, opened)
        if name == "endif":
            if opened:
                opened.pop()
            else:
                self.error(source, raw.start, raw.end, f"{raw.text} without #!ifdef")
            return raw.end
        if name in ("include_file", "import_file"):
            return self._include(source, raw, name)
        if name.startswith("subst"):
            return self._subst(source, raw, name)
        return self._define(source, raw, name)

    def _condition(self, source: Source, raw: Raw, name: str, opened: list[Raw]) -> int:
        at = _end(_BLANK, source.text, raw.end)
        found = _NAME.match(source.text, at)
        if found is None:
            self.error(source, raw.start, raw.end, f"{raw.text} needs a name")
            word, end = "", raw.end
        else:
            word, end = found.group(), found.end()
        opened.append(raw)
        if (word in self.defines) != (name == "ifdef"):
            return self._skip(source, end, opened)
        return end

    def _skip(self, source: Source, at: int, opened: list[Raw]) -> int:
        """Past the `#!else` or `#!endif` that ends the part which does not count."""
        depth = 0
        for match in _CONDITION.finditer(source.text, at):
            name = match.group(1)
            if name in ("ifdef", "ifndef"):
                depth += 1
            elif name == "else" and depth == 0:
                return match.end()
            elif name == "endif":
                if depth == 0:
                    opened.pop()
                    return match.end()
                depth -= 1
        return len(source.text)

    def _define(self, source: Source, raw: Raw, directive: str) -> int:
        at = _end(_BLANK, source.text, raw.end)
        found = _NAME.match(source.text, at)
        value, end = _line(source.text, found.end() if found else at)
        if found is None:
            self.error(source, raw.start, raw.end, f"{raw.text} needs a name")
            return end
        name = found.group()
        if directive in ("define", "def"):
            if name in self.defines:
                self.error(
                    source,
                    found.start(),
                    found.end(),
                    f"{name} is defined already",
                    "use #!redefine to change it, or #!trydef to set a default",
                )
            else:
                self.define(name, value)
        elif directive in ("trydefine", "trydef"):
            if name not in self.defines:
                self.define(name, value)
        elif directive in ("redefine", "redef"):
            self.define(name, value)
        elif directive in ("undefine", "undef", "tryundefine", "tryundef"):
            self.defines.pop(name, None)
        else:
            self._environment(source, found, value, directive)
        return end

    def _environment(self, source: Source, found: re.Match[str], rest: str, directive: str) -> None:
        """`#!defenv NAME`, `#!defenv NAME=VARIABLE`; an `s` at the end quotes the value."""
        name = variable = found.group()
        if rest.startswith("="):
            variable = rest[1:].strip()
        value = os.environ.get(variable)
        if value is None:
            if not directive.startswith("try"):
                self.error(source, found.start(), found.end(), f"the environment has no {variable}")
            return
        self.define(name, f'"{value}"' if directive.endswith("s") else value)

    def _subst(self, source: Source, raw: Raw, directive: str) -> int:
        quoted = _QUOTED.match(source.text, raw.end)
        if quoted is None:
            self.error(
                source, raw.start, raw.end, f'{raw.text} needs an expression in quotes: "/regex/replacement/flags"'
            )
            return _line(source.text, raw.end)[1]
        text = unescape(quoted.group(1)) if quoted.group(1) is not None else quoted.group(2)
        start = quoted.end() - len(quoted.group().lstrip())
        parts = text[1:].split(text[0]) if text else []
        if len(parts) != 3:
            self.error(
                source,
                start,
                quoted.end(),
                f"expected {text[:1] or '/'}regex{text[:1] or '/'}replacement{text[:1] or '/'}flags",
            )
            return quoted.end()
        regex, by, flags = parts
        try:
            pattern = re.compile(regex, re.IGNORECASE if "i" in flags else 0)
        except re.error as error:
            self.error(source, start, quoted.end(), f"bad regular expression: {error}")
            return quoted.end()
        if directive in ("subst", "substdef", "substdefs"):
            self.substitutions.append((pattern, by.replace("\\", "\\\\"), "g" in flags))
        if directive == "substdef":
            self.define(regex, by)
        elif directive == "substdefs":
            self.define(regex, f'"{by}"')
        return quoted.end()

    # ---- includes

    def _include(self, source: Source, raw: Raw, directive: str) -> int:
        quoted = _QUOTED.match(source.text, raw.end)
        if quoted is None:
            self.error(source, raw.start, raw.end, f"{raw.text} needs a file name in quotes")
            return _line(source.text, raw.end)[1]
        name = quoted.group(1) if quoted.group(1) is not None else quoted.group(2)
        start = quoted.end() - len(quoted.group().lstrip())
        path = self._find(source, name)
        if path is None:
            if directive == "include_file":
                self.error(
                    source, start, quoted.end(), f"there is no file {name}", "import_file takes it if it is there"
                )
            return quoted.end()
        if len(self._including) >= _MOST_INCLUDES or str(path) in self._including:
            self.error(source, start, quoted.end(), f"{name} includes itself")
            return quoted.end()
        try:
            text = path.read_text("utf-8", "surrogateescape")
        except OSError as error:
            self.error(source, start, quoted.end(), f"can't read {name}: {error.strerror}")
            return quoted.end()
        self._including.append(str(path))
        self._file(Source(str(path), text))
        self._including.pop()
        return quoted.end()

    def _find(self, source: Source, name: str) -> Path | None:
        for path in (Path(name), Path(source.name).parent / name):
            if path.is_file():
                return path
        return None


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _line(text: str, at: int) -> tuple[str, int]:
    """The rest of a line, with those that a backslash at the end adds to it, and where it ends."""
    parts = []
    while True:
        end = text.find("\n", at)
        if end < 0:
            end = len(text)
        part = text[at:end].rstrip("\r")
        if part.endswith("\\") and end < len(text):
            parts.append(part[:-1])
            at = end + 1
            continue
        parts.append(part)
        return "".join(parts).strip(), end


__all__ = ["NUMBER", "WARNING", "Preprocessor", "Stop"]
