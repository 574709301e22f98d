"""`handle_subscribe`: subscriptions are made, refreshed and ended (RFC 6665 §4.2.1)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kahea.modules.presence.events import Decision, Event, EventPackage, WatcherInfo
from kahea.modules.presence.notifier import SUBSCRIPTION, Seen
from kahea.modules.presence.publications import Presentity
from kahea.modules.presence.publish import Publishing
from kahea.modules.presence.requests import Refused
from kahea.modules.presence.subscription import (
    ACTIVE,
    PENDING,
    TERMINATED,
    Subscription,
    read_contact,
    read_route_set,
    split_uri,
    strict,
    uri_of,
)
from kahea.modules.presence.subscriptions import next_numbers
from kahea.net.address import Listener
from kahea.routing.module import function, native
from kahea.routing.run import REQUEST_ROUTE, Run
from kahea.sip.errors import ParseError
from kahea.sip.message import H_USERAGENT, M_SUBSCRIBE

if TYPE_CHECKING:
    from kahea.sip.message import Message

log = logging.getLogger("kahea.presence")

_UNKNOWN: Final = (481, "Subscription does not exist")


class Subscribing(Publishing):
    """Subscriptions as they come."""

    @native("str", name="handle_subscribe", routes=REQUEST_ROUTE)
    @function
    def handle_subscribe_uri(self, run: Run, watcher_uri: str) -> int:
        """As `handle_subscribe`; the watcher is this URI, not the one in From."""
        return self._handle_subscribe(run, watcher_uri)

    @native(routes=REQUEST_ROUTE)
    @function
    def handle_subscribe(self, run: Run) -> int:
        """Make, refresh or end the subscription that a SUBSCRIBE means, answer it, and send the NOTIFY; -1 where it is
        refused."""
        return self._handle_subscribe(run, "")

    def _handle_subscribe(self, run: Run, watcher: str) -> int:
        if run.msg.method_id != M_SUBSCRIBE:
            log.error("handle_subscribe: no SUBSCRIBE")
            return -1
        run.state.pop(SUBSCRIPTION, None)
        return self.attempt(run, lambda: self._subscribe(run, watcher))

    def _subscribe(self, run: Run, watcher: str) -> None:
        msg = run.msg
        package, event = self.event_of(msg)
        lasts = self._granted(msg, package)
        try:
            contact = read_contact(msg)
        except ParseError as error:
            raise Refused(500, "Server Internal Error") from error
        if msg.to.tag:
            self._refresh(run, event, package, contact, lasts)
        else:
            self._begin(run, self._made(run, event, contact, lasts, watcher), package, lasts)

    def _granted(self, msg: Message, package: EventPackage) -> int:
        """The seconds that a subscription gets. Raises Refused for too few."""
        asked = self.expires_of(msg, package)
        if asked == 0 or asked >= self.min_expires:
            return asked
        if self.min_expires_action == 1:
            raise Refused(423, "Interval Too Brief", f"Min-Expires: {self.min_expires}")
        return self.min_expires

    def _made(self, run: Run, event: Event, contact: str, lasts: int, watcher: str) -> Subscription:
        """The subscription that a SUBSCRIBE without a dialog asks for. Raises ParseError."""
        msg = run.msg
        from_user, from_domain = split_uri(msg.from_.uri)
        watcher_user, watcher_domain = split_uri(watcher) if watcher else (from_user, from_domain)
        to_user, to_domain = split_uri(msg.to.uri)
        t = run.transaction
        tag = self.node.sl_tag(msg) if t is None else self.node.layer.to_tag(t)
        agent = msg.header(H_USERAGENT)
        listener = msg.listener if isinstance(msg.listener, Listener) else None
        return Subscription(
            presentity=uri_of(*self.presentity_of(msg)),
            watcher_user=watcher_user,
            watcher_domain=watcher_domain,
            to_user=to_user,
            to_domain=to_domain,
            from_user=from_user,
            from_domain=from_domain,
            event=event.name,
            event_id=event.id,
            to_tag=strict(tag),
            from_tag=strict(msg.from_.tag or b""),
            callid=strict(msg.callid),
            remote_cseq=msg.cseq,
            contact=contact,
            local_contact=self._local_contact(listener),
            record_route=read_route_set(msg),
            expires=self.now() + lasts,
            listener=listener,
            user_agent="" if agent is None else agent.body.decode("utf-8", "replace")[:255],
        )

    def _local_contact(self, listener: Listener | None) -> str:
        if self.server_address or listener is None:
            return self.server_address
        return f"sip:{listener.address.host.decode()}:{listener.address.port};transport={listener.proto_name}"

    # ---- a new one

    def _begin(self, run: Run, subscription: Subscription, package: EventPackage, lasts: int) -> None:
        with self.turn(subscription.presentity):
            decision = self._decision(subscription, package)
            subscription.status, subscription.reason = decision
            state = self._state_for(subscription, package)
            if lasts and decision.status != TERMINATED:
                if self.delete_same_subs:
                    self._end_same(subscription)
                self.subscriptions.add(subscription)
            self._accept(run, subscription, lasts)
            if lasts:
                self.tell_of_watcher(subscription)
            self._tell(subscription, package, state)

    def _decision(self, subscription: Subscription, package: EventPackage) -> Decision:
        """What holds for a watcher: what was decided before, else what the rules say now."""
        if not package.authorizes:
            return Decision(ACTIVE)
        decided = self.decided(subscription)
        if decided is None:
            rules = package.rules_of(subscription.presentity)
            decided = package.without_rules if rules is None else rules.decide(subscription.watcher, PENDING)
            self.keep_decision(subscription, decided)
        return decided

    def _end_same(self, subscription: Subscription) -> None:
        """Forget subscriptions of the same Call-ID to the same (`delete_same_subs`)."""
        for other in self.subscriptions.watching(subscription.presentity, subscription.event):
            if other.callid == subscription.callid:
                self.subscriptions.remove(other)

    # ---- a known one

    def _refresh(self, run: Run, event: Event, package: EventPackage, contact: str, lasts: int) -> None:
        msg = run.msg
        dialog = (strict(msg.callid), strict(msg.from_.tag or b""), strict(msg.to.tag or b""))
        found = self.subscriptions.find(dialog)
        if found is None:
            raise Refused(*_UNKNOWN)
        with self.turn(found.presentity):
            # It may have ended while others had their turn.
            subscription = self.subscriptions.find(dialog)
            if subscription is None or (subscription.event, subscription.event_id) != event:
                raise Refused(*_UNKNOWN)
            if msg.cseq + self.cseq_offset <= subscription.remote_cseq:
                raise Refused(400, "Bad request")
            state = self._state_for(subscription, package)
            subscription.remote_cseq, subscription.contact = msg.cseq, contact
            subscription.expires = self.now() + lasts
            if lasts:
                self.subscriptions.changed(subscription)
            else:
                self.subscriptions.remove(subscription)
            self._accept(run, subscription, lasts)
            self.tell_of_watcher(subscription)
            self._tell(subscription, package, state)

    # ---- both

    def _accept(self, run: Run, subscription: Subscription, lasts: int) -> None:
        if self.pres_subs_mode:
            shown = replace(subscription)
            if shown.local_cseq:
                # In a known dialog the NOTIFY is counted already, as in Kamailio.
                shown.local_cseq, shown.version = next_numbers(shown)
            run.state[SUBSCRIPTION] = Seen(shown, lasts)
        status = 200 if self.subs_respond_200 else 202
        self.answer(run, status, "OK", f"Expires: {lasts}", f"Contact: <{subscription.local_contact}>")

    def _state_for(self, subscription: Subscription, package: EventPackage) -> bytes:
        """What a watcher is told at first, and when it asks anew. Raises DatabaseError, RulesError."""
        if not subscription.is_shown or isinstance(package, WatcherInfo):
            return b""
        state = self.state_of(package, Presentity(*split_uri(subscription.presentity), package.name))
        rules = package.rules_of(subscription.presentity) if state else None
        return state if rules is None else rules.view(state, subscription.watcher)

    def _tell(self, subscription: Subscription, package: EventPackage, state: bytes) -> None:
        """The NOTIFY that every SUBSCRIBE calls for (RFC 6665 §4.2.1.2)."""
        if isinstance(package, WatcherInfo):
            self.notify_of_watchers(subscription, package.watched.name)
        else:
            self.notify(subscription, state)


__all__ = ["Subscribing"]
