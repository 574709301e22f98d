"""The subst functions: `/match/replacement/flags` over the message, its URI, a header or a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.textops.search import FOUND, MISSED, Region, body_of, chosen, whole
from kahea.routing.headers import headers_named
from kahea.routing.literals import header_name, output, substitution
from kahea.routing.module import Module, function, native
from kahea.routing.pv.errors import PvError
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.subst import SubstError, Substitution, parse_subst
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run


class Substitutions(Module):
    """Substitution by sed-like expressions (see `routing/subst.py`)."""

    def _expression(self, name: str, expression: str) -> Substitution | None:
        try:
            return parse_subst(expression, self.node.variables)
        except SubstError as error:
            self.node.log.error("%s: %s", name, error)
            return None

    def _edit(self, run: Run, name: str, region: Region | None, expression: Substitution | None) -> int:
        """Replace matches by edits of the message."""
        if expression is None or region is None:
            return MISSED
        try:
            found = expression.replacements(run, region.text)
        except SubstError as error:
            self.node.log.error("%s: %s", name, error)
            return MISSED
        for one in found:
            start = region.offset(one.start)
            run.msg.replace(start, region.offset(one.end) - start, wire(one.text))
        return FOUND if found else MISSED

    def _apply(self, run: Run, name: str, subject: str, expression: Substitution | None) -> str | None:
        """The text with matches replaced, None if nothing is."""
        if expression is None:
            return None
        try:
            return expression.apply(run, subject)
        except SubstError as error:
            self.node.log.error("%s: %s", name, error)
            return None

    @function
    @native(substitution)
    def subst(self, run: Run, expression: str) -> int:
        """Substitute in headers and body."""
        return self._edit(run, "subst", whole(run), self._expression("subst", expression))

    @function
    @native(substitution)
    def subst_body(self, run: Run, expression: str) -> int:
        """Substitute in the body."""
        return self._edit(run, "subst_body", body_of(run), self._expression("subst_body", expression))

    @function
    @native(header_name, substitution, "text")
    def subst_hf(self, run: Run, name: str, expression: str, flags: str) -> int:
        """Substitute in a header's body; `flags`: `f` the first header of the name, `l` the last, `a` all."""
        compiled = self._expression("subst_hf", expression)
        found = headers_named(run, name)
        if not found or compiled is None:
            return MISSED
        result = MISSED
        for header in chosen(found, flags):
            region = Region(run.msg.raw, header.body_start, header.body_end)
            if self._edit(run, "subst_hf", region, compiled) == FOUND:
                result = FOUND
        return result

    @function
    @native(substitution, routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def subst_uri(self, run: Run, expression: str) -> int:
        """Substitute in the Request-URI, at once."""
        compiled = self._expression("subst_uri", expression)
        if not run.msg.is_request:
            return MISSED
        changed = self._apply(run, "subst_uri", text(run.msg.uri), compiled)
        if changed is None:
            return MISSED
        run.msg.set_uri(wire(changed))
        return FOUND

    @function
    @native(substitution, routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def subst_user(self, run: Run, expression: str) -> int:
        """Substitute in the user part of the Request-URI, at once."""
        compiled = self._expression("subst_user", expression)
        if not run.msg.is_request:
            return MISSED
        try:
            uri = parse_uri(run.msg.uri)
        except ParseError as error:
            self.node.log.error("subst_user: %s", error)
            return MISSED
        changed = self._apply(run, "subst_user", text(uri.user), compiled)
        if changed is None:
            return MISSED
        run.msg.set_uri(uri.replaced(user=wire(changed)))
        return FOUND

    @function
    @native("str", substitution, output)
    def subst_v(self, run: Run, subject: str, expression: str, output: str) -> int:
        """Substitute in a text, and put the outcome into a variable; it is left alone if nothing matches."""
        changed = self._apply(run, "subst_v", subject, self._expression("subst_v", expression))
        if changed is None:
            return MISSED
        try:
            return FOUND if self.node.variables.compile(output).set(run, changed) else MISSED
        except PvError as error:
            self.node.log.error("subst_v: %s", error)
            return MISSED
