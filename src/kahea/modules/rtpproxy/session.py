"""Commands to relays for the session of a message: what names it, which side says what, and what the answers change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.connectors.errors import Unavailable
from kahea.modules.rtpproxy.edits import HIGH_PRIORITY, LOW_PRIORITY, Edits
from kahea.modules.rtpproxy.flags import Flags, parse_end_flags, parse_flags
from kahea.modules.rtpproxy.proxies import CODECS, REPACKETIZING, leading_number
from kahea.routing.pv.values import NULL_TEXT
from kahea.routing.run import Run, can_wait, wait
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import M_ACK
from kahea.sip.sdp_places import find_sdp, read_description

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.connectors.relay_sets import Member, RelaySet
    from kahea.modules.rtpproxy.proxies import Proxies
    from kahea.routing.node import Node
    from kahea.routing.pv.table import Pv
    from kahea.sip.message import Message
    from kahea.sip.sdp_places import Description, Span, Stream

RIGHT: Final = 1
FAILED: Final = -1
MARKED: Final = -2
NO_RELAY: Final = -3

_PRIORITIES: Final = {0: 0, 1: HIGH_PRIORITY, 2: LOW_PRIORITY}


class Refused(Exception):
    """A message, or flags, that no command can be made of; the text is for the log."""


class Side(Enum):
    """Who is meant: the user agent that began the transaction, or the other."""

    UAC = auto()
    UAS = auto()


@dataclass(frozen=True, slots=True)
class Settings:
    """The module's parameters that commands and edits need. `mark` is a line without its end, b"" for none."""

    mark: bytes
    timeout_socket: bytes
    priority: Pv | None
    extra_id: Pv | None
    instance: Pv | None


class Tags(NamedTuple):
    """Of the dialog: who speaks, and to whom; b"" where that is not known yet."""

    own: bytes
    other: bytes

    def numbered(self, number: int) -> bytes:
        """The tags with the number of a stream."""
        other = b" %b;%d" % (self.other, number) if self.other else b""
        return b"%b;%d%b" % (self.own, number, other)

    @property
    def plain(self) -> bytes:
        """The tags alone."""
        return self.own + (b" " + self.other if self.other else b"")


