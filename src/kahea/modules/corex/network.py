"""What goes over the network, shown to the script as it is: `event_route[network:msg]`.

The route sees each message that was received before it is parsed, and each that is sent after all else was done with
it, retransmissions included. What it leaves in the variable of `nio_msg_avp` goes on in place of the message: so a
script encodes and decodes what it exchanges with a peer. It sees nothing but `$mb` and `$ml`, and may not wait. Where a
stream can't deliver what was changed, tm is not told, and finds out by its timers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from kahea.routing.generation import event_message
from kahea.routing.module import ConfigError, Module, Param, native
from kahea.routing.pv import PvError
from kahea.routing.received import NETWORK_EVENT, Passing
from kahea.routing.run import EVENT_ROUTE, Run
from kahea.routing.text import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kahea.routing.pv import Pv

_MOST: Final = 1 << 20


class NetworkData(Module):
    """See the module's docstring."""

    events: ClassVar[Mapping[str, str]] = {
        NETWORK_EVENT: "A message was received, and is not parsed yet, or is about to be sent (`is_incoming()`, `$mb`)."
    }

    nio_intercept = Param(0, "Not 0: show what is received and sent to `event_route[network:msg]`.")
    nio_min_msg_len = Param(0, "The least bytes of a message that is shown.")
    nio_msg_avp = Param("", "The AVP whose value, after the route, goes on in place of the message.")

    _changed: Pv | None = None

    def start(self) -> None:
        """Take what goes over the network. Raises ConfigError."""
        super().start()
        if not self.nio_intercept:
            return
        try:
            self._changed = self.node.variables.compile(self.nio_msg_avp) if self.nio_msg_avp else None
        except PvError as error:
            raise ConfigError(f"parameter corex.nio_msg_avp: {error}") from error
        if self._changed is not None and self._changed.name != "avp":
            raise ConfigError(f"parameter corex.nio_msg_avp: {self.nio_msg_avp!r} is no AVP")
        self.node.intercept(self._received, self._sent)

    def _received(self, data: bytes) -> bytes:
        return self._shown(data, incoming=True)

    def _sent(self, data: bytes) -> bytes:
        return self._shown(data, incoming=False)

    def _shown(self, data: bytes, *, incoming: bool) -> bytes:
        """What goes on after the route."""
        node = self.node
        route = node.routes.event(NETWORK_EVENT) if len(data) >= self.nio_min_msg_len else None
        if route is None:
            return data
        run = Run(node, event_message(), EVENT_ROUTE, NETWORK_EVENT)
        run.generation = node.routes
        run.state[NETWORK_EVENT] = Passing(data, incoming)
        node.pool.run(node.execute, run, route)
        if self._changed is None:
            return data
        value = self._changed.get(run)
        if value is None:
            node.log.warning(
                "event_route[network:msg]: %s has no value, the message goes on as it is", self.nio_msg_avp
            )
            return data
        changed = wire(str(value))
        if len(changed) > _MOST:
            node.log.error(
                "event_route[network:msg]: %d bytes are too many, the message goes on as it is", len(changed)
            )
            return data
        return changed

    @native()
    def is_incoming(self, run: Run) -> bool:
        """Whether the message of `event_route[network:msg]` was received, rather than is to be sent; else false."""
        passing = run.state.get(NETWORK_EVENT)
        return isinstance(passing, Passing) and passing.incoming
