"""From and To: `$fu`, `$tU`, `$fn`, tags. Assignments are lumps: they show in what is sent, not in what is
read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get, Put, some, want_text
from kahea.routing.caller import quiet
from kahea.routing.module import Value, Variable
from kahea.routing.pv import PvError, plain
from kahea.routing.pv.reading import HOST, TAG, URI, USER, PartyText
from kahea.routing.text import wire
from kahea.sip.message import Message, NameAddr
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run

Party = Callable[[Message], NameAddr]


def _from(msg: Message) -> NameAddr:
    return msg.from_


def _to(msg: Message) -> NameAddr:
    return msg.to


def _display(party: Party) -> Get:
    return lambda run: some(party(run.msg).display)


def _user_length(party: Party) -> Get:
    return lambda run: len(parse_uri(party(run.msg).uri).user)


def _set_uri(party: Party) -> Put:
    def put(run: Run, value: Value) -> None:
        if value is None:
            run.node.log.warning("the URI of From or To can't be removed")
            return
        who = party(run.msg)
        run.msg.replace(who.uri_start, who.uri_end - who.uri_start, wire(want_text(value, "a URI")))

    return put


def _set_user(party: Party) -> Put:
    """Null takes the userinfo away; an empty text leaves an empty user."""

    def put(run: Run, value: Value) -> None:
        who = party(run.msg)
        uri = parse_uri(who.uri)
        start = who.uri_start + len(uri.scheme) + 1
        at = who.uri.find(b"@")
        if value is None:
            if uri.has_user and at >= 0:
                run.msg.delete(start, who.uri_start + at + 1 - start)
            return
        user = wire(want_text(value, "a user"))
        if uri.has_user:
            run.msg.replace(start, len(uri.user), user)
        else:
            run.msg.insert(start, user + b"@")

    return put


def _set_host(party: Party) -> Put:
    def put(run: Run, value: Value) -> None:
        if value is None:
            run.node.log.warning("the host of From or To can't be removed")
            return
        who = party(run.msg)
        uri = parse_uri(who.uri)
        if not uri.host:
            raise PvError("the URI has no host")
        after = who.uri.find(b"@") + 1 if uri.has_user else len(uri.scheme) + 1
        at = who.uri.index(uri.host, after)
        run.msg.replace(who.uri_start + at, len(uri.host), wire(want_text(value, "a host")))

    return put


def _set_display(party: Party) -> Put:
    def put(run: Run, value: Value) -> None:
        who = party(run.msg)
        raw = run.msg.raw
        start = raw.index(who.display, who.start) if who.display else _address_start(raw, who)
        if value is None:
            if who.display:
                run.msg.delete(start, _address_start(raw, who) - start)
            return
        name = wire(want_text(value, "a display name"))
        if who.display:
            run.msg.replace(start, len(who.display), name)
        else:
            run.msg.insert(start, name + b" ")

    return put


def _address_start(raw: bytes, who: NameAddr) -> int:
    """The offset of the angle bracket, or of a bare URI."""
    at = who.uri_start - 1
    return at if at >= who.start and raw[at : at + 1] == b"<" else who.uri_start


def _variables(letter: str, word: str, party: Party, label: str) -> list[Variable]:
    of_from = party is _from
    uri = PartyText(of_from, URI).get, _set_uri(party), f"The URI of {label}."
    user = PartyText(of_from, USER).get, _set_user(party), f"The user of {label}'s URI."
    host = PartyText(of_from, HOST).get, _set_host(party), f"The host of {label}'s URI."
    return [
        plain(f"{letter}u", *uri),
        plain(word, *uri),
        plain(f"{letter}U", *user),
        plain(f"{word}.user", *user),
        plain(f"{letter}d", *host),
        plain(f"{word}.domain", *host),
        plain(f"{letter}n", quiet(_display(party)), _set_display(party), f"The display name of {label}."),
        plain(f"{letter}t", PartyText(of_from, TAG).get, doc=f"The tag of {label}."),
    ]


VARIABLES: list[Variable] = [
    *_variables("f", "from", _from, "From"),
    *_variables("t", "to", _to, "To"),
    plain("fUl", quiet(_user_length(_from)), doc="The length of the user of From's URI."),
    plain("tUl", quiet(_user_length(_to)), _set_user(_to), "The length of the user of To's URI."),
    plain("ful", quiet(lambda run: len(run.msg.from_.uri)), doc="The length of From's URI."),
    plain("tts", quiet(lambda run: int(bool(run.msg.to.tag))), doc="1 if To has a tag, else 0."),
]
