"""Whether anyone may send requests anywhere: a relay of initial requests before which nothing looks at who asks or
where it goes.

The main route is followed with every route that it calls, each way through a condition for itself. A way is guarded
once it has asked for credentials, looked at an address or at whether the destination is the server's own, belongs to a
dialog or transaction that is there already, or has had its destination chosen by the script.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

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
#: Look at who sends, or where the server knows that to be, whatever comes of it.
_CHECKS_TEXT: Final = """
    auth_check auth_challenge proxy_authenticate proxy_authorize www_authenticate www_authorize pv_auth_check
    pv_proxy_authenticate pv_proxy_authorize pv_www_authenticate pv_www_authorize radius_proxy_authorize
    radius_www_authorize diameter_proxy_authorize diameter_www_authorize autheph_authenticate autheph_check
    autheph_proxy autheph_www web3_proxy_authenticate web3_www_authenticate auth_xkeys_check ims_proxy_authenticate
    ims_www_authenticate jwt_verify secsipid_check stirshaken_check_identity
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
    seturi ds_select_dst ds_select_domain ds_select ds_select_routes ds_next_dst ds_next_domain do_routing next_routing
    load_gws next_gw cr_route prefix_route dp_translate
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
    """What comes out of a block: at its end, by `break`, by `return`."""

    end: Ways
    broken: Ways = _NONE
    returned: Ways = _NONE


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
        self._known: dict[tuple[str, Ways], Ways] = {}

    def route(self, name: str, ways: Ways) -> Ways:
        """The ways that come back from a route; those that end the script don't."""
        route = self.routes.get(name)
        if route is None or not ways:
            return ways
        key = (name, ways)
        if key not in self._known:
            self._known[key] = _NONE  # until it is known: a route that calls itself
            left = self.block(route.body, ways)
            self._known[key] = left.end | left.returned | left.broken
        return self._known[key]

    def block(self, body: Iterable[Statement], ways: Ways) -> _Left:
        """Follow statements one after the other."""
        broken = returned = _NONE
        for statement in body:
            if not ways:
                break
            left = self._statement(statement, ways)
            ways = left.end
            broken |= left.broken
            returned |= left.returned
        return _Left(ways, broken, returned)

    def _statement(self, statement: Statement, ways: Ways) -> _Left:
        if isinstance(statement, If):
            return self._if(statement, ways)
        if isinstance(statement, While):
            true, false = self.test(statement.condition, ways)
            left = self.block(statement.body, true)
            return _Left(false | left.end | left.broken, _NONE, left.returned)
        if isinstance(statement, Switch):
            return self._switch(statement, ways)
        if isinstance(statement, Break):
            return _Left(_NONE, ways)
        if isinstance(statement, Return):
            return _Left(_NONE, _NONE, self._value(statement.value, ways))
        if isinstance(statement, Exit | Drop):
            self._value(statement.value, ways)
            return _Left(_NONE)
        value = statement.value if isinstance(statement, Evaluate) else statement
        return _Left(self._value(value, ways))

    def _if(self, statement: If, ways: Ways) -> _Left:
        """With all its `else if`s."""
        end = broken = returned = _NONE
        orelse: tuple[Statement, ...] = (statement,)
        while len(orelse) == 1 and isinstance(orelse[0], If):
            one = orelse[0]
            true, ways = self.test(one.condition, ways)
            left = self.block(one.body, true)
            end, broken, returned = end | left.end, broken | left.broken, returned | left.returned
            orelse = one.orelse
        left = self.block(orelse, ways)
        return _Left(end | left.end, broken | left.broken, returned | left.returned)

    def _switch(self, statement: Switch, ways: Ways) -> _Left:
        ways = self._value(statement.subject, ways)
        by_method = isinstance(statement.subject, Variable) and statement.subject.text == "$rm"
        if ways and _looks(statement.subject):
            ways = _GUARDED
        through = broken = returned = _NONE
        default = False
        for case in statement.cases:
            default |= case.value is None
            later = by_method and isinstance(case.value, String) and case.value.text in _LATER
            left = self.block(case.body, (_GUARDED if later and ways else ways) | through)
            through, broken, returned = left.end, broken | left.broken, returned | left.returned
        end = through | broken | (_NONE if default else ways)
        return _Left(end, _NONE, returned)

    def _value(self, e: Expression | None, ways: Ways) -> Ways:
        if e is None:
            return ways
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
            back = self.route(target_name(e), ways)
            return back, back
        if isinstance(e, Assign):
            ways = self._value(e.value, ways)
            ways = _GUARDED if ways and e.target.text.startswith(_TARGETS) else ways
            return ways, ways
        if isinstance(e, Choice):
            true, false = self.test(e.condition, ways)
            back = self._value(e.then, true) | self._value(e.otherwise, false)
            return back, back
        for part in _operands(e):
            ways = self._value(part, ways)
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
        if e.name in _PASSES or (e.name == "is_method" and _methods(e) <= _LATER):
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
