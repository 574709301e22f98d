"""`uac_auth()`: the credentials for a request whose branch was challenged, before it is sent again.

Whose credentials they are, the variables of `auth_realm_avp` and its kin say, or else the parameter `credential`.
CSeq stays as it is, as in Kamailio: of a request of somebody else's it is not ours to count on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.modules.uac.answering import Login, NoAnswer, authorization
from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.pv.errors import PvError
from kahea.routing.run import BRANCH_FAILURE_ROUTE, EVENT_ROUTE, FAILURE_ROUTE
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.module import Value
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

#: The mode of `uac_auth()` in which passwords are HA1s.
HA1_MODE: Final = 1
_ROUTES: Final = FAILURE_ROUTE | BRANCH_FAILURE_ROUTE | EVENT_ROUTE


class Credential(NamedTuple):
    """A login of the parameter `credential`."""

    user: str
    realm: str
    password: str


def parse_credential(value: str) -> Credential:
    """Read `user:realm:password`. Raises ValueError."""
    parts = [part.strip() for part in value.split(":", 2)]
    if len(parts) != 3 or not all(parts):
        raise ValueError("expected user:realm:password")
    if any(c in value for c in "\r\n\0"):
        raise ValueError("a line end in a credential")
    return Credential(*parts)


class LoginVariables(NamedTuple):
    """The variables that a script leaves a login in."""

    realm: Pv
    user: Pv
    password: Pv


class Authentication(Module):
    """The functions that answer challenges to a branch."""

    credential: Param[list[Credential]] = Param(
        [], "A login, as user:realm:password; of several for one realm the last counts.", many=True,
        check=parse_credential,
    )  # fmt: skip
    auth_realm_avp = Param("", "A variable for the realm of the script's own login; empty for whichever asks.")
    auth_username_avp = Param("", "A variable for its user.")
    auth_password_avp = Param("", "A variable for its password.")

    #: The variables of the script's own login, if it has any.
    login_variables: LoginVariables | None

    def start_authentication(self) -> None:
        """Check the parameters. Raises ConfigError."""
        names = ("auth_realm_avp", "auth_username_avp", "auth_password_avp")
        given = [getattr(self, name) for name in names]
        self.login_variables = None
        if not any(given):
            return
        if not all(given):
            raise ConfigError(f"parameters {', '.join(f'uac.{name}' for name in names)}: all three or none")
        variables = []
        for name, value in zip(names, given, strict=True):
            try:
                variables.append(self.node.variables.compile(value))
            except PvError as error:
                raise ConfigError(f"parameter uac.{name}: {error}") from error
        self.login_variables = LoginVariables(*variables)

    @native("int", name="uac_auth", least=0, routes=_ROUTES)
    def uac_auth_native(self, run: Run, mode: int = 0) -> int:
        """As `uac_auth_mode`, the mode optional."""
        return self._authenticate(run, mode == HA1_MODE)

    @function
    def uac_auth(self, run: Run) -> int:
        """Add the credentials that the failed branch's 401 or 407 asks for; -1 if there are none that fit.

        The Request-URI becomes that branch's again; `t_relay()` then sends the request with them.
        """
        return self._authenticate(run, False)

    @native("int", routes=_ROUTES)
    @function
    def uac_auth_mode(self, run: Run, mode: int) -> int:
        """As `uac_auth`; with `mode` 1 passwords are given as HA1."""
        return self._authenticate(run, mode == HA1_MODE)

    def _authenticate(self, run: Run, is_ha1: bool) -> int:
        branch, reply, msg = run.branch, run.reply, run.msg
        if branch is None or not msg.is_request:
            self.node.log.error("uac_auth: there is no failed branch here")
            return -1
        if reply is None:
            self.node.log.error("uac_auth: the branch failed without a reply")
            return -1
        uri = branch.uri or msg.uri
        try:
            line = authorization(reply, partial(self._find, run, is_ha1), msg.method, uri)
        except NoAnswer as error:
            self.node.log.info("uac_auth: %s", error)
            return -1
        msg.set_uri(uri)
        msg.append_header(line)
        return 1

    def _find(self, run: Run, is_ha1: bool, realm: bytes) -> Login | None:
        """The script's own login if it is for the realm, else one of `credential`."""
        asked = text(realm)
        if self.login_variables is not None:
            own, user, password = (_text(variable.get(run)) for variable in self.login_variables)
            if own in ("", asked) and user and password:
                return Login(wire(user), wire(password), is_ha1)
        for each in reversed(self.credential):
            if each.realm == asked:
                return Login(wire(each.user), wire(each.password), is_ha1)
        return None


def _text(value: Value) -> str:
    return "" if value is None else str(value)


__all__ = ["Authentication", "Credential", "LoginVariables", "parse_credential"]
