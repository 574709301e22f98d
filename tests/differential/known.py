"""Flows in which Kahea is known to differ from Kamailio, and why that stands."""

KNOWN: dict[str, str] = {
    "late-answer-in-a-serial-fork": (
        "Kamailio 5.6.3 swallows the 200 of a branch that timed out before, so that the callee believes in a "
        "call which nobody has; here every 2xx is passed on (RFC 3261 §16.7 item 5)"
    ),
}
