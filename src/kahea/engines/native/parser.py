"""From a cfg's text to its `Program`: declarations here, statements and expressions in the files of those names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from kahea.engines.native.cursor import RouteInside, SyntaxStop
from kahea.engines.native.diagnostics import ERROR, WARNING, CfgError, Diagnostic, nearest
from kahea.engines.native.preprocess import Preprocessor
from kahea.engines.native.reserved import NUMBERS, RESERVED, ROUTES
from kahea.engines.native.sockets import Sockets
from kahea.engines.native.source import END, IP, NUMBER, STRING, WORD, Source, Token
from kahea.engines.native.tree import (
    CfgEngine,
    Declaration,
    Expression,
    Flags,
    GlobalParameter,
    LoadModule,
    LoadPath,
    ModParam,
    Number,
    Place,
    Program,
    Route,
)
from kahea.routing.module import ConfigError

_KINDS: Final = {
    "route": "request",
    "request_route": "request",
    "reply_route": "reply",
    "onreply_route": "reply",
    "failure_route": "failure",
    "branch_route": "branch",
    "onsend_route": "onsend",
    "event_route": "event",
}
#: Those that are never named.
_UNNAMED: Final = ("request_route", "reply_route")


def parse_file(
    path: Path, defines: Mapping[str, str] | None = None, substitutions: Sequence[tuple[str, str]] = ()
) -> Program:
    """The program of a file and all that it includes; `defines` are those of `-A`, `substitutions` what `--subst` and
    its kin say, each with its directive's name. Raises CfgError with every error."""
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error
    return parse_text(text, str(path), defines, substitutions)


def parse_text(
    text: str, name: str, defines: Mapping[str, str] | None = None, substitutions: Sequence[tuple[str, str]] = ()
) -> Program:
    """The program of a text; includes are looked for beside `name`. Raises CfgError with every error."""
    reader = Preprocessor(defines or {})
    for directive, expression in substitutions:
        reader.substitute(directive, expression)
    reader.read(Source(name, text))
    parser = Parser(reader.tokens, reader.definitions)
    declarations = parser.program()
    sources = {source.name: source.lines for source in reader.sources.values()}
    for absent in reader.absent:
        sources.setdefault(absent, [])
    found = reader.diagnostics + parser.diagnostics + [_hollow(place) for place in parser.hollow]
    if not declarations and not found:
        found.append(Diagnostic(ERROR, "syntax", "there is nothing in this file", Place(name, 1, 1, 1, 1)))
    if reader.unclosed:  # what is missing at the end is in the string or comment
        found = [_from_its_beginning(d, reader.tokens) for d in found if not d.message.endswith(f"found {END}")]
    order = {name: at for at, name in enumerate(sources)}
    found.sort(key=lambda d: (order.get(d.place.file, 0), d.place.line, d.place.column))
    errors = [d for d in found if d.level == ERROR]
    defined = {name: definition.value for name, definition in reader.definitions.items()}
    program = Program(declarations, sources, reader.comments, defined, found)
    if errors:
        whole = parser.whole and all(d.level != ERROR or d.code == "bad-variable" for d in reader.diagnostics)
        raise CfgError(errors, sources, program if whole else None)
    return program


def _hollow(place: Place) -> Diagnostic:
    message = "an empty block does nothing, and Kamailio 5.6 refuses it"
    return Diagnostic(WARNING, "empty-block", message, place, "put a ; into it")


