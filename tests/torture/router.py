"""The script of these tests: a registrar and proxy that sends whatever it forwards to one place, `SINK`.

Loaded by `kahea run`; the host and port of the sink are `-A SINK=host:port`.
"""

import KSR

# The version, scheme, headers, CSeq, Expires, Proxy-Require, URIs, tags and Via; not Content-Length, since bytes behind
# a datagram's body are to be ignored (RFC 3261 §18.3), and not credentials, since nobody here asks for any.
CHECKS = 1 + 2 + 4 + 32 + 64 + 256 + 512 + 1024 + 4096 + 16384
URIS = 15


def ksr_request_route():
    if KSR.sanity.sanity_check(CHECKS, URIS) < 0:
        return
    if KSR.maxfwd.process_maxfwd(70) < 0:
        KSR.sl.sl_send_reply(483, "Too Many Hops")
        return
    if KSR.is_REGISTER():
        if KSR.registrar.save("location", 0) < 0:
            KSR.sl.sl_reply_error()
        return
    KSR.hdr.remove("Route")
    KSR.setdsturi("sip:" + KSR.kx.get_def("SINK"))
    if KSR.tm.t_relay() < 0:
        KSR.sl.sl_reply_error()
