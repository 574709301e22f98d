"""The rules of the table `trusted`: from where, over what, by whom and to whom a request needs no authentication."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kahea.modules.permissions.sources import BadRecord, number
from kahea.net.address import PROTO_IDS
from kahea.routing.basic_regex import compile_basic
from kahea.routing.linear import Pattern
from kahea.routing.regex import RegexError

#: The protocol of a rule, or of a question, that does not mind it.
ANY: Final = 0
#: The protocol of a rule that is switched off.
_NONE: Final = "none"


class Peer(NamedTuple):
    """Who sends a request: source address as text, protocol, From URI and Request-URI."""

    source: str
    proto: int
    from_uri: str
    ruri: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. The patterns are basic regular expressions; None fits all."""

    source: str
    proto: int
    from_pattern: str | None
    ruri_pattern: str | None
    tag: str | None
    priority: int
    from_regex: Pattern | None
    ruri_regex: Pattern | None

    def fits(self, peer: Peer) -> bool:
        """Whether it fits a peer, whose source address is the rule's."""
        return (
            (ANY in (self.proto, peer.proto) or self.proto == peer.proto)
            and (self.from_regex is None or self.from_regex.search(peer.from_uri) is not None)
            and (self.ruri_regex is None or self.ruri_regex.search(peer.ruri) is not None)
        )


def proto_of(name: str) -> int | None:
    """The number of a protocol by its name in any case, ANY for "any"; None if there is none."""
    name = name.lower()
    return ANY if name == "any" else PROTO_IDS.get(name)


def rule_of(row: Sequence[Any]) -> Rule | None:
    """A row: source address, protocol, patterns of From and Request-URI, tag, priority. None if it is switched off.
    Raises BadRecord."""
    source, proto, from_pattern, ruri_pattern, tag = (None if each is None else str(each) for each in row[:5])
    if source is None or proto is None:
        raise BadRecord(f"the trusted peer {source!r} lacks an address or a protocol")
    if proto.lower() == _NONE:
        return None
    known = proto_of(proto)
    if known is None:
        raise BadRecord(f"the trusted peer {source!r} has the protocol {proto!r}, which is unknown")
    try:
        regexes = [None if each is None else compile_basic(each) for each in (from_pattern, ruri_pattern)]
    except RegexError as error:
        raise BadRecord(f"the trusted peer {source!r} has a pattern that is no regular expression: {error}") from error
    priority = 0 if row[5] is None else number(row[5])
    return Rule(source, known, from_pattern, ruri_pattern, tag, priority, *regexes)


class TrustedTable:
    """The rules of one load, those of the highest priority first."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = sorted(rules, key=lambda rule: -rule.priority)
        self._by_source: dict[str, list[Rule]] = {}
        for rule in self.rules:
            self._by_source.setdefault(rule.source, []).append(rule)

    def of(self, source: str) -> Sequence[Rule]:
        """The rules of a source address."""
        return self._by_source.get(source, ())
