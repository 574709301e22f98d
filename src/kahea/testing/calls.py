"""Calls of user agents: the dialog that an INVITE made, from either end.

A call answers by itself the far end's BYE, a CANCEL while it still rings, and repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kahea.testing.message import SipMessage, uri_of
from kahea.testing.useragent import WITHIN, Exchange, Unexpected, UserAgent, cancel_of

if TYPE_CHECKING:
    from kahea.testing.useragent import Headers


class _Dialog:
    """What both ends of a call share: requests inside of the dialog."""

    ua: UserAgent
    exchange: Exchange | None = None

    def __init__(self, ua: UserAgent) -> None:
        self.ua = ua
        #: True once either side has hung up.
        self.ended = False
        #: The BYE that the far end sent.
        self.far_bye: SipMessage | None = None
        self.call_id = ""
        self.local = ""
        self.remote = ""
        self.target = ""
        self.routes: list[str] = []
        self.cseq = 0

    def request(self, method: str, *, headers: Headers = (), **parts: Any) -> Exchange:
        """Send a request in the dialog (RFC 3261 §12.2.1.1). Raises Unexpected if there is no dialog yet."""
        return self.ua.request(self.build(method, headers=headers, **parts))

    def build(self, method: str, *, cseq: int | None = None, **parts: Any) -> SipMessage:
        """Such a request, unsent."""
        if not self.target:
            raise Unexpected(f"{self.ua.name} has no dialog in which to send {method}")
        if cseq is None and method not in ("ACK",):
            self.cseq += 1
        uri, routes = self.target, list(self.routes)
        if routes and ";lr" not in uri_of(routes[0]):
            # A strict router first: it takes the Request-URI's place (RFC 3261 §12.2.1.1).
            routes = [*routes[1:], f"<{uri}>"]
            uri = uri_of(self.routes[0])
        return self.ua.build(
            method,
            uri,
            to=self.remote,
            from_=self.local,
            call_id=self.call_id,
            cseq=self.cseq if cseq is None else cseq,
            routes=routes,
            **parts,
        )

    def acknowledge(self, reply: SipMessage) -> None:
        """Send the ACK of a 2xx; for the first INVITE of a call `auto_ack` does it."""
        self.ua.transmit(self.build("ACK", cseq=reply.cseq))

    def bye(self, **parts: Any) -> SipMessage:
        """Hang up, and return the final reply."""
        self.ended = True
        return self.request("BYE", **parts).wait()

    def reinvite(self, **parts: Any) -> Exchange:
        """Send an INVITE in the dialog; send the ACK by `acknowledge`."""
        return self.request("INVITE", **parts)

    def _hung_up(self, bye: SipMessage) -> None:
        self.ended = True
        self.far_bye = bye
        self.ua.reply(bye, 200)


class Call(_Dialog):
    """A call that a user agent made."""

    exchange: Exchange

    def __init__(self, ua: UserAgent, exchange: Exchange) -> None:
        super().__init__(ua)
        self.exchange = exchange
        self.call_id = self.invite.call_id
        self.local = self.invite["From"]
        self.cseq = self.invite.cseq
        #: The 2xx replies, one for each branch that was answered.
        self.answers: list[SipMessage] = []
        self._gone: set[str] = set()

    @property
    def invite(self) -> SipMessage:
        """The INVITE: of two, that with credentials."""
        return self.exchange.request

    @property
    def status(self) -> int:
        """The status of the latest reply, 0 without one. Lets no time pass."""
        return self.exchange.status

    @property
    def replies(self) -> list[SipMessage]:
        """All replies to the INVITE, without repeats."""
        return self.exchange.replies

    def wait(self, what: str | int = "final", within: float = WITHIN) -> SipMessage:
        """Let time pass until a reply to the INVITE is `what`. Raises Unexpected."""
        return self.exchange.wait(what, within)

    def acknowledge(self, reply: SipMessage) -> None:
        """Send the ACK of a 2xx; of a fork's further branches too."""
        if reply.cseq != self.invite.cseq or not self.answers or reply.to_tag == self.answers[0].to_tag:
            dialog = self
        else:
            dialog = Call(self.ua, self.exchange)
        if reply.cseq == self.invite.cseq:
            dialog.follow(reply)
            if not any(reply.to_tag == known.to_tag for known in self.answers):
                self.answers.append(reply)
        self.ua.transmit(dialog.build("ACK", cseq=reply.cseq))

    def follow(self, reply: SipMessage) -> None:
        """Take route set, remote target and tag from a reply (also an early one, for PRACK and UPDATE)."""
        self.remote = reply["To"]
        contact = reply.header("Contact")
        if contact is not None:
            self.target = uri_of(contact)
        self.routes = list(reversed(reply.all("Record-Route")))

    def cancel(self, headers: Headers = ()) -> Exchange:
        """Send CANCEL."""
        message = cancel_of(self.invite)
        message.headers[-1:-1] = headers
        return self.ua.request(message)

    def took(self, request: SipMessage) -> bool:
        """Whether a request that arrived was this call's, and dealt with."""
        tags = {answer.to_tag for answer in self.answers}
        if request.method != "BYE" or request.call_id != self.call_id or request.from_tag not in tags - self._gone:
            return False
        self._gone.add(request.from_tag)
        self._hung_up(request)
        return True


class IncomingCall(_Dialog):
    """A call that came in to a user agent."""

    def __init__(self, ua: UserAgent, invite: SipMessage) -> None:
        super().__init__(ua)
        self.invite = invite
        self.call_id = invite.call_id
        self.remote = invite["From"]
        self.target = uri_of(invite.header("Contact") or "")
        self.routes = invite.all("Record-Route")
        self.tag = f"{ua.name}-tag"
        self.local = f"{invite['To']};tag={self.tag}"
        #: True once it was canceled (and refused by 487).
        self.canceled = False
        self.final: SipMessage | None = None

    def progress(self, status: int = 180, **parts: Any) -> SipMessage:
        """Send a provisional reply."""
        return self.ua.reply(self.invite, status, tag=self.tag, **parts)

    def answer(self, **parts: Any) -> SipMessage:
        """Send 200."""
        self.final = self.ua.reply(self.invite, 200, tag=self.tag, **parts)
        return self.final

    def reject(self, status: int = 486, **parts: Any) -> SipMessage:
        """Send a failure."""
        self.final = self.ua.reply(self.invite, status, tag=self.tag, **parts)
        return self.final

    def wait_ack(self, within: float = WITHIN) -> SipMessage:
        """Let time pass until the ACK is there."""
        return self.ua.expect("ACK", within)

    def took(self, request: SipMessage) -> bool:
        """Whether a request that arrived was this call's, and dealt with."""
        if request.method == "CANCEL" and request.branch == self.invite.branch:
            self.ua.reply(request, 200)
            if self.final is None:
                self.canceled = True
                self.reject(487)
            return True
        answered = self.final is not None and self.final.status < 300
        if request.method != "BYE" or request.call_id != self.call_id or not answered or self.ended:
            return False
        self._hung_up(request)
        return True
