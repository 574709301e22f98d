"""From a cfg's text to its `Program`: declarations here, statements and expressions in the files of those names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from kahea.engines.native.cursor import SyntaxStop
from kahea.engines.native.diagnostics import ERROR, CfgError
from kahea.engines.native.expressions import number
from kahea.engines.native.preprocess import Preprocessor
from kahea.engines.native.source import END, IP, NUMBER, STRING, WORD, Source, Token
from kahea.engines.native.statements import Statements
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
    Program,
    Route,
    Socket,
    Word,
)
from kahea.routing.module import ConfigError

_ROUTES = {
    "route": "request",
    "request_route": "request",
    "reply_route": "reply",
    "onreply_route": "reply",
    "failure_route": "failure",
    "branch_route": "branch",
    "onsend_route": "onsend",
    "event_route": "event",
}
_LISTS = ("alias", "domain")


def parse_file(path: Path, defines: Mapping[str, str] | None = None) -> Program:
    """The program of a file and all that it includes; `defines` are those of `-A`. Raises CfgError with every error."""
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error
    return parse_text(text, str(path), defines)


def parse_text(text: str, name: str, defines: Mapping[str, str] | None = None) -> Program:
    """The program of a text; includes are looked for beside `name`. Raises CfgError with every error."""
    reader = Preprocessor(defines or {})
    reader.read(Source(name, text))
    parser = Parser(reader.tokens)
    declarations = parser.program()
    sources = {source.name: source.lines for source in reader.sources.values()}
    found = reader.diagnostics + parser.diagnostics
    if any(d.level == ERROR for d in found):
        order = {name: at for at, name in enumerate(sources)}
        found.sort(key=lambda d: (order.get(d.place.file, 0), d.place.line, d.place.column))
        raise CfgError(found, sources)
    return Program(declarations, sources, reader.comments, reader.defines)


class Parser(Statements):
    """Reads declarations; after an error, the next one."""

    def program(self) -> list[Declaration]:
        """All of them."""
        out: list[Declaration] = []
        while self.token.kind != END:
            if self.take(";"):
                continue
            start = self.at
            try:
                out.append(self._declaration())
            except SyntaxStop:
                self.depth = 0
                self._resume(start)
        return out

    def _resume(self, start: int) -> None:
        """To where the next declaration seems to begin: the first word of a line, outside of braces."""
        if self.at == start:
            self.advance()
        depth = 0
        for token in self.tokens[start : self.at]:
            depth += (token.kind == "{") - (token.kind == "}")
        while self.token.kind != END:
            kind = self.token.kind
            depth = max(depth + (kind == "{") - (kind == "}"), 0)
            if kind == WORD and self._begins_line() and (depth == 0 or self._begins_route()):
                return
            self.advance()

    def _begins_line(self) -> bool:
        token = self.token
        text = token.source.text
        start = text.rfind("\n", 0, token.start) + 1
        return not text[start : token.start].strip()

    def _begins_route(self) -> bool:
        return self.token.text in _ROUTES and self.peek().kind in ("[", "{")

    def _declaration(self) -> Declaration:
        token = self.token
        if token.kind != WORD:
            self.missing("a parameter, a module or a route")
        text = token.text
        if text in _ROUTES and self.peek().kind in ("[", "{"):
            return self._route(token)
        method = _DECLARATIONS.get(text)
        if method is not None:
            return method(self, token)
        return self._parameter(token)

    # ---- routes

    def _route(self, token: Token) -> Route:
        self.advance()
        name = self._route_name(token) if self.token.kind == "[" else ""
        if token.text == "event_route" and not name:
            self.missing("[", "and the name of an event")
        if token.text in ("route", "onreply_route", "failure_route", "branch_route", "onsend_route") and name == "0":
            name = ""
        place = self.since(token)
        opening = self.expect("{", f"after {token.text}")
        return Route(kind=_ROUTES[token.text], name=name, body=self.block(opening), place=place)

    def _route_name(self, token: Token) -> str:
        self.advance()
        parts: list[str] = []
        while self.token.kind in (WORD, NUMBER, STRING, ":", "-", ".", "="):
            parts.append(self.advance().text)
        if not parts:
            self.missing("a name", "after [")
        if self.token.kind != "]":
            self.missing("]", f"after the name of a {token.text}")
        self.advance()
        return "".join(parts)

    # ---- modules

    def _loadmodule(self, token: Token) -> Declaration:
        self.advance()
        file = self._string("a module's name in quotes", f"after {token.text}")
        options = ""
        if self.token.kind == STRING:
            options = self.string().text
        return LoadModule(file=file, options=options, place=self.since(token))

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
        evaluated = token.text == "modparamx"
        value = self.expression() if evaluated else self._value(f"for {name}")
        self.close(opening)
        return ModParam(modules=modules, name=name, value=value, evaluated=evaluated, place=self.since(token))

    def _cfgengine(self, token: Token) -> Declaration:
        self.advance()
        self.take("=")
        if self.token.kind == WORD:
            return CfgEngine(engine=self.advance().text, place=self.since(token))
        return CfgEngine(engine=self._string("a language in quotes", "after cfgengine"), place=self.since(token))

    def _string(self, what: str, where: str) -> str:
        if self.token.kind != STRING:
            self.missing(what, where)
        return self.string().text

    # ---- flags

    def _flags(self, token: Token) -> Declaration:
        self.advance()
        names: list[tuple[str, int | None]] = []
        while True:
            if self.token.kind not in (WORD, STRING):
                self.missing("a flag's name")
            name = self.advance().text
            value: int | None = None
            if self.take(":"):
                value = number(self.expect(NUMBER, "after :").text)
            names.append((name, value))
            if not self.take(","):
                break
        return Flags(names=tuple(names), avp=token.text == "avpflags", place=self.since(token))

    # ---- parameters

    def _parameter(self, token: Token) -> Declaration:
        self.advance()
        name, group, description = token.text, "", ""
        values: list[Expression]
        if self.token.kind == ".":
            self.advance()
            if self.token.kind != WORD:
                self.missing("a name", f"after {name}.")
            group, name = name, self.advance().text
        if self.token.kind == "[":
            self.advance()
            index = self.advance()
            self.expect("]", f"after {index.text}")
            name += f"[{index.text}]"
            if self.take("."):
                group, name = name, self.expect(WORD, f"after {name}.").text
        if self.token.kind != "=":
            self._stray(token)
        self.advance()
        if name in _LISTS:
            values = self._list()
        else:
            values = [self._value(f"after {name} =")]
        if self.token.kind == WORD and self.token.text in ("desc", "descr", "description"):
            self.advance()
            description = self._string("a description in quotes", "after desc")
        return GlobalParameter(
            name=name, values=tuple(values), group=group, description=description, place=self.since(token)
        )

    def _stray(self, token: Token) -> NoReturn:
        if self.token.kind in ("(", "{", ";"):
            self.fail(f"{token.text}: statements belong in a route", token.place)
        self.missing("=", f"after {token.text}")

    def _list(self) -> list[Expression]:
        values: list[Expression] = [self._socket_text()]
        while self.take(",") or (self.token.kind in (WORD, STRING, IP) and not self._begins_line()):
            values.append(self._socket_text())
        return values

    def _value(self, where: str) -> Expression:
        token = self.token
        if token.kind == "-" and self.peek().kind == NUMBER:
            self.advance()
            return Number(value=-number(self.advance().text), place=self.since(token))
        if token.kind == NUMBER:
            self.advance()
            return Number(value=number(token.text), place=token.place)
        if token.kind == STRING:
            return self.string()
        if token.kind == WORD:
            return self.word()
        if token.kind != IP:
            self.missing("a value", where)
        return self.address()

    # ---- sockets

    def _listen(self, token: Token) -> Declaration:
        self.advance()
        self.expect("=", f"after {token.text}")
        bind = self._socket_text().text
        fields: dict[str, str] = {}
        virtual = False
        while self.token.kind == WORD and self.token.text.lower() in ("advertise", "name", "agname", "virtual"):
            if self._begins_line() and self.peek().kind in ("=", "."):
                break
            key = self.advance().text.lower()
            if key == "virtual":
                virtual = True
            else:
                fields[key] = self._socket_text().text
        return Socket(bind=bind, virtual=virtual, place=self.since(token), **fields)  # type: ignore[arg-type]

    def _socket(self, token: Token) -> Declaration:
        self.advance()
        self.expect("=", "after socket")
        opening = self.expect("{", "after socket =")
        fields: dict[str, str] = {}
        virtual, workers = False, 0
        while not self.take("}"):
            if self.token.kind == END:
                self.missing("}", "of socket", f"the {{ is on line {opening.source.position(opening.start)[0]}")
            if self.take(";"):
                continue
            key = self.expect(WORD, "in socket")
            self.expect("=", f"after {key.text}")
            if key.text in ("bind", "advertise", "name", "agname"):
                fields[key.text] = self._socket_text().text
            elif key.text == "virtual":
                virtual = self.advance().text in ("yes", "on", "true", "enable", "1")
            elif key.text == "workers":
                workers = number(self.expect(NUMBER, "after workers =").text)
            else:
                self.fail(
                    f"a socket has no {key.text}", key.place, "it has bind, advertise, name, agname, virtual, workers"
                )
        if "bind" not in fields:
            self.fail("a socket needs bind", self.since(token))
        return Socket(**fields, virtual=virtual, workers=workers, place=self.since(token))

    def _socket_text(self) -> Word:
        """`proto:host:port` and all shorter and longer forms, as written, in quotes or not."""
        first = self.token
        if first.kind == STRING:
            return Word(text=self.string().text, place=first.place)
        if first.kind not in (WORD, NUMBER, IP, "*", "("):
            self.missing("an address")
        text = self.advance().text
        while self.token.kind in (WORD, NUMBER, IP, "*", ":", ".", "-", "/", "(", ")") and self.joined(0):
            text += self.advance().text
        return Word(text=text, place=self.since(first))


_DECLARATIONS = {
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
    "listen": Parser._listen,
    "socket": Parser._socket,
}
