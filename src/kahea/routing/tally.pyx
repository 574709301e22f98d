# cython: language_level=3
"""How many requests and replies came, by method and status: compiled since every message is counted."""

from kahea.sip.message cimport Message

from kahea.sip.message import method_id

cdef extern from *:
    int ctz "__builtin_ctz" (unsigned int value) noexcept

cdef enum:
    M_OTHER = 262144

#: Methods that have no bit of their own, and are known nevertheless.
cdef frozenset KNOWN = frozenset({b"KDMQ", b"GET", b"POST", b"PUT", b"DELETE"})
cdef tuple METHOD_NAMES = (
    b"ACK", b"BYE", b"CANCEL", b"INFO", b"INVITE", b"MESSAGE", b"NOTIFY", b"OPTIONS", b"PRACK", b"PUBLISH", b"REFER",
    b"REGISTER", b"SUBSCRIBE", b"UPDATE",
)
#: Methods whose replies are counted by class, with the name that the statistic has for them.
cdef dict REPLY_METHODS = {
    b"BYE": "bye", b"CANCEL": "cancel", b"INVITE": "invite", b"MESSAGE": "message", b"PRACK": "prack", b"REFER": "refer",
    b"REGISTER": "reg", b"UPDATE": "update",
}


cdef class Tally:
    """Counts by the names of Kamailio's core statistics."""

    def __init__(self):
        self._codes = dict.fromkeys((401, 404, 407, 480, 486), 0)
        self._places = {}
        for name in METHOD_NAMES:
            self._places[f"rcv_requests_{name.decode().lower()}"] = (0, ctz(method_id(name)))
        self._places["unsupported_methods"] = (0, ctz(M_OTHER))
        for status in range(1, CLASSES):
            self._places[f"rcv_replies_{status}xx"] = (status, -1)
            for name, short in REPLY_METHODS.items():
                self._places[f"rcv_replies_{status}xx_{short}"] = (status, ctz(method_id(name)))
        for code in self._codes:
            self._places[f"rcv_replies_{code}"] = (code, 0)
        self._places["rcv_replies_18x"] = (180, 0)

    cdef int request(self, Message msg) except -1:
        if msg.method_id == M_OTHER and msg.get_method() in KNOWN:
            return 0
        self._requests[ctz(msg.method_id)] += 1
        return 0

    cdef int reply(self, Message msg) except -1:
        cdef int status = msg.status
        cdef int kind = status // 100
        if not 0 < kind < CLASSES:
            return 0
        self._replies[kind][ctz(msg.method_id)] += 1
        if kind == 4:
            if status in self._codes:
                self._codes[status] += 1
        elif 180 <= status < 190:
            self._ringing += 1
        return 0

    def names(self):
        return list(self._places)

    def value(self, str name not None):
        cdef int kind, at
        kind, at = self._places[name]
        if kind == 0:
            return self._requests[at]
        if kind == 180:
            return self._ringing
        if kind >= 100:
            return self._codes[kind]
        if at >= 0:
            return self._replies[kind][at]
        return sum([self._replies[kind][at] for at in range(METHODS)])