class Parser(Sockets):
    """Reads declarations; after an error, the next one."""

    def program(self) -> list[Declaration]:
        """All of them."""
        out: list[Declaration] = []
        while self.token.kind != END:
            if self.take(";"):
                continue
            start = self.at
            try:
                self._declaration(out)
            except RouteInside:
                self._give_up(harmless=False)
            except SyntaxStop:
                self._give_up(harmless=self._sets_only(start))
                self._resume(start)
        return _merged(out)

    def _sets_only(self, start: int) -> bool:
        """Whether the declaration that begins there gives a value to a parameter, and nothing a name."""
        first, second = self.tokens[start], self.tokens[min(start + 1, len(self.tokens) - 1)]
        return first.text in ("listen", "modparam", "modparamx") or second.kind == "="

    def _give_up(self, *, harmless: bool) -> None:
        """A declaration could not be read. Unless that is harmless, it may be why others seem to be wrong."""
        self.whole = self.whole and harmless
        self.depth = self.switches = 0
        self.calling = ""

    def _resume(self, start: int) -> None:
        """To where the next declaration seems to begin: the first word of a line, outside of braces."""
        if self.at == start:
            self.advance()
        depth = 0
        for token in self.tokens[start : self.at]:
            depth += (token.kind == "{") - (token.kind == "}")
        while self.token.kind != END:
            kind = self.token.kind
            if kind == WORD and self.begins_line() and (depth <= 0 or self._begins_route()):
                return
            depth = max(depth + (kind == "{") - (kind == "}"), 0)
            self.advance()

    def _begins_route(self) -> bool:
        return self.token.text in ROUTES and self.peek().kind in ("[", "{")

    def _declaration(self, out: list[Declaration]) -> None:
        token = self.token
        if token.kind != WORD:
            self._no_declaration(token)
        text = token.text
        if text in ROUTES:
            out.append(self._route(token))
        elif text == "listen":
            out += self.listen(token)
        elif text == "socket":
            out += self.socket(token)
        elif text in _DECLARATIONS:
            out.append(_DECLARATIONS[text](self, token))
        else:
            out.append(self._parameter(token))

    def _no_declaration(self, token: Token) -> NoReturn:
        if token.kind == "}":
            self.fail("there is one } too many", token.place)
        self.missing("a parameter, a module or a route")

    # ---- routes

    def _route(self, token: Token) -> Route:
        self.advance()
        text = token.text
        name = ""
        if self.token.kind == "[" and text not in _UNNAMED:
            self.advance()
            name = self._event_name() if text == "event_route" else self._route_name(text)
            self.expect("]", f"after the name of a {text}")
        elif self.token.kind != "{" or text == "event_route":
            self._no_route(text)
        place = self.since(token)
        opening = self.expect("{", f"after {text}[{name}]" if name else f"after {text}")
        self.odd_block = ""
        kind = _KINDS[text]
        # A route that stays broken is still known, so that its calls are no errors.
        body = self.block(opening)
        return Route(
            kind=kind, name="" if name == "0" else name, body=body, end_line=self.last().place.end_line, place=place
        )

    def _no_route(self, text: str) -> NoReturn:
        hint = f"{text}[NAME] {{ ... }}" if text not in _UNNAMED else f"{text} {{ ... }}"
        wanted = "{" if text in _UNNAMED else "[ or {"
        if text == "event_route":
            wanted, hint = "[", "event_route[module:event] { ... }"
        self.missing(wanted, f"after {text}", hint)

    def _route_name(self, text: str) -> str:
        token = self.token
        if token.kind == STRING:
            return self.string().text
        if token.kind == NUMBER:
            return str(self.number().value)
        if token.kind != WORD:
            self.missing("a name", "after [")
        if token.text in NUMBERS:
            self.advance()
            return str(NUMBERS[token.text])
        if token.text in RESERVED:
            message = f"{token.text} is a word of the language"
            self.fail(message, token.place, f'in quotes it can be a name: {text}["{token.text}"]')
        self.advance()
        if self.token.kind in ("-", ".", ":"):
            self.missing("]", f"after {text}[{token.text}", 'a name with other signs goes in quotes: ["a-b"]')
        return token.text

    def _event_name(self) -> str:
        token = self.token
        if token.kind == STRING:
            return self.string().text
        if token.kind != WORD:
            self.missing("an event, module:event,", "after [")
        if ":" not in token.text:
            self.note(self.expected("an event, module:event,", "after ["), token.place)
        return self.advance().text

    # ---- modules

    def _loadmodule(self, token: Token) -> Declaration:
        self.advance()
        if self.token.kind == WORD and not self.begins_line():
            first = self.token
            file = self._unquoted()
            message = f"expected a module's name in quotes after {token.text}, found {file}"
            self.note(message, self.since(first), f'{token.text} "{file}"')
        else:
            file = self._string("a module's name in quotes", f"after {token.text}")
        return LoadModule(file=file, place=self.since(token))

    def _unquoted(self) -> str:
        """What stands up to the end of the line."""
        text = self.advance().written
        while self.token.kind != END and not self.begins_line() and self.token.kind != ";":
            text += self.advance().written
        return text

    def _loadpath(self, token: Token) -> Declaration:
        self.advance()
        self.take("=")
        return LoadPath(path=self._string("a directory in quotes", f"after {token.text}"), place=self.since(token))

    def _modparam(self, token: Token) -> Declaration:
        self.advance()
        opening = self.expect("(", f"after {token.text}")
        modules = self._string("a module's name in quotes", f"in {token.text}")
        self.expect(",", "after the module's name")
        name = self._string("a parameter's name in quotes", f"in {token.text}")
        self.expect(",", "after the parameter's name")
        value = self._value(f"for {name}")
        self.close(opening)
        evaluated = token.text == "modparamx"
        return ModParam(modules=modules, name=name, value=value, evaluated=evaluated, place=self.since(token))

    def _cfgengine(self, token: Token) -> Declaration:
        self.advance()
        self.take("=")
        return CfgEngine(engine=self._string("a language in quotes", "after cfgengine"), place=self.since(token))

    def _string(self, what: str, where: str) -> str:
        if self.token.kind != STRING:
            self.missing(what, where)
        return self.string().text

    # ---- flags

    def _flags(self, token: Token) -> Declaration:
        self.advance()
        avp = token.text == "avpflags"
        names: list[tuple[str, int | None]] = []
        while True:
            if self.token.kind not in (WORD, STRING) or (self.token.kind == WORD and self.token.text in RESERVED):
                self.missing("the name of a flag")
            name = self.advance().text
            value: int | None = None
            if not avp and self.take(":"):
                if self.token.kind != NUMBER:
                    self.missing("a number", f"after {name}:")
                value = self.number().value
            names.append((name, value))
            if not self.take(","):
                break
        return Flags(names=tuple(names), avp=avp, place=self.since(token))

    # ---- parameters

    def _parameter(self, token: Token) -> Declaration:
        self.advance()
        name, group, description = token.text, "", ""
        if self.token.kind == "[":
            name += self._instance()
        if self.take("."):
            group, name = name, self._own_name(name)
        if self.token.kind != "=":
            self._stray(token)
        self.advance()
        values: list[Expression] = [*self.hosts()] if name in ("alias", "domain") else [self._value(f"after {name} =")]
        if self.token.kind == WORD and self.token.text in ("desc", "descr", "description"):
            self.advance()
            description = self._string("a description in quotes", "after desc")
        elif self.token.kind in ("+", "-", "*", "/", "(", ",") and name not in ("alias", "domain"):
            self.fail(f"{name} takes a value, not an expression", self.token.place)
        return GlobalParameter(
            name=name, values=tuple(values), group=group, description=description, place=self.since(token)
        )

    def _instance(self) -> str:
        """`[1]` after a group's name, `[name]` after coreparam."""
        self.advance()
        if self.token.kind not in (NUMBER, WORD):
            self.missing("a number", "after [")
        index = self.advance().text
        self.expect("]", f"after {index}")
        return f"[{index}]"

    def _own_name(self, group: str) -> str:
        token = self.token
        if token.kind != WORD:
            self.missing("a name", f"after {group}.")
        if token.text in RESERVED and group != "kemi":
            self.fail(f"{token.text} is a word of the language, and can't be a name here", token.place)
        return self.advance().text

    def _is_declaration(self, text: str) -> bool:
        """Whether a word, the first of its line, is none of the line before."""
        return text in ROUTES or text in _DECLARATIONS or text == "listen" or self.peek().kind in ("=", ".")

    def _stray(self, token: Token) -> NoReturn:
        if self.token.kind in ("(", "{", ";") or token.text in ("if", "while", "switch", "return", "exit", "drop"):
            before = self.tokens[self.at - 2] if self.at > 1 else token
            line = before.source.position(before.start)[0]
            hint = nearest(token.text, (*_DECLARATIONS, *ROUTES, "listen"))
            if before.kind == "}" and not hint:
                hint = f"the }} on line {line} ended the route"
            self.fail(f"{token.text}: statements belong in a route", token.place, hint)
        self.missing("=", f"after {token.text}", nearest(token.text, (*_DECLARATIONS, *ROUTES)))

    def _value(self, where: str) -> Expression:
        token = self.token
        kind = token.kind
        if kind == WORD and self.begins_line() and self._is_declaration(token.text):
            self.missing("a value", where)
        if kind == "-" and self.peek().kind == NUMBER:
            self.advance()
            return Number(value=-self.number().value, place=self.since(token))
        if kind == NUMBER and self.peek().kind != ".":
            return self.number()
        if kind == STRING:
            return self.string()
        if kind == WORD:
            return self.word()
        if kind != IP:
            self.missing("a value", where)
        return self.address()


