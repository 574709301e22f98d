"""Module `tm`: stateful processing. The machinery is `kahea.tm`; here are its parameters and script functions."""

from __future__ import annotations

import re
from typing import ClassVar

from kahea.modules.tm.addressed import Addressed
from kahea.modules.tm.avp_timers import AvpTimers
from kahea.modules.tm.commands import Commands
from kahea.modules.tm.contacts import Contacts
from kahea.modules.tm.control import Control
from kahea.modules.tm.stray import StrayReplies
from kahea.modules.tm.uac_commands import UacCommands
from kahea.modules.tm.writing import Writing
from kahea.routing.checks import between, unless
from kahea.routing.module import ConfigError, Param
from kahea.routing.text import wire
from kahea.tm.transaction import Transaction

_NEWER = "it is newer than Kamailio 5.6"
_MS = between(1, 2**31 - 1)
_SECONDS = between(0, 2**31 - 1)


class Tm(Addressed, Control, Contacts, Writing, UacCommands, Commands):
    """Transactions (RFC 3261 §16-17)."""

    name = "tm"
    events: ClassVar = {
        "tm:local-request": "A request of our own is about to be sent; `drop` keeps it back.",
        "tm:local-ack-sent": "An ACK of our own was sent.",
        "tm:local-response": "A reply of our own was sent; only by the function that `event_callback_lres_sent` names.",
        "tm:branch-failure:NAME": "A branch has failed, after `t_on_branch_failure(NAME)`.",
    }

    fr_timer = Param(30000, "Milliseconds to wait for a final response when none at all came.", check=_MS, runtime=True)
    fr_inv_timer = Param(
        120000, "Milliseconds to wait for an INVITE's final response after a provisional one.", check=_MS, runtime=True
    )
    max_inv_lifetime = Param(180000, "Milliseconds that an INVITE's transaction may live.", check=_MS, runtime=True)
    max_noninv_lifetime = Param(32000, "Milliseconds that any other transaction may live.", check=_MS, runtime=True)
    wt_timer = Param(
        5000, "Milliseconds that an answered transaction absorbs retransmissions.", check=_MS, runtime=True
    )
    retr_timer1 = Param(500, "Milliseconds until the first retransmission.", check=_MS, runtime=True)
    retr_timer2 = Param(4000, "The longest time between retransmissions, in milliseconds.", check=_MS, runtime=True)
    restart_fr_on_each_reply = Param(1, "Each provisional response starts fr_inv_timer anew.", runtime=True)
    auto_inv_100 = Param(1, "Answer an INVITE with 100 before it is forwarded.", runtime=True)
    auto_inv_100_reason = Param("trying -- your call is important to us", "Reason phrase of that 100.", runtime=True)
    relay_100 = Param(0, "Pass 100 responses on.", runtime=True)
    cancel_b_method = Param(
        1, "A branch without provisional response that is cancelled: 0 is given up, 1 waits for one, 2 is sent a "
        "CANCEL at once.", check=between(0, 2), runtime=True)  # fmt: skip
    unmatched_cancel = Param(
        0,
        "A CANCEL without INVITE is forwarded: 0 statefully, 1 statelessly, 2 not at all.",
        check=between(0, 2),
        runtime=True,
    )
    e2e_cancel_reason = Param(1, "A received CANCEL's Reason headers go into ours.", runtime=True)
    local_cancel_reason = Param(1, "A CANCEL of our own says why in a Reason header.", runtime=True)
    failure_reply_mode = Param(
        3, "Failures of earlier branches, once a failure route made new ones: 0 count on, 1 to 3 count no more.",
        check=between(0, 3),
    )  # fmt: skip
    failure_exec_mode = Param(
        0,
        "A branch that can't be sent: 0 fails at once, by the code of t_relay() if it is the only one; 1 fails by its "
        "timer, so that failure routes run.",
        check=between(0, 1),
    )
    faked_reply_prio = Param(0, "Added to the rank of failures made here when the best is chosen.")
    disable_6xx_block = Param(0, "Treat a 6xx as any other failure.", runtime=True)
    aggregate_challenges = Param(1, "Merge the challenges of all 401 and 407 into the one passed on.", runtime=True)
    remap_503_500 = Param(1, "Pass a 503 on as 500 (RFC 3261 §16.7 step 6).")
    reply_408_code = Param(408, "Status told upstream for a timeout.", check=between(300, 699))
    reply_408_reason = Param("Request Timeout", "Its reason phrase.")
    default_code = Param(500, "Status of a reply whose own is none.", check=between(300, 699), runtime=True)
    default_reason = Param("Server Internal Error", "Its reason phrase.", runtime=True)
    delayed_reply = Param(1, "A failure of t_relay is answered at the end of the route, unless the script did.")
    failover_reply_codes = Param("", "Statuses besides 503 that move on to the next DNS answer: `code=404;code=480`.")
    ac_extra_hdrs = Param(
        "",
        "Headers that begin so, and have no meaning to tm, are copied from the INVITE to its local ACK and CANCEL.",
        runtime=True,
    )
    event_callback = Param("", "Script function for tm's events.")
    event_callback_lres_sent = Param("", "Script function for `tm:local-response`.")
    evcb_local_ack_sent = Param("", "Script function for `tm:local-ack-sent`, the ACK to a 2xx of our own INVITE.")
    fr_timer_avp = Param("", "The AVP with a new transaction's `fr_timer`, in seconds; t_set_fr() is the better way.")
    fr_inv_timer_avp = Param("", "The AVP with its `fr_inv_timer`, in seconds.")
    on_sl_reply = Param("", "The onreply_route for responses that belong to no transaction; `drop` forwards none.")
    rich_redirect = Param(0, "Added to a 3xx's Contacts: 1 flags, 2 path, 3 both.", check=between(0, 3))
    blst_503 = Param(0, "1: a 503 puts its sender on the blocklist of destinations.", check=between(0, 1), runtime=True)
    blst_503_def_timeout = Param(
        0, "For how many seconds without Retry-After; 0 for not at all.", check=_SECONDS, runtime=True
    )
    blst_503_max_timeout = Param(3600, "For how many seconds at most.", check=_SECONDS, runtime=True)
    blst_503_min_timeout = Param(0, "For how many seconds at least.", check=_SECONDS, runtime=True)
    blst_methods_add = Param(
        1, "Methods whose time-out puts a destination on the blocklist, a sum as of `$rmid`.", runtime=True
    )
    blst_methods_lookup = Param(
        4294967287, "Methods that are not sent to what is on the blocklist; at first all but BYE."
    )
    ruri_matching = Param(
        1, "0 leaves out the Request-URI.", inert="RFC 2543 matching always looks at the Request-URI", runtime=True
    )
    via1_matching = Param(
        1, "0 leaves out the Via.", inert="RFC 2543 matching always looks at the top Via", runtime=True
    )
    callid_matching = Param(0, "", check=unless(0, "matching is by branch (RFC 3261 §17.2.3)"), runtime=True)
    callid_cseq_matching = Param(0, "", check=unless(0, "matching is by branch (RFC 3261 §17.2.3)"), runtime=True)
    reply_matching = Param(1, "", check=unless(1, f"{_NEWER}, where matching is by branch (RFC 3261 §17.1.3)"))
    pass_provisional_replies = Param(
        0,
        "1: who watches a local transaction is told of provisional responses, too.",
        check=between(0, 1),
        inert="they are always told of them",
        runtime=True,
    )
    reparse_invite = Param(
        1, "", check=unless(1, "local ACK and CANCEL are made from the INVITE as sent"), runtime=True
    )
    reparse_on_dns_failover = Param(
        1, "0 loses a branch's changes in a DNS failover.", inert="a branch always keeps its changes", runtime=True
    )
    dns_reuse_rcv_socket = Param(
        0,
        "1: the next address of a name is sent to from where the request was received.",
        check=between(0, 1),
        inert="every address is sent to from where the request was received, if that socket fits it",
    )
    e2e_cancel_hop_by_hop = Param(1, "", check=unless(1, f"{_NEWER}, where CANCEL is hop by hop (RFC 3261 §9.2)"))
    enable_uac_fr = Param(
        0, "1 ends requests of our own by fr_timer.", inert="they always end by fr_timer", runtime=True
    )
    evlreq_mode = Param(0, "", check=unless(0, f"{_NEWER}, where tm:local-request always runs"))
    exec_time_check = Param(
        5000,
        "Milliseconds of a failure route after which Kamailio looks whether the transaction is still there.",
        check=between(0, 2**31 - 1),
        inert="a transaction is kept as long as its route runs, however long that takes",
    )
    headers_mode = Param(0, "", check=unless(0, f"{_NEWER}, where the From and To of a failure are the request's"))
    local_ack_mode = Param(
        0, "The ACK to a 2xx of our own INVITE goes: 0 where its route set says, 1 where the INVITE went, 2 where the "
        "2xx came from.", check=between(0, 2), runtime=True)  # fmt: skip
    local_ack_branch_mode = Param(
        0, "", check=unless(0, f"{_NEWER}; the ACK to a 2xx has a branch of its own (RFC 3261 §17.1.1.3)")
    )
    noisy_ctimer = Param(
        1,
        "0: an INVITE whose only branch was never answered ends without a word, unless it has a failure route.",
        check=between(0, 1),
        runtime=True,
    )
    reply_relay_mode = Param(1, "", check=unless(1, "what cannot be relayed is never tried again"))

    def start(self) -> None:
        """Hand the parameters to the transaction layer."""
        self.node.on_left_open = self.left_open
        self.node.unsent_branches_wait = bool(self.failure_exec_mode)
        self._hand_over()
        self.check_names()
        self.prepare_groups()
        if self.fr_timer_avp or self.fr_inv_timer_avp:
            timers = AvpTimers(self.node, self.fr_timer_avp, self.fr_inv_timer_avp)
            self.node.layer.on_created.append(timers.created)
        if self.on_sl_reply:
            self.node.stray_replies.append(StrayReplies(self.node, self.on_sl_reply).take)

    def changed(self, name: str) -> None:
        """The layer has its own copy of the parameters."""
        self._hand_over()

    def _hand_over(self) -> None:
        self.node.silent_timeouts = not self.noisy_ctimer
        self.relaying.auto_100 = bool(self.auto_inv_100)
        self.relaying.delayed_reply = bool(self.delayed_reply)
        self.relaying.apply_changes = self.apply_changes if self.node.settings.msg_apply_changes_mode else None
        self.relaying.trying = self.trying = wire(self.auto_inv_100_reason)
        s = self.node.layer.settings
        for name in ("fr_timer", "fr_inv_timer", "max_inv_lifetime", "max_noninv_lifetime", "wt_timer",
                     "retr_timer1", "retr_timer2"):  # fmt: skip
            setattr(s, name, getattr(self, name) / 1000.0)
        s.restart_fr_on_each_reply = bool(self.restart_fr_on_each_reply)
        s.relay_100 = bool(self.relay_100)
        s.cancel_b_method = self.cancel_b_method
        s.failure_reply_mode = self.failure_reply_mode
        s.faked_reply_prio = self.faked_reply_prio
        s.disable_6xx_block = self.disable_6xx_block
        s.aggregate_challenges = bool(self.aggregate_challenges)
        s.remap_503_500 = bool(self.remap_503_500)
        s.reply_408_code = self.reply_408_code
        s.reply_408_reason = wire(self.reply_408_reason)
        s.local_cancel_reason = bool(self.local_cancel_reason)
        s.ac_extra_hdrs = wire(self.ac_extra_hdrs).lower()
        s.failover_codes = _codes(self.failover_reply_codes)
        blocking = self.node.blocking
        blocking.methods_add, blocking.methods_lookup = self.blst_methods_add, self.blst_methods_lookup
        blocking.count_503 = bool(self.blst_503)
        blocking.seconds_of_503 = (self.blst_503_def_timeout, self.blst_503_min_timeout, self.blst_503_max_timeout)
        if self.event_callback_lres_sent:
            s.on_local_reply = self._local_reply_sent

    def _local_reply_sent(self, t: Transaction, code: int) -> None:
        """`tm:local-response`, for scripts that want it."""
        del code
        self.node.call_route(self.event_callback_lres_sent, "tm:local-response", t.request, transaction=t)


def _codes(value: str) -> frozenset[int]:
    """`code=404;code=480` or `404,480` as numbers. Raises ConfigError."""
    found = re.split(r"[;,\s]+", value.strip()) if value.strip() else []
    out = set()
    for item in found:
        digits = item.removeprefix("code=").removesuffix(";")
        if not re.fullmatch(r"[3-6]\d\d", digits):
            raise ConfigError(f"parameter tm.failover_reply_codes: {item!r} is no failure status")
        out.add(int(digits))
    return frozenset(out)


MODULE = Tm
