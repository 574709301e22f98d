"""`$subs(...)`, the subscription in hand, and `$notify_reply(...)`, the answer to its NOTIFY."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kahea.modules.presence.authorize import Authorizing
from kahea.modules.presence.notifier import REPLY, SUBSCRIPTION, Seen
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.run import EVENT_ROUTE, Run
from kahea.sip.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The attributes of `$subs`.
_ATTRIBUTES: Final[dict[str, Callable[[Seen], Any]]] = {
    "uri": lambda seen: seen.subscription.presentity,
    "pres_uri": lambda seen: seen.subscription.presentity,
    "to_user": lambda seen: seen.subscription.to_user,
    "to_domain": lambda seen: seen.subscription.to_domain,
    "from_user": lambda seen: seen.subscription.from_user,
    "from_domain": lambda seen: seen.subscription.from_domain,
    "watcher_username": lambda seen: seen.subscription.watcher_user,
    "watcher_domain": lambda seen: seen.subscription.watcher_domain,
    "event": lambda seen: seen.subscription.event,
    "event_id": lambda seen: seen.subscription.event_id,
    "to_tag": lambda seen: seen.subscription.to_tag,
    "from_tag": lambda seen: seen.subscription.from_tag,
    "callid": lambda seen: seen.subscription.callid,
    "remote_cseq": lambda seen: seen.subscription.remote_cseq,
    "local_cseq": lambda seen: seen.subscription.local_cseq,
    "contact": lambda seen: seen.subscription.contact,
    "local_contact": lambda seen: seen.subscription.local_contact,
    "record_route": lambda seen: seen.subscription.record_route,
    "expires": lambda seen: seen.left,
    "status": lambda seen: seen.subscription.status,
    "reason": lambda seen: seen.subscription.reason,
    "version": lambda seen: seen.subscription.version,
    "flags": lambda seen: seen.subscription.flags,
    "user_agent": lambda seen: seen.subscription.user_agent,
}


class Variables(Authorizing):
    """What scripts can ask of a subscription."""

    def variables(self) -> Iterator[Variable]:
        """`$subs` and `$notify_reply`."""
        yield from super().variables()
        doc = "An attribute of the subscription: after `handle_subscribe()`, and where a NOTIFY is sent or answered."
        yield named("subs", _bind_subscription, doc=doc)
        doc = "A variable of the answer to a NOTIFY: `$notify_reply($rs)`."
        yield named("notify_reply", self._bind_reply, doc=doc)

    def _bind_reply(self, inner: Value, _index: object) -> Bound:
        """The getter of a variable, on the answer. Raises PvError."""
        variable = self.node.variables.compile(str(inner))

        def get(run: Run) -> Value:
            reply = run.msg.facets.get(REPLY)
            if not isinstance(reply, Message):
                return None
            return variable.get(Run(self.node, reply, EVENT_ROUTE))

        return Bound(get)


def _bind_subscription(inner: Value, _index: object) -> Bound:
    """The getter of an attribute; raises PvError for one that there is not."""
    read = _ATTRIBUTES.get(str(inner))
    if read is None:
        raise PvError(f"$subs has no {inner!r}; there are: {', '.join(sorted(_ATTRIBUTES))}")

    def get(run: Run) -> Value:
        seen = run.state.get(SUBSCRIPTION) or run.msg.facets.get(SUBSCRIPTION)
        value: Value = read(seen) if isinstance(seen, Seen) else None
        return value

    return Bound(get)


__all__ = ["Variables"]
