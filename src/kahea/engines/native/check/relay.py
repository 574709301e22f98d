"""Whether anyone may send requests anywhere: a relay of initial requests before which nothing looks at who asks or
where it goes.

The main route is followed with every route that it calls, each way through a condition for itself. A way is guarded
once it has credentials that were found right, looked at an address or at whether the destination is the server's own,
belongs to a dialog or transaction that is there already, or has had its destination chosen by the script.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.engines.native.reserved import RETURN_CODES
from kahea.engines.native.tree import (
    Assign,
    Binary,
    Break,
    Call,
    Choice,
    Drop,
    Evaluate,
    Exit,
    Expression,
    If,
    Number,
    Program,
    Return,
    Route,
    RouteCall,
    Statement,
    String,
    Switch,
    Unary,
    Variable,
    While,
    Word,
)
from kahea.engines.native.walk import inside, parts, target_name

if TYPE_CHECKING:
    from kahea.engines.native.check.findings import Findings

#: Sends where the request says.
_RELAYS: Final = frozenset({"t_relay", "t_relay_to", "t_forward_nonack", "forward"})
#: Ask who sends: only where they say yes is that known.
_AUTHENTICATES_TEXT: Final = """
    auth_check proxy_authenticate proxy_authorize www_authenticate www_authorize pv_auth_check
    pv_proxy_authenticate pv_proxy_authorize pv_www_authenticate pv_www_authorize radius_proxy_authorize
    radius_www_authorize diameter_proxy_authorize diameter_www_authorize autheph_authenticate autheph_check
    autheph_proxy autheph_www web3_proxy_authenticate web3_www_authenticate auth_xkeys_check ims_proxy_authenticate
    ims_www_authenticate jwt_verify secsipid_check stirshaken_check_identity
"""
_AUTHENTICATES: Final = frozenset(_AUTHENTICATES_TEXT.split())
#: Look at who sends, or where the server knows that to be, whatever the script makes of the answer.
_CHECKS_TEXT: Final = """
    allow_source_address allow_source_address_group allow_address allow_address_group allow_trusted allow_routing
    allow_uri ds_is_from_list is_from_gw from_gw from_any_gw dmq_is_from_node is_in_subnet
    is_from_local is_uri_host_local is_domain_local is_user_in is_myself check_allowlist check_user_allowlist
    is_peer_verified lookup lookup_to_dset registered reg_fetch_contacts lookup_domain
"""
_CHECKS: Final = frozenset(_CHECKS_TEXT.split())
#: Hold only for what belongs to something that was let in before.
_PASSES_TEXT: Final = """
    has_totag loose_route loose_route_preloaded t_check_trans t_lookup_request t_lookup_cancel is_known_dlg dlg_manage
"""
_PASSES: Final = frozenset(_PASSES_TEXT.split())
#: Choose where the request goes.
_CHOOSES_TEXT: Final = """
    rewritehost rewritehostport rewritehostporttrans rewriteuri sethost seth sethostport sethp sethpt sethostporttrans
    seturi setdsturi ds_select_dst ds_select_domain ds_select ds_select_routes ds_next_dst ds_next_domain do_routing
    next_routing load_gws next_gw cr_route prefix_route dp_translate
"""
_CHOOSES: Final = frozenset(_CHOOSES_TEXT.split())
#: Operands that say who asks, or whether the destination is the server's own.
_OPERANDS: Final = frozenset({"myself", "src_ip", "dst_port", "src_port"})
_LOOKED_AT: Final = ("$si", "$sp", "$rd", "$du", "$dd", "$ru", "$Ri", "$Rp", "$tls_peer")
_TARGETS: Final = ("$du", "$ru", "$rd", "$nh(d)", "$br", "$branch(uri)", "$fs")
#: Methods that belong to something that is there already.
_LATER: Final = frozenset({"ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO"})

#: Ways that reach a place: of unguarded ones (False), of guarded ones (True), of both, or none.
Ways = frozenset[bool]
_NONE: Final[Ways] = frozenset()
_GUARDED: Final[Ways] = frozenset({True})


class _Left(NamedTuple):
    """What comes out of a block: at its end, by `break`, by a `return` that is true or false."""

    end: Ways
    broken: Ways = _NONE
    true: Ways = _NONE
    false: Ways = _NONE

    def after(self, earlier: _Left) -> _Left:
        """With what had left before this block began; its end is this one's."""
        return _Left(self.end, earlier.broken | self.broken, earlier.true | self.true, earlier.false | self.false)


