"""Words that stand for something of the message: `method`, `uri`, `src_ip`, `myself`, `proto`, ...

They are compared, and nothing else is done with them.
"""

from __future__ import annotations

import ast
import ipaddress
from typing import Any, Final

from kahea.engines.native.compiler import build
from kahea.engines.native.compiler.function import FunctionState
from kahea.engines.native.tree import Expression, Number, String, Variable, Word
from kahea.net.address import PROTO_IDS, Address
from kahea.routing.run import ONSEND_ROUTE

_URIS: Final = frozenset({"uri", "from_uri", "to_uri"})
_ADDRESSES: Final = frozenset({"src_ip", "dst_ip", "snd_ip", "to_ip"})
_NUMBERS: Final = frozenset({"src_port", "dst_port", "snd_port", "to_port", "msg:len", "retcode"})
_PROTOCOLS: Final = frozenset({"proto", "snd_proto", "to_proto"})
_FAMILIES: Final = frozenset({"af", "snd_af", "to_af"})
_ONSEND: Final = frozenset({"snd_ip", "snd_port", "snd_proto", "snd_af", "to_ip", "to_port", "to_proto", "to_af"})
_FAMILY_NUMBERS: Final = {"inet": 2, "inet6": 10, "ipv4": 2, "ipv6": 10}
#: The core's functions that compare with `myself`.
_MYSELF: Final = {
    "uri": "is_myself_ruri",
    "from_uri": "is_myself_furi",
    "to_uri": "is_myself_turi",
    "src_ip": "is_myself_srcip",
}
KNOWN: Final = _URIS | _ADDRESSES | _NUMBERS | _PROTOCOLS | _FAMILIES | {"method", "status", "myself"}


