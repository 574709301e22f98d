from kahea.sip.message cimport Message


cdef enum:
    METHODS = 19  # one place for each bit of Message.method_id, the last for all other methods
    CLASSES = 7  # of statuses; 0 is not used


cdef class Tally:
    cdef long _requests[METHODS]
    cdef long _replies[CLASSES][METHODS]
    cdef long _ringing
    cdef dict _codes
    cdef dict _places

    cdef int request(self, Message msg) except -1
    cdef int reply(self, Message msg) except -1