def _from_its_beginning(d: Diagnostic, tokens: list[Token]) -> Diagnostic:
    """An unclosed string, with a hint at the one before it whose closing quote is missing, if it looks so."""
    odd = next((t for t in tokens if t.kind == STRING and t.source.name == d.place.file and "\n" in t.written), None)
    if odd is None or d.hint or not d.message.startswith("the string that begins here"):
        return d
    first, last = odd.place.line, odd.place.end_line
    return replace(d, hint=f"a string goes from line {first} to line {last}: is its closing quote missing?")


def _merged(declarations: list[Declaration]) -> list[Declaration]:
    """Later main blocks of a kind put to the end of the first one, as Kamailio does."""
    first: dict[str, int] = {}
    out: list[Declaration] = []
    for declaration in declarations:
        if isinstance(declaration, Route) and not declaration.name:
            at = first.setdefault(declaration.kind, len(out))
            if at < len(out):
                main = out[at]
                assert isinstance(main, Route)
                out[at] = replace(main, body=main.body + declaration.body)
                continue
        out.append(declaration)
    return out


_DECLARATIONS: Final[dict[str, Callable[[Any, Token], Declaration]]] = {
    "loadmodule": Parser._loadmodule,
    "loadmodulex": Parser._loadmodule,
    "loadpath": Parser._loadpath,
    "mpath": Parser._loadpath,
    "modparam": Parser._modparam,
    "modparamx": Parser._modparam,
    "cfgengine": Parser._cfgengine,
    "flags": Parser._flags,
    "bool": Parser._flags,
    "avpflags": Parser._flags,
}

__all__ = ["Parser", "parse_file", "parse_text"]
