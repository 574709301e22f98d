"""Which failure a forked request is answered with (RFC 3261 §16.7 step 6), and what several challenges become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kahea.sip import message as m

if TYPE_CHECKING:
    from kahea.tm.transaction import Branch, Transaction

#: Lower wins. A 6xx decides; then the classes in order; within 4xx those first that the caller can do something about.
_CLASS = {2: 0, 6: 1000, 3: 3000, 4: 4000, 5: 5000}
_HELPFUL = {401: 3100, 407: 3110, 415: 3120, 420: 3130, 484: 3140}


def priority(status: int, *, faked: bool = False, faked_extra: int = 0) -> int:
    """Rank of a final status for the choice; `faked_extra` ranks what was made here (`faked_reply_prio`)."""
    if status in _HELPFUL:
        rank = _HELPFUL[status]
    elif status == 503:
        rank = 5900  # speaks of one server only
    else:
        rank = _CLASS.get(status // 100, 32000) + status % 100
    return rank + (faked_extra if faked else 0)


def best(t: Transaction, settings: Any) -> Branch | None:
    """The branch whose failure is the answer, or None if none has one. The first of equals wins."""
    found: Branch | None = None
    found_rank = 0
    for branch in t.branches:
        if branch.index < t.pick_from or branch.status < 300:
            continue
        rank = priority(branch.status, faked=branch.reply is None, faked_extra=settings.faked_reply_prio)
        if t.cancelled and branch.reply is None:
            rank -= 1  # our own 487 goes before a received one
        if found is None or rank < found_rank:
            found, found_rank = branch, rank
    if found is None and t.pick_from:
        t.pick_from = 0
        return best(t, settings)
    return found


def challenges(t: Transaction) -> list[bytes]:
    """The challenge headers of every 401 and 407 among the failures, as lines (RFC 3261 §16.7 step 7)."""
    lines: list[bytes] = []
    for branch in t.branches:
        reply = branch.reply
        if reply is None or branch.index < t.pick_from or branch.status not in (401, 407):
            continue
        for kind in (m.H_WWWAUTHENTICATE, m.H_PROXYAUTHENTICATE):
            lines += [reply.raw[header.start : header.end] for header in reply.headers_of(kind)]
    return lines
