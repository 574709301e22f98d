"""Functions on URIs that scripts hold in variables, which only the native language has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.siputils import uris
from kahea.routing.literals import output
from kahea.routing.module import Module, native
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, LOCAL_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_SUPPORTED
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

#: The option tags that Kamailio can ask for (RFC 3327, 3262, 4028, 4662, 5627, 5626).
_OPTIONS = ("path", "100rel", "timer", "eventlist", "gruu", "outbound")
_SEPARATORS = str.maketrans("", "", "-.()")  # visual ones (RFC 3966 §3)


def option_tag(node: Node, text: str) -> str:
    """An option tag that `is_supported` knows. Raises ValueError."""
    if text.lower() not in _OPTIONS:
        raise ValueError(f"unknown option {text!r}: it is one of {', '.join(_OPTIONS)}")
    return text.lower()


def tel_to_sip(number: str, host: str) -> str:
    """What follows `tel:` as a SIP URI (RFC 3261 §19.1.6)."""
    plain, semicolon, params = number.lower().partition(";")
    return f"sip:{plain.translate(_SEPARATORS)}{semicolon}{params}@{host};user=phone"


class UriVariables(Module):
    """Reading, changing and converting URIs in variables."""

    @native(
        "str",
        "str",
        output,
        routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE,
    )
    def tel2sip(self, run: Run, uri: str, host: str, into: str) -> int:
        """Put a tel URI as a SIP URI of `host` into a variable: 1; 2, and nothing is written, for another URI."""
        if uri[:4].lower() != "tel:":
            return 2
        return 1 if self.node.variables.compile(into).set(run, tel_to_sip(uri[4:], host)) else -1

    @native("str", output, routes=REQUEST_ROUTE | LOCAL_ROUTE)
    def get_uri_param(self, run: Run, name: str, into: str) -> int:
        """Put the value of the Request-URI's parameter into a variable; -1 if it has none of that name."""
        wanted = wire(name)
        for known, value in uris.params_of(parse_uri(run.msg.uri)):
            if known == wanted and known:
                return 1 if self.node.variables.compile(into).set(run, text(value)) else -1
        return -1

    @native("pv", "pv")
    def set_uri_user(self, run: Run, uri: Pv, user: Pv) -> int:
        """Set the user of the URI in a variable, without its password; an empty one removes it."""
        return self._set_part(run, "set_uri_user", uri, user)

    @native("pv", "pv")
    def set_uri_host(self, run: Run, uri: Pv, host: Pv) -> int:
        """Set the host of the URI in a variable; -1 for an empty one."""
        return self._set_part(run, "set_uri_host", uri, host)

    def _set_part(self, run: Run, name: str, uri: Pv, part: Pv) -> int:
        given, value = uri.get(run), part.get(run)
        if not isinstance(given, str) or not isinstance(value, str) or (not value and name == "set_uri_host"):
            self.node.log.error("%s: %s is no text, or %s none that fits", name, uri.text, part.text)
            return -1
        try:
            parsed = parse_uri(wire(given))
        except ParseError as error:
            self.node.log.error("%s: %s", name, error)
            return -1
        if name == "set_uri_user":
            changed = parsed.replaced(user=wire(value), password=b"")
        else:
            changed = parsed.replaced(host=wire(value))
        return 1 if uri.set(run, text(changed)) else -1

    @native(option_tag)
    def is_supported(self, run: Run, option: str) -> int:
        """Whether Supported (RFC 3261 §20.37) lists an option tag, in any case."""
        wanted = wire(option)
        for header in run.msg.headers_of(H_SUPPORTED):
            if wanted in (each.strip().lower() for each in header.body.split(b",")):
                return 1
        return -1
