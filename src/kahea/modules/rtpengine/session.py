"""Commands to relays about the call of a message: what is said of it, and what is done with the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kahea.connectors.bencode import dump_pairs
from kahea.connectors.errors import Refused, Unavailable
from kahea.modules.rtpengine.engines import Call, NotDone
from kahea.modules.rtpengine.flags import Flags, parse_flags
from kahea.routing.pv.values import NULL_TEXT
from kahea.routing.run import can_wait, wait
from kahea.routing.text import text, wire
from kahea.sip.body import locate_part
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTENTTYPE
from kahea.sip.sdp_places import SDP, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kahea.connectors.relay_sets import Member, RelaySet
    from kahea.modules.rtpengine.engines import Engines
    from kahea.routing.node import Node
    from kahea.routing.pv.table import Pv
    from kahea.routing.run import Run
    from kahea.sip.message import Message

_FRAGMENT: Final = b"application/trickle-ice-sdpfrag"


class Tags(Enum):
    """Whose tags a command has: of whom the message is from and to, the other way round in replies (ASKER) or in
    requests (ANSWERER); as From and To have them, with To's only if flags say so (CALLER); none but what flags give."""

    ASKER = auto()
    ANSWERER = auto()
    CALLER = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Operation:
    """A command of the protocol. `describes`: it has a description, `replaces`: which the answer's follows."""

    command: bytes
    tags: Tags
    describes: bool = False
    replaces: bool = False


OFFER: Final = Operation(b"offer", Tags.ASKER, describes=True, replaces=True)
ANSWER: Final = Operation(b"answer", Tags.ANSWERER, describes=True, replaces=True)
INFO: Final = Operation(b"offer", Tags.ASKER, describes=True)
DELETE: Final = Operation(b"delete", Tags.CALLER)
QUERY: Final = Operation(b"query", Tags.ASKER)


