# The list of edits, and putting bytes together from it.


# One place where what is built differs from `raw`: `cut` bytes go, `size` bytes at `data` come.
cdef struct Op:
    int offset
    int cut
    Py_ssize_t size
    const char* data


cdef enum:
    OWN_OPS = 10  # the most that a builder adds to the script's edits
    OPS_ON_STACK = 48
    BODY_EDITED = 1
    BODY_SET = 2


cdef int add_edit(Message m, int start, int length, bytes data) except -1:
    """Note an edit. It lies in the headers or in the body: one that crosses ends at the empty line."""
    cdef Edit edit
    cdef list edits
    cdef Py_ssize_t i
    if data is None:
        raise TypeError("bytes expected, not None")
    if start < 0 or start > m.size or length < 0:
        raise ValueError("an edit outside of the message")
    if start < m.body_start:
        start = min(start, m.headers_end)
        length = min(length, m.headers_end - start)
    else:
        start = min(start, m.body_end)
        length = min(length, m.body_end - start)
        m._body_edited = max(m._body_edited, BODY_EDITED)
    edit = Edit.__new__(Edit)
    edit.offset = start
    edit.length = length
    edit.data = data
    edits = m._edits
    if edits is None:
        m._edits = [edit]
        m._edits_shared = False
        return 0
    if m._edits_shared:
        m._edits = edits = list(edits)
        m._edits_shared = False
    # By offset; at one offset the order of the calls stays.
    i = len(edits)
    while i > 0 and (<Edit>edits[i - 1]).offset > start:
        i -= 1
    edits.insert(i, edit)
    return 0


cdef int drop_body_edits(Message m) except -1:
    cdef Edit edit
    if m._edits:
        m._edits = [edit for edit in m._edits if edit.offset < m.body_start]
        m._edits_shared = False
    return 0


cdef int merge_ops(Message m, Op* own, int n_own, Op* out) except -1:
    """All operations in order of offset, the script's before the builder's; returns how many.

    `out` has room for both. The data pointers live as long as the edit list and the builder's buffers.
    """
    cdef int i = 0, j, k = 0, n = 0
    cdef Op moved
    cdef Edit edit
    for i in range(1, n_own):
        moved = own[i]
        j = i - 1
        while j >= 0 and own[j].offset > moved.offset:
            own[j + 1] = own[j]
            j -= 1
        own[j + 1] = moved
    if m._edits is not None:
        for edit in m._edits:
            while k < n_own and own[k].offset < edit.offset:
                out[n] = own[k]
                n += 1
                k += 1
            out[n].offset = edit.offset
            out[n].cut = edit.length
            out[n].data = PyBytes_AS_STRING(edit.data)
            out[n].size = PyBytes_GET_SIZE(edit.data)
            n += 1
    while k < n_own:
        out[n] = own[k]
        n += 1
        k += 1
    return n


cdef Py_ssize_t apply_ops(Message m, Op* ops, int n, int start, char* out) noexcept nogil:
    """Write raw[start:body_end] with the operations applied; returns the size. With no `out`, only counts."""
    cdef int i, here = start, stop = m.body_end
    cdef Py_ssize_t size = 0
    for i in range(n):
        if ops[i].offset < start or ops[i].offset > stop:
            continue
        if ops[i].offset > here:
            if out != NULL:
                memcpy(out + size, m.p + here, ops[i].offset - here)
            size += ops[i].offset - here
            here = ops[i].offset
        if out != NULL:
            memcpy(out + size, ops[i].data, ops[i].size)
        size += ops[i].size
        here = max(here, min(stop, ops[i].offset + ops[i].cut))
    if stop > here:
        if out != NULL:
            memcpy(out + size, m.p + here, stop - here)
        size += stop - here
    return size


cdef bytes assemble(Message m, Op* own, int n_own, int start):
    """raw from `start` on with the script's edits and the builder's own operations."""
    cdef Op on_stack[OPS_ON_STACK]
    cdef Op* ops = on_stack
    cdef int n
    cdef Py_ssize_t room = n_own + (len(m._edits) if m._edits is not None else 0)
    cdef bytes out
    if room > OPS_ON_STACK:
        ops = <Op*>PyMem_Malloc(sizeof(Op) * room)
        if ops == NULL:
            raise MemoryError()
    try:
        n = merge_ops(m, own, n_own, ops)
        out = PyBytes_FromStringAndSize(NULL, apply_ops(m, ops, n, start, NULL))
        apply_ops(m, ops, n, start, PyBytes_AS_STRING(out))
    finally:
        if ops != on_stack:
            PyMem_Free(ops)
    return out


cdef bytes edited_body_of(Message m):
    if not m._body_edited:
        return piece(m, m.body_start, m.body_end)
    return assemble(m, NULL, 0, m.body_start)


cdef bint is_deleted(Message m, int offset) except -1:
    """Whether an edit deletes the byte at offset."""
    cdef Edit edit
    if m._edits is not None:
        for edit in m._edits:
            if edit.offset <= offset < edit.offset + edit.length:
                return True
    return False