class Talk:
    """What the functions of scripts do: they return codes, and log why."""

    def __init__(self, node: Node, proxies: Proxies, settings: Settings) -> None:
        self._log = node.log
        self._proxies = proxies
        self._settings = settings

    def _fail(self, error: Exception, code: int = FAILED) -> int:
        self._log.error("rtpproxy: %s", error)
        return code

    def _ask(self, run: Run, chosen: RelaySet, call_id: bytes, command: Callable[[Member], bytes]) -> bytes:
        """The answer to a command. Raises Unavailable."""
        if not chosen.members:
            raise Unavailable(f"there are no relays in set {chosen.number}")
        if not can_wait():
            raise Unavailable("this route can't wait for a relay")
        member, answer = wait(self._proxies.ask(chosen, call_id, command))
        if self._settings.instance is not None:
            self._settings.instance.set(run, member.url)
        return answer

    # ---- offers and answers

    def offer(self, run: Run, chosen: RelaySet, flags: str, address: str) -> int:
        """Make a session, or change it, by the description that a message offers."""
        return self._lead(run, chosen, flags, address, offers=True)

    def answer(self, run: Run, chosen: RelaySet, flags: str, address: str) -> int:
        """Complete a session by the description that a message answers with."""
        if run.msg.is_request and run.msg.method_id != M_ACK:
            return FAILED
        return self._lead(run, chosen, flags, address, offers=False)

    def _lead(self, run: Run, chosen: RelaySet, given: str, address: str, *, offers: bool) -> int:
        msg = run.msg
        try:
            flags = parse_flags(given)
            description = read_description(msg, _find(msg))
            call_id = _call_id(msg) + self._suffix(run, flags.via, extra_id=flags.extra_id)
            creates = offers and not flags.lookup
            tags = _tags(msg, swapped=msg.is_request != creates)
            if not tags.own:
                return FAILED
            priority = self._priority(run)
        except (ParseError, ValueError, Refused) as error:
            return self._fail(error)
        if self._settings.mark and not flags.forced and description.has_line(self._settings.mark):
            return MARKED
        session = _Session(call_id, tags, creates)
        return self._lead_streams(run, chosen, flags, description, session, wire(address), priority)

    def _lead_streams(
        self,
        run: Run,
        chosen: RelaySet,
        flags: Flags,
        description: Description,
        session: _Session,
        address: bytes,
        priority: int,
    ) -> int:
        msg = run.msg
        edits = Edits(msg, description, every_connection=flags.every_connection)
        speech = _Speech(flags, self._settings.timeout_socket)
        streams = ((n, section, stream) for n, section in enumerate(description.sections) for stream in section.streams)
        for number, (section_number, section, stream) in enumerate(streams, 1):
            claimed = section.address_of(stream)
            speech.see(six=claimed.kind == b"IP6")
            heard_from = claimed.text if flags.trusted else msg.src_ip
            try:
                command = speech.command(session, heard_from, stream, number)
                answer = self._ask(run, chosen, msg.callid, command)
                kind, led_to, port = _place(answer, msg.dst_ip)
            except Unavailable as error:
                return self._fail(error, NO_RELAY)
            except Refused as error:
                return self._fail(error)
            edits.take(section_number, stream, kind, address or led_to, port, priority)
        edits.mark(self._settings.mark)
        return RIGHT

    def _suffix(self, run: Run, via: int, *, extra_id: bool) -> bytes:
        """What follows the Call-ID in the name of a session. Raises Refused, ParseError."""
        msg = run.msg
        if via == 3:
            via = 1 if msg.is_request else 2
        if via:
            found = msg.via1 if via == 1 else msg.via2
            if found is None or found.branch is None:
                raise Refused(f"there is no branch of Via {via}")
            return b";" + found.branch
        if extra_id and self._settings.extra_id is not None:
            value = self._settings.extra_id.get(run)
            return b";" + wire(NULL_TEXT if value is None else str(value))
        return b""

    def _priority(self, run: Run) -> int:
        """The preference of relay candidates to add, 0 for none. Raises Refused."""
        if self._settings.priority is None:
            return 0
        value = self._settings.priority.get(run)
        found = LOW_PRIORITY if value is None else _PRIORITIES.get(value) if isinstance(value, int) else None
        if found is None:
            raise Refused(f"{value!r} is no preference of ICE candidates: 0, 1 or 2")
        return found

    # ---- other commands

    def end(self, run: Run, chosen: RelaySet, given: str) -> int:
        """End the session."""
        flags = parse_end_flags(given)
        msg = run.msg
        try:
            call_id = _call_id(msg) + self._suffix(run, flags.via, extra_id=flags.extra_id)
            tags = _tags(msg, swapped=False)
        except (ParseError, Refused) as error:
            return self._fail(error)
        if flags.whole_call:
            tags = tags._replace(other=b"")
        command = b"D %b %b" % (call_id, tags.plain)
        return self._tell(run, chosen, lambda _member: command)

    def record(self, run: Run, chosen: RelaySet) -> int:
        """Have the sender's media recorded."""
        msg = run.msg
        try:
            command = b"R %b %b" % (_call_id(msg), _tags(msg, swapped=not msg.is_request).plain)
        except (ParseError, Refused) as error:
            return self._fail(error)
        return self._tell(run, chosen, lambda _member: command)

    def play(self, run: Run, chosen: RelaySet, side: Side, prompt: str, times: int) -> int:
        """Have a file played to a side."""
        return self._announce(run, chosen, side, b"P%d" % times, b" %b session" % wire(prompt))

    def stop_playing(self, run: Run, chosen: RelaySet, side: Side) -> int:
        """Have what is played to a side stopped."""
        return self._announce(run, chosen, side, b"S", b"")

    def _announce(self, run: Run, chosen: RelaySet, side: Side, verb: bytes, what: bytes) -> int:
        msg = run.msg
        try:
            tags = _tags(msg, swapped=side is Side.UAS)
            other = tags.other + b";1" if tags.other else b""
            command = b"%b %b%b %b;1 %b" % (verb, _call_id(msg), what, tags.own, other)
        except (ParseError, Refused) as error:
            return self._fail(error)
        if not tags.own:
            return FAILED

        def for_member(member: Member) -> bytes:
            if CODECS not in member.abilities:
                raise Unavailable(f"relay {member.url} is too old for announcements")
            return command

        return self._tell(run, chosen, for_member)

    def _tell(self, run: Run, chosen: RelaySet, command: Callable[[Member], bytes]) -> int:
        """Have a command carried out, whatever the relay answers."""
        try:
            self._ask(run, chosen, run.msg.callid, command)
        except (Unavailable, ParseError) as error:
            return self._fail(error)
        return RIGHT

    def statistics(self, run: Run, chosen: RelaySet) -> bytes | None:
        """The relay's counters for the session; None if there is no answer."""
        msg = run.msg
        try:
            tags = _tags(msg, swapped=not msg.is_request)
            words = b"%b;1 %b" % (tags.own, tags.other) if tags.other else tags.own
            command = b"Q %b %b" % (_call_id(msg), words)
            return self._ask(run, chosen, msg.callid, lambda _member: command)
        except (Unavailable, ParseError, Refused) as error:
            self._fail(error)
            return None