class Talk:
    """Asks relays, and takes their descriptions over."""

    def __init__(
        self,
        node: Node,
        engines: Engines,
        *,
        extra_id: Pv | None,
        instance: Pv | None,
        read: Pv | None,
        write: Pv | None,
    ) -> None:
        self._node = node
        self._engines = engines
        self._extra_id = extra_id
        self._instance = instance
        self._read = read
        self._write = write

    def ask(self, run: Run, sets: Sequence[RelaySet], operation: Operation, given: str) -> dict[bytes, Any] | None:
        """The answer to a command, of the last of the sets; None, and a line in the log, if it is not done.

        With two sets, what the first makes of the description goes to the second.
        """
        try:
            flags = parse_flags(given)
            if flags.force_answer:
                if operation.command != OFFER.command:
                    raise Refused("force-answer is for offers")
                operation = replace(operation, command=ANSWER.command, tags=ANSWER.tags)
            at, described = self._description(run, flags) if operation.describes else (None, b"")
            answer: dict[bytes, Any] = {}
            for chosen in sets:
                answer = self._ask_set(run, chosen, operation, flags, described)
                if operation.replaces:
                    made = answer.get(b"sdp")
                    if not isinstance(made, bytes):
                        raise Refused("the relay answers without a session description")
                    described = made
        except (ParseError, ValueError, Unavailable, Refused) as error:
            self._node.log.error("rtpengine: %s", error)
            return None
        if operation.replaces:
            if self._write is not None:
                self._write.set(run, text(described))
            elif at is not None:
                run.msg.replace(at.start, at.end - at.start, described)
        return answer

    def _ask_set(
        self, run: Run, chosen: RelaySet, operation: Operation, flags: Flags, described: bytes
    ) -> dict[bytes, Any]:
        msg = run.msg
        parties = _parties(msg, operation.tags, flags)
        call = Call(msg.callid if flags.call_id is None else flags.call_id, self._branch(run, flags.via_branch))
        entries = list(self._entries(msg, operation, flags, call, parties, described))
        if not chosen.members:
            raise Unavailable(f"there are no relays in set {chosen.number}")
        if not can_wait():
            raise Unavailable("this route can't wait for a relay")
        work = self._engines.ask(chosen, call, dump_pairs(entries), ends=operation is DELETE)
        try:
            member, answer = wait(work)
        except NotDone as error:
            self._tell_who(run, error.member)
            raise
        self._tell_who(run, member)
        return answer

    def _tell_who(self, run: Run, member: Member) -> None:
        if self._instance is not None:
            self._instance.set(run, member.url)

    @staticmethod
    def _entries(
        msg: Message, operation: Operation, flags: Flags, call: Call, parties: _Parties, described: bytes
    ) -> Iterator[tuple[bytes, Any]]:
        """What the relay is told, in the order that Kamailio has it."""
        yield b"supports", [b"load limit"]
        if operation.describes:
            yield b"sdp", described
        yield from flags.entries(describes=operation.describes)
        yield b"call-id", call.call_id
        if call.branch:
            yield b"via-branch", call.branch
        yield b"received-from", [b"IP6" if b":" in msg.src_ip else b"IP4", msg.src_ip]
        if parties.own is not None:
            yield b"from-tag", parties.own
        if parties.other is not None:
            yield b"to-tag", parties.other
        yield b"command", operation.command

    def _description(self, run: Run, flags: Flags) -> tuple[Span | None, bytes]:
        """The session description, and where the message has it. Raises Refused."""
        if self._read is not None:
            value = self._read.get(run)
            return None, b"" if value is None else wire(str(value))
        msg = run.msg
        at = _find(msg, SDP)
        if at is None:
            at = _find(msg, _FRAGMENT)
            if at is None:
                raise Refused("the message has no session description")
            flags.add("flags", "fragment")
        return at, msg.raw[at.start : at.end]

    def _branch(self, run: Run, which: str) -> bytes:
        """The branch that flags ask for, b"" for none. Raises Refused, ParseError."""
        msg = run.msg
        if which.startswith("auto"):
            in_request = {"auto": "1", "auto-extra": "extra", "auto-next": "next"}
            in_reply = {"auto": "2", "auto-extra": "1", "auto-next": "1"}
            which = (in_request if msg.is_request else in_reply)[which]
        found: bytes | None = b""
        if which in ("1", "2"):
            via = msg.via1 if which == "1" else msg.via2
            found = None if via is None else via.branch
        elif which == "extra":
            value = None if self._extra_id is None else self._extra_id.get(run)
            found = None if self._extra_id is None else wire(NULL_TEXT if value is None else str(value))
        elif which == "next":
            found = self._next_branch(run)
        if which and not found:
            raise Refused(f"there is no branch for via-branch={which}")
        return found or b""

    def _next_branch(self, run: Run) -> bytes | None:
        """The branch that a request will have: the one of a branch route, or the next of a transaction."""
        if run.branch is not None:
            return run.branch.id
        t = run.transaction or self._node.layer.lookup(run.msg)
        return None if t is None else b"%b.%d" % (t.stem, len(t.branches))


class _Parties(NamedTuple):
    """The tags that a command has; None for none."""

    own: bytes | None
    other: bytes | None


def _parties(msg: Message, tags: Tags, flags: Flags) -> _Parties:
    """Raises Refused, ParseError."""
    sender = msg.from_.tag
    if not sender:
        raise Refused("the message has no From tag")
    own = sender if flags.from_tag is None else flags.from_tag
    other = msg.to.tag if flags.to_tag is None else flags.to_tag
    if tags is Tags.NONE:
        return _Parties(own if flags.directional or flags.from_tag is not None else None, None)
    if tags is Tags.CALLER:
        return _Parties(own, other if flags.with_to_tag else None)
    if flags.directional or flags.from_tag is not None or msg.is_request != (tags is Tags.ANSWERER):
        return _Parties(own, other)
    if not other:
        raise Refused("the message has no To tag")
    return _Parties(other, own)


def _find(msg: Message, kind: bytes) -> Span | None:
    """Where a message has content of a type; a body without a type counts as one. Raises ParseError."""
    if msg.header(H_CONTENTTYPE) is None:
        found: tuple[int, int] | None = (0, len(msg.body))
    else:
        found = locate_part(msg.body, msg.content_type, kind)
    if found is None or found[0] == found[1]:
        return None
    return Span(msg.body_start + found[0], msg.body_start + found[1])
