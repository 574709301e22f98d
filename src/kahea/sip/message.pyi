"""Types of the compiled message. Everything here is bytes; offsets count from the start of `Message.raw`."""

from collections.abc import Callable
from typing import Final

# Methods, with the bit values that Kamailio's `$rmid` shows.
M_INVITE: Final = 1
M_CANCEL: Final = 2
M_ACK: Final = 4
M_BYE: Final = 8
M_INFO: Final = 16
M_REGISTER: Final = 32
M_SUBSCRIBE: Final = 64
M_NOTIFY: Final = 128
M_MESSAGE: Final = 256
M_OPTIONS: Final = 512
M_PRACK: Final = 1024
M_UPDATE: Final = 2048
M_REFER: Final = 4096
M_PUBLISH: Final = 8192
M_OTHER: Final = 1 << 18

# Header kinds (long and compact names are one kind); H_OTHER is any other name.
H_OTHER: Final = 0
H_VIA: Final = 1
H_FROM: Final = 2
H_TO: Final = 3
H_CALLID: Final = 4
H_CSEQ: Final = 5
H_CONTACT: Final = 6
H_MAXFORWARDS: Final = 7
H_ROUTE: Final = 8
H_RECORDROUTE: Final = 9
H_CONTENTTYPE: Final = 10
H_CONTENTLENGTH: Final = 11
H_EXPIRES: Final = 12
H_AUTHORIZATION: Final = 13
H_PROXYAUTHORIZATION: Final = 14
H_SUPPORTED: Final = 15
H_REQUIRE: Final = 16
H_PROXYREQUIRE: Final = 17
H_UNSUPPORTED: Final = 18
H_ALLOW: Final = 19
H_EVENT: Final = 20
H_USERAGENT: Final = 21
H_SERVER: Final = 22
H_SUBJECT: Final = 23
H_PATH: Final = 24
H_DATE: Final = 25
H_PAI: Final = 26
H_PPI: Final = 27
H_PRIVACY: Final = 28
H_RPID: Final = 29
H_DIVERSION: Final = 30
H_REFERTO: Final = 31
H_SESSIONEXPIRES: Final = 32
H_MINSE: Final = 33
H_ACCEPT: Final = 34
H_CONTENTDISPOSITION: Final = 35
H_IDENTITY: Final = 36
H_CONTENTENCODING: Final = 37
H_MINEXPIRES: Final = 38
H_SIPIFMATCH: Final = 39
H_RETRYAFTER: Final = 40
H_WWWAUTHENTICATE: Final = 41
H_PROXYAUTHENTICATE: Final = 42
H_REFERREDBY: Final = 43
H_REPLACES: Final = 44

MAX_MESSAGE: int  # bytes; a longer message is refused (default 65535)
MAX_HEADERS: int  # header fields in one message (default 256)

def method_id(name: bytes) -> int: ...
def header_kind(name: bytes) -> int:
    """Kind of a header name (long or compact, any case, without white space); H_OTHER if it has none."""

def accept(*, http_replies: bool = False, repeated_headers: bool = False, name_characters: bytes = b"") -> None:
    """What this process accepts beyond RFC 3261: replies of HTTP as if they were SIP's (`http_reply_hack`), several of
    From, To, Call-ID and CSeq, of which the first counts (`sip_parser_mode` 0), and further characters in header names
    where these are checked (`hdr_name_extra_chars`). Those characters stay accepted."""

class Header:
    """One header field, as received. `name` has no trailing white space; `body` is trimmed, folding kept."""

    kind: int
    index: int
    name: bytes
    body: bytes
    start: int  # of the name
    end: int  # past the CRLF
    body_start: int
    body_end: int

class Via:
    """One Via value (RFC 3261 §20.42). `host` keeps an IPv6 reference's brackets; `port` is 0 if absent."""

    transport: bytes
    host: bytes
    port: int
    params: bytes  # raw, from the first ';', b"" if none
    branch: bytes | None
    received: bytes | None
    rport: bytes | None  # b"" for a bare `rport`
    start: int
    end: int
    def param(self, name: bytes) -> bytes | None:
        """A parameter's value without quotes, b"" for a bare one, None if absent."""
    def __bytes__(self) -> bytes: ...

class NameAddr:
    """A name-addr or addr-spec with its header parameters (RFC 3261 §20.10)."""

    display: bytes  # as written, quotes kept
    uri: bytes
    params: bytes  # raw header parameters from the first ';', b"" if none
    start: int
    end: int
    uri_start: int
    uri_end: int
    @property
    def tag(self) -> bytes | None: ...
    def param(self, name: bytes) -> bytes | None:
        """A header parameter's value without quotes, b"" for a bare one, None if absent."""
    def __bytes__(self) -> bytes: ...

