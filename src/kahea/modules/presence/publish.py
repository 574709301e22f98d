"""`handle_publish`: what a PUBLISH says of a presentity is kept, and its watchers are told (RFC 3903 §6)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kahea.modules.presence.events import Document, EventPackage
from kahea.modules.presence.publications import Change, Presentity, Publication
from kahea.modules.presence.requests import Refused, Requests
from kahea.routing.module import function, native
from kahea.routing.run import REQUEST_ROUTE, Run
from kahea.routing.text import wire
from kahea.sip.message import H_SIPIFMATCH, M_PUBLISH
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kahea.sip.message import Message

log = logging.getLogger("kahea.presence")

#: No entity-tag is longer, as tables have it.
_MAX_ETAG: Final = 128
#: 2015, from which Kamailio counts the seconds of priorities.
_EPOCH: Final = 1_420_070_400
_UNKNOWN: Final = (412, "Conditional request failed")


class Publishing(Requests):
    """Publications as they come."""

    @native("str", name="handle_publish", routes=REQUEST_ROUTE)
    @function
    def handle_publish_uri(self, run: Run, sender_uri: str) -> int:
        """As `handle_publish`; the watcher whose Contact is `sender_uri` is not told of the change."""
        return self._handle(run, sender_uri)

    @native(routes=REQUEST_ROUTE)
    @function
    def handle_publish(self, run: Run) -> int:
        """Keep what a PUBLISH publishes, answer it, and tell the watchers; -1 where it is refused."""
        return self._handle(run, "")

    def _handle(self, run: Run, sender: str) -> int:
        if run.msg.method_id != M_PUBLISH:
            log.error("handle_publish: no PUBLISH")
            return -1
        return self.attempt(run, lambda: self._publish(run, sender))

    def _publish(self, run: Run, sender: str) -> None:
        msg = run.msg
        event = self.event_of(msg)[0]
        lasts = self.expires_of(msg, event)
        etag = _etag_of(msg)
        presentity = Presentity(*self.presentity_of(msg), event.name)
        if sender:
            parse_uri(wire(sender))
        if not msg.body and not etag:
            raise Refused(400, "Invalid request")
        if msg.body and not event.accepts(msg.body):
            raise Refused(415, "Unsupported media type")
        with self.turn(presentity.uri):
            if etag and not lasts:
                state = self._remove(event, presentity, etag)
            else:
                etag = (
                    self._modify(run, event, presentity, etag, lasts, sender)
                    if etag
                    else self._add(run, presentity, lasts, sender)
                )
                state = self.state_of(event, presentity)
            granted = max(0, lasts - self.expires_offset)
            self.answer(run, 200, "OK", f"Expires: {granted}", f"SIP-ETag: {etag}")
            self.tell_watchers(presentity.uri, event, state, sender)

    def _add(self, run: Run, presentity: Presentity, lasts: int, sender: str) -> str:
        """Keep a new publication; its entity-tag."""
        now = self.now()
        tag, ruid = self.tags.first(), self.tags.ruid()
        priority = self._priority(run, now)
        self.publications.add(Publication(presentity, tag, now + lasts, now, run.msg.body, sender, priority, ruid))
        return tag

    def _modify(self, run: Run, event: EventPackage, presentity: Presentity, etag: str, lasts: int, sender: str) -> str:
        """Refresh a publication, with another document if the request has one; its next entity-tag. Raises Refused."""
        now = self.now()
        change = Change(
            etag if event.keeps_etag else self.tags.after(etag),
            now + lasts,
            now,
            self._priority(run, now),
            run.msg.body,
            sender,
        )
        if not self.publications.modify(presentity, etag, change):
            raise Refused(*_UNKNOWN)
        return change.etag

    def _remove(self, event: EventPackage, presentity: Presentity, etag: str) -> bytes:
        """Forget a publication; the state that its end makes. Raises Refused."""
        kept = self.publications.of(presentity)
        if all(each.etag != etag for each in kept):
            raise Refused(*_UNKNOWN)
        state = self._merged(event, presentity, kept, etag)
        if not self.publications.remove(presentity, etag):
            raise Refused(*_UNKNOWN)
        return state

    def state_of(self, event: EventPackage, presentity: Presentity) -> bytes:
        """What is published of a presentity, as its watchers are told it. May wait; raises DatabaseError."""
        return self._merged(event, presentity, self.publications.of(presentity))

    def _merged(
        self, event: EventPackage, presentity: Presentity, kept: Sequence[Publication], leaving: str = ""
    ) -> bytes:
        now = self.now()
        documents = [Document(each.body, each.etag == leaving) for each in reversed(kept) if each.expires >= now]
        return event.merge(presentity.uri, documents)

    def _priority(self, run: Run, now: int) -> int:
        """What the script gave a publication; if it may give any, and gave none, the later counts more."""
        given = self.configured(run, "priority")
        if isinstance(given, int):
            return given
        return now - _EPOCH if self.xavp_cfg else 0


def _etag_of(msg: Message) -> str:
    """The entity-tag of SIP-If-Match, "" if there is none."""
    header = msg.header(H_SIPIFMATCH)
    if header is None:
        return ""
    etag = header.body.strip()
    if not etag or len(etag) > _MAX_ETAG or not etag.isascii():
        raise Refused(*_UNKNOWN)
    return etag.decode()


__all__ = ["Publishing"]
