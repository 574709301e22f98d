# Replies without a transaction: see stateless.pyx.

from kahea.routing.dispatch cimport Dispatcher
from kahea.sip.message cimport Message


cpdef bytes sl_tag(Dispatcher node, Message msg)
cpdef bint reply(Dispatcher node, Message msg, int status, bytes phrase) except -1
