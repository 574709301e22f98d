# cython: language_level=3
"""Replies without a transaction (RFC 3261 §8.2.7): compiled since every REGISTER and OPTIONS ends in one."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from libc.string cimport memcpy

from kahea.net.address cimport Address, Listener
from kahea.routing.dispatch cimport Dispatcher
from kahea.sip.message cimport Message
from kahea.sip.values cimport ViaSpan
from kahea.tm.layer cimport TransactionLayer

cdef enum:
    DIGITS = 8  # of the request's part of a tag


cdef unsigned int hash_of(const unsigned char* p, Py_ssize_t n) noexcept nogil:
    """FNV-1a."""
    cdef unsigned int h = 2166136261U
    cdef Py_ssize_t i
    for i in range(n):
        h = (h ^ p[i]) * 16777619U
    return h


cpdef bytes sl_tag(Dispatcher node, Message msg):
    cdef ViaSpan* via = msg.top_via()
    cdef Py_ssize_t size = PyBytes_GET_SIZE(node.tag_prefix)
    cdef bytes callid, tag = PyBytes_FromStringAndSize(NULL, size + 1 + DIGITS)
    cdef char* out = PyBytes_AS_STRING(tag)
    cdef unsigned int h
    cdef int i
    if via.branch >= 0 and via.branch_len > 0:
        h = hash_of(msg.p + via.branch, via.branch_len)
    else:
        callid = msg.get_callid()
        h = hash_of(<const unsigned char*>PyBytes_AS_STRING(callid), PyBytes_GET_SIZE(callid))
    memcpy(out, PyBytes_AS_STRING(node.tag_prefix), size)
    out[size] = 46
    for i in range(DIGITS):
        out[size + 1 + i] = b"0123456789abcdef"[(h >> (28 - 4 * i)) & 15]
    return tag


cpdef bint reply(Dispatcher node, Message msg, int status, bytes phrase) except -1:
    cdef TransactionLayer layer = node.layer
    if msg.listener is None:
        return False  # made up for an event: nobody waits for an answer
    cdef bytes data = msg.build_reply(status, phrase, sl_tag(node, msg), b"", b"", layer._signature(msg))
    cdef Listener listener = layer._reply_listener(msg)
    cdef Address address = layer._reply_address(msg, listener)
    return listener.send(data, address, msg.connection_id)
