"""C face of the message, for the compiled parts of `tm` and `net`.

The names are those of message.pyi. What is a property there has a `get_*` method here, without Python's
attribute look-up. All of them may raise ParseError.
"""

from kahea.sip.scan cimport chars
from kahea.sip.values cimport AddrSpan, NameAddr, Target, Via, ViaSpan

cpdef enum:
    M_INVITE = 1
    M_CANCEL = 2
    M_ACK = 4
    M_BYE = 8
    M_INFO = 16
    M_REGISTER = 32
    M_SUBSCRIBE = 64
    M_NOTIFY = 128
    M_MESSAGE = 256
    M_OPTIONS = 512
    M_PRACK = 1024
    M_UPDATE = 2048
    M_REFER = 4096
    M_PUBLISH = 8192
    M_OTHER = 262144

cpdef enum:
    H_OTHER = 0
    H_VIA = 1
    H_FROM = 2
    H_TO = 3
    H_CALLID = 4
    H_CSEQ = 5
    H_CONTACT = 6
    H_MAXFORWARDS = 7
    H_ROUTE = 8
    H_RECORDROUTE = 9
    H_CONTENTTYPE = 10
    H_CONTENTLENGTH = 11
    H_EXPIRES = 12
    H_AUTHORIZATION = 13
    H_PROXYAUTHORIZATION = 14
    H_SUPPORTED = 15
    H_REQUIRE = 16
    H_PROXYREQUIRE = 17
    H_UNSUPPORTED = 18
    H_ALLOW = 19
    H_EVENT = 20
    H_USERAGENT = 21
    H_SERVER = 22
    H_SUBJECT = 23
    H_PATH = 24
    H_DATE = 25
    H_PAI = 26
    H_PPI = 27
    H_PRIVACY = 28
    H_RPID = 29
    H_DIVERSION = 30
    H_REFERTO = 31
    H_SESSIONEXPIRES = 32
    H_MINSE = 33
    H_ACCEPT = 34
    H_CONTENTDISPOSITION = 35
    H_IDENTITY = 36
    H_CONTENTENCODING = 37
    H_MINEXPIRES = 38
    H_SIPIFMATCH = 39
    H_RETRYAFTER = 40
    H_WWWAUTHENTICATE = 41
    H_PROXYAUTHENTICATE = 42
    H_REFERREDBY = 43
    H_REPLACES = 44

cdef enum:
    KINDS = 45
    HEADER_CAP = 1024  # the most that MAX_HEADERS can be
    SPAN_LIMIT = 65535  # the most that MAX_MESSAGE can be


# One header field. `next` is the next field of the same kind, -1 at the last. Small, since every message has a dozen,
# and those of a transaction are kept: offsets fit, as no message is longer than SPAN_LIMIT.
cdef struct Slot:
    unsigned short start
    unsigned short name_len
    unsigned short body
    unsigned short body_end
    unsigned short end
    short kind
    short next


cdef class Header:
    cdef Message msg
    cdef readonly int kind
    cdef readonly int index
    cdef readonly int start
    cdef readonly int end
    cdef readonly int body_start
    cdef readonly int body_end
    cdef int name_len


cdef class Edit:
    cdef int offset
    cdef int length
    cdef bytes data


cdef class Message:
    cdef readonly bytes raw
    cdef readonly bint is_request
    cdef readonly int method_id
    cdef public int status  # as received, or as the script changed it
    cdef readonly int header_count
    cdef readonly int headers_end
    cdef readonly int body_start
    cdef readonly int body_end

    cdef chars p  # of raw
    cdef int size  # of raw
    cdef Slot* slots
    cdef short first[KINDS]  # first field of each kind, -1 if none
    cdef int line_end  # past the first line
    cdef int method_len  # method, or "SIP/2.0" of a response, starts at 0
    cdef int uri_start
    cdef int uri_end  # of the Request-URI, or of the reason phrase
    cdef int version_end
    cdef bint unterminated  # received without the empty line after the headers
    # What nearly every message is asked for, read once: see `top_via` and its neighbours.
    cdef size_t call_hash  # of tm's table; 0: not worked out yet
    cdef bint via_read
    cdef bint from_read
    cdef bint to_read
    cdef ViaSpan via_span
    cdef AddrSpan from_span
    cdef AddrSpan to_span

    cdef bytes _method
    cdef bytes _original_uri
    cdef bytes _uri
    cdef bytes _callid
    cdef bytes _cseq_method
    cdef long long _cseq  # -1: not read yet
    cdef list _edits
    cdef bint _edits_shared  # somebody keeps this list: the next edit goes into a copy
    cdef int _body_edited  # 1 by edits, 2 by set_body
    cdef list _branches
    cdef list _reply_edits
    cdef dict _facets

    cdef public bytes src_ip
    cdef public int src_port
    cdef public bytes dst_ip
    cdef public int dst_port
    cdef public int proto
    cdef public object source
    cdef public object listener
    cdef public long long connection_id
    cdef public double received_at
    cdef public long long id

    cdef bytes _dst_uri
    cdef public bint uri_fresh  # not forked to yet
    cdef public bytes path
    cdef public object send_sock
    cdef public unsigned int flags
    cdef public unsigned int sflags
    cdef public list xflags
    cdef public unsigned int bflags
    cdef public int q
    cdef public bytes ruid
    cdef public bytes instance
    cdef public bytes location_ua
    cdef public int reg_id
    cdef public bint force_rport
    cdef public bint add_local_rport
    cdef public bint faked
    cdef public bytes advertised_host
    cdef public int advertised_port
    cdef public tuple reply_body
    cdef public object reply_via

    cdef bytes get_method(self)
    cdef bytes get_uri(self)
    cdef bytes get_original_uri(self)
    cdef dict get_facets(self)
    cdef ViaSpan* top_via(self) except NULL
    cdef AddrSpan* from_addr(self) except NULL
    cdef AddrSpan* to_addr(self) except NULL
    cdef bytes from_tag(self)
    cdef bytes to_tag(self)
    cdef bytes branch_id(self)
    cdef Via get_via1(self)
    cdef Via get_via2(self)
    cdef bytes get_callid(self)
    cdef long long get_cseq(self) except -1
    cdef bytes get_cseq_method(self)
    cdef long long get_number(self, int kind, long long limit, const char* wrong) except -2
    cdef Header header_at(self, int index)
    cdef int nth_of(self, int kind, int nth) noexcept
    cdef int read_cseq(self) except -1
    cdef int copy_state(self, Message source) except -1
    cpdef check(self)
    cpdef check_basics(self)
    cpdef set_uri(self, bytes uri)
    cpdef delete(self, int start, int length)
    cpdef insert(self, int offset, bytes data)
    cpdef replace(self, int start, int length, bytes data)
    cpdef append_header(self, bytes line)
    cpdef prepend_header(self, bytes line)
    cdef list keep_edits(self)
    cdef int put_edits(self, list edits, int body_edited) except -1
    cdef bytes forwarded(self, bytes uri, bytes via_start, bytes branch, bytes via_rest, bytes extra, bint stream)
    cpdef bytes build_request(self, bytes uri, bytes via, bytes extra=*, bint stream=*)
    cpdef bytes build_response(self, bint stream=*)
    cpdef bytes build_reply(self, int status, bytes reason, bytes to_tag, bytes extra=*, bytes body=*, bytes server=*)
    cpdef bytes rebuild(self)
    cpdef Message clone(self, bytes data=*)


cpdef Message parse(bytes data)
cdef int kind_of(chars p, int n) noexcept nogil
cdef int method_of(chars p, int n) noexcept nogil
