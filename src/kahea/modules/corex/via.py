"""What a script puts into the Via that this server adds.

Values of an XAVP may be set after the function that asks for them, so they are read when the request is sent:
`complete()` is called then, through the facet "before_send", and leaves what the Via is built from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kahea.routing.lists import Scalar, lists_of
from kahea.routing.module import Module, function, native
from kahea.routing.text import wire

if TYPE_CHECKING:
    from kahea.net.address import Listener
    from kahea.routing.run import Run
    from kahea.sip.message import Message

FACET: Final = "via_wanted"
#: Read by whoever builds the Via: parameters to append, with their semicolons.
FACET_PARAMS: Final = "via_params"

SRVID: Final = 1
XAVP_PARAMS: Final = 2
XAVP_FIELDS: Final = 4


class ViaParts(Module):
    """Parameters and address of the own Via."""

    @native("int")
    @function
    def via_add_srvid(self, run: Run, on: int) -> int:
        """Whether the Via gets `;srvid=` with the global `server_id`, if that is not 0."""
        return self._want(run.msg, SRVID, on)

    @native("int")
    @function
    def via_add_xavp_params(self, run: Run, on: int) -> int:
        """Whether the fields of the XAVP that the global `xavp_via_params` names become Via parameters."""
        return self._want(run.msg, XAVP_PARAMS, on)

    @native("int")
    @function
    def via_use_xavp_fields(self, run: Run, on: int) -> int:
        """Whether `address` and `port` of the XAVP that `xavp_via_fields` names become the Via's."""
        return self._want(run.msg, XAVP_FIELDS, on)

    @native("int")
    @function
    def via_reply_add_xavp_params(self, run: Run, on: int) -> int:
        """Whether the fields of the XAVP that the global `xavp_via_reply_params` names become parameters of the top Via
        in replies: those that we make to this request, or this reply when it is passed on."""
        msg = run.msg
        if msg.is_request:
            msg.reply_via = self._of_reply if on else None
        elif on and (via := msg.via2) is not None:
            msg.insert(via.end, self._of_reply(msg))
        return 1

    def _of_reply(self, msg: Message) -> bytes:
        return _parameters(msg, self.node.settings.xavp_via_reply_params)

    def _want(self, msg: Message, what: int, on: int) -> int:
        facets = msg.facets
        before = facets.get(FACET)
        wanted = before if isinstance(before, int) else 0
        facets[FACET] = wanted | what if on else wanted & ~what
        waiting: list[Callable[..., None]] = facets.setdefault("before_send", [])  # type: ignore[assignment]
        if self.complete not in waiting:
            waiting.append(self.complete)
        return 1

    def complete(self, msg: Message, sending: Listener) -> None:
        """Note what the Via of a request that is about to be sent is to have."""
        wanted = msg.facets.get(FACET)
        if not isinstance(wanted, int):
            return
        settings = self.node.settings
        params = b""
        if wanted & SRVID and settings.server_id:
            params += b";srvid=%d" % settings.server_id
        if wanted & XAVP_PARAMS:
            params += _parameters(msg, settings.xavp_via_params)
        msg.facets[FACET_PARAMS] = params
        if wanted & XAVP_FIELDS:
            fields = _fields(msg, settings.xavp_via_fields)
            host, port = str(fields.get("address", "")), str(fields.get("port", ""))
            if host:
                msg.advertised_host = wire(host)
            if port.isascii() and port.isdigit() and 0 < int(port) < 65536:
                msg.advertised_port = int(port)


def _parameters(msg: Message, name: str) -> bytes:
    """The fields of an XAVP as Via parameters, each with its semicolon."""
    return b"".join(wire(f";{field}={value}") for field, value in _fields(msg, name).items())


def _fields(msg: Message, name: str) -> dict[str, Scalar]:
    """The plain values of an XAVP's fields, in the order in which they were added."""
    item = lists_of(msg).xavps.find(name) if name else None
    fields = item.fields if item is not None else None
    if fields is None:
        return {}
    return {x.name: x.value for x in fields.items if isinstance(x.value, (int, str))}
