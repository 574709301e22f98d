"""The stage of the transaction tests: one proxy with a script that forks and fails over as asked, and its phones."""

from __future__ import annotations

from kahea.testing import Packet, Simulation, UserAgent, VirtualNode

PROXY = "10.0.0.9"

#: Relays; X-Fork adds branches, X-Next is tried by the failure route, X-Opt calls functions before relaying.
SCRIPT = """
import KSR

def words(name):
    value = KSR.hdr.get(name)
    return [] if value is None else value.split()

def ksr_request_route():
    if KSR.is_CANCEL():
        if KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
        return 1
    if KSR.is_ACK():
        if KSR.rr.loose_route() > 0 or KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
        return 1
    if KSR.tm.t_check_trans() == 0:
        return 1
    if KSR.rr.loose_route() < 0:
        KSR.rr.record_route()
        for uri in words("X-Fork"):
            KSR.corex.append_branch_uri(uri)
        if words("X-Next"):
            KSR.tm.t_on_failure("ksr_failure")
        for word in words("X-Opt"):
            if word == "no-6xx":
                KSR.tm.t_set_disable_6xx(1)
            elif word == "reply":
                KSR.tm.t_newtran()
                KSR.tm.t_reply(480, "From here")
                return 1
    KSR.tm.t_relay()
    return 1

def ksr_failure():
    if KSR.tm.t_is_canceled() > 0:
        return 1
    turn = (KSR.pv.get("$avp(turn)") or 0) + 1
    KSR.pv.seti("$avp(turn)", turn)
    targets = words("X-Next")
    if turn <= len(targets):
        KSR.seturi(targets[turn - 1])
        KSR.tm.t_on_failure("ksr_failure")
        KSR.tm.t_relay()
    return 1
"""


#: Drops replies that belong to no transaction, which a proxy otherwise forwards by their Via.
STRICT = """
def ksr_reply_route():
    if KSR.tm.t_check_trans() < 0:
        KSR.set_drop()
    return 1
"""


def proxy(sim: Simulation, strict: bool = False, **tm: int) -> VirtualNode:
    """The proxy, with tm's parameters in milliseconds."""
    listen = [f"udp:{PROXY}:5060", f"tcp:{PROXY}:5060"]
    modules = ["tm", "tmx", "rr", "sl", "corex", "hdr"]
    return sim.node(
        SCRIPT + (STRICT if strict else ""), *listen, name="proxy", modules={"tm": tm}, load_modules=modules
    )


def silent(sim: Simulation, name: str, address: str = "") -> UserAgent:
    """A phone that repeats and acknowledges nothing by itself."""
    ua = sim.ua(name, address)
    ua.retransmits = ua.auto_ack = False
    return ua


def sent(sim: Simulation, what: str, to: UserAgent | None = None, by: str = PROXY) -> list[Packet]:
    """The packets that `by` sent which are `what`, as in SipMessage.matches."""
    return [
        p
        for p in sim.trace
        if p.source.ip == by and (to is None or p.destination.ip == to.address.ip) and p.message.matches(what)
    ]


def moments(packets: list[Packet]) -> list[float]:
    """When packets were sent, in seconds after the first one, to the tenth."""
    return [round(p.sent_at - packets[0].sent_at, 1) for p in packets]


def fork(*uas: UserAgent) -> list[tuple[str, str]]:
    """The header that makes the proxy fork to these too."""
    return [("X-Fork", " ".join(ua.contact for ua in uas))]


def then(*uas: UserAgent) -> list[tuple[str, str]]:
    """The header that makes the failure route try these, one after the other."""
    return [("X-Next", " ".join(ua.contact for ua in uas))]
