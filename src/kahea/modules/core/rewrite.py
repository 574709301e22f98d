"""Changes of the Request-URI, and of the branches beside it.

The native functions take their texts as written, and answer for the URI that they were given: one that makes no
URI of it is refused here, where Kamailio writes it and finds out when it forwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.core.forms import core_native
from kahea.routing.module import Module, function
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.routing.run import Run

_NUMBERS = (b"tel", b"tels")


class Rewriting(Module):
    """The Request-URI, whole and in parts."""

    @core_native("rewriteuri", "seturi", takes=("text",))
    @function(group="")
    def seturi(self, run: Run, uri: str) -> bool:
        """Set the Request-URI; taken as it is, as in Kamailio."""
        run.msg.set_uri(wire(uri))
        return True

    @core_native("revert_uri")
    def revert_uri(self, run: Run) -> bool:
        """Go back to the Request-URI as it was received."""
        run.msg.set_uri(None)
        return True

    @core_native("rewriteuser", "setuser", "setu", takes=("text",))
    @function(group="")
    def setuser(self, run: Run, user: str) -> bool:
        """Set the user of the Request-URI; an empty one removes user and password. Of tel, the number."""
        uri = self._uri(run)
        if uri is None:
            return False
        if user:
            run.msg.set_uri(_with_number(uri, wire(user)) or uri.replaced(user=wire(user)))
        else:
            run.msg.set_uri(_with_number(uri, b"") or uri.replaced(user=b"", password=b""))
        return True

    @core_native("rewriteuserpass", "setuserpass", "setup", takes=("text",))
    def setuserpass(self, run: Run, given: str) -> bool:
        """Set user and password of the Request-URI, as `user:password`; without a colon the password goes."""
        uri = self._uri(run)
        if uri is None:
            return False
        user, _, password = wire(given).partition(b":")
        if uri.scheme in _NUMBERS and password:
            self.node.log.error("setuserpass: a tel URI has no password")
            return False
        run.msg.set_uri(_with_number(uri, user) or uri.replaced(user=user, password=password))
        return True

    @core_native("prefix", takes=("text",))
    def prefix(self, run: Run, front: str) -> bool:
        """Put `front` before the user of the Request-URI."""
        uri = self._uri(run)
        if uri is None:
            return False
        user = wire(front) + uri.user
        run.msg.set_uri(_with_number(uri, user) or uri.replaced(user=user))
        return True

    @core_native("strip", takes=("int",))
    def strip(self, run: Run, count: int) -> bool:
        """Take `count` characters from the front of the Request-URI's user; all of them, if it has fewer."""
        return self._strip(run, lambda user: user[count:], count)

    @core_native("strip_tail", takes=("int",))
    def strip_tail(self, run: Run, count: int) -> bool:
        """Take `count` characters from the end of the Request-URI's user; all of them, if it has fewer."""
        return self._strip(run, lambda user: user[: max(len(user) - count, 0)], count)

    def _strip(self, run: Run, rest: Callable[[bytes], bytes], count: int) -> bool:
        uri = self._uri(run)
        if uri is None or count < 0:
            return False
        if count > len(uri.user):
            self.node.log.warning("strip: %d characters of %r", count, text(uri.user))
        user = rest(uri.user)
        password = uri.password if user else b""
        run.msg.set_uri(_with_number(uri, user) or uri.replaced(user=user, password=password))
        return True

    @core_native("rewritehost", "sethost", "seth", takes=("text",))
    @function(group="")
    def sethost(self, run: Run, host: str) -> bool:
        """Set the host of the Request-URI, all else kept; a tel URI becomes sip with user=phone."""
        uri = self._uri(run)
        if uri is None or not host:
            return False
        run.msg.set_uri(_as_sip(uri, wire(host)) or uri.replaced(host=wire(host)))
        return True

    @core_native("rewritehostport", "sethostport", "sethp", takes=("text",))
    def sethostport(self, run: Run, hostport: str) -> bool:
        """Set host and port of the Request-URI; without a port, the one that is there goes."""
        uri = self._uri(run)
        if uri is None or not hostport:
            return False
        run.msg.set_uri(_as_sip(uri, wire(hostport)) or uri.replaced(host=wire(hostport), port=0))
        return True

    @core_native("rewritehostporttrans", "sethostporttrans", "sethpt", takes=("text",))
    def sethostporttrans(self, run: Run, given: str) -> bool:
        """Set host, port and transport of the Request-URI, as `host[:port][;transport=...]`; what is not given goes."""
        uri = self._uri(run)
        if uri is None or not given:
            return False
        hostport, _, params = wire(given).partition(b";")
        kept = [p for p in uri.params.split(b";") if p and not p.lower().startswith(b"transport=")]
        params = b";".join([params, *kept] if params else kept)
        run.msg.set_uri(_as_sip(uri, wire(given)) or uri.replaced(host=hostport, port=0, params=params))
        return True

    @core_native("rewriteport", "setport", "setp", takes=("text",))
    def setport(self, run: Run, port: str) -> bool:
        """Set the port of the Request-URI; "" removes it."""
        uri = self._uri(run)
        if uri is None:
            return False
        if uri.scheme in _NUMBERS:
            self.node.log.error("setport: a tel URI has no port")
            return False
        if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            self.node.log.error("setport: %r is no port", port)
            return False
        run.msg.set_uri(uri.replaced(port=int(port or 0)))
        return True

    @core_native("userphone")
    def userphone(self, run: Run) -> bool:
        """Add `user=phone` to the Request-URI, unless it says so already."""
        uri = self._uri(run)
        if uri is None:
            return False
        if uri.is_sip and uri.param(b"user") != b"phone":
            run.msg.set_uri(uri.replaced(params=(uri.params + b";" if uri.params else b"") + b"user=phone"))
        return True

    def _uri(self, run: Run) -> Uri | None:
        if not run.msg.is_request:
            return None
        try:
            uri = parse_uri(run.msg.uri)
        except ParseError:
            self.node.log.error("the Request-URI %r can't be parsed", run.msg.uri)
            return None
        if uri.is_sip or uri.scheme in _NUMBERS:
            return uri
        self.node.log.error("a %s URI has no user and host to set", uri.scheme.decode("latin-1"))
        return None

    # ---- branches

    @core_native("remove_branch", takes=("int",), least=0)
    def remove_branch(self, run: Run, index: int = 0) -> bool:
        """Remove one of the added branches, numbered from 0; without a number, the first. One that is not there is no
        error."""
        branches = run.msg.branches
        if 0 <= index < len(branches):
            del branches[index]
        return True

    @core_native("clear_branches")
    def clear_branches(self, run: Run) -> bool:
        """Remove all added branches."""
        run.msg.branches.clear()
        return True


def _with_number(uri: Uri, user: bytes) -> bytes | None:
    """A tel URI with another number; None for other URIs."""
    if uri.scheme not in _NUMBERS:
        return None
    return uri.scheme + b":" + user + (b";" + uri.params if uri.params else b"")


def _as_sip(uri: Uri, host: bytes) -> bytes | None:
    """A tel URI as a SIP URI of `host` (RFC 3261 §19.1.6); None for other URIs."""
    if uri.scheme not in _NUMBERS:
        return None
    user = uri.user + (b";" + uri.params if uri.params else b"")
    return (b"sip:" if uri.scheme == b"tel" else b"sips:") + user + b"@" + host + b";user=phone"
