"""Flows in which Kahea is known to differ from Kamailio, and why that stands."""

_STICKY = (
    "Kamailio 5.6.3 forgets to take back a KEMI script's set_drop() after a branch route: the later branches "
    "are dropped too. Here it drops the one branch, as `drop` does in Kamailio's own language"
)

KNOWN: dict[str, str] = {
    "branch-route-drops-the-first": _STICKY,
    "branch-route-drops-the-middle": _STICKY,
    "late-answer-in-a-serial-fork": (
        "Kamailio 5.6.3 swallows the 200 of a branch that timed out before, so that the callee believes in a "
        "call which nobody has; here every 2xx is passed on (RFC 3261 §16.7 item 5)"
    ),
}
