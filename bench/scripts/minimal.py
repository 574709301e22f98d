"""The least that a stateful, record-routing proxy does: the same as kamailio/minimal.cfg."""

import KSR


def mod_init():
    return Minimal()


class Minimal:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return -255
        if KSR.siputils.has_totag() > 0:
            if KSR.rr.loose_route() < 0:
                if not KSR.is_ACK():
                    KSR.sl.sl_send_reply(404, "Not Here")
                elif KSR.tm.t_check_trans() > 0:
                    KSR.tm.t_relay()
                return -255
        else:
            if KSR.is_OPTIONS() and KSR.is_myself_ruri():
                KSR.sl.sl_send_reply(200, "OK")
                return -255
            if KSR.is_CANCEL():
                if KSR.tm.t_check_trans() > 0:
                    KSR.tm.t_relay()
                return -255
            if KSR.is_method_in("IS"):
                KSR.rr.record_route()
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return -255
