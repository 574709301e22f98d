"""A stateful proxy that asks an API about each new call, and waits: the same as script.cfg."""

import KSR


def mod_init():
    return Asking()


class Asking:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return 1
        if KSR.siputils.has_totag() > 0:
            if KSR.rr.loose_route() > 0:
                KSR.tm.t_relay()
            return 1
        if KSR.is_OPTIONS() and KSR.is_myself_ruri():
            KSR.sl.sl_send_reply(200, "OK")
            return 1
        if KSR.is_INVITE():
            url = "http://127.0.0.1:23650/route?to=" + KSR.pv.get("$rU")
            if KSR.http_client.query(url, "$var(answer)") != 200 or KSR.pv.get("$var(answer)") != "yes":
                KSR.sl.sl_send_reply(503, "No Route")
                return 1
            KSR.rr.record_route()
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return 1
