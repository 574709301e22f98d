# mypy: ignore-errors
# ruff: noqa: UP031
"""A registrar and proxy as a KEMI script, built as the stock Kamailio configuration is: checks, NATs,
dialogs, registrations, lookup, relay with branch, reply and failure routes.

It uses the functions that Kamailio's example scripts use, as far as they need no module for authentication or hash
tables, nor a relay of media.
"""

import KSR as KSR

FLAG_SEEN = 1
FLAG_FAILED = 2
FLAG_NATED = 5
BRANCH_NATED = 6


def mod_init():
    KSR.info("script_router: starting\n")
    return Router()


class Router:
    def __init__(self):
        self.rank = None

    def child_init(self, rank):
        self.rank = rank
        return 0

    # -- requests

    def ksr_request_route(self, msg):
        if KSR.is_OPTIONS() and KSR.kx.get_ruser() == "barrier":
            KSR.sl.sl_send_reply(200, "Here")
            return 1
        if self.checks():
            return 1
        self.nat_detect()
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return 1
        if self.dialog():
            return 1
        if KSR.tmx.t_precheck_trans() > 0:
            KSR.tm.t_check_trans()
            return 1
        if KSR.tm.t_check_trans() == 0:
            return 1

        KSR.hdr.remove("Route")
        if KSR.is_method_in("IS"):
            KSR.rr.record_route()
        if KSR.is_INVITE():
            KSR.setflag(FLAG_SEEN)

        if not KSR.is_myself_ruri():
            KSR.hdr.append("P-Hint: outbound\r\n")
            self.relay()
            return 1
        if KSR.is_REGISTER():
            self.register()
            return 1
        if KSR.corex.has_ruri_user() < 0:
            KSR.sl.sl_send_reply(484, "Address Incomplete")
            return 1
        self.location()
        return 1

    def checks(self):
        """Refuse what should go no further; True if the request was answered."""
        KSR.force_rport()
        if KSR.corex.has_user_agent() > 0:
            agent = KSR.kx.gete_ua()
            if "scanner" in agent:
                KSR.sl.sl_send_reply(200, "Nothing here")
                return True
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return True
        if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.corex.has_ruri_user() < 0:
            KSR.sl.sl_send_reply(200, "Keepalive")
            return True
        if KSR.sanity.sanity_check(17895, 7) < 0:
            KSR.err("script_router: malformed request from %s\n" % KSR.kx.get_srcip())
            return True
        return False

    def dialog(self):
        """Requests inside of dialogs; True if it was one."""
        if KSR.siputils.has_totag() < 0:
            return False
        if KSR.rr.loose_route() > 0:
            if not KSR.isdsturiset() and KSR.nathelper.handle_ruri_alias() < 0:
                KSR.sl.sl_send_reply(400, "Bad Alias")
                return True
            if KSR.is_BYE():
                KSR.setflag(FLAG_SEEN)
            elif KSR.is_ACK():
                self.nat_manage()
            elif KSR.is_NOTIFY():
                KSR.rr.record_route()
            self.relay()
            return True
        if KSR.is_ACK():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return True
        KSR.sl.sl_send_reply(404, "Not here")
        return True

    def register(self):
        if KSR.isflagset(FLAG_NATED):
            KSR.setbflag(BRANCH_NATED)
        if KSR.registrar.save("location", 0) < 0:
            KSR.sl.sl_reply_error()

    def location(self):
        found = KSR.registrar.lookup("location")
        if found < 0:
            KSR.tm.t_newtran()
            if found == -2:
                KSR.sl.send_reply(405, "Method Not Allowed")
            else:
                KSR.sl.send_reply(404, "Not Found")
            return
        if KSR.pv.get("$rU").startswith("serial"):
            KSR.tm.t_load_contacts()
            KSR.tm.t_next_contacts()
        self.relay()

    def relay(self):
        if KSR.is_method_in("IBSU") and KSR.tm.t_is_set("branch_route") < 0:
            KSR.tm.t_on_branch("ksr_branch")
        if KSR.is_method_in("ISU") and KSR.tm.t_is_set("onreply_route") < 0:
            KSR.tm.t_on_reply("ksr_onreply")
        if KSR.is_INVITE() and KSR.tm.t_is_set("failure_route") < 0:
            KSR.tm.t_on_failure("ksr_failure")
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()

    # -- NATs

    def nat_detect(self):
        """Who sent the request stands behind a NAT: tell where its answers and later requests have to go."""
        if KSR.nathelper.nat_uac_test(19) < 0:
            return
        if KSR.is_REGISTER():
            KSR.nathelper.fix_nated_register()
        elif KSR.siputils.is_first_hop() > 0:
            self.nat_contact()
        KSR.setflag(FLAG_NATED)

    def nat_contact(self):
        """Most phones bring back an alias; for the others the Contact itself is changed."""
        way = KSR.hdr.get("X-Contact")
        if way == "fix":
            KSR.nathelper.fix_nated_contact()
        elif way == "add":
            KSR.nathelper.add_contact_alias()
        else:
            KSR.nathelper.set_contact_alias()

    def nat_manage(self):
        """A message whose sender or receiver stands behind a NAT, where media are not relayed."""
        request = KSR.siputils.is_request() > 0
        within = KSR.siputils.has_totag() > 0
        if request and within and KSR.rr.check_route_param("nat=yes") > 0:
            KSR.setbflag(BRANCH_NATED)
        if not (KSR.isflagset(FLAG_NATED) or KSR.isbflagset(BRANCH_NATED)):
            return
        if KSR.nathelper.nat_uac_test(8) > 0:
            KSR.nathelper.fix_nated_sdp(10)
        if request and not within and KSR.tmx.t_is_branch_route() > 0:
            KSR.rr.add_rr_param(";nat=yes")
        if not request and KSR.isbflagset(BRANCH_NATED) and KSR.siputils.is_first_hop() > 0:
            self.nat_contact()
        if request and within and KSR.isbflagset(BRANCH_NATED):
            KSR.set_forward_no_connect()

    # -- branches, replies, failures

    def ksr_branch(self, msg):
        KSR.dbg("script_router: branch %d\n" % KSR.tm.t_get_branch_index())
        if KSR.siputils.is_request() > 0 and KSR.tmx.t_is_branch_route() > 0:
            KSR.hdr.append("X-Branch-Index: %d\r\n" % KSR.pv.get("$T_branch_idx"))
        if not KSR.pv.is_null("$rd") and KSR.isdsturiset():
            KSR.hdr.append("X-Via-Destination: yes\r\n")
        self.nat_manage()
        return 1

    def ksr_onreply(self, msg):
        if KSR.siputils.is_reply() > 0:
            status = KSR.kx.gets_status()
            if status[0] == "1":
                KSR.hdr.append("X-Progress: %s\r\n" % status)
        if KSR.pv.gete("$hdr(X-Noise)") != "":
            KSR.hdr.remove("X-Noise")
        if KSR.kx.get_status() < 300:
            self.nat_manage()
        return 1

    def ksr_reply_route(self, msg):
        if KSR.kx.get_status() == 299:
            KSR.set_drop()
        if KSR.siputils.is_first_hop() > 0:
            KSR.dbg("script_router: reply of a first hop\n")
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def ksr_failure(self, msg):
        if KSR.tm.t_is_canceled() > 0:
            return 1
        if KSR.isflagset(FLAG_SEEN):
            KSR.setflag(FLAG_FAILED)
        if KSR.tm.t_next_contacts() > 0:
            KSR.tm.t_on_failure("ksr_failure")
            self.relay()
            return 1
        if KSR.tm.t_check_status("486|408") > 0 and KSR.kx.get_ruser() != "voicemail":
            target = KSR.hdr.get("X-Voicemail")
            if target is not None:
                KSR.seturi(target)
                KSR.resetdsturi()
                KSR.tm.t_relay()
        return 1
