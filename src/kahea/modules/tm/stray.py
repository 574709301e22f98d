"""Responses that belong to no transaction: the route that `on_sl_reply` names sees them before they are forwarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kahea.routing.run import CORE_ONREPLY_ROUTE, Run

if TYPE_CHECKING:
    from kahea.routing.generation import Route
    from kahea.routing.node import Node
    from kahea.sip.message import Message

_SEEN: Final = "tm.on_sl_reply"


class StrayReplies:
    """Runs the route; `take` is one of the node's `stray_replies`."""

    def __init__(self, node: Node, route: str) -> None:
        self._node = node
        self._route = route

    def take(self, msg: Message) -> bool:
        """Show a response to the route, which may wait, and forward it after that unless the route drops it."""
        if msg.facets.get(_SEEN):
            return False
        route = self._node.routes.find(self._route, "reply")
        if route is None:
            self._node.log.error("parameter tm.on_sl_reply: the script has no %s", self._route)
            return False
        self._node.pool.run(self._ask, Run(self._node, msg, CORE_ONREPLY_ROUTE, self._route), route)
        return True

    def _ask(self, run: Run, route: Route) -> None:
        self._node.execute(run, route)
        run.msg.facets[_SEEN] = True
        if not run.drop:
            self._node.forward_reply(run.msg)