class Operands:
    """Compiles comparisons of such words."""

    def __init__(self, state: FunctionState) -> None:
        self.state = state

    def text(self, e: Expression, *, cast: bool = False) -> ast.expr:
        raise NotImplementedError

    def number(self, e: Expression, *, cast: bool = False) -> ast.expr:
        raise NotImplementedError

    def word_test(self, word: Word, operator: str, other: Expression) -> ast.expr:
        """`word operator other`, where the operator is `==` or `=~` (or a kin of `==`)."""
        if word.text == "myself" and isinstance(other, Word):
            word, other = other, word
        name = word.text.lower()
        if isinstance(other, Word) and other.text == "myself":
            return self._is_myself(word)
        if name == "method":
            return self._method(operator, other)
        if name == "status":
            return self._status(operator, other)
        if name in _URIS:
            return self._text_test(self._of_run(name), operator, other)
        if name in _ADDRESSES:
            return self._address(word, operator, other)
        if isinstance(other, String) and name in _NUMBERS | _PROTOCOLS | _FAMILIES:
            self._check_onsend(word)
            return build.constant(False)  # a number is no string, whatever it says
        if name in _NUMBERS:
            return build.compare(self.operand_number(word), ast.Eq(), self.number(other))
        if name in _PROTOCOLS:
            return build.compare(self.operand_number(word), ast.Eq(), self._protocol(other))
        if name in _FAMILIES:
            return build.compare(self.operand_number(word), ast.Eq(), self._family(other))
        self.state.scope.error("unknown-word", f"{word.text} is nothing that can be compared", word.place)
        return build.constant(False)

    def operand_number(self, word: Word) -> ast.expr:
        """A word whose value is a number."""
        name = word.text.lower()
        self._check_onsend(word)
        if name == "retcode":
            return build.run_attribute("rc")
        if name in ("src_port", "dst_port", "proto"):
            return build.run_attribute("msg", name)
        return self._of_run(name)

    def _check_onsend(self, word: Word) -> None:
        if word.text.lower() in _ONSEND and not self.state.routes & ONSEND_ROUTE:
            self.state.scope.error("route-kind", f"{word.text} is there in an onsend_route only", word.place)

    def is_number(self, e: Expression) -> bool:
        """Whether an expression is such a word."""
        return isinstance(e, Word) and e.text.lower() in _NUMBERS | _PROTOCOLS | _FAMILIES

    def _of_run(self, name: str) -> ast.expr:
        stem = {"to_proto": "snd_proto", "to_af": "snd_af"}.get(name, name).replace(":", "_")
        return build.call(f"{stem}_of", build.name(build.RUN))

    # ---- kinds of words

    def _is_myself(self, word: Word) -> ast.expr:
        name = word.text
        scope = self.state.scope
        if name in _MYSELF:
            function = scope.node.registry.functions["", _MYSELF[name]]
            return build.call(scope.keep(function.call, function.name), build.name(build.RUN))
        if name in _ADDRESSES:
            self._check_onsend(word)
            address = build.run_attribute("msg", name) if name == "dst_ip" else self._of_run(name)
            return build.call(scope.keep(scope.node.is_myself, "is_myself"), address)
        scope.error("unknown-word", f"{name} can't be compared with myself", word.place)
        return build.constant(False)

    def _method(self, operator: str, other: Expression) -> ast.expr:
        """By equality, whatever the case of its letters."""
        if operator != "=~" and isinstance(other, String | Word):
            kept = build.constant(other.text.upper())
            return build.compare(self._of_run("method"), ast.Eq(), kept)
        return self._text_test(self._of_run("method"), operator, other)

    def _status(self, operator: str, other: Expression) -> ast.expr:
        if operator != "=~" and isinstance(other, Number):
            return build.compare(build.run_attribute("msg", "status"), ast.Eq(), build.constant(other.value))
        return self._text_test(self._of_run("status"), operator, other)

    def _text_test(self, value: ast.expr, operator: str, other: Expression) -> ast.expr:
        if operator == "=~":
            if isinstance(other, String | Word):
                search = self.pattern(String(text=other.text, place=other.place))
                return build.negate(build.is_none(build.call(search, value)))
            self.state.may_be_undefined = True
            return build.call("matches", value, self.text(other, cast=True))
        right = build.constant(other.text) if isinstance(other, Word) else self.text(other, cast=True)
        if isinstance(right, ast.Constant):
            lowered: ast.expr = build.constant(str(right.value).lower())
        else:
            lowered = ast.Call(build.attribute(right, "lower"), [], [])
        return build.compare(ast.Call(build.attribute(value, "lower"), [], []), ast.Eq(), lowered)

    def pattern(self, e: String, flags: str = "i") -> str:
        raise NotImplementedError

    def _address(self, word: Word, operator: str, other: Expression) -> ast.expr:
        name = word.text.lower()
        value = build.run_attribute("msg", name) if name in ("src_ip", "dst_ip") else self._of_run(name)
        self._check_onsend(word)
        if operator == "=~":
            as_text = build.call("text", value)
            return self._text_test(as_text, operator, other)
        text = other.text if isinstance(other, String | Word) else None
        if text is None or isinstance(other, Variable):
            return build.call("same_address", build.name(build.RUN), value, self.text(other, cast=True))
        made = _network(text)
        if made is None:
            if isinstance(other, Word) and not any(c.isalpha() for c in text):
                self.state.scope.error("address", f"{text!r} is no address", other.place)
            return build.call("address_has_name", build.name(build.RUN), value, build.constant(text))
        if isinstance(made, bytes):
            return build.compare(value, ast.Eq(), build.constant(made))  # type: ignore[arg-type]
        return build.call("in_network", value, build.name(self.state.scope.keep(made, "network")))

    def _protocol(self, other: Expression) -> ast.expr:
        if isinstance(other, Word):
            number = PROTO_IDS.get(other.text.lower())
            if number is None:
                self.state.scope.error("unknown-word", f"{other.text} is no protocol", other.place)
            return build.constant(number or 0)
        return self.number(other)

    def _family(self, other: Expression) -> ast.expr:
        if isinstance(other, Word):
            number = _FAMILY_NUMBERS.get(other.text.lower())
            if number is None:
                self.state.scope.error("unknown-word", f"{other.text} is no address family", other.place)
            return build.constant(number or 0)
        return self.number(other)


def _network(text: str) -> Any:
    """An address as the message has it (bytes of its text), a network, or None if it is neither."""
    bare = text.strip("[]")
    try:
        if "/" in bare:
            return ipaddress.ip_network(bare.replace("[", "").replace("]", ""), strict=False)
        return Address.of(bare, 0).ip_bytes
    except ValueError:
        return None