class Target:
    """One more branch of the destination set (what `append_branch` adds)."""

    uri: bytes
    dst_uri: bytes | None
    path: bytes | None
    q: int  # 0..1000, -1 if not given
    flags: int
    sock: object | None  # Listener to send from
    ruid: bytes
    instance: bytes
    location_ua: bytes
    reg_id: int
    connection_id: int
    def __init__(
        self,
        uri: bytes,
        dst_uri: bytes | None = None,
        path: bytes | None = None,
        q: int = -1,
        flags: int = 0,
        sock: object | None = None,
        ruid: bytes = b"",
        instance: bytes = b"",
        location_ua: bytes = b"",
        reg_id: int = 0,
        connection_id: int = 0,
    ) -> None: ...

class Message:
    """A SIP message: offsets into `raw`, the edits of a script, and what it decided about the target.

    Accessors raise ParseError where the header that they read is missing or malformed. `raw` is what was
    received without the empty lines before it.
    """

    raw: bytes
    is_request: bool
    method_id: int  # of the request, or the CSeq's method of a response
    status: int  # 0 for a request; a change of it (100..699) shows in what is built, too
    header_count: int
    headers_end: int  # offset of the empty line that ends the headers
    body_start: int
    body_end: int  # by Content-Length where there is one, else the end of raw

    # Where it came from: set by the node before anything else looks.
    src_ip: bytes  # without brackets
    src_port: int
    dst_ip: bytes
    dst_port: int
    proto: int  # P_UDP .. of kahea.net.address
    source: object | None  # kahea.net.address.Address
    listener: object | None  # kahea.net.address.Listener it arrived on
    connection_id: int  # 0 for datagrams
    received_at: float  # node clock, seconds
    id: int  # $mi: counts messages of the node

    # What the script decides; none of it shows in header accessors.
    dst_uri: bytes | None
    path: bytes | None
    send_sock: object | None  # Listener forced for sending
    flags: int  # transaction flags ($mf)
    sflags: int  # script flags ($sf)
    xflags: list[int] | None
    bflags: int  # flags of the first branch ($bf)
    q: int  # of the first branch, -1 if not given
    ruid: bytes
    instance: bytes
    location_ua: bytes
    reg_id: int
    branches: list[Target]
    force_rport: bool
    add_local_rport: bool
    faked: bool  # built by the server (failure route, own request), not received
    advertised_host: bytes | None
    advertised_port: int  # 0: not set
    reply_edits: list[bytes]  # header lines for replies that we make to this request
    reply_body: tuple[bytes, bytes] | None  # (content type, body) for such replies
    reply_via: Callable[[Message], bytes] | None  # gives parameters, each with its semicolon, for their top Via
    facets: dict[str, object]  # what modules attach to this message; shared with its transaction

    @property
    def method(self) -> bytes: ...
    @property
    def reason(self) -> bytes: ...
    @property
    def version(self) -> bytes: ...
    @property
    def original_uri(self) -> bytes: ...
    @property
    def uri(self) -> bytes:
        """The current Request-URI: what `set_uri` set, else the original one."""
    @property
    def uri_changed(self) -> bool: ...
    def set_uri(self, uri: bytes | None) -> None: ...
    uri_fresh: bool  # the Request-URI or destination URI was set since the request was last forked to it
    def set_origin(
        self,
        src_ip: bytes,
        src_port: int,
        dst_ip: bytes,
        dst_port: int,
        proto: int,
        source: object,
        listener: object,
        connection_id: int,
        received_at: float,
        number: int,
    ) -> None:
        """Say at once where the message came from."""

    # Reading. Headers are as received; edits do not show.
    def header(self, kind: int, nth: int = 0) -> Header | None:
        """The nth header of a known kind; negative counts from the last."""
    def header_named(self, name: bytes, nth: int = 0) -> Header | None:
        """The nth header by name, any case, compact forms included."""
    def headers_of(self, kind: int) -> list[Header]: ...
    def headers_named(self, name: bytes) -> list[Header]: ...
    def headers(self) -> list[Header]: ...
    @property
    def via1(self) -> Via: ...
    @property
    def via2(self) -> Via | None: ...
    def vias(self) -> list[Via]: ...
    @property
    def from_(self) -> NameAddr: ...
    @property
    def to(self) -> NameAddr: ...
    @property
    def callid(self) -> bytes: ...
    @property
    def cseq(self) -> int: ...
    @property
    def cseq_method(self) -> bytes: ...
    @property
    def max_forwards(self) -> int:
        """-1 if there is no such header."""
    @property
    def expires(self) -> int:
        """-1 if there is no such header."""
    @property
    def content_length(self) -> int:
        """-1 if there is no such header."""
    @property
    def content_type(self) -> bytes: ...
    @property
    def body(self) -> bytes: ...
    def name_addrs(self, kind: int) -> list[NameAddr]:
        """Every value of a comma-separable name-addr header (Route, Record-Route, Contact, Path, ...).
        `Contact: *` is one NameAddr whose uri is b"*". Raises ParseError."""
    def check(self) -> None:
        """Full RFC 3261 validity: first line, mandatory headers, headers that stand twice, numbers, Via, From
        and To, lengths. Raises ParseError with the status that fits: 400, 414, 416 (a Request-URI of another
        scheme than sip, sips, tel, urn), 505."""
    def check_basics(self) -> None:
        """What Kamailio wants before it runs a script: SIP/2.0, the mandatory headers once each, Vias and To that
        can be read. All else is for the script to judge (`sanity_check`). Raises ParseError."""

    # Editing: lumps in Kamailio's words. Seen only by build_*; offsets are into raw. Deletions join where
    # they overlap, and what is inserted shows even inside a deleted part. An edit belongs to the headers or
    # to the body: one that crosses the empty line ends there. An offset outside of raw raises ValueError.
    def delete(self, start: int, length: int) -> None: ...
    def insert(self, offset: int, data: bytes) -> None:
        """Insert before the byte at offset; several at one offset stand in the order of the calls."""
    def replace(self, start: int, length: int, data: bytes) -> None: ...
    def remove_header(self, header: Header) -> None:
        """Delete a whole header field of this message; ValueError for one of another message."""
    def prepend_header(self, line: bytes) -> None:
        """Before the first header. `line` carries its CRLF."""
    def append_header(self, line: bytes) -> None:
        """After the last header. `line` carries its CRLF."""
    def set_body(self, body: bytes) -> None:
        """Replace the body and what was edited in it. Content-Length is mended, or added, when building."""
    def edited_body(self) -> bytes:
        """The body with the edits so far."""
    @property
    def edited(self) -> bool: ...
    def edits_snapshot(self) -> object: ...
    def edits_restore(self, snapshot: object) -> None: ...

    # Building.
    def build_request(self, uri: bytes, via: bytes, extra: bytes = b"", stream: bool = False) -> bytes:
        """The request as forwarded: `via` (a whole line with CRLF, or b"") on top of the Via headers, `extra`
        header lines after it, received/rport on the received Via, edits applied, Content-Length right (and
        added if absent when `stream`). Bytes beyond Content-Length are left out (RFC 3261 §18.3).
        Raises ValueError for a response."""
    def build_response(self, stream: bool = False) -> bytes:
        """A received response without its top Via value, edits applied. Raises ParseError without a Via."""
    def build_reply(
        self,
        status: int,
        reason: bytes,
        to_tag: bytes,
        extra: bytes = b"",
        body: bytes = b"",
        server: bytes = b"",
    ) -> bytes:
        """A reply to this request (RFC 3261 §8.2.6), headers in the request's order: Vias with received and
        rport, From, To with `to_tag` (b"": none) if it has no tag, Call-ID, CSeq, Record-Routes for 180-299;
        then the lines of reply_edits, reply_body's Content-Type, `extra`, `server`, Content-Length, and
        `body` (reply_body if it is b""). Headers that the request lacks are left out.
        Raises ValueError for a response."""
    def rebuild(self) -> bytes:
        """This message with its edits and current Request-URI, nothing else changed."""
    def clone(self, data: bytes | None = None) -> Message:
        """A copy with its own edits and lists; with `data`, that data parsed, without edits and Request-URI
        change, but with the same origin and decisions. Both share their facets. Raises ParseError."""

def parse(data: bytes) -> Message:
    """Index a message: first line and header fields. Raises ParseError where not even that is there (513: too
    much of it). Empty lines before the message are skipped; folding and bare LF line ends are accepted."""

def parse_via(data: bytes) -> Via:
    """One Via value. Raises ParseError, also for a list."""

def parse_name_addr(data: bytes) -> NameAddr:
    """One address. Raises ParseError, also for a list."""

def parse_name_addrs(data: bytes) -> list[NameAddr]:
    """Every address of a comma list. Raises ParseError."""

def split_list(data: bytes) -> list[bytes]:
    """Split a comma list, minding quotes and angle brackets; values trimmed, empty ones left out."""
