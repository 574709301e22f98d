from __future__ import annotations

import KSR


class Router:
    def child_init(self, rank: int) -> int:
        return 0

    def ksr_reqest_route(self, msg: KSR.Message) -> int:
        return 1


def mod_init() -> KSR.Script:
    return Router()  # wrong: a route is misspelt


def ksr_request_route(msg: KSR.Message) -> None:
    KSR.tm.t_rely()  # wrong: a function is misspelt
    KSR.sl.sl_send_reply("200", "OK")  # wrong: text for a number
    KSR.seturi(5)  # wrong: a number for text
    KSR.maxfwd.process_maxfwd()  # wrong: an argument is missing
    KSR.tn.t_relay()  # wrong: a module is misspelt
    print(msg.Methd)  # wrong: an attribute is misspelt
