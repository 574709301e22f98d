"""A registrar and proxy with the usual checks and all routes armed: the same as kamailio/typical.cfg."""

import re

import KSR

SCANNER = re.compile("friendly|scanner|sipvicious")


def mod_init():
    return Typical()


class Typical:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if self.checks() < 0:
            return -255
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return -255
        if not KSR.is_ACK():
            if KSR.tmx.t_precheck_trans() > 0:
                KSR.tm.t_check_trans()
                return -255
            if KSR.tm.t_check_trans() == 0:
                return -255
        if self.in_dialog() < 0:
            return -255

        KSR.hdr.remove("Route")
        if KSR.is_method_in("IS"):
            KSR.rr.record_route()
        if not KSR.is_myself_ruri():
            return self.relay()
        if KSR.is_REGISTER():
            if KSR.registrar.save("location", 0) < 0:
                KSR.sl.sl_reply_error()
            return -255
        if KSR.pv.is_null("$rU"):
            KSR.sl.sl_send_reply(484, "Address Incomplete")
            return -255
        found = KSR.registrar.lookup("location")
        if found < 0:
            KSR.tm.t_newtran()
            if found == -2:
                KSR.sl.send_reply(405, "Method Not Allowed")
            else:
                KSR.sl.send_reply(404, "Not Found")
            return -255
        return self.relay()

    def checks(self):
        KSR.force_rport()
        if SCANNER.search(KSR.pv.gete("$ua")):
            return -255
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return -255
        if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.pv.is_null("$rU"):
            KSR.sl.sl_send_reply(200, "Keepalive")
            return -255
        if KSR.sanity.sanity_check(17895, 7) < 0:
            KSR.warn("malformed request from " + KSR.pv.getw("$si") + "\n")
            return -255
        return 1

    def in_dialog(self):
        if KSR.siputils.has_totag() < 0:
            return 1
        if KSR.rr.loose_route() > 0:
            return self.relay()
        if KSR.is_ACK():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return -255
        KSR.sl.sl_send_reply(404, "Not Here")
        return -255

    def relay(self):
        if KSR.is_method_in("IBSU") and KSR.tm.t_is_set("branch_route") < 0:
            KSR.tm.t_on_branch("branch")
        if KSR.is_method_in("ISU") and KSR.tm.t_is_set("onreply_route") < 0:
            KSR.tm.t_on_reply("reply")
        if KSR.is_INVITE() and KSR.tm.t_is_set("failure_route") < 0:
            KSR.tm.t_on_failure("failure")
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return -255

    def branch(self, msg):
        KSR.xlog.xdbg("branch [$T_branch_idx] to $ru\n")
        return 1

    def reply(self, msg):
        status = KSR.kx.get_status()
        if 100 <= status < 300:
            KSR.xlog.xdbg("reply $rs\n")
        return 1

    def failure(self, msg):
        if KSR.tm.t_is_canceled() > 0:
            return -255
        return 1
