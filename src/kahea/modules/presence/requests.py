"""What SUBSCRIBE and PUBLISH requests have in common: whose state of which package is meant, for how long; answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kahea.connectors.errors import DatabaseError
from kahea.modules.presence.events import Event, EventPackage, RulesError, parse_event
from kahea.modules.presence.notifier import Notifier
from kahea.modules.presence.subscription import split_uri
from kahea.modules.presence.subscriptions import TooMany
from kahea.modules.presence.turns import Busy
from kahea.routing.run import NoRun
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.routing.run import Run
    from kahea.sip.message import Message

log = logging.getLogger("kahea.presence")


#: Why work on a presentity may fail, other than by what a request says.
FAILURES: Final = (DatabaseError, RulesError, Busy, NoRun)


class Refused(Exception):
    """A request is answered with a failure; `lines` are further header lines of the answer."""

    def __init__(self, status: int, reason: str, *lines: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.lines = lines


class Requests(Notifier):
    """Reading requests, and answering them."""

    def event_of(self, msg: Message) -> tuple[EventPackage, Event]:
        """The event package of a request, and what its Event header says. Raises Refused, ParseError."""
        header = msg.header(H_EVENT)
        event = Event("") if header is None else parse_event(header.body)
        package = self.packages.get(event.name)
        if package is None:
            raise Refused(489, "Bad Event", f"Allow-Events: {self.allowed_events}")
        return package, event

    def expires_of(self, msg: Message, event: EventPackage) -> int:
        """The seconds that a request asks for, at most `max_expires`. What is no number is 0, as in Kamailio."""
        try:
            asked = msg.expires
        except ParseError:
            return 0
        return min(event.default_expires if asked < 0 else asked, self.max_expires)

    def presentity_of(self, msg: Message) -> tuple[str, str]:
        """User and domain of the Request-URI. Raises ParseError."""
        return split_uri(msg.uri)

    def attempt(self, run: Run, work: Callable[[], None]) -> int:
        """Handle a request; 1, or -1 where it was refused, and so answered: but for a 412, as in Kamailio."""
        try:
            if self.store is None:
                raise DatabaseError("parameter db_url is not set")
            work()
        except Refused as error:
            refused = error
        except ParseError as error:
            log.info("a request is refused: %s", error)
            refused = Refused(400, "Bad request")
        except (TooMany, Busy) as error:
            log.error("a request is refused: %s", error)
            refused = Refused(503, "Service Unavailable")
        except FAILURES as error:
            log.error("a request could not be handled: %s", error)
            refused = Refused(500, "Server Internal Error")
        else:
            return 1
        self.answer(run, refused.status, refused.reason, *refused.lines)
        return 1 if refused.status == 412 else -1

    def answer(self, run: Run, status: int, reason: str, *lines: str) -> None:
        """Answer the request in hand, through its transaction if there is one."""
        run.msg.reply_edits.extend(wire(f"{line}\r\n") for line in lines)
        if self.node.module("sl").replies.send(run, status, wire(reason)) < 0:
            log.error("a %s could not be answered with %d", run.msg.method.decode("ascii", "replace"), status)


__all__ = ["FAILURES", "Refused", "Requests"]
