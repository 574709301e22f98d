# Forwarding: see forward.pyx.

from kahea.sip.message cimport Message
from kahea.tm.layer cimport TransactionLayer
from kahea.tm.transaction cimport Transaction

cpdef int forward(TransactionLayer layer, Transaction t, Message msg, destination=*) except? -99
cpdef int forward_stateless(TransactionLayer layer, Message msg, bytes hop) except? -99
