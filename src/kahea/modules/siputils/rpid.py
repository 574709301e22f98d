"""Remote-Party-ID and E.164 numbers: what the authentication modules found out about the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.siputils.strings import is_e164
from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.pv.errors import PvError
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, LOCAL_ROUTE, REQUEST_ROUTE
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run


class RemoteParty(Module):
    """Functions about the caller's number. Kamailio has them in its native language only."""

    rpid_avp = Param("$avp(s:rpid)", "The variable that holds the caller's URI, or number.")
    rpid_prefix = Param("", "Stands before it in Remote-Party-ID.")
    rpid_suffix = Param(";party=calling;id-type=subscriber;screen=yes", "Stands behind it in Remote-Party-ID.")
    e164_max_len = Param(16, "The most characters of an E.164 number, its plus included.")

    def start(self) -> None:
        """Compile `rpid_avp`."""
        try:
            self._rpid = self.node.variables.compile(self.rpid_avp) if self.rpid_avp else None
        except PvError as error:
            raise ConfigError(f"parameter siputils.rpid_avp: {error}") from error

    def _caller(self, run: Run) -> str:
        value = self._rpid.get(run) if self._rpid is not None else None
        return "" if value is None else str(value)

    @function
    @native(routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def append_rpid_hf(self, run: Run) -> int:
        """Append Remote-Party-ID with what `rpid_avp` holds; -1 if that is nothing."""
        return self._append(run, self.rpid_prefix, self.rpid_suffix)

    @function
    @native("text", "text", name="append_rpid_hf", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def append_rpid_hf_p(self, run: Run, prefix: str, suffix: str) -> int:
        """As append_rpid_hf(), with a prefix and suffix of its own."""
        return self._append(run, prefix, suffix)

    def _append(self, run: Run, prefix: str, suffix: str) -> int:
        caller = self._caller(run)
        if not caller:
            return -1
        run.msg.append_header(wire(f"Remote-Party-ID: {prefix}{caller}{suffix}\r\n"))
        return 1

    @function
    @native(routes=REQUEST_ROUTE)
    def is_rpid_user_e164(self, run: Run) -> int:
        """Whether the user of the URI in `rpid_avp` (or its text, if it is no URI) is an E.164 number."""
        caller = self._caller(run)
        if not caller:
            return -1
        try:
            user = text(parse_uri(wire(caller)).user)
        except ParseError:
            user = caller
        return 1 if is_e164(user, self.e164_max_len) else -1

    @function
    @native("str", routes=REQUEST_ROUTE | FAILURE_ROUTE | LOCAL_ROUTE)
    def is_e164(self, run: Run, number: str) -> int:
        """Whether the text is an E.164 number: a plus and digits."""
        return 1 if is_e164(number, self.e164_max_len) else -1

    @function
    @native("str")
    def is_uri_user_e164(self, run: Run, uri: str) -> int:
        """Whether a URI's user is an E.164 number."""
        try:
            return 1 if is_e164(text(parse_uri(wire(uri)).user), self.e164_max_len) else -1
        except ParseError:
            return -1
