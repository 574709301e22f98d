from __future__ import annotations

import KSR


def mod_init() -> KSR.Script:
    return Router()


class Router:
    def child_init(self, rank: int) -> int:
        return 0

    def ksr_request_route(self, msg: KSR.Message) -> int:
        if msg.Method == "OPTIONS" and KSR.pv.gete("$rU").startswith("ping"):
            KSR.sl.sl_send_reply(200, "Here")
            return 1
        if KSR.maxfwd.process_maxfwd(10) < 0 or KSR.x.modf("has_totag") > 0:
            return -255
        KSR.hdr.append(f"X-Source: {msg.src_address[0]}:{msg.src_address[1]}\r\n")
        KSR.tm.t_on_branch("ksr_branch")
        KSR.tm.t_relay()
        return 1

    def ksr_branch(self, msg: KSR.Message) -> int:
        KSR.dbg("to " + KSR.kx.get_ruri() + "\n")
        return 1
