"""Characters and numbers of SIP's grammar, as C: the lowest layer of the compiled parsers.

Rule of this file: nothing reads a byte except through `at`, which answers -1 outside of [0, end), through `skip_class`
and `find_class`, which stay inside of [i, end), or through libc with an explicit length. An offset is an `int`; no
message is larger than that.
"""

from libc.string cimport memchr

ctypedef const unsigned char* chars

cdef extern from *:
    """
    #define KH_TOKEN 1  /* RFC 3261 token */
    #define KH_HOST 2   /* letters, digits, '-', '.', '_' */
    #define KH_WS 4     /* SP, HT, CR, LF: white space once folding is allowed for */
    #define KH_NOURI 8  /* never inside a URI: controls, space, <, >, ", DEL */
    #define KH_HEX 16
    #define KH_EQUALS 32
    #define KH_STOP 64  /* ends a parameter's value, as white space does; its name also ends at '=' */
    #define KH_NAME 128  /* what a header's name may have beside the characters of a token */
    /* Of each compiled module its own, so that what is allowed beyond the RFC is allowed where it is meant. */
    static unsigned char kh_class[256] = {
        [0 ... 8] = KH_NOURI, [9 ... 10] = KH_WS | KH_NOURI, [11 ... 12] = KH_NOURI,
        [13] = KH_WS | KH_NOURI, [14 ... 31] = KH_NOURI, [' '] = KH_WS | KH_NOURI,
        ['<'] = KH_NOURI | KH_STOP, ['>'] = KH_NOURI | KH_STOP, ['"'] = KH_NOURI | KH_STOP, [127] = KH_NOURI,
        [';'] = KH_STOP, [','] = KH_STOP, ['='] = KH_EQUALS,
        ['-'] = KH_TOKEN | KH_HOST, ['.'] = KH_TOKEN | KH_HOST, ['_'] = KH_TOKEN | KH_HOST,
        ['!'] = KH_TOKEN, ['%'] = KH_TOKEN, ['*'] = KH_TOKEN, ['+'] = KH_TOKEN,
        ['`'] = KH_TOKEN, ['\\''] = KH_TOKEN, ['~'] = KH_TOKEN,
        ['0' ... '9'] = KH_TOKEN | KH_HOST | KH_HEX,
        ['A' ... 'F'] = KH_TOKEN | KH_HOST | KH_HEX, ['G' ... 'Z'] = KH_TOKEN | KH_HOST,
        ['a' ... 'f'] = KH_TOKEN | KH_HOST | KH_HEX, ['g' ... 'z'] = KH_TOKEN | KH_HOST,
    };
    """
    unsigned char kh_class[256]
    int KH_TOKEN, KH_HOST, KH_WS, KH_NOURI, KH_HEX, KH_EQUALS, KH_STOP, KH_NAME


cdef inline int at(chars p, int i, int end) noexcept nogil:
    """The byte at i, or -1 outside of [0, end)."""
    if 0 <= i < end:
        return p[i]
    return -1


cdef inline bint is_in(int c, int cls) noexcept nogil:
    return c >= 0 and (kh_class[c & 255] & cls) != 0


cdef inline void allow(bytes characters, int cls):
    """Let these characters be of a class, too."""
    cdef int c
    for c in characters:
        kh_class[c & 255] |= cls