def check_relay(program: Program, findings: Findings) -> None:
    """Follow the main route."""
    routes = {r.name: r for r in program.routes() if r.kind == "request"}
    if "" in routes:
        follower = _Follower(routes)
        follower.route("", frozenset({False}))
        for call in follower.found.values():
            message = f"anyone can send requests anywhere by this {call.name}(): before it, nothing asks who they are"
            hint = "ask for credentials, look at src_ip, or let only requests for myself through"
            findings.warn("open-relay", message, call.place, hint)


class _Follower:
    def __init__(self, routes: dict[str, Route]) -> None:
        self.routes = routes
        self.found: dict[int, Call] = {}
        self._known: dict[tuple[str, Ways], tuple[Ways, Ways]] = {}

    def route(self, name: str, ways: Ways) -> tuple[Ways, Ways]:
        """The ways on which a route comes back with yes, and with no; those that end the script don't."""
        route = self.routes.get(name)
        if route is None or not ways:
            return ways, ways
        key = (name, ways)
        if key not in self._known:
            self._known[key] = _NONE, _NONE  # until it is known: a route that calls itself
            left = self.block(route.body, ways)
            either = left.end | left.broken
            self._known[key] = left.true | either, left.false | either
        return self._known[key]

    def block(self, body: Iterable[Statement], ways: Ways) -> _Left:
        """Follow statements one after the other."""
        left = _Left(ways)
        for statement in body:
            if not left.end:
                break
            left = self._statement(statement, left.end).after(left)
        return left

    def _statement(self, statement: Statement, ways: Ways) -> _Left:
        if isinstance(statement, If):
            return self._if(statement, ways)
        if isinstance(statement, While):
            true, false = self.test(statement.condition, ways)
            left = self.block(statement.body, true)
            return left._replace(end=false | left.end | left.broken, broken=_NONE)
        if isinstance(statement, Switch):
            return self._switch(statement, ways)
        if isinstance(statement, Break):
            return _Left(_NONE, ways)
        if isinstance(statement, Return):
            true, false = (ways, ways) if statement.value is None else self.test(statement.value, ways)
            return _Left(_NONE, _NONE, true, false)
        if isinstance(statement, Exit | Drop):
            self._value(statement.value, ways)
            return _Left(_NONE)
        if isinstance(statement, Evaluate):
            return _Left(self._unheeded(statement.value, ways))
        return _Left(self._value(statement, ways))

    def _if(self, statement: If, ways: Ways) -> _Left:
        """With all its `else if`s."""
        left, end = _Left(ways), _NONE
        orelse: tuple[Statement, ...] = (statement,)
        while len(orelse) == 1 and isinstance(orelse[0], If):
            one = orelse[0]
            true, ways = self.test(one.condition, ways)
            left = self.block(one.body, true).after(left)
            end |= left.end
            orelse = one.orelse
        left = self.block(orelse, ways).after(left)
        return left._replace(end=end | left.end)

    def _switch(self, statement: Switch, ways: Ways) -> _Left:
        ways = self._value(statement.subject, ways)
        by_method = isinstance(statement.subject, Variable) and statement.subject.text == "$rm"
        if ways and _looks(statement.subject):
            ways = _GUARDED
        left = _Left(_NONE)
        default = False
        for case in statement.cases:
            default |= case.value is None
            later = by_method and isinstance(case.value, String) and case.value.text in _LATER
            left = self.block(case.body, (_GUARDED if later and ways else ways) | left.end).after(left)
        return left._replace(end=left.end | left.broken | (_NONE if default else ways), broken=_NONE)

    def _unheeded(self, e: Expression, ways: Ways) -> Ways:
        """A call whose answer nothing takes: a check among them guards nothing, unless `$rc` is read."""
        if isinstance(e, Call) and (e.name in _AUTHENTICATES or e.name in _CHECKS):
            return ways
        true, false = self.test(e, ways)
        return true | false

    def _value(self, e: Expression | None, ways: Ways) -> Ways:
        """A value that the script does something with."""
        if e is None:
            return ways
        if ways and isinstance(e, Call) and e.name in _AUTHENTICATES:
            return _GUARDED
        true, false = self.test(e, ways)
        return true | false

    def test(self, e: Expression, ways: Ways) -> tuple[Ways, Ways]:
        """The ways on which an expression is true, and those on which it is false."""
        if isinstance(e, Unary) and e.operator == "!":
            true, false = self.test(e.operand, ways)
            return false, true
        if isinstance(e, Binary) and e.operator in ("&&", "||"):
            return self._logic(e, ways)
        if isinstance(e, Call):
            return self._call(e, ways)
        if isinstance(e, RouteCall):
            return self.route(target_name(e), ways)
        if isinstance(e, Assign):
            ways = self._value(e.value, ways)
            ways = _GUARDED if ways and e.target.text.startswith(_TARGETS) else ways
            return ways, ways
        if isinstance(e, Choice):
            true, false = self.test(e.condition, ways)
            back = self._value(e.then, true) | self._value(e.otherwise, false)
            return back, back
        if isinstance(e, Number):
            return (ways, _NONE) if e.value > 0 else (_NONE, ways)
        for part in _operands(e):
            ways = self._value(part, ways)
        if ways and isinstance(e, Variable) and e.text in RETURN_CODES:
            return _GUARDED, _GUARDED
        if isinstance(e, Binary) and ways:
            if _looks(e):
                return _GUARDED, _GUARDED
            if e.operator == "==" and _of_method(e) <= _LATER:
                return _GUARDED, ways
        return ways, ways

    def _logic(self, e: Binary, ways: Ways) -> tuple[Ways, Ways]:
        operands: list[Expression] = [e.right]
        left = e.left
        while isinstance(left, Binary) and left.operator == e.operator:
            operands.append(left.right)
            left = left.left
        true, false = self.test(left, ways)
        for operand in reversed(operands):
            if e.operator == "&&":
                true, more = self.test(operand, true)
                false |= more
            else:
                more, false = self.test(operand, false)
                true |= more
        return true, false

    def _call(self, e: Call, ways: Ways) -> tuple[Ways, Ways]:
        if not ways:
            return _NONE, _NONE
        if e.name in _RELAYS and False in ways and not e.arguments:
            self.found[id(e)] = e
        if e.name in _CHECKS or e.name in _CHOOSES:
            return _GUARDED, _GUARDED
        if e.name in _AUTHENTICATES or e.name in _PASSES or (e.name == "is_method" and _methods(e) <= _LATER):
            return _GUARDED, ways
        return ways, ways


