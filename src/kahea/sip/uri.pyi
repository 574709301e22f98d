"""Types of the compiled URI parser (RFC 3261 §19, RFC 3966)."""

class Uri:
    """A parsed URI, as bytes; immutable. For `tel:`, `user` is the number; for `urn:`, it is the namespace
    and `host` the rest, as Kamailio's variables show them; for other schemes `user` is all up to the
    parameters."""

    raw: bytes
    scheme: bytes  # lower case: sip, sips, tel, tels, urn, or another
    user: bytes  # escapes kept; b"" if none. User parameters (`;x=y` before the @) included
    #: The user parameters of a SIP URI with `user=phone`, which then are not part of the user; see `phone_as_tel`.
    user_params: bytes
    password: bytes
    host: bytes  # brackets kept
    port: int  # 0 if absent
    params: bytes  # raw, without the leading ';'
    headers: bytes  # raw, without the '?'
    has_user: bool
    is_sip: bool  # sip or sips
    def param(self, name: bytes) -> bytes | None:
        """A parameter's value, b"" for a bare one, None if absent; names match in any case."""
    @property
    def transport(self) -> bytes:
        """The transport parameter in lower case, b"" if absent."""
    @property
    def effective_port(self) -> int:
        """The port, or 5060 / 5061 by scheme and transport."""
    @property
    def lr(self) -> bool: ...
    @property
    def aor(self) -> bytes:
        """scheme:user@host[:port] without parameters."""
    def replaced(
        self,
        *,
        scheme: bytes | None = None,
        user: bytes | None = None,
        password: bytes | None = None,
        host: bytes | None = None,
        port: int | None = None,
        params: bytes | None = None,
        headers: bytes | None = None,
    ) -> bytes:
        """The URI text with some parts changed; b"" (0 for the port) removes a part."""

def parse_uri(data: bytes) -> Uri:
    """Raises ParseError. Results of recent equal inputs are shared (bounded cache)."""

def accept_in_hosts(characters: bytes) -> None:
    """Further characters that a URI's host may have in this process from now on (`uri_host_extra_chars`)."""

def phone_as_tel(wanted: bool) -> None:
    """Whether the user of a SIP URI with `user=phone` ends where its parameters begin, as a tel URI's number does
    (`phone2tel`). Holds for the process; True at first."""

def counts_as_tel(uri: Uri) -> bool:
    """Whether a SIP URI has `user=phone`, and those count as tel URIs."""

def refused_uris() -> int:
    """How many times this process was asked to parse what is no URI."""

def same_uri(a: bytes, b: bytes) -> bool:
    """Equality by RFC 3261 §19.1.4. False if either does not parse."""

def escape_user(text: bytes) -> bytes: ...
def unescape(text: bytes) -> bytes: ...
