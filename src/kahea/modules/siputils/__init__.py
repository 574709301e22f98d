"""Small checks and changes of SIP messages and URIs that most scripts need somewhere."""

from __future__ import annotations

import functools
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from kahea.modules.siputils import contact, pcv, strings, uris
from kahea.modules.siputils.rpid import RemoteParty
from kahea.modules.siputils.tel import UriVariables
from kahea.net.address import is_ip
from kahea.routing.authorized import authorizations
from kahea.routing.common import has_totag
from kahea.routing.module import Module, Param, Value, function, native, variable
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, LOCAL_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTACT, H_DATE, H_RECORDROUTE, M_OPTIONS
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kahea.routing.run import Run
    from kahea.sip.uri import Uri


def _separator(value: str) -> str:
    if len(value) < 1:
        raise ValueError("must have a character")
    return value


def _gruu_kind(uri: bytes) -> int:
    gruu = parse_uri(uri).param(b"gr")
    return -1 if gruu is None else 1 if gruu else 2


class Siputils(RemoteParty, UriVariables, Module):
    """Checks and changes of SIP messages and URIs."""

    name = "siputils"
    needs = ("sl",)

    options_accept = Param("*/*", "Accept of the reply to OPTIONS.")
    options_accept_encoding = Param("", "Accept-Encoding of the reply to OPTIONS.")
    options_accept_language = Param("en", "Accept-Language of the reply to OPTIONS.")
    options_support = Param("", "Supported of the reply to OPTIONS.")
    contact_flds_separator = Param(
        "*", "Stands between the fields of an encoded contact; its first character counts.", check=_separator
    )

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """What nearly every script asks."""
        return {**super().compiled(), "has_totag": has_totag}

    # What the message is

    @function
    @native()
    def is_request(self, run: Run) -> int:
        """Whether this is a request."""
        return 1 if run.msg.is_request else -1

    @function
    @native()
    def is_reply(self, run: Run) -> int:
        """Whether this is a reply."""
        return -1 if run.msg.is_request else 1

    @function
    @native()
    def is_sip(self, run: Run) -> int:
        """Whether the message is of SIP."""
        return 1 if run.msg.version[:3].upper() == b"SIP" else -1

    @function
    @native()
    def is_http(self, run: Run) -> int:
        """Whether the message is of HTTP."""
        return 1 if run.msg.version[:4].upper() == b"HTTP" else -1

    @function
    @native()
    def has_totag(self, run: Run) -> int:
        """Whether To has a tag: the message belongs to a dialog."""
        return has_totag(run)

    @function
    @native()
    def sip_parse_headers(self, run: Run) -> int:
        """Whether all headers that the server understands can be parsed."""
        run.msg.check()
        return 1

    @function
    @native("str", routes=REQUEST_ROUTE | LOCAL_ROUTE)
    def is_user(self, run: Run, user: str) -> int:
        """Whether the request was authenticated as this user (by the auth modules)."""
        authorized = authorizations(run.msg)
        if not authorized:
            self.node.log.error("is_user: the request has not been authenticated")
            return -1
        return 1 if authorized[-1].user == user else -1

    @function
    @native()
    def is_first_hop(self, run: Run) -> int:
        """Whether this server is the first on the message's way; as is_first_hop_mode(0)."""
        return self._first_hop(run, 0)

    @function
    @native("int", name="is_first_hop")
    def is_first_hop_mode(self, run: Run, mode: int) -> int:
        """Whether this server is the first on the message's way.

        A request has one Via then. A reply has no Record-Route, or this server's on top; with mode 0 that
        must be an IP address, and not where the reply came from.
        """
        return self._first_hop(run, mode)

    def _first_hop(self, run: Run, mode: int) -> int:
        msg = run.msg
        if msg.is_request:
            return 1 if msg.via2 is None else -1
        routes = msg.name_addrs(H_RECORDROUTE)
        if not routes:
            return 1
        uri = parse_uri(routes[0].uri)
        if not self.node.is_myself(uri.host, uri.port):
            return -1
        if mode != 0:
            return 1
        if not is_ip(uri.host):
            return -1
        same = uri.host.strip(b"[]") == msg.src_ip and uri.effective_port == msg.src_port
        return -1 if same else 1

    @function
    @native("int")
    def hdr_date_check(self, run: Run, age: int) -> int:
        """Whether Date is no older than `age` seconds: -1 without a readable Date, -4 if it is older."""
        header = run.msg.header(H_DATE)
        if header is None:
            return -1
        try:
            date = parsedate_to_datetime(text(header.body)).timestamp()
        except (ValueError, TypeError, OverflowError):
            return -1
        return -4 if int(self.node.wall()) - int(date) > age else 1

    @function
    @native(routes=REQUEST_ROUTE)
    def options_reply(self, run: Run) -> int:
        """Answer an OPTIONS that has no user in its Request-URI with what this server can do, else -1."""
        msg = run.msg
        if not msg.is_request or msg.method_id != M_OPTIONS:
            self.node.log.error("options_reply: not an OPTIONS request")
            return -1
        if parse_uri(msg.uri).has_user:
            return -1
        for name, value in (
            ("Accept", self.options_accept),
            ("Accept-Encoding", self.options_accept_encoding),
            ("Accept-Language", self.options_accept_language),
            ("Supported", self.options_support),
        ):
            msg.reply_edits.append(wire(f"{name}: {value}\r\n"))
        sent: int = self.node.module("sl").send_reply(run, 200, "OK")
        return sent

    # URIs

    @function
    @native("str")
    def is_uri(self, run: Run, uri: str) -> int:
        """Whether this is a sip, sips, tel or urn URI."""
        try:
            return 1 if parse_uri(wire(uri)).scheme in uris.KNOWN else -1
        except ParseError:
            return -1

    @function
    @native()
    def is_gruu(self, run: Run) -> int:
        """Whether the Request-URI is a GRUU: 1 a public one, 2 a temporary one (RFC 5627)."""
        if not run.msg.is_request:
            return -1
        return _gruu_kind(run.msg.uri)

    @native("str", name="is_gruu")
    def is_gruu_uri(self, run: Run, uri: str) -> int:
        """Whether a URI is a GRUU: 1 a public one, 2 a temporary one (RFC 5627)."""
        return _gruu_kind(wire(uri))

    @function
    @native("str", "str")
    def cmp_uri(self, run: Run, first: str, second: str) -> int:
        """Whether two URIs are equal; -2 if one is no URI."""
        return self._compare(first, second, uris.same_uri)

    @function
    @native("str", "str")
    def cmp_aor(self, run: Run, first: str, second: str) -> int:
        """Whether two URIs are one address of record; -2 if one is no URI."""
        return self._compare(first, second, uris.same_aor)

    @staticmethod
    def _compare(first: str, second: str, same: Callable[[Uri, Uri], bool]) -> int:
        try:
            return 1 if same(parse_uri(wire(first)), parse_uri(wire(second))) else -1
        except ParseError:
            return -2

    @function
    @native("str", "str")
    def cmp_hdr_name(self, run: Run, first: str, second: str) -> int:
        """Whether two texts name the same header, in any case, long or compact; -2 if not."""
        return 1 if uris.same_header_name(wire(first), wire(second)) else -2

    @function
    @native("str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def uri_param(self, run: Run, name: str) -> int:
        """Whether the Request-URI has this parameter, without a value."""
        return self._has_param(run, name, b"")

    @function
    @native("str", "str", name="uri_param", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def uri_param_value(self, run: Run, name: str, value: str) -> int:
        """Whether the Request-URI has this parameter with this value."""
        return self._has_param(run, name, wire(value))

    @staticmethod
    def _has_param(run: Run, name: str, value: bytes) -> int:
        wanted = wire(name)
        for known, given in uris.params_of(parse_uri(run.msg.uri)):
            if known == wanted and known:
                return 1 if given == value else -1
        return -1

    @function
    @native("str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def uri_param_any(self, run: Run, name: str) -> int:
        """Whether the Request-URI has this parameter, in any case, with or without a value."""
        return -1 if not name or parse_uri(run.msg.uri).param(wire(name)) is None else 1

    @function
    @native("str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def uri_param_rm(self, run: Run, name: str) -> int:
        """Remove a parameter from the Request-URI; 1 also if it has none of this name."""
        uri = parse_uri(run.msg.uri)
        changed = uris.without_param(uri, wire(name))
        if changed != uri.raw:
            run.msg.set_uri(changed)
        return 1

    @function
    @native("text", routes=REQUEST_ROUTE)
    def add_uri_param(self, run: Run, param: str) -> int:
        """Append "name=value" to the Request-URI's parameters."""
        if param:
            run.msg.set_uri(uris.with_param(run.msg.uri, wire(param)))
        return 1

    # Texts

    @function
    @native("str")
    def is_numeric(self, run: Run, value: str) -> int:
        """Whether the text is digits; -2 if not."""
        return 1 if strings.is_numeric(value) else -2

    @function
    @native("str")
    def is_alphanum(self, run: Run, value: str) -> int:
        """Whether the text is ASCII letters and digits; -2 if it is empty, -3 if not."""
        return 1 if strings.is_alphanum(value) else -3 if value else -2

    @function
    @native("str", "str")
    def is_alphanumex(self, run: Run, value: str, extra: str) -> int:
        """Whether the text is ASCII letters, digits and `extra` characters; -2 if it is empty, -3 if not."""
        return 1 if strings.is_alphanum(value, extra) else -3 if value else -2

    @function
    @native("str")
    def is_tel_number(self, run: Run, value: str) -> int:
        """Whether the text is digits, with a plus before them or not; -2 if not."""
        return 1 if strings.is_tel_number(value) else -2

    # Contact

    @function
    @native("text", "text", routes=REQUEST_ROUTE | REPLY_ROUTES)
    def encode_contact(self, run: Run, prefix: str, host: str) -> int:
        """Pack the URIs of the first Contact into the user of one at `host`; -1 if there is none."""
        if run.msg.header(H_CONTACT) is None:
            return -1
        separator = wire(self.contact_flds_separator[0])
        packed = functools.partial(contact.pack, prefix=wire(prefix), host=wire(host), separator=separator)
        contact.rewrite(run.msg, packed, brackets=False)
        return 1

    @function
    @native(routes=REQUEST_ROUTE)
    def decode_contact(self, run: Run) -> int:
        """Unpack the Request-URI that encode_contact() made; -1 if it is none."""
        run.msg.set_uri(contact.unpack(run.msg.uri, wire(self.contact_flds_separator[0])))
        return 1

    @function
    @native(routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES)
    def decode_contact_header(self, run: Run) -> int:
        """Unpack the URIs of the first Contact; -1 without a Contact or if one is not packed."""
        if run.msg.header(H_CONTACT) is None:
            return -1
        separator = wire(self.contact_flds_separator[0])
        contact.rewrite(run.msg, lambda uri: contact.unpack(uri, separator), brackets=False)
        return 1

    @function
    @native("str", "str", routes=REQUEST_ROUTE | REPLY_ROUTES)
    def contact_param_encode(self, run: Run, name: str, server: str) -> int:
        """Replace the first Contact's URIs by `server` with the old one as a parameter, in Base64url."""
        contact.rewrite(run.msg, lambda uri: contact.wrap(uri, wire(name), wire(server)), brackets=True)
        return 1

    @function
    @native("str", "str", routes=REQUEST_ROUTE | REPLY_ROUTES)
    def contact_param_encode_alias(self, run: Run, name: str, server: str) -> int:
        """As contact_param_encode(), the old URI with where the message came from, as nathelper's alias."""
        msg = run.msg
        host = b"[%b]" % msg.src_ip if b":" in msg.src_ip else msg.src_ip
        alias = b";alias=%b~%d~%d" % (host, msg.src_port, msg.proto)
        contact.rewrite(msg, lambda uri: contact.wrap(uri + alias, wire(name), wire(server)), brackets=True)
        return 1

    @function
    @native("str", routes=REQUEST_ROUTE | REPLY_ROUTES)
    def contact_param_decode(self, run: Run, name: str) -> int:
        """Put back what contact_param_encode() did; -1 if a parameter is no Base64url."""
        contact.rewrite(run.msg, lambda uri: contact.unwrap(uri, wire(name)), brackets=True)
        return 1

    @function
    @native("str", routes=REQUEST_ROUTE)
    def contact_param_decode_ruri(self, run: Run, name: str) -> int:
        """As contact_param_decode(), for the Request-URI."""
        uri = run.msg.uri
        plain = contact.unwrap(uri, wire(name))
        if plain != uri:
            run.msg.set_uri(plain)
        return 1

    @function
    @native("str", routes=REQUEST_ROUTE | REPLY_ROUTES)
    def contact_param_rm(self, run: Run, name: str) -> int:
        """Remove a parameter from the URIs of the first Contact."""
        wanted = wire(name)
        contact.rewrite(run.msg, lambda uri: uris.without_param(parse_uri(uri), wanted), brackets=True)
        return 1

    @function
    @native("str")
    def contact_param_check(self, run: Run, name: str) -> int:
        """Whether a URI of the first Contact has this parameter."""
        wanted = wire(name)
        for value in contact.first_contacts(run.msg):
            if value.uri != b"*" and parse_uri(value.uri).param(wanted) is not None:
                return 1
        return -1

    # P-Charging-Vector

    @function
    @native("str")
    def sip_p_charging_vector(self, run: Run, flags: str) -> int:
        """Manage P-Charging-Vector: "r" removes it, "g" adds one if there is none, "f" puts a fresh one."""
        msg = run.msg
        if flags[:1] not in ("r", "g", "f"):
            self.node.log.error("sip_p_charging_vector: %r is none of r, g and f", flags)
            return -1
        if flags[0] in "rf":
            pcv.remove(msg)
        if flags[0] == "f" or (flags[0] == "g" and pcv.current(msg) is None):
            pcv.generate(msg, msg.dst_ip)
        return 1

    @variable("pcv", takes_name=True)
    def get_pcv(self, run: Run, name: str, index: int | None) -> Value:
        """P-Charging-Vector: `all` of it, or its value, genaddr, orig or term; None without icid-value."""
        body = pcv.current(run.msg)
        if body is None:
            return None
        found = pcv.fields(body)
        if not found.get(b"icid-value"):
            return None
        if name == "all":
            return text(body)
        value = found.get(pcv.FIELDS.get(name, b""))
        return None if value is None else text(value)


MODULE = Siputils
