"""Routing of a small SIP service: a registrar and proxy for any softphone.

Phones register here and call one another by name; a call from or to elsewhere is relayed if one side of it is
ours. Nobody is asked for a password: keep it to networks where you trust everybody, or add that first.

This is an ordinary KEMI script: Kamailio's app_python3 runs it too, once told that it has neither a reply
route nor an onsend route. Copy it, change it, and start it with `kahea run yours.py`; settings go into a
kahea.toml beside it. `KSR.<module>.<function>` are the functions that Kamailio's module pages describe. A
function's answer is true where it is above 0.
"""

import KSR

SCANNERS = ("friendly-scanner", "sipvicious", "sipcli", "pplsip")
LOCATION = "location"  # the table with who is where


def mod_init():
    """Called once; the object it returns has the routes."""
    return Kahea()


class Kahea:
    """The routes. Each returns 1, or -255 to say that the message is dealt with."""

    def child_init(self, rank):
        """Called when the node is ready, with the rank of the process."""
        return 0

    def ksr_request_route(self, msg):
        """Every request starts here."""
        if not self.is_sane():
            return -255

        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return 1

        # A retransmission gets the answer that its original got.
        if not KSR.is_ACK():
            if KSR.tmx.t_precheck_trans() > 0:
                KSR.tm.t_check_trans()
                return 1
            if KSR.tm.t_check_trans() == 0:
                return 1

        if KSR.siputils.has_totag() > 0:
            return self.within_dialog()

        # A first request has no business with a route set of its own, save ours.
        KSR.hdr.remove("Route")
        if KSR.is_method_in("IS"):
            KSR.rr.record_route()

        if not KSR.is_myself_furi() and not KSR.is_myself_ruri():
            KSR.sl.sl_send_reply(403, "Relaying Denied")
            return 1
        if not KSR.is_myself_ruri():
            return self.relay()
        if KSR.is_REGISTER():
            return self.register()
        return self.to_user()

    def is_sane(self):
        """Drop or refuse what no phone of ours would send."""
        KSR.force_rport()
        agent = KSR.pv.gete("$ua").lower()
        if any(scanner in agent for scanner in SCANNERS):
            return False
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return False
        if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.pv.is_null("$rU"):
            KSR.sl.sl_send_reply(200, "Keepalive")
            return False
        if KSR.sanity.sanity_check(17895, 7) < 0:
            KSR.warn(f"malformed request from {KSR.pv.getw('$si')}\n")
            return False
        return True

    def within_dialog(self):
        """A request of a call that exists goes along the recorded route."""
        if KSR.rr.loose_route() > 0:
            return self.relay()
        if KSR.is_ACK():
            # The ACK to a refusal belongs to the INVITE's transaction.
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return 1
        KSR.sl.sl_send_reply(404, "Not Here")
        return 1

    def register(self):
        """Keep where a user is to be found."""
        if KSR.registrar.save(LOCATION, 0) < 0:
            KSR.sl.sl_reply_error()
        return 1

    def to_user(self):
        """Find one of our users and pass the request on to where they are."""
        if KSR.pv.is_null("$rU"):
            KSR.sl.sl_send_reply(484, "Address Incomplete")
            return 1
        found = KSR.registrar.lookup(LOCATION)
        if found < 0:
            KSR.tm.t_newtran()
            if found == -2:
                KSR.sl.send_reply(405, "Method Not Allowed")
            else:
                KSR.sl.send_reply(404, "Not Found")
            return 1
        return self.relay()

    def relay(self):
        """Send the request on, statefully, with the routes that watch over it."""
        if KSR.is_method_in("IBSU") and KSR.tm.t_is_set("branch_route") < 0:
            KSR.tm.t_on_branch("ksr_branch_manage")
        if KSR.is_method_in("ISU") and KSR.tm.t_is_set("onreply_route") < 0:
            KSR.tm.t_on_reply("ksr_onreply_manage")
        if KSR.is_INVITE() and KSR.tm.t_is_set("failure_route") < 0:
            KSR.tm.t_on_failure("ksr_failure_manage")
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return 1

    def ksr_branch_manage(self, msg):
        """Called for each branch before it is sent."""
        KSR.dbg(f"branch {KSR.tm.t_get_branch_index()} to {KSR.pv.getw('$ru')}\n")
        return 1

    def ksr_onreply_manage(self, msg):
        """Called for each reply of the branches."""
        KSR.dbg(f"reply {KSR.pv.getw('$rs')}\n")
        return 1

    def ksr_failure_manage(self, msg):
        """Called when all branches have failed; a script may try others here."""
        if KSR.tm.t_is_canceled() > 0:
            return 1
        KSR.dbg(f"all branches failed, the last with {KSR.pv.getw('$T_reply_code')}\n")
        return 1
