"""The client state machines of RFC 3261 §17.1 with RFC 6026, as tables: (state, event) -> (next state, actions).

The compiled layer loads these tables into C arrays and does what they say; nothing else decides what a branch does
with a response or a timer. Where Kamailio departs from the RFC, the table follows Kamailio and the line says so.
"""

from __future__ import annotations

# States of a branch.
CALLING = 0  # "Trying" for a non-INVITE
PROCEEDING = 1
COMPLETED = 2
ACCEPTED = 3  # RFC 6026: a 2xx to an INVITE; repeated ones pass
TERMINATED = 4  # timed out or failed here
STATES = 5

# Events.
ON_RETRANSMIT = 0  # timer A or E
ON_TIMEOUT = 1  # timer B, F or C: fr_timer, fr_inv_timer, end of life
ON_PROVISIONAL = 2
ON_SUCCESS = 3
ON_FAILURE = 4  # 300-699
ON_ERROR = 5  # the transport could not send
EVENTS = 6

# Actions, as bits above the next state.
RESEND = 1 << 4
STOP = 1 << 5  # no more retransmissions
SLOW = 1 << 6  # retransmit at T2 from now on
WAIT_INV = 1 << 7  # the INVITE's final response may now take fr_inv_timer
PASS = 1 << 8  # hand the response to the transaction user
ACK = 1 << 9  # acknowledge a failure here (RFC 3261 §17.1.1.3)
GIVE_UP = 1 << 10  # treat as 408
FAIL = 1 << 11  # treat as 503: try the next destination
LATE = 1 << 12  # it rings after we gave up on it: CANCEL

Table = dict[int, dict[int, tuple[int, int]]]

INVITE_CLIENT: Table = {
    CALLING: {
        ON_RETRANSMIT: (CALLING, RESEND),
        ON_TIMEOUT: (TERMINATED, STOP | GIVE_UP),
        ON_PROVISIONAL: (PROCEEDING, STOP | WAIT_INV | PASS),
        ON_SUCCESS: (ACCEPTED, STOP | PASS),
        ON_FAILURE: (COMPLETED, STOP | ACK | PASS),
        ON_ERROR: (TERMINATED, STOP | FAIL),
    },
    PROCEEDING: {
        ON_TIMEOUT: (TERMINATED, STOP | GIVE_UP),
        ON_PROVISIONAL: (PROCEEDING, WAIT_INV | PASS),
        ON_SUCCESS: (ACCEPTED, STOP | PASS),
        ON_FAILURE: (COMPLETED, STOP | ACK | PASS),
    },
    COMPLETED: {
        ON_FAILURE: (COMPLETED, ACK),
        # A fork further on may still be answered after the failure that we saw: every 2xx passes.
        ON_SUCCESS: (ACCEPTED, PASS),
    },
    ACCEPTED: {
        ON_SUCCESS: (ACCEPTED, PASS),
        # A failure after a 2xx on one branch is no part of it, but must be acknowledged to end.
        ON_FAILURE: (ACCEPTED, ACK),
    },
    TERMINATED: {
        ON_PROVISIONAL: (TERMINATED, LATE),
        ON_SUCCESS: (ACCEPTED, PASS),
        ON_FAILURE: (COMPLETED, ACK),
    },
}

NON_INVITE_CLIENT: Table = {
    CALLING: {
        ON_RETRANSMIT: (CALLING, RESEND),
        ON_TIMEOUT: (TERMINATED, STOP | GIVE_UP),
        ON_PROVISIONAL: (PROCEEDING, SLOW | PASS),
        ON_SUCCESS: (COMPLETED, STOP | PASS),
        ON_FAILURE: (COMPLETED, STOP | PASS),
        ON_ERROR: (TERMINATED, STOP | FAIL),
    },
    PROCEEDING: {
        ON_RETRANSMIT: (PROCEEDING, RESEND),
        ON_TIMEOUT: (TERMINATED, STOP | GIVE_UP),
        ON_PROVISIONAL: (PROCEEDING, PASS),
        ON_SUCCESS: (COMPLETED, STOP | PASS),
        ON_FAILURE: (COMPLETED, STOP | PASS),
    },
    COMPLETED: {},
    ACCEPTED: {},
    TERMINATED: {},
}


def packed(table: Table) -> list[int]:
    """The table as STATES x EVENTS numbers: next state in the low 4 bits, actions above; -1 ignores the event."""
    cells = [-1] * (STATES * EVENTS)
    for state, row in table.items():
        for event, (following, actions) in row.items():
            cells[state * EVENTS + event] = following | actions
    return cells
