"""A registrar and proxy: phones register here, and call one another by name.

KSR has the functions of Kamailio's modules; `kahea functions` lists them. A function's answer is yes above 0, no below.
Nobody is asked for a password: add that before this meets the Internet.
"""

from __future__ import annotations

import KSR


def mod_init() -> KSR.Script:
    """Called once; the object that it returns has the routes."""
    return Router()


class Router:
    """The routes."""

    def child_init(self, rank: int) -> int:
        """Called when the node is ready."""
        return 0

    def ksr_request_route(self, msg: KSR.Message) -> int:
        """Every request starts here."""
        if KSR.maxfwd.process_maxfwd(10) < 0:
            return KSR.sl.sl_send_reply(483, "Too Many Hops")
        if KSR.is_CANCEL():
            return KSR.tm.t_relay() if KSR.tm.t_check_trans() > 0 else 1
        if KSR.siputils.has_totag() > 0:
            return self.within_dialog()
        if KSR.tm.t_check_trans() == 0:
            return 1  # sent again: the answer was, too
        if not KSR.is_myself_ruri():
            return KSR.sl.sl_send_reply(403, "Relaying Denied")
        if KSR.is_REGISTER():
            return KSR.registrar.save("location", 0)
        if KSR.is_OPTIONS() and KSR.corex.has_ruri_user() < 0:
            return KSR.sl.sl_send_reply(200, "Here")
        return self.to_phone()

    def within_dialog(self) -> int:
        """A request of a call that exists goes where the call went."""
        if KSR.rr.loose_route() > 0 or (KSR.is_ACK() and KSR.tm.t_check_trans() > 0):
            return KSR.tm.t_relay()
        return 1 if KSR.is_ACK() else KSR.sl.sl_send_reply(404, "Not Here")

    def to_phone(self) -> int:
        """A first request goes to where the called user has registered."""
        if KSR.registrar.lookup("location") < 0:
            return KSR.sl.sl_send_reply(404, "Not Found")
        if KSR.is_INVITE():
            KSR.rr.record_route()
            KSR.tm.t_on_failure("ksr_failure")
        return KSR.tm.t_relay()

    def ksr_failure(self, msg: KSR.Message) -> int:
        """All phones of the called user refused, or none answered: here a call may go elsewhere."""
        if KSR.tm.t_is_canceled() < 0:
            KSR.info(f"nobody answered at {KSR.pv.getw('$ru')}\n")
        return 1
