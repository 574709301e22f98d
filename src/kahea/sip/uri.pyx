"""SIP, SIPS, tel and other URIs in one pass (RFC 3261 §19, RFC 3966)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from kahea.sip.scan cimport (
    KH_HOST,
    KH_NOURI,
    allow,
    at,
    chars,
    find,
    is_in,
    is_word,
    lower,
    number,
    same_text,
    skip_class,
)

from kahea.sip.errors import ParseError

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* src, void* dst)
    int AF_INET6

cdef int MAX_URI = 4096  # bytes; a longer one is refused
cdef int CACHED_URI = 256  # only URIs up to this size are shared
cdef int CACHE_ENTRIES = 2048  # in each of two generations

cdef long refusals = 0
cdef bint phone_to_tel = True
cdef dict recent = {}
cdef dict older = {}


cdef bint is_ipv6(chars p, int n) noexcept nogil:
    """Whether the n bytes (no brackets) are an IPv6 address."""
    cdef char text[64]
    cdef char address[16]
    cdef int i
    if n < 2 or n > 45:
        return False
    for i in range(n):
        if p[i] == 0:
            return False
        text[i] = <char>p[i]
    text[n] = 0
    return inet_pton(AF_INET6, text, address) == 1


cdef int scheme_of(chars p, int n) noexcept nogil:
    if n == 3:
        if is_word(p, n, b"sip", 3):
            return S_SIP
        if is_word(p, n, b"tel", 3):
            return S_TEL
        if is_word(p, n, b"urn", 3):
            return S_URN
    elif n == 4:
        if is_word(p, n, b"sips", 4):
            return S_SIPS
        if is_word(p, n, b"tels", 4):
            return S_TELS
    return S_OTHER


cdef const char* scan_hostport(chars p, int i, int end, UriSpan* u) noexcept nogil:
    """Host, port, parameters and headers from i to the end."""
    cdef int pos
    u.host = i
    if at(p, i, end) == 91:
        pos = find(p, i, end, 93)
        if pos < 0 or not is_ipv6(p + i + 1, pos - i - 1):
            return b"Bad IPv6 Reference in URI"
        pos += 1
    else:
        pos = skip_class(p, i, end, KH_HOST)
    u.host_len = pos - i
    if u.host_len == 0:
        return b"No Host in URI"
    i = pos
    if at(p, i, end) == 58:
        i += 1
        pos = i
        while 48 <= at(p, pos, end) <= 57:
            pos += 1
        u.port = <int>number(p, i, pos, 65535)
        if u.port <= 0:
            return b"Bad Port in URI"
        i = pos
    scan_tail(p, i, end, u)
    if i < end and at(p, i, end) != 59 and at(p, i, end) != 63:
        return b"Bad Host in URI"
    return NULL


cdef void scan_tail(chars p, int i, int end, UriSpan* u) noexcept nogil:
    """`;params` and `?headers` from i on."""
    cdef int pos
    u.params = u.headers = end
    if at(p, i, end) == 59:
        pos = find(p, i, end, 63)
        if pos < 0:
            pos = end
        u.params = i + 1
        u.params_len = pos - i - 1
        i = pos
    if at(p, i, end) == 63:
        u.headers = i + 1
        u.headers_len = end - i - 1


cdef const char* scan_uri(chars p, int n, UriSpan* u) noexcept nogil:
    """Find the parts of a URI of n bytes; NULL, or what is wrong with it."""
    cdef int i, colon, sign
    u.user = u.password = u.host = u.params = u.headers = 0
    u.user_len = u.password_len = u.host_len = u.params_len = u.headers_len = u.user_params_len = 0
    u.port = 0
    u.has_user = False
    u.scheme = S_OTHER
    if n > MAX_URI:
        return b"URI Too Long"
    colon = find(p, 0, n, 58)
    if colon <= 0 or not (97 <= lower(p[0]) <= 122):
        return b"No Scheme in URI"
    for i in range(colon):
        if not (is_in(p[i], KH_HOST) or p[i] == 43) or p[i] == 95:
            return b"Bad Scheme in URI"
    for i in range(colon, n):
        if is_in(p[i], KH_NOURI):
            return b"Bad Character in URI"
    u.scheme_len = colon
    u.scheme = scheme_of(p, colon)
    i = colon + 1
    if i == n:
        return b"Empty URI"
    if u.scheme == S_SIP or u.scheme == S_SIPS:
        sign = find(p, i, n, 64)
        if sign >= 0:
            u.has_user = True
            u.user = i
            colon = find(p, i, sign, 58)
            if colon < 0:
                u.user_len = sign - i
            else:
                u.password = colon + 1
                u.password_len = sign - colon - 1
                u.user_len = colon - i
                if find(p, u.password, sign, 58) >= 0:
                    return b"Bad Password in URI"
            if u.user_len == 0:
                return b"Empty User in URI"
            i = sign + 1
        return scan_hostport(p, i, n, u)
    # tel: the number; urn: its namespace; others: all up to the first parameter.
    u.user = i
    while i < n and p[i] != 59 and p[i] != 63:
        i += 1
    u.user_len = i - u.user
    if u.user_len == 0:
        return b"Empty URI"
    if u.scheme == S_URN:
        colon = find(p, u.user, i, 58)
        if colon <= u.user or colon + 1 == i:
            return b"Bad URN"
        u.host = colon + 1
        u.host_len = i - u.host
        u.user_len = colon - u.user
    scan_tail(p, i, n, u)
    return NULL


cdef inline bytes part(bytes data, int start, int size):
    if size <= 0:
        return b""
    if start < 0 or start + size > PyBytes_GET_SIZE(data):
        raise IndexError("span outside of its URI")
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + start, size)


cdef bytes find_param(bytes params, bytes name):
    """The value of a parameter in `a=b;c`, b"" for a bare one, else None."""
    cdef chars p = <chars>PyBytes_AS_STRING(params)
    cdef int end = <int>PyBytes_GET_SIZE(params), start = 0, stop, equals
    cdef int n = <int>PyBytes_GET_SIZE(name)
    while start < end:
        stop = find(p, start, end, 59)
        if stop < 0:
            stop = end
        equals = find(p, start, stop, 61)
        if equals < 0:
            equals = stop
        if equals - start == n and same_text(p + start, <chars>PyBytes_AS_STRING(name), n):
            return part(params, equals + 1, stop - equals - 1)
        start = stop + 1
    return None


cdef class Uri:
    """A parsed URI; immutable, and shared between equal texts."""

    def __init__(self):
        raise TypeError("use parse_uri")

    cpdef bytes param(self, bytes name):
        if name is None:
            raise TypeError("bytes expected, not None")
        return find_param(self.params, name)

    @property
    def transport(self):
        cdef bytes value = find_param(self.params, b"transport")
        return b"" if value is None else value.lower()

    @property
    def effective_port(self):
        if self.port:
            return self.port
        if self.scheme == b"sips" or self.transport == b"tls":
            return 5061
        return 5060

    @property
    def lr(self):
        return self.has_lr()

    cdef bint has_lr(self) except -1:
        return find_param(self.params, b"lr") is not None

    @property
    def aor(self):
        """Scheme, user, host and port alone."""
        cdef bytes text = self.scheme + b":"
        if not self.is_sip:
            return text + self.user + b":" + self.host if self.host else text + self.user
        if self.has_user:
            text += self.user + b"@"
        text += self.host
        return text + b":%d" % self.port if self.port else text

    def replaced(
        self,
        *,
        bytes scheme=None,
        bytes user=None,
        bytes password=None,
        bytes host=None,
        port=None,
        bytes params=None,
        bytes headers=None,
    ):
        cdef list out
        cdef bytes user_params = self.user_params if user is None or user else b""
        cdef int number_of_port = self.port if port is None else port
        if scheme is None:
            scheme = part(self.raw, 0, self.raw.find(b":"))
        if user is None:
            user = self.user
        if password is None:
            password = self.password
        if host is None:
            host = self.host
        if params is None:
            params = self.params
        if headers is None:
            headers = self.headers
        if not 0 <= number_of_port <= 65535:
            raise ValueError("a port is a number from 0 to 65535")
        out = [scheme, b":", user, user_params]
        if host and scheme.lower() == b"urn":
            out += [b":", host]
        elif host:
            if user and password:
                out += [b":", password]
            if user:
                out.append(b"@")
            out.append(host)
            if number_of_port:
                out.append(b":%d" % number_of_port)
        if params:
            out += [b";", params]
        if headers:
            out += [b"?", headers]
        return b"".join(out)

    def __repr__(self):
        return f"<Uri {self.raw!r}>"

    def __eq__(self, other):
        return isinstance(other, Uri) and (<Uri>other).raw == self.raw

    def __hash__(self):
        return hash(self.raw)


cdef Uri make_uri(bytes data):
    cdef UriSpan u
    cdef Uri uri
    cdef const char* wrong
    global refusals
    if PyBytes_GET_SIZE(data) > MAX_URI:
        refusals += 1
        raise ParseError("URI Too Long", 414)
    wrong = scan_uri(<chars>PyBytes_AS_STRING(data), <int>PyBytes_GET_SIZE(data), &u)
    if wrong != NULL:
        refusals += 1
        raise ParseError(wrong.decode("ascii"))
    uri = Uri.__new__(Uri)
    uri.raw = data
    uri.scheme = (b"", b"sip", b"sips", b"tel", b"tels", b"urn")[u.scheme]
    if u.scheme == S_OTHER:
        uri.scheme = part(data, 0, u.scheme_len).lower()
    uri.is_sip = u.scheme == S_SIP or u.scheme == S_SIPS
    uri.has_user = u.has_user
    uri.user = part(data, u.user, u.user_len)
    uri.password = part(data, u.password, u.password_len)
    uri.host = part(data, u.host, u.host_len)
    uri.port = u.port
    uri.params = part(data, u.params, u.params_len)
    uri.headers = part(data, u.headers, u.headers_len)
    uri.user_params = b""
    if phone_to_tel and uri.is_sip and find(<chars>PyBytes_AS_STRING(data), u.user, u.user + u.user_len, 59) > 0:
        if counts_as_tel(uri):
            uri.user, _, number_params = uri.user.partition(b";")
            uri.user_params = b";" + number_params
    return uri


def accept_in_hosts(bytes characters not None):
    allow(characters, KH_HOST)


def phone_as_tel(bint wanted):
    global phone_to_tel, recent, older
    phone_to_tel = wanted
    recent = {}
    older = {}


cpdef bint counts_as_tel(Uri uri) except -1:
    cdef bytes of_user
    if not phone_to_tel or not uri.is_sip:
        return False
    of_user = find_param(uri.params, b"user")
    return of_user is not None and of_user.lower() == b"phone"


def refused_uris():
    return refusals


cpdef Uri parse_uri(bytes data):
    global recent, older
    cdef Uri uri
    if data is None:
        raise TypeError("bytes expected, not None")
    found = recent.get(data)
    if found is not None:
        return <Uri>found
    found = older.get(data)
    uri = make_uri(data) if found is None else <Uri>found
    if PyBytes_GET_SIZE(data) <= CACHED_URI:
        # Two generations: the older one goes whole, so that neither a scan nor a clock is needed.
        if len(recent) >= CACHE_ENTRIES:
            older = recent
            recent = {}
        recent[data] = uri
    return uri


cdef dict params_of(bytes text, int separator):
    """`a=b;c=d` as a dict of unescaped lower-case names; a repeated name keeps its first value."""
    cdef dict out = {}
    cdef bytes item, name, value
    for item in text.split(b";" if separator == 59 else b"&"):
        if not item:
            continue
        name, _, value = item.partition(b"=")
        out.setdefault(unescape(name).lower(), unescape(value))
    return out


cdef bint same_params(dict a, dict b) except -1:
    """RFC 3261 §19.1.4: a parameter in both must match; some may not stand in one URI alone."""
    for name in a.keys() & b.keys():
        if a[name].lower() != b[name].lower():
            return False
    for name in a.keys() ^ b.keys():
        if name in (b"user", b"ttl", b"method", b"maddr", b"transport"):
            return False
    return True


cdef bytes bare_number(bytes text):
    """A telephone number without its visual separators (RFC 3966 §4)."""
    return unescape(text).translate(None, b"-.()").lower()


cpdef bint same_uri(bytes a, bytes b) except -1:
    cdef Uri x, y
    try:
        x = parse_uri(a)
        y = parse_uri(b)
    except ParseError:
        return False
    if a == b:
        return True
    if x.scheme != y.scheme:
        return False
    if x.scheme in (b"tel", b"tels"):
        if bare_number(x.user) != bare_number(y.user):
            return False
        left, right = params_of(x.params, 59), params_of(y.params, 59)
        return left.keys() == right.keys() and same_params(left, right)
    if not x.is_sip:
        # RFC 8141 §3.1 and RFC 3986 §6.2.2.1: all but the scheme, and a urn's namespace, is compared as it is.
        return same_opaque(x, y)
    if x.has_user != y.has_user or unescape(x.user + x.user_params) != unescape(y.user + y.user_params):
        return False
    if unescape(x.password) != unescape(y.password) or x.port != y.port:
        return False
    if x.host.lower() != y.host.lower():
        return False
    if not same_params(params_of(x.params, 59), params_of(y.params, 59)):
        return False
    return params_of(x.headers, 38) == params_of(y.headers, 38)


cdef bint same_opaque(Uri x, Uri y) except -1:
    cdef bytes left = x.raw.partition(b":")[2], right = y.raw.partition(b":")[2]
    if x.scheme != b"urn":
        return left == right
    if left.partition(b":")[0].lower() == b"service":
        return left.lower() == right.lower()  # RFC 5031 §3
    return (
        left.partition(b":")[0].lower() == right.partition(b":")[0].lower()
        and left.partition(b":")[2] == right.partition(b":")[2]
    )


cdef inline int hex_value(int c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c = lower(c)
    return c - 87 if 97 <= c <= 102 else -1


def unescape(bytes text not None):
    cdef bytearray out
    cdef chars p = <chars>PyBytes_AS_STRING(text)
    cdef Py_ssize_t n = PyBytes_GET_SIZE(text), i = text.find(b"%")
    cdef int high, low
    if i < 0:
        return text
    out = bytearray(text[:i])
    while i < n:
        if p[i] == 37 and i + 2 < n:
            high = hex_value(p[i + 1])
            low = hex_value(p[i + 2])
            if high >= 0 and low >= 0:
                out.append(high * 16 + low)
                i += 3
                continue
        out.append(p[i])
        i += 1
    return bytes(out)


def escape_user(bytes text not None):
    cdef bytearray out = bytearray()
    cdef unsigned char c  # a plain char would be negative from 0x80 on
    for c in text:
        # RFC 3261 §25.1: unreserved / user-unreserved
        if 48 <= c <= 57 or 97 <= lower(c) <= 122 or c in b"-_.!~*'()&=+$,;?/":
            out.append(c)
        else:
            out += b"%%%02X" % c
    return bytes(out)
