"""Routing by an HTTP service, with no script of one's own: `kahea run settings.toml` runs this one.

Phones register here. Whatever else begins a call, or stands alone, is put to the service that `[modules.http_router]`
names, and goes where the answer says; what the settings name as the fallback stands in for an answer that does not
come. `docs/http_router.md` has the settings.
"""

import KSR

LOCATION = "location"  # the table with who is where


def ksr_request_route():
    """Every request starts here."""
    if not is_sane():
        return -255
    if KSR.is_CANCEL():
        if KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
        return 1
    # A retransmission gets the answer that its original got.
    if not KSR.is_ACK() and KSR.tm.t_check_trans() == 0:
        return 1
    if KSR.siputils.has_totag() > 0:
        return within_dialog()
    KSR.hdr.remove("Route")
    if KSR.is_REGISTER():
        if KSR.registrar.save(LOCATION, 0) < 0:
            KSR.sl.sl_reply_error()
        return 1
    if KSR.is_ACK():
        return 1
    if KSR.is_method_in("IS"):
        KSR.rr.record_route()
    # The transaction comes first: the caller repeats nothing while the service thinks.
    if KSR.tm.t_newtran() < 0:
        KSR.sl.sl_reply_error()
        return 1
    if KSR.is_INVITE():
        KSR.tm.t_reply(100, "Trying")
    return by_service()


def is_sane():
    """Drop or refuse what no phone of ours would send."""
    KSR.force_rport()
    if KSR.maxfwd.process_maxfwd(10) < 0:
        KSR.sl.sl_send_reply(483, "Too Many Hops")
        return False
    if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.pv.is_null("$rU"):
        KSR.sl.sl_send_reply(200, "Keepalive")
        return False
    return KSR.sanity.sanity_check(17895, 7) > 0


def within_dialog():
    """A request of a call that exists goes along the recorded route."""
    if KSR.rr.loose_route() > 0:
        KSR.tm.t_relay()
    elif KSR.is_ACK():
        # The ACK to a refusal belongs to the INVITE's transaction.
        if KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
    else:
        KSR.sl.sl_send_reply(404, "Not Here")
    return 1


def by_service():
    """Ask, and go where the answer says. A refusal has been sent already."""
    if KSR.http_router.route() < 0:
        return 1
    KSR.tm.t_on_branch("branch")
    KSR.tm.t_on_failure("failure")
    if KSR.tm.t_relay() < 0:
        KSR.sl.sl_reply_error()
    return 1


def branch():
    """What the answer asks of one route: From, To, headers, timers."""
    KSR.http_router.branch()
    return 1


def failure():
    """The next of the routes, in a serial answer."""
    if KSR.tm.t_is_canceled() > 0 or KSR.http_router.next_route() < 0:
        return 1
    KSR.tm.t_on_branch("branch")
    KSR.tm.t_on_failure("failure")
    KSR.tm.t_relay()
    return 1
