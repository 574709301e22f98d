"""What scripts and management do with registrations: look-ups, status, enabling, `uac.reg_...`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kahea.connectors.errors import DatabaseError
from kahea.modules.uac.account import COLUMNS, NUMBERS, read_account
from kahea.modules.uac.authentication import Authentication
from kahea.modules.uac.registering import Registering
from kahea.modules.uac.registration import ATTRIBUTES, Registration
from kahea.routing.module import Param, RpcError, function, native, rpc
from kahea.routing.pv.errors import PvError
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE, can_wait, wait
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from kahea.modules.uac.store import Store
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

NOT_FOUND = -1
BAD_URI = -2

# What enabling and disabling return.
NO_SUCH_RECORD = -2
NO_SUCH_ATTRIBUTE = -3

# Bits of the mode of uac_reg_request_to().
_BY_USERNAME = 1
_GIVE_HA1 = 2

#: Stands for nothing in `uac.reg_add`.
_NOTHING = "."
_MAY_BE_NOTHING = frozenset({"auth_password", "auth_ha1", "contact_addr", "socket"})


class Accounts(Registering, Authentication):
    """The functions and commands on registrations."""

    reg_use_domain = Param(0, "1 compares domains, too, where local users are looked up.")

    #: When the accounts were last reloaded, on the node's clock.
    _reloaded: float | None = None

    # ---- scripts

    @function
    def uac_reg_lookup(self, run: Run, uuid: str, dst: str) -> int:
        """Set the variable that `dst` names to the URI of the local user with this `l_uuid`; -1 if there is none."""
        return self._lookup(run, uuid, self._variable(dst))

    @native("str", "pv", name="uac_reg_lookup")
    def uac_reg_lookup_native(self, run: Run, uuid: str, dst: Pv) -> int:
        """As `uac_reg_lookup`."""
        return self._lookup(run, uuid, dst)

    def _lookup(self, run: Run, uuid: str, dst: Pv | None) -> int:
        found = self.registrations.named(uuid)
        if found is None or dst is None:
            return NOT_FOUND
        return 1 if dst.set(run, found.account.local) else NOT_FOUND

    @function
    def uac_reg_lookup_uri(self, run: Run, uri: str, dst: str) -> int:
        """Set the variable that `dst` names to the `l_uuid` of the local user of this URI.

        -1 if there is none, -2 for no URI.
        """
        return self._lookup_uri(run, uri, self._variable(dst))

    @native("str", "pv", name="uac_reg_lookup_uri")
    def uac_reg_lookup_uri_native(self, run: Run, uri: str, dst: Pv) -> int:
        """As `uac_reg_lookup_uri`."""
        return self._lookup_uri(run, uri, dst)

    def _lookup_uri(self, run: Run, uri: str, dst: Pv | None) -> int:
        parsed = self._parsed(uri)
        if parsed is None:
            return BAD_URI
        found = self._local(parsed)
        if found is None or dst is None:
            return NOT_FOUND
        return 1 if dst.set(run, found.account.l_uuid) else NOT_FOUND

    @native("str")
    @function
    def uac_reg_status(self, run: Run, uuid: str) -> int:
        """1: registered; -2: being registered; -3: disabled; -99: waiting for the next try; -1: no such `l_uuid`."""
        del run
        found = self.registrations.named(uuid)
        return NOT_FOUND if found is None else int(found.status(self.now()))

    @native("str", "int", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    @function
    def uac_reg_request_to(self, run: Run, user: str, mode: int) -> int:
        """Aim the request at the remote side of an account: Request-URI, destination, and the login for `uac_auth()`
        in the variables of `auth_realm_avp` and its kin, where these are set. -1 if there is no such account, -2 for no
        URI where it takes one.

        `mode` is a sum: 1, `user` is the local user name (with `reg_use_domain` a URI) rather than the `l_uuid`; 2, the
        password given is HA1.
        """
        if not mode & _BY_USERNAME:
            found = self.registrations.named(user)
        elif self.reg_use_domain:
            parsed = self._parsed(user)
            if parsed is None:
                return BAD_URI
            found = self._local(parsed)
        else:
            found = self.registrations.local(user, None)
        if found is None:
            return NOT_FOUND
        account = found.account
        run.msg.set_uri(wire(account.address))
        run.msg.dst_uri = wire(account.auth_proxy)
        if self.login_variables is None:
            return 1
        secret = account.auth_ha1 if mode & _GIVE_HA1 else account.auth_password
        values = (account.realm, account.auth_username, secret)
        set_all = all(variable.set(run, value) for variable, value in zip(self.login_variables, values, strict=True))
        return 1 if set_all else NOT_FOUND

    @native("str", "str")
    @function
    def uac_reg_enable(self, run: Run, attr: str, val: str) -> int:
        """Enable the registration whose `attr` (l_uuid, l_username, r_username, auth_username) is `val`: it is sent at
        the next look. -2 if there is none, -3 for no such attribute."""
        del run
        found = self._filtered(attr, val)
        if isinstance(found, int):
            return found
        found.enable(self.now())
        return 1

    @native("str", "str")
    @function
    def uac_reg_disable(self, run: Run, attr: str, val: str) -> int:
        """Disable a registration, as `uac_reg_enable` finds it: no REGISTER is sent any more."""
        del run
        found = self._filtered(attr, val)
        if isinstance(found, int):
            return found
        found.disable(self.now())
        return 1

    @native("str")
    @function
    def uac_reg_refresh(self, run: Run, l_uuid: str) -> int:
        """Read the account with this `l_uuid` from the database, and begin anew with it; -1 if it is not there."""
        del run
        if self.store is None or not can_wait():
            self.node.log.error("uac_reg_refresh: %s", "this route can't wait" if self.store else "no reg_db_url")
            return NOT_FOUND
        try:
            return 1 if self._refresh(self.store, l_uuid) else NOT_FOUND
        except DatabaseError as error:
            self.node.log.error("uac_reg_refresh: %s", error)
            return NOT_FOUND

    def _variable(self, name: str) -> Pv | None:
        try:
            return self.node.variables.compile(name)
        except PvError as error:
            self.node.log.error("uac: %s", error)
            return None

    def _parsed(self, uri: str) -> Uri | None:
        try:
            return parse_uri(wire(uri))
        except ParseError as error:
            self.node.log.error("uac: %r is no URI: %s", uri, error)
            return None

    def _local(self, uri: Uri) -> Registration | None:
        domain = text(uri.host) if self.reg_use_domain else None
        return self.registrations.local(text(uri.user), domain)

    def _filtered(self, attribute: str, value: str) -> Registration | int:
        """The registration, or why there is none, as scripts see it."""
        if attribute not in ATTRIBUTES:
            self.node.log.error("uac: registrations have no attribute %r", attribute)
            return NO_SUCH_ATTRIBUTE
        return self.registrations.filtered(attribute, value) or NO_SUCH_RECORD

    def _refresh(self, store: Store, uuid: str) -> bool:
        account = wait(store.fetch(uuid))
        if account is None:
            return False
        self.registrations.add(account, self.now())
        return True

    # ---- management

    @rpc("uac.reg_dump")
    def reg_dump(self) -> list[dict[str, Any]]:
        """Every registration with another server."""
        self._need_store()
        return [self._described(each) for each in self.registrations]

    @rpc("uac.reg_info")
    def reg_info(self, attribute: str | None = None, value: str | None = None) -> dict[str, Any]:
        """The registration whose `attribute` (l_uuid, l_username, r_username, auth_username) has a value.

        `flags` is a sum: 1 disabled, 2 under way, 4 in force, 8 answering a challenge, 16 sent since it was loaded.
        """
        return self._described(self._found(attribute, value))

    @rpc("uac.reg_enable")
    def reg_enable(self, attribute: str | None = None, value: str | None = None) -> None:
        """Enable a registration: a REGISTER is sent at the next look."""
        self._found(attribute, value).enable(self.now())

    @rpc("uac.reg_disable")
    def reg_disable(self, attribute: str | None = None, value: str | None = None) -> None:
        """Disable a registration: no REGISTER is sent any more, and what there is ends by itself."""
        self._found(attribute, value).disable(self.now())

    @rpc("uac.reg_unregister")
    def reg_unregister(self, attribute: str | None = None, value: str | None = None) -> None:
        """Take a contact away at its registrar at once, and disable the registration."""
        self.register(self._found(attribute, value), leaving=True)

    @rpc("uac.reg_reload")
    def reg_reload(self) -> None:
        """Begin anew with all accounts of the database; not within `reg_gc_interval` seconds of the last time."""
        self._need_waiting()
        now = self.node.now()
        if self._reloaded is not None and now < self._reloaded + self.reg_gc_interval:
            self.node.log.error("uac.reg_reload: the last one is less than %d seconds ago", self.reg_gc_interval)
            raise RpcError(500, "Failed to shift records - check log messages")
        before, self._reloaded = self._reloaded, now
        try:
            self.load()
        except DatabaseError as error:
            self._reloaded = before
            self.node.log.error("uac.reg_reload: %s", error)
            raise RpcError(500, "Failed to reload records - check log messages") from error

    @rpc("uac.reg_refresh")
    def reg_refresh(self, l_uuid: str | None = None) -> None:
        """Begin anew with one account as the database has it."""
        store = self._need_waiting()
        if l_uuid is None:
            raise RpcError(400, "Invalid Parameters")
        try:
            known = self._refresh(store, l_uuid)
        except DatabaseError as error:
            self.node.log.error("uac.reg_refresh: %s", error)
            raise RpcError(500, "Failed to refresh record - check log messages") from error
        if not known:
            raise RpcError(404, "Record not found")

    @rpc("uac.reg_active")
    def reg_active_set(self, mode: int | None = None) -> dict[str, int]:
        """1 sends REGISTERs, 0 stops all; the mode before and the one now."""
        self._need_store()
        if mode is None:
            raise RpcError(500, "Missing parameter")
        before, self.reg_active = self.reg_active, mode
        return {"omode": before, "nmode": mode}

    @rpc("uac.reg_add")
    def reg_add(self, *columns: str) -> None:
        """Add a registration, by the columns of its account: l_uuid, l_username, l_domain, r_username, r_domain, realm,
        auth_username, auth_password, auth_ha1, auth_proxy, expires, flags, reg_delay, socket, contact_addr.

        A dot stands for no auth_password, auth_ha1, socket or contact_addr.
        """
        self._need_store()
        names = [*(name for name in COLUMNS if name not in ("contact_addr", "socket")), "socket", "contact_addr"]
        if len(columns) < len(names) or "" in columns:
            raise RpcError(400, "Invalid Parameters")
        row = dict(zip(names, columns, strict=False))
        if not all(row[name].isdecimal() for name in NUMBERS):
            raise RpcError(400, "Invalid Parameters")
        for name in _MAY_BE_NOTHING:
            row[name] = "" if row[name] == _NOTHING else row[name]
        if self.registrations.named(row["l_uuid"]) is not None:
            raise RpcError(409, "uuid already exists")
        try:
            account = read_account(row, self.reg_contact_addr)
        except ValueError as error:
            raise RpcError(500, f"Failed to add record - {error}") from error
        self.registrations.add(account, self.now())

    @rpc("uac.reg_remove")
    def reg_remove(self, l_uuid: str | None = None) -> None:
        """Forget a registration; at the registrar it ends by itself."""
        self._need_store()
        if l_uuid is None:
            raise RpcError(400, "Invalid Parameters")
        if not self.registrations.remove(l_uuid):
            raise RpcError(404, "Record not found")

    def _need_store(self) -> Store:
        if self.store is None:
            raise RpcError(500, "uac.reg_db_url is not set")
        return self.store

    def _need_waiting(self) -> Store:
        if not can_wait():
            raise RpcError(500, "can't wait for a database here")
        return self._need_store()

    def _found(self, attribute: str | None, value: str | None) -> Registration:
        self._need_store()
        if not attribute or not value:
            raise RpcError(400, "Invalid Parameters")
        found = self._filtered(attribute, value)
        if found == NO_SUCH_ATTRIBUTE:
            raise RpcError(400, "Unsupported filter attribute")
        if isinstance(found, int):
            raise RpcError(404, "Record not found")
        return found

    def _described(self, registration: Registration) -> dict[str, Any]:
        """As Kamailio shows it, secrets and all."""
        account = registration.account
        return {
            "l_uuid": account.l_uuid,
            "l_username": account.l_username,
            "l_domain": account.l_domain,
            "r_username": account.r_username,
            "r_domain": account.r_domain,
            "realm": account.realm or None,
            "auth_username": account.auth_username,
            "auth_password": account.auth_password or "none",
            "auth_ha1": account.auth_ha1 or "none",
            "auth_proxy": account.auth_proxy,
            "expires": registration.expires,
            "flags": registration.flags,
            "diff_expires": registration.timer_expires - self.now(),
            "timer_expires": registration.timer_expires,
            "reg_init": registration.reg_init,
            "reg_delay": registration.reg_delay,
            "contact_addr": account.contact_addr,
            "socket": account.socket or None,
        }


__all__ = ["Accounts"]
