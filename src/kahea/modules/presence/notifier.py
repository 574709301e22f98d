"""NOTIFY requests: composed in the subscription's dialog, sent one after the other, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kahea.connectors.errors import DatabaseError
from kahea.modules.presence.server import Server
from kahea.modules.presence.subscription import ACTIVE, STATUS_NAMES, TERMINATED, Subscription, uri_of
from kahea.modules.presence.winfo import watcher_info
from kahea.modules.tm.uac import NotSent
from kahea.routing.lists import lists_of
from kahea.routing.run import wait
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import parse, parse_name_addrs
from kahea.tm.route_set import way_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kahea.modules.presence.events import EventPackage
    from kahea.modules.presence.subscription import Dialog
    from kahea.routing.node import Node
    from kahea.routing.run import Run
    from kahea.sip.message import Message
    from kahea.tm.transaction import Branch, Transaction

log = logging.getLogger("kahea.presence")

EVENT: Final = "presence:notify-reply"
#: Where scripts find the subscription and the reply: in the facets of a NOTIFY.
SUBSCRIPTION: Final = "presence.subscription"
REPLY: Final = "presence.reply"

#: NOTIFYs that wait for one watcher's way to be found; of more the oldest are left out, as each has the whole state.
MAX_WAITING: Final = 16
#: Watchers that are sent to before others get their turn.
SLICE: Final = 100
#: Seconds until a NOTIFY is tried again for which there was no worker.
_LATER: Final = 0.1
#: What ends a subscription when it answers a NOTIFY (RFC 6665 §4.2.2); a timeout if `timeout_rm_subs` says so.
_GONE: Final = frozenset((404, 481))
_TIMEOUT: Final = 408

_TIMED_OUT: Final = parse(b"SIP/2.0 408 TIMEOUT\r\n\r\n")


class Notify(NamedTuple):
    """A NOTIFY as it is sent, and the seconds that are left of its subscription."""

    subscription: Subscription
    headers: str
    body: bytes
    left: int


class Seen(NamedTuple):
    """A subscription as scripts see it in a NOTIFY: `left` seconds of it were left then."""

    subscription: Subscription
    left: int


class Notifier(Server):
    """How watchers are told."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        #: NOTIFYs that are yet to be sent, by the dialog of each; and the dialogs that nobody sees to yet, in order.
        self._outboxes: dict[Dialog, deque[Notify]] = {}
        self._waiting: deque[Dialog] = deque()

    def notify(self, subscription: Subscription, body: bytes) -> None:
        """Tell a watcher of a state, b"" for none; whoever does so has the presentity's turn.

        What the watcher may not see is left out. The NOTIFY leaves when the run waits or ends.
        """
        self._number(subscription)
        self._compose(subscription, body)

    def notify_of_watchers(
        self, subscription: Subscription, watched: str, changed: Sequence[Subscription] | None = None
    ) -> None:
        """As `notify`, of those who watch another package: of those that changed, or of all."""
        shown = self.watchers_of(subscription.presentity, watched) if changed is None else changed
        # The document has the version of this NOTIFY.
        self._number(subscription)
        document = watcher_info(subscription.presentity, watched, subscription.version, shown, full=changed is None)
        self._compose(subscription, document)

    def _number(self, subscription: Subscription) -> None:
        """Count a NOTIFY, but not one that is the only one."""
        is_last = subscription.expires <= self.now() or subscription.status == TERMINATED
        if subscription.local_cseq or not is_last:
            self.subscriptions.number(subscription)

    def _compose(self, subscription: Subscription, body: bytes) -> None:
        event = self.packages.get(subscription.event)
        if event is None:
            return
        left = max(0, subscription.expires - self.now())
        if body and not subscription.is_shown:
            body = b""
        headers = self._headers(subscription, event, left, has_body=bool(body))
        self._queue(Notify(subscription, headers, body, left))

    def _headers(self, subscription: Subscription, event: EventPackage, left: int, *, has_body: bool) -> str:
        """The lines of a NOTIFY that are not its route's."""
        s = subscription
        if s.status == TERMINATED:
            state = f"terminated;reason={s.reason}" if s.reason else "terminated"
        elif left == 0:
            state = "terminated;reason=timeout"
        else:
            state = f"{STATUS_NAMES[s.status]};expires={left}"
        identifier = f";id={s.event_id}" if s.event_id else ""
        lines = [
            f"To: <{uri_of(s.from_user, s.from_domain)}>;tag={s.from_tag}",
            f"From: <{uri_of(s.to_user, s.to_domain)}>;tag={s.to_tag}",
            f"CSeq: {s.local_cseq + 1} NOTIFY",
            f"Call-ID: {s.callid}",
            f"Event: {event.name}{identifier}",
            f"Contact: <{s.local_contact}>",
            f"Subscription-State: {state}",
        ]
        if has_body:
            lines.append(f"Content-Type: {event.content_type}")
        return "".join(f"{line}\r\n" for line in lines)

    # ---- who is told what

    def tell_watchers(self, presentity: str, event: EventPackage, body: bytes, sender: str = "") -> None:
        """Tell all who may see a presentity's state, but for the one who `sender` says caused it. May wait."""
        now = self.now()
        told = [
            subscription
            for subscription in self.subscriptions.watching(presentity, event.name)
            if subscription.status == ACTIVE and subscription.expires > now and subscription.contact != sender
        ]
        rules = event.rules_of(presentity) if told and body else None
        for number, subscription in enumerate(told, 1):
            if number % SLICE == 0:
                wait(asyncio.sleep(0))
            view = body if rules is None else rules.view(body, subscription.watcher)
            self.notify(subscription, view)

    def tell_of_watcher(self, subscription: Subscription) -> None:
        """Tell those who watch the watchers: of one who came or was refreshed, or of all once one has left."""
        gone = subscription.expires <= self.now()
        self.tell_of_watchers(subscription.presentity, subscription.event, None if gone else [subscription])

    def tell_of_watchers(self, presentity: str, watched: str, changed: Sequence[Subscription] | None = None) -> None:
        """Tell those who watch a presentity's watchers of those that changed, or of all."""
        winfo = self.winfo_of(watched)
        if winfo is None:
            return
        now = self.now()
        for subscription in self.subscriptions.watching(presentity, winfo.name):
            if subscription.status == ACTIVE and subscription.expires > now:
                self.notify_of_watchers(subscription, watched, changed)

    def watchers_of(self, presentity: str, event: str) -> list[Subscription]:
        """Who watches a presentity now."""
        now = self.now()
        return [each for each in self.subscriptions.watching(presentity, event) if each.expires > now]

    # ---- sending

    def _queue(self, notify: Notify) -> None:
        dialog = notify.subscription.dialog
        outbox = self._outboxes.get(dialog)
        if outbox is not None:
            if len(outbox) >= MAX_WAITING:
                outbox.popleft()
            outbox.append(notify)
            return
        self._outboxes[dialog] = deque((notify,))
        self._waiting.append(dialog)
        if len(self._waiting) == 1:
            self._send_soon()

    def _send_soon(self) -> None:
        # Not here: whoever has the presentity's turn is not to wait for the way to a watcher.
        assert self.loop is not None
        self.loop.call_soon(self._send_some)

    def _send_some(self) -> None:
        """Send to the next few watchers, and give others their turn."""
        for _ in range(min(SLICE, len(self._waiting))):
            dialog = self._waiting.popleft()
            if not self.node.in_worker(self._send_all, dialog):
                self._waiting.appendleft(dialog)
                self.node.call_later(_LATER, self._send_some)
                return
        if self._waiting:
            self._send_soon()

    def _send_all(self, dialog: Dialog) -> None:
        """Send what waits, in order: the way to a watcher may have to be looked up."""
        outbox = self._outboxes[dialog]
        while outbox:
            notify = outbox.popleft()
            try:
                self._send(notify)
            except Exception:
                log.exception("no NOTIFY to %s", notify.subscription.contact)
        del self._outboxes[dialog]

    def _send(self, notify: Notify) -> None:
        tm = self.node.module("tm")
        subscription = notify.subscription

        def done(t: Transaction, branch: Branch, status: int, reply: Message | None) -> None:
            del branch
            if status >= 200:
                self._answered(subscription, t, status, reply)

        try:
            routes = parse_name_addrs(wire(subscription.record_route)) if subscription.record_route else []
            way = way_to(wire(subscription.contact), routes)
            listener = subscription.listener
            if listener is None and self.default_socket:
                listener = tm.listener_named(self.default_socket)
            tm.send_request(
                "NOTIFY",
                text(way.uri),
                headers=notify.headers + text(way.line()),
                body=notify.body,
                next_hop=text(way.next_hop),
                listener=listener,
                on_reply=done,
                facets={SUBSCRIPTION: Seen(subscription, notify.left)},
            )
        except (NotSent, ValueError, ParseError) as error:
            log.error("no NOTIFY to %s: %s", subscription.contact, error)

    def _answered(self, subscription: Subscription, t: Transaction, status: int, reply: Message | None) -> None:
        """A NOTIFY has its final answer, or none came."""
        wants = self._run_reply_route(t, reply)
        if status not in _GONE and not wants and not (status == _TIMEOUT and self.timeout_rm_subs):
            return
        self._outboxes.get(subscription.dialog, deque()).clear()
        try:
            self.subscriptions.remove(subscription)
        except DatabaseError as error:
            log.error("a subscription that has ended is still there: %s", error)

    def _run_reply_route(self, t: Transaction, reply: Message | None) -> bool:
        """`event_route[presence:notify-reply]`, on the NOTIFY; whether it wants the subscription ended (`xavp_cfg`)."""
        msg = t.request
        msg.facets[REPLY] = reply if reply is not None else _TIMED_OUT
        run = self.node.run_event(EVENT, msg)
        return run is not None and bool(self.xavp_cfg) and self.configured(run, "delete_subscription") == 1

    def configured(self, run: Run, name: str) -> Any:
        """What a script set for this message in the XAVP that `xavp_cfg` names; None if nothing."""
        item = lists_of(run.msg).xavps.find(self.xavp_cfg) if self.xavp_cfg else None
        fields = None if item is None else item.fields
        found = None if fields is None else fields.find(name)
        return None if found is None else found.value


__all__ = ["EVENT", "REPLY", "SUBSCRIPTION", "Notifier", "Seen"]