cdef inline int lower(int c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c


cdef inline int skip_ws(chars p, int i, int end) noexcept nogil:
    """Past white space, folding included."""
    return skip_class(p, i, end, KH_WS)


cdef inline int trim_end(chars p, int start, int end) noexcept nogil:
    """The end of [start, end) without trailing white space."""
    while end > start and (kh_class[p[end - 1]] & KH_WS):
        end -= 1
    return end


cdef inline int skip_class(chars p, int i, int end, int cls) noexcept nogil:
    """Past the bytes of some classes."""
    if i >= 0:
        while i < end and kh_class[p[i]] & cls:
            i += 1
    return i


cdef inline int find_class(chars p, int i, int end, int cls) noexcept nogil:
    """The offset of the next byte of some classes, or `end`."""
    if i < 0:
        return end
    while i < end and not kh_class[p[i]] & cls:
        i += 1
    return i


cdef inline int find(chars p, int i, int end, int c) noexcept nogil:
    """The offset of byte c in [i, end), or -1."""
    cdef chars hit
    if i >= end or i < 0:
        return -1
    hit = <chars>memchr(p + i, c, <size_t>(end - i))
    return -1 if hit == NULL else <int>(hit - p)


cdef inline int skip_quoted(chars p, int i, int end) noexcept nogil:
    """Past the quoted string that opens at i, or -1 if it doesn't close."""
    cdef int c
    i += 1
    while True:
        c = at(p, i, end)
        if c < 0:
            return -1
        if c == 92:  # a quoted pair
            i += 2
            continue
        i += 1
        if c == 34:
            return i


cdef inline bint same_text(chars a, chars b, int n) noexcept nogil:
    """Equality without regard to (ASCII) case."""
    cdef int i
    for i in range(n):
        if a[i] != b[i] and lower(a[i]) != lower(b[i]):
            return False
    return True


cdef inline bint is_word(chars p, int n, const char* word, int size) noexcept nogil:
    """Whether the n bytes at p are `word`, in any case."""
    return n == size and same_text(p, <chars>word, size)


cdef inline long long number(chars p, int start, int end, long long limit) noexcept nogil:
    """ASCII digits in [start, end) as a number; -1 if empty, not all digits, or above the limit.

    `limit` must be below 2^59. Leading zeros are fine, any number of them.
    """
    cdef long long n = 0
    cdef int i
    if start >= end:
        return -1
    for i in range(start, end):
        if p[i] < 48 or p[i] > 57:
            return -1
        n = n * 10 + (p[i] - 48)
        if n > limit:
            return -1
    return n


cdef inline int put_number(char* out, long long n) noexcept nogil:
    """Write a non-negative number in decimal; returns how many bytes (at most 20)."""
    cdef char digits[24]
    cdef int size = 0, i
    while True:
        digits[size] = <char>(48 + n % 10)
        n //= 10
        size += 1
        if n == 0:
            break
    for i in range(size):
        out[i] = digits[size - 1 - i]
    return size


# One `;name=value` parameter. Offsets into the text that holds it.
cdef struct Param:
    int start  # of the ';'
    int end
    int name
    int name_len
    int value  # inside the quotes of a quoted value
    int value_len  # -1 for a bare parameter


cdef inline int next_param(chars p, int* pos, int end, Param* out) noexcept nogil:
    """Read the parameter at `pos` and move past it and the white space behind.

    Returns 1 for a parameter, 0 if there is no ';' here, -1 if it is malformed.
    """
    cdef int i = skip_ws(p, pos[0], end), c
    pos[0] = i
    if at(p, i, end) != 59:
        return 0
    out.start = i
    i = skip_ws(p, i + 1, end)
    out.name = i
    # Liberal: '[', ']', '/', ':', '&', '$' may stand in names of URI parameters.
    i = find_class(p, i, end, KH_STOP | KH_EQUALS | KH_WS)
    out.name_len = i - out.name
    if out.name_len == 0:
        return -1
    out.end = i
    i = skip_ws(p, i, end)
    out.value = i
    out.value_len = -1
    if at(p, i, end) == 61:
        i = skip_ws(p, i + 1, end)
        out.value = i
        if at(p, i, end) == 34:
            i = skip_quoted(p, i, end)
            if i < 0:
                return -1
            out.value += 1
            out.value_len = i - 1 - out.value
        else:
            i = find_class(p, i, end, KH_STOP | KH_WS)
            out.value_len = i - out.value
        out.end = i
        i = skip_ws(p, i, end)
    c = at(p, i, end)
    if c >= 0 and c != 59 and c != 44:
        return -1
    pos[0] = i
    return 1