def _operands(e: Expression) -> list[Expression]:
    """What an expression is made of; of a chain of operators, all that they join."""
    if not isinstance(e, Binary):
        return list(parts(e))
    out = [e.right]
    left = e.left
    while isinstance(left, Binary) and left.operator not in ("&&", "||"):
        out.append(left.right)
        left = left.left
    return [left, *reversed(out)]


def _looks(e: Expression) -> bool:
    """Whether an expression looks at who asks, or at where the request goes."""
    if isinstance(e, Binary) and isinstance(e.left, Word) and e.left.text in ("from_uri", "to_uri"):
        return False  # whoever asks writes these
    for one in inside(e):
        if isinstance(one, Word) and (one.text in _OPERANDS or one.text == "uri"):
            return True
        if isinstance(one, Variable) and one.text.replace("(", "").startswith(_LOOKED_AT):
            return True
    return False


def _of_method(e: Binary) -> set[str]:
    """The method that a comparison asks for; none that exists otherwise."""
    subject = isinstance(e.left, Word | Variable) and e.left.text in ("method", "$rm")
    if subject and isinstance(e.right, String | Word):
        return {e.right.text.upper()}
    return {""}


def _methods(e: Call) -> set[str]:
    argument = e.arguments[0] if e.arguments else None
    return set(argument.text.upper().split("|")) if isinstance(argument, String) else {""}