class _Session(NamedTuple):
    """What names a session; `creates`: it is made if there is none of that name."""

    call_id: bytes
    tags: Tags
    creates: bool


class _Speech:
    """Offers and answers, stream after stream: what was said of one is said of those after it, too."""

    def __init__(self, flags: Flags, timeout_socket: bytes) -> None:
        self._flags = flags
        self._timeout_socket = timeout_socket
        self._options = wire(flags.options)
        self._six = False
        self._seen = False

    def see(self, *, six: bool) -> None:
        """Take note of the family of a stream's address."""
        if not self._seen and self._flags.by_family:
            self._options += b"EI" if six else b"IE"
        self._seen = True
        self._six = self._six or six

    def command(self, session: _Session, address: bytes, stream: Stream, number: int) -> Callable[[Member], bytes]:
        """What to say to a relay of a stream that comes from an address."""
        payloads = stream.payloads
        rest = b" %b %b %b %b" % (session.call_id, address, stream.port, session.tags.numbered(number))
        if session.creates and session.tags.other and self._timeout_socket:
            rest += b" " + self._timeout_socket

        def for_member(member: Member) -> bytes:
            options = self._options + (b"6" if self._six else b"")
            if REPACKETIZING in member.abilities:
                options += wire(self._flags.repacketize)
            if CODECS in member.abilities and payloads is not None:
                options += b"c" + payloads
            return (b"U" if session.creates else b"L") + options + rest

        return for_member


def _find(msg: Message) -> Span:
    found = find_sdp(msg)
    if found is None:
        raise Refused("the message has no session description")
    return found


def _call_id(msg: Message) -> bytes:
    """A message's Call-ID as one word of a command. Raises Refused, ParseError."""
    return _word(msg.callid)


def _word(value: bytes) -> bytes:
    """What a sender chose, which must not become more than one word of a command. Raises Refused."""
    if len(value.split()) > 1:
        raise Refused(f"{text(value)[:100]!r} is more than a word")
    return value


def _tags(msg: Message, *, swapped: bool) -> Tags:
    """The tags of From and To, or of To and From. Raises Refused without a From tag, ParseError."""
    sender = msg.from_.tag
    if not sender:
        raise Refused("the message has no From tag")
    tags = Tags(_word(sender), _word(msg.to.tag or b""))
    return Tags(tags.other, tags.own) if swapped else tags


def _place(answer: bytes, own_address: bytes) -> tuple[bytes, bytes, int]:
    """The kind (IP4, IP6), address and port that an answer leads to; an answer without an address means our own.

    Raises Refused.
    """
    words = answer.split()
    port = leading_number(words[0]) if words else 0
    if not 0 < port < 65536:
        raise Refused(f"the relay answers {text(answer.strip())[:100]!r}, not with a port")
    if len(words) == 1:
        return (b"IP6" if b":" in own_address else b"IP4"), own_address, port
    return (b"IP6" if words[2:3] == [b"6"] else b"IP4"), words[1], port
