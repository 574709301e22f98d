"""Addresses and listeners for compiled code: an `Address` carries its packed `sockaddr`, ready for sendmmsg."""

cdef extern from "<netinet/in.h>" nogil:
    ctypedef unsigned int socklen_t
    ctypedef unsigned short in_port_t
    ctypedef unsigned short sa_family_t
    int AF_INET
    int AF_INET6

    cdef struct sockaddr:
        sa_family_t sa_family

    cdef struct in_addr:
        unsigned int s_addr

    cdef struct sockaddr_in:
        sa_family_t sin_family
        in_port_t sin_port
        in_addr sin_addr

    cdef struct in6_addr:
        unsigned char s6_addr[16]

    cdef struct sockaddr_in6:
        sa_family_t sin6_family
        in_port_t sin6_port
        unsigned int sin6_flowinfo
        in6_addr sin6_addr
        unsigned int sin6_scope_id


cpdef enum:
    P_NONE = 0
    P_UDP = 1
    P_TCP = 2
    P_TLS = 3
    P_SCTP = 4
    P_WS = 5
    P_WSS = 6


cdef class Address:
    cdef readonly str ip
    cdef readonly bytes ip_bytes
    cdef readonly bytes host
    cdef readonly int port
    cdef readonly int family
    cdef sockaddr_in6 sa  # room for either family; only sa_len bytes count
    cdef socklen_t sa_len
    cdef Py_hash_t hash_value


cdef class Listener:
    cdef public int proto
    cdef Address _address
    cdef public str name
    cdef bytes _advertised_host
    cdef int _advertised_port
    cdef public str agname
    cdef public object outgoing
    # Computed when first asked for, dropped when one of their parts is set.
    cdef bytes _via_host
    cdef bytes _via_start
    cdef str _uri

    cdef bytes place(self)
    cdef bytes via_start(self)
    cpdef bint send(self, bytes data, Address to, long connection_id=*)
    cpdef object flush(self)


cdef Address from_sockaddr(const sockaddr_in6 *sa, socklen_t length)
