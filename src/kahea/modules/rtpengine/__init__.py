"""Media through relays that speak rtpengine's control protocol (Kamailio's module rtpengine).

| file | what |
|---|---|
| `engines.py` | relays: tests, choosing one for a call, and which one has which call |
| `flags.py` | the words that functions take |
| `session.py` | commands about the call of a message |
| `quality.py` | statistics in variables |
| `base.py` | parameters, sets, management |
| here | the functions of scripts |

A function waits for the relay's answer; only its script does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kahea.modules.rtpengine.base import RtpengineBase
from kahea.modules.rtpengine.session import ANSWER, DELETE, INFO, OFFER, QUERY, Operation, Tags
from kahea.routing.json_text import write_indented, write_plain
from kahea.routing.literals import set_number
from kahea.routing.module import Value, function, native, variable
from kahea.routing.pv.errors import PvError
from kahea.routing.run import BRANCH_FAILURE_ROUTE, FAILURE_ROUTE, ONREPLY_ROUTE, Run
from kahea.routing.text import text
from kahea.sip.message import M_ACK, M_BYE, M_CANCEL, M_INVITE, M_PRACK, M_UPDATE
from kahea.sip.sdp_places import has_description

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.routing.node import Node
    from kahea.routing.pv.table import Pv

RIGHT: Final = 1
FAILED: Final = -1

#: Says of a request, and so of its transaction, that `rtpengine_manage` has offered its description.
_OFFERED: Final = "rtpengine.offered"
_COUNTERS: Final = (b"bytes", b"packets", b"errors")


def _set_number(node: Node, written: str) -> int | Pv:
    """An argument of `set_rtpengine_set`: a set that there is, or a variable. Raises ValueError."""
    module = node.module("rtpengine")
    assert isinstance(module, Rtpengine)
    return set_number(node, written, lambda number: bool(module.db_url) or number in module.engines.sets)


def _command(name: str, operation: Operation, doc: str) -> Callable[[Rtpengine, Run, str], int]:
    """A function that has a relay do something."""

    @function(name=name)
    @native("str", least=0, name=name)
    def call(self: Rtpengine, run: Run, flags: str = "") -> int:
        return self.command(run, operation, flags)

    call.__doc__ = doc
    return call


def _bare_command(name: str, operation: Operation) -> Callable[[Rtpengine, Run], int]:
    """The same without flags, as scripts in other languages call it."""

    @function(name=f"{name}0")
    def call(self: Rtpengine, run: Run) -> int:
        return self.command(run, operation, "")

    call.__doc__ = f"As {name}, without flags."
    return call


START_RECORDING: Final = Operation(b"start recording", Tags.ASKER)
STOP_RECORDING: Final = Operation(b"stop recording", Tags.ASKER)
PLAY_MEDIA: Final = Operation(b"play media", Tags.ASKER)
STOP_MEDIA: Final = Operation(b"stop media", Tags.ASKER)
PLAY_DTMF: Final = Operation(b"play DTMF", Tags.ASKER)
BLOCK_DTMF: Final = Operation(b"block DTMF", Tags.NONE)
UNBLOCK_DTMF: Final = Operation(b"unblock DTMF", Tags.NONE)
BLOCK_MEDIA: Final = Operation(b"block media", Tags.NONE)
UNBLOCK_MEDIA: Final = Operation(b"unblock media", Tags.NONE)
SILENCE_MEDIA: Final = Operation(b"silence media", Tags.NONE)
UNSILENCE_MEDIA: Final = Operation(b"unsilence media", Tags.NONE)
START_FORWARDING: Final = Operation(b"start forwarding", Tags.NONE)
STOP_FORWARDING: Final = Operation(b"stop forwarding", Tags.NONE)


class Rtpengine(RtpengineBase):
    """Media through relays that speak rtpengine's control protocol: sessions, recording, announcements, statistics."""

    name = "rtpengine"

    # ---- sets

    @function
    def set_rtpengine_set(self, run: Run, number: int) -> int:
        """Choose the set of relays for what is called next on this message; -1 if there is no such set."""
        return self.choose(run, number)

    @function
    def set_rtpengine_set2(self, run: Run, first: int, second: int) -> int:
        """Choose two sets: what a relay of the first makes of a description goes to one of the second."""
        return self.choose(run, first, second)

    @native(_set_number, _set_number, least=1, name="set_rtpengine_set")
    def set_rtpengine_set_native(self, run: Run, first: int | Pv, second: int | Pv | None = None) -> int:
        """As set_rtpengine_set, and set_rtpengine_set2."""
        numbers = []
        for given in (first, second):
            if given is None:
                continue
            number = given if isinstance(given, int) else given.get(run)
            if not isinstance(number, int):
                self.forget_choice(run)
                self.node.log.error("rtpengine: %r is no number of a set", number)
                return FAILED
            numbers.append(number)
        return self.choose(run, *numbers)

    # ---- sessions

    def _ask(self, run: Run, operation: Operation, flags: str) -> dict[bytes, Any] | None:
        """The answer to a command; None if it is not done."""
        sets = self.chosen(run)
        return None if sets is None else self.talk.ask(run, sets, operation, flags)

    def command(self, run: Run, operation: Operation, flags: str) -> int:
        """Have a relay do something; 1, or -1 if it is not done."""
        answer = self._ask(run, operation, flags)
        if answer is None:
            return FAILED
        if operation in (DELETE, QUERY):
            self.quality.take(run, answer)
        elif operation is PLAY_MEDIA and self._duration is not None:
            duration = answer.get(b"duration")
            self._duration.set(run, duration if isinstance(duration, int) else -1)
        return RIGHT

    rtpengine_offer = _command(
        "rtpengine_offer",
        OFFER,
        """Have a relay take the media that a message's session description offers, and put its own in its place.

        -1 where the message has no description or lacks tags, or the relay refuses or stays silent. Flags are words;
        what the relay is told of them is described with the parameter `flags` of its own protocol.
        """,
    )
    rtpengine_offer0 = _bare_command("rtpengine_offer", OFFER)

    @function
    @native("str", least=0)
    def rtpengine_answer(self, run: Run, flags: str = "") -> int:
        """As rtpengine_offer for the description that answers: in a reply, in an ACK or PRACK."""
        if run.msg.is_request and run.msg.method_id not in (M_ACK, M_PRACK):
            return FAILED
        return self.command(run, ANSWER, flags)

    @function
    def rtpengine_answer0(self, run: Run) -> int:
        """As rtpengine_answer, without flags."""
        return self.rtpengine_answer(run)

    rtpengine_delete = _command(
        "rtpengine_delete", DELETE, "End the session of a message's call, and take its statistics into variables."
    )
    rtpengine_delete0 = _bare_command("rtpengine_delete", DELETE)
    rtpengine_info = _command(
        "rtpengine_info",
        INFO,
        "Tell a relay what an INFO says of a description (trickle ICE); the message stays as it is.",
    )
    rtpengine_info0 = _bare_command("rtpengine_info", INFO)

    @function
    @native("str", least=0)
    def rtpengine_manage(self, run: Run, flags: str = "") -> int:
        """Do what a message calls for: offer, answer, or end the session; flags and codes are those of that function.

        INVITE and UPDATE with a description offer, replies to them below 300, an ACK and a PRACK answer; a reply offers
        if its request did not. BYE, CANCEL, replies from 300 on, and in a failure route an INVITE that offered end the
        session. In a branch-failure route nothing is done.
        """
        msg = run.msg
        method = msg.method_id
        if run.kind == BRANCH_FAILURE_ROUTE:
            return RIGHT
        if method in (M_BYE, M_CANCEL):
            return self.command(run, DELETE, flags)
        if method not in (M_INVITE, M_ACK, M_UPDATE, M_PRACK):
            return FAILED
        if not msg.is_request and msg.status >= 300:
            return self.command(run, DELETE, flags)
        if not has_description(msg):
            return FAILED
        if not msg.is_request:
            return self.command(run, OFFER if method != M_UPDATE and _is_offer(run) else ANSWER, flags)
        if method in (M_ACK, M_PRACK):
            return self.command(run, ANSWER, flags)
        if method == M_INVITE:
            if run.kind == FAILURE_ROUTE:
                return self.command(run, DELETE, flags)
            msg.facets[_OFFERED] = True
        return self.command(run, OFFER, flags)

    @function
    def rtpengine_manage0(self, run: Run) -> int:
        """As rtpengine_manage, without flags."""
        return self.rtpengine_manage(run)

    # ---- statistics

    rtpengine_query = _command(
        "rtpengine_query", QUERY, "Take the statistics of a message's call into variables, which parameters name."
    )
    rtpengine_query0 = _bare_command("rtpengine_query", QUERY)

    @native("str", "pv", name="rtpengine_query_v")
    def rtpengine_query_v_native(self, run: Run, form: str, target: Pv) -> int:
        """As rtpengine_query_v."""
        if not form.startswith("j"):
            self.node.log.error("rtpengine_query_v: j and jp are forms, %r is not", form)
            return FAILED
        answer = self._ask(run, QUERY, "")
        if answer is None:
            return FAILED
        document = _as_text(answer)
        return (
            RIGHT
            if target.set(run, write_indented(document) if form[1:2] == "p" else write_plain(document))
            else FAILED
        )

    @function
    def rtpengine_query_v(self, run: Run, form: str, target: str) -> int:
        """Put what the relay knows of a message's call into a variable as JSON: `j` in a line, `jp` for people."""
        try:
            variable = self.node.variables.compile(target)
        except PvError as error:
            self.node.log.error("rtpengine_query_v: %s", error)
            return FAILED
        return self.rtpengine_query_v_native(run, form, variable)

    @variable("rtpestat")
    def rtpestat(self, run: Run, name: str, index: int | None) -> Value:
        """The relay's counters of RTP and RTCP for the call, in a line; null if there are none."""
        answer = self._ask(run, QUERY, "")
        totals = None if answer is None else answer.get(b"totals")
        if not isinstance(totals, dict):
            return None
        parts = []
        for protocol in (b"RTP", b"RTCP"):
            counters = totals.get(protocol)
            if not isinstance(counters, dict):
                return None
            counted = [value if isinstance(value := counters.get(key), int) else -1 for key in _COUNTERS]
            parts.append("{}: {} bytes, {} packets, {} errors".format(text(protocol), *counted))
        return "; ".join(parts)

    @variable("rtpstat")
    def rtpstat(self, run: Run, name: str, index: int | None) -> Value:
        """As $rtpestat."""
        return self.rtpestat(run, name, index)

    # ---- recording, announcements, blocking

    @native("str", least=0, name="start_recording")
    def start_recording_native(self, run: Run, flags: str = "") -> int:
        """As start_recording, with flags."""
        return self.command(run, START_RECORDING, flags)

    @function
    def start_recording(self, run: Run) -> int:
        """Have the relay record the call."""
        return self.command(run, START_RECORDING, "")

    @native("str", least=0, name="stop_recording")
    def stop_recording_native(self, run: Run, flags: str = "") -> int:
        """As stop_recording, with flags."""
        return self.command(run, STOP_RECORDING, flags)

    @function
    def stop_recording(self, run: Run) -> int:
        """Have the relay record no more."""
        return self.command(run, STOP_RECORDING, "")

    @function
    @native("str")
    def play_media(self, run: Run, flags: str) -> int:
        """Play an announcement to the sender, or to who `from-tag` or `address` names: `file=...`, `db-id=...`."""
        return self.command(run, PLAY_MEDIA, flags)

    @function
    @native("str")
    def play_dtmf(self, run: Run, flags: str) -> int:
        """Put a DTMF event into what the sender sends: `code=#`, `duration`, `volume`, `pause`."""
        return self.command(run, PLAY_DTMF, flags)

    stop_media = _command("stop_media", STOP_MEDIA, "Stop what play_media began.")
    stop_media0 = _bare_command("stop_media", STOP_MEDIA)
    block_dtmf = _command(
        "block_dtmf", BLOCK_DTMF, "Let no DTMF events through: of the call, with `directional` of the sender."
    )
    block_dtmf0 = _bare_command("block_dtmf", BLOCK_DTMF)
    unblock_dtmf = _command("unblock_dtmf", UNBLOCK_DTMF, "Let DTMF events through again; `all`: of everybody.")
    unblock_dtmf0 = _bare_command("unblock_dtmf", UNBLOCK_DTMF)
    block_media = _command("block_media", BLOCK_MEDIA, "As block_dtmf, for media.")
    block_media0 = _bare_command("block_media", BLOCK_MEDIA)
    unblock_media = _command("unblock_media", UNBLOCK_MEDIA, "As unblock_dtmf, for media.")
    unblock_media0 = _bare_command("unblock_media", UNBLOCK_MEDIA)
    silence_media = _command("silence_media", SILENCE_MEDIA, "As block_media, with silence in place of media.")
    silence_media0 = _bare_command("silence_media", SILENCE_MEDIA)
    unsilence_media = _command("unsilence_media", UNSILENCE_MEDIA, "Undo silence_media.")
    unsilence_media0 = _bare_command("unsilence_media", UNSILENCE_MEDIA)
    start_forwarding = _command(
        "start_forwarding", START_FORWARDING, "Have the recording daemon forward audio; as block_dtmf, of whom."
    )
    start_forwarding0 = _bare_command("start_forwarding", START_FORWARDING)
    stop_forwarding = _command("stop_forwarding", STOP_FORWARDING, "Undo start_forwarding.")
    stop_forwarding0 = _bare_command("stop_forwarding", STOP_FORWARDING)


def _is_offer(run: Run) -> bool:
    """Whether a reply's description offers: its request, as a route of the transaction knows, did not."""
    return run.kind == ONREPLY_ROUTE and run.transaction is not None and _OFFERED not in run.transaction.request.facets


def _as_text(value: Any) -> Any:
    """An answer with its texts as scripts hold them."""
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, dict):
        return {text(name): _as_text(item) for name, item in value.items()}
    return [_as_text(item) for item in value] if isinstance(value, list) else value


MODULE = Rtpengine
