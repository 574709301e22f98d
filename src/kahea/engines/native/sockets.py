"""Addresses to listen on and names to answer to: `listen`, `socket` and `alias`.

    listen = [proto:]host[:port] [advertise host[:port]] [name "..."] [virtual]
    socket = { bind = [proto:]host[:port[-port]]; advertise = ...; name = "..."; virtual = yes; vrf = "..."; }

A host is an address, a name, an interface, or several addresses in parentheses (SCTP).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NoReturn

from kahea.engines.native.reserved import NUMBERS, RESERVED
from kahea.engines.native.source import END, IP, NUMBER, NUMERAL, STRING, WORD, Token
from kahea.engines.native.statements import Statements
from kahea.engines.native.tree import Declaration, Socket, Word

_PROTOCOLS: Final = ("udp", "tcp", "tls", "sctp")
_ATTRIBUTES: Final = ("advertise", "name", "agname", "virtual")
_HOST: Final = (WORD, NUMBER, NUMERAL)


_PORT: Final = re.compile(r":(\d+)$")
_LAST_PORT: Final = 65535


def _in_range(one: Socket, last: int) -> Iterator[Declaration]:
    """A socket for each port up to the last. Its name ends with its port; the port that it advertises counts along."""
    bind, first = _PORT.sub("", one.bind), int(_PORT.search(one.bind)[1])  # type: ignore[index]
    advertised = _PORT.search(one.advertise)
    for port in range(first, last + 1):
        advertise = one.advertise
        if advertised is not None:
            advertise = f"{_PORT.sub('', advertise)}:{int(advertised[1]) + port - first}"
        name = f"{one.name}{port}" if one.name else ""
        yield replace(one, bind=f"{bind}:{port}", advertise=advertise, name=name)


class Sockets(Statements):
    """Reads addresses with their attributes."""

    def listen(self, token: Token) -> list[Declaration]:
        """`listen=` and one or more addresses."""
        self.advance()
        self.expect("=", f"after {token.text}")
        out: list[Declaration] = []
        while True:
            first = self.token
            bind = self.host().text
            fields: dict[str, str] = {}
            virtual = False
            while self.token.kind == WORD and self.token.text.lower() in _ATTRIBUTES and self.peek().kind != "=":
                key = self.advance().text.lower()
                if key == "virtual":
                    virtual = True
                elif key == "advertise":
                    fields[key] = self.host(protocol=False).text
                else:
                    fields[key] = self._quoted(f"after {key}")
            place = self.since(token if not out else first)
            out.append(Socket(bind=bind, virtual=virtual, place=place, **fields))  # type: ignore[arg-type]
            if not self._more():
                return out

    def hosts(self) -> list[Word]:
        """The names of an `alias`."""
        out = [self.host()]
        while self._more():
            out.append(self.host())
        return out

    def _more(self) -> bool:
        """Whether the next token is one host more, not the next declaration."""
        token = self.token
        if token.kind == WORD:
            known = token.text in _PROTOCOLS or token.text in NUMBERS or token.text not in RESERVED
            return known and not (self.begins_line() and self._begins_parameter())
        return token.kind in (STRING, IP, NUMBER, NUMERAL, "(")

    def _begins_parameter(self) -> bool:
        """`name =`, `group.name =`, `group[1].name =`, on a line of its own."""
        at = 1
        if self.peek(at).kind == "[":
            at += 3
        if self.peek(at).kind == ".":
            at += 2
        return self.peek(at).kind == "="

    def _quoted(self, where: str) -> str:
        if self.token.kind != STRING:
            self.missing("a string", where)
        return self.string().text

    def socket(self, token: Token) -> list[Declaration]:
        """`socket = { bind = ...; ... }`, of which one with a range of ports is many."""
        self.advance()
        self.expect("=", "after socket")
        opening = self.expect("{", "after socket =")
        fields: dict[str, str] = {}
        virtual, workers, last = False, 0, 0
        while not self.take("}"):
            if self.token.kind == END:
                self.missing("}", "of socket", f"the {{ is on line {opening.source.position(opening.start)[0]}")
            if self.take(";"):
                continue
            key = self.expect(WORD, "in socket")
            self.expect("=", f"after {key.text}")
            if key.text in ("bind", "advertise"):
                fields[key.text] = self.host(protocol=key.text == "bind").text
                if key.text == "bind" and self.token.kind == "-":
                    last = self._last_port(fields["bind"])
            elif key.text in ("name", "agname", "vrf"):
                fields[key.text] = self._quoted(f"after {key.text} =")
            elif key.text == "virtual":
                virtual = bool(NUMBERS.get(self.token.text) or self.token.text == "1")
                self.advance()
            elif key.text == "workers":
                if self.token.kind != NUMBER:
                    self.missing("a number", "after workers =")
                workers = self.number().value
            else:
                hint = "it has bind, advertise, name, agname, virtual, vrf and workers"
                self.fail(f"a socket has no {key.text}", key.place, hint)
        if "bind" not in fields:
            self.fail("a socket needs bind", self.since(token))
        one = Socket(virtual=virtual, workers=workers, place=self.since(token), **fields)
        return [*_in_range(one, last)] if last else [one]

    def _last_port(self, bind: str) -> int:
        """The port behind `first-`."""
        self.advance()
        if self.token.kind != NUMBER:
            self.missing("the last port", f"after {bind}-")
        token = self.token
        last = self.number().value
        first = int(_PORT.search(bind)[1]) if _PORT.search(bind) else 0  # type: ignore[index]
        if not 0 < first <= last <= _LAST_PORT:
            self.fail(f"{bind}-{last} is no range of ports", token.place)
        return last

    # ---- hosts

    def host(self, *, protocol: bool = True) -> Word:
        """`proto:host:port` and all shorter forms, as written but without its spaces."""
        first = self.token
        text = ""
        if self.begins_line() and self._begins_parameter():
            self.missing("an address", f"after {self.last().text}")
        if protocol and first.kind == WORD and first.text.lower() in _PROTOCOLS and self.peek().kind == ":":
            text = first.text + ":"
            self.advance()
            self.advance()
        text += self._bare_host()
        if self.token.kind == ":":
            self.advance()
            if self.token.kind != NUMBER:
                self.missing("a port", f"after {text}:")
            text += ":" + self.advance().text
        return Word(text=text, place=self.since(first))

    def _bare_host(self) -> str:
        token = self.token
        if token.kind == STRING:
            return self.string().text
        if token.kind == IP:
            self.advance()
            return f"[{token.text}]" if ":" in token.text and token.text[0] != "[" else token.text
        if token.kind == "(":
            return self._several()
        if token.kind not in _HOST:
            self.missing("an address or a name")
        text = self._part()
        while self.token.kind in (".", "-"):
            text += self.advance().text
            text += self._part()
        if text.replace(".", "").isdecimal() and "." in text:
            self.fail(f"{text} is neither a name nor an IP address", self.since(token))
        return text

    def _several(self) -> str:
        opening = self.advance()
        hosts = [self._bare_host()]
        while self.take(","):
            hosts.append(self._bare_host())
        self.close(opening)
        return f"({', '.join(hosts)})"

    def _part(self) -> str:
        token = self.token
        if token.kind not in _HOST:
            self.missing("a name or an address", "here")
        if token.kind == WORD and token.text in RESERVED and token.text not in NUMBERS:
            self._reserved(token)
        return self.advance().text

    def _reserved(self, token: Token) -> NoReturn:
        message = f"{token.text} is a word of the language, and can't be part of a name"
        self.fail(message, token.place, "put the whole name in quotes")
