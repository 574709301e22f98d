"""Registering the accounts of a table with other servers, and keeping them registered.

All accounts are looked at every `reg_timer_interval` seconds, the first time at once. What is due is sent a few at a
time, each where it may wait for DNS, so that a large table never holds up calls. A database that is down delays the
accounts, a registrar that is down its own account, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from kahea.connectors.errors import DatabaseError
from kahea.modules.tm.uac import NotSent
from kahea.modules.uac.account import Account
from kahea.modules.uac.answering import NoAnswer, authorization
from kahea.modules.uac.registration import (
    ANSWERING,
    DISABLED,
    Registration,
    Registrations,
    Status,
    granted,
    least_expires,
)
from kahea.modules.uac.store import Store
from kahea.routing.checks import between
from kahea.routing.module import ConfigError, Module, Param
from kahea.routing.run import wait
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.sip.message import Message
    from kahea.tm.transaction import Branch, Transaction

log = logging.getLogger("kahea.uac")

#: How many REGISTERs are sent at a time, and the seconds until the next ones are.
AT_A_TIME: Final = 20
PAUSE: Final = 0.01

_SECONDS: Final = between(0, 2**31 - 1)


class Registering(Module):
    """The timer, the REGISTERs and what comes of them."""

    default_socket: Param[str]

    reg_db_url = Param("", "The database of accounts; without one there are no registrations.")
    reg_db_table = Param("uacreg", "Its table.")
    reg_contact_addr = Param("", "Host, port and parameters of Contacts, where the account has none of its own.")
    reg_timer_interval = Param(
        90, "Seconds from one look at all registrations to the next.", check=between(1, 2**31 - 1)
    )
    reg_retry_interval = Param(
        0, "Seconds until a registration that failed is tried again; 0 disables it.", check=_SECONDS
    )
    reg_random_delay = Param(
        0, "The most seconds that a first REGISTER is put off, by chance, where `reg_delay` is 0.", check=_SECONDS
    )
    reg_hash_size = Param(4, "The exponent of two for the slots that `uac.reg_dump` goes by.", check=between(0, 24))
    reg_keep_callid = Param(0, "1 keeps the Call-ID from one REGISTER to the next, until one fails.")
    reg_active = Param(1, "0 sends no REGISTERs until `uac.reg_active`.")
    reg_gc_interval = Param(150, "The least seconds from one `uac.reg_reload` to the next.", check=_SECONDS)

    registrations: Registrations
    store: Store | None = None  # also where the node ends before this module was started

    def start_registering(self) -> None:
        """Check the parameters. Raises ConfigError."""
        self.registrations = self._table()
        self._loaded = self._loading = self._stopped = False
        if not self.reg_db_url:
            return
        if not self.reg_contact_addr:
            raise ConfigError("parameter uac.reg_contact_addr is needed with uac.reg_db_url")
        version_table = self.node.settings.version_table
        self.store = Store(self.reg_db_url, self.reg_db_table, version_table, self.reg_contact_addr)
        counts = {
            "regtotal": (lambda: len(self.registrations), "Registrations with other servers."),
            "regactive": (lambda: self.registrations.count(self._is_online), "Those of them that are in force."),
            "regdisabled": (lambda: self.registrations.count(_is_disabled), "Those of them that are disabled."),
        }
        for name, (read, doc) in counts.items():
            self.node.statistics.declare("uac", name, read, resets=False, doc=doc)

    def _table(self) -> Registrations:
        return Registrations(1 << self.reg_hash_size, self.reg_random_delay)

    def _is_online(self, registration: Registration) -> bool:
        return registration.status(self.now()) == Status.ONLINE

    def now(self) -> int:
        """Unix seconds."""
        return int(self.node.wall())

    # ---- life

    async def open(self) -> None:
        """Load the accounts, and begin to look at them once traffic flows. A database that is down is asked again."""
        await super().open()
        if self.store is not None:
            first = 0
            try:
                self._begin(await self.store.load())
            except DatabaseError as error:
                self._not_loaded(error)
                first = self.reg_timer_interval
            self.node.call_later(first, self._look)

    async def stop(self) -> None:
        """Send no more, and let go of the database. The registrars' registrations end by themselves."""
        await super().stop()
        self._stopped = True
        if self.store is not None:
            await self.store.close()

    def _look(self) -> None:
        """Send what is due; load the accounts first, if that was not possible before."""
        if self._stopped:
            return
        self.node.call_later(self.reg_timer_interval, self._look)
        if self._loaded:
            self._send_due()
        elif not self._loading:
            self.node.pool.run(self._load_first)

    def _load_first(self) -> None:
        self._loading = True
        try:
            self.load()
        except DatabaseError as error:
            self._not_loaded(error)
        else:
            self._send_due()
        finally:
            self._loading = False

    def load(self) -> None:
        """Begin anew with the accounts that the database has. Waits; raises DatabaseError."""
        assert self.store is not None
        self._begin(wait(self.store.load()))

    def _begin(self, accounts: list[Account]) -> None:
        fresh, now = self._table(), self.now()
        for account in accounts:
            fresh.add(account, now)
        self.registrations = fresh
        self._loaded = True

    def _not_loaded(self, error: DatabaseError) -> None:
        log.error("the accounts of %s can't be loaded: %s", self.reg_db_table, error)

    # ---- sending

    def _send_due(self) -> None:
        self._send_some(iter(self.registrations.due(self.now(), self.reg_timer_interval)))

    def _send_some(self, due: Iterator[Registration]) -> None:
        if self._stopped or not self.reg_active:
            return
        some = list(islice(due, AT_A_TIME))
        now = self.now()
        for registration in some:
            # It may have changed since.
            if self._is_known(registration) and registration.is_due(now, self.reg_timer_interval):
                self.node.pool.run(self.register, registration)
        if some:
            self.node.call_later(PAUSE, self._send_some, due)

    def _is_known(self, registration: Registration) -> bool:
        return self.registrations.named(registration.account.l_uuid) is registration

    def register(self, registration: Registration, leaving: bool = False) -> None:
        """Send a REGISTER, or with `leaving` one that takes the contact away, where that may wait."""
        attempt = registration.begin(keep_callid=bool(self.reg_keep_callid), leaving=leaving)
        self._transmit(registration, attempt, "")

    def _transmit(self, registration: Registration, attempt: int, credentials: str) -> None:
        account, tm = registration.account, self.node.module("tm")
        tag = f";tag={registration.tag}" if registration.tag else ""
        lines = [
            f"To: <{account.address}>",
            f"From: <{account.address}>{tag}",
            f"CSeq: {registration.cseq} REGISTER",
            *([f"Call-ID: {registration.callid}"] if registration.callid else []),
            f"Contact: <{account.contact}>",
            f"Expires: {0 if registration.leaving else registration.expires}",
        ]
        try:
            t = tm.send_request(
                "REGISTER",
                account.registrar,
                headers="\r\n".join(lines) + "\r\n" + credentials,
                next_hop=account.auth_proxy,
                listener=self._listener(account),
                on_reply=partial(self._on_reply, registration, attempt),
            )
        except (NotSent, ValueError) as error:
            self._failed(registration, attempt, str(error))
            return
        if registration.attempt == attempt:
            registration.callid, registration.tag = text(t.request.callid), text(t.request.from_.tag or b"")

    def _listener(self, account: Account) -> object:
        """The account's listener, else that of `default_socket`, else any. Raises ValueError."""
        if account.socket:
            own = self.node.find_listener(account.socket)
            if own is not None:
                return own
            log.warning("registering %s: there is no listener %r", account.l_uuid, account.socket)
        return self.node.module("tm").listener_named(self.default_socket)

    # ---- what comes of it

    def _on_reply(
        self,
        registration: Registration,
        attempt: int,
        _t: Transaction,
        _branch: Branch,
        status: int,
        reply: Message | None,
    ) -> None:
        if status < 200 or not self._is_known(registration) or registration.attempt != attempt:
            return
        if reply is None:
            self._failed(registration, attempt, f"no answer ({status})")
        elif status in (401, 407):
            if registration.flags & ANSWERING:
                self._failed(registration, attempt, f"the credentials were refused by a {status}")
            elif not self.node.in_worker(self._answer, registration, attempt, reply):
                self._failed(registration, attempt, "too many runs are in flight")
        elif status == 423 and not registration.leaving:
            registration.too_brief(least_expires(reply), self.now())
        elif status >= 300:
            self._failed(registration, attempt, f"{status} {text(reply.reason)}")
        elif registration.leaving:
            registration.left(self.now())
        else:
            self._accepted(registration, attempt, reply)

    def _accepted(self, registration: Registration, attempt: int, reply: Message) -> None:
        account = registration.account
        try:
            seconds = granted(reply, account, registration.expires)
        except ParseError as error:
            self._failed(registration, attempt, f"a {reply.status} that can't be read: {error}")
            return
        if seconds is None:
            log.warning("registering %s: %s is not among the Contacts of the reply", account.l_uuid, account.contact)
            registration.not_listed(self.now())
        else:
            registration.registered(seconds, self.now())

    def _answer(self, registration: Registration, attempt: int, reply: Message) -> None:
        account = registration.account
        try:
            line = authorization(reply, account.login, b"REGISTER", wire(account.registrar))
        except NoAnswer as error:
            self._failed(registration, attempt, f"the challenge can't be answered: {error}")
            return
        self._transmit(registration, registration.answer(), text(line))

    def _failed(self, registration: Registration, attempt: int, why: str) -> None:
        if registration.attempt != attempt:
            return
        what = "unregistering" if registration.leaving else "registering"
        log.error("%s %s: %s", what, registration.account.l_uuid, why)
        if registration.leaving:
            registration.left(self.now())
        else:
            registration.failed(self.now(), self.reg_retry_interval)


def _is_disabled(registration: Registration) -> bool:
    return bool(registration.flags & DISABLED)


__all__ = ["Registering"]
