"""The message as a whole: apply the edits so far, replace it, change its status, keep or drop parts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.module import Module, function, native
from kahea.routing.regex import RegexError, compile_posix, compile_shell
from kahea.routing.run import CORE_ONREPLY_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import (
    H_CALLID,
    H_CONTACT,
    H_CONTENTLENGTH,
    H_CONTENTTYPE,
    H_CSEQ,
    H_FROM,
    H_MAXFORWARDS,
    H_RECORDROUTE,
    H_ROUTE,
    H_TO,
    H_VIA,
)

if TYPE_CHECKING:
    from kahea.routing.linear import Pattern
    from kahea.routing.run import Run

#: The headers that `keep_hf` never removes.
_ALWAYS_KEPT = frozenset(
    {
        H_VIA, H_FROM, H_TO, H_CALLID, H_CSEQ, H_CONTENTLENGTH, H_CONTENTTYPE, H_MAXFORWARDS, H_CONTACT,
        H_ROUTE, H_RECORDROUTE,
    }
)  # fmt: skip

_LOWEST, _HIGHEST = 100, 699
_FIRST_NEGATIVE = 300
_STATUS_AT = len("SIP/2.0 ")


class Whole(Module):
    """Functions of the whole message."""

    @native(name="msg_apply_changes", routes=REQUEST_ROUTE | REPLY_ROUTES)
    def apply_or_end(self, run: Run) -> int:
        """As `msg_apply_changes`, but 0, which ends the script, where the edits made no message."""
        return self._use(run, "msg_apply_changes", run.msg.rebuild(), broken=0)

    @native("str", name="msg_set_buffer", routes=REQUEST_ROUTE | REPLY_ROUTES)
    def set_or_end(self, run: Run, data: str) -> int:
        """As `msg_set_buffer`, but 0, which ends the script, where the text is no message."""
        return self._use(run, "msg_set_buffer", wire(data), broken=0)

    @function
    def msg_apply_changes(self, run: Run) -> int:
        """Make the edits so far part of the message, as if it had been received so.

        In the request route before there is a transaction, and in the node's reply route; -1 elsewhere, and
        where the edits made a message that can't be parsed.
        """
        return self._use(run, "msg_apply_changes", run.msg.rebuild())

    @function
    def msg_set_buffer(self, run: Run, data: str) -> int:
        """Replace the message by another of the same kind; where, as for `msg_apply_changes`."""
        return self._use(run, "msg_set_buffer", wire(data))

    def _use(self, run: Run, name: str, data: bytes, broken: int = -1) -> int:
        if run.kind not in (REQUEST_ROUTE, CORE_ONREPLY_ROUTE):
            self.node.log.error("%s: not in %s", name, run.where())
            return -1
        if run.kind == REQUEST_ROUTE and run.transaction is not None:
            self.node.log.error("%s: there is a transaction already", name)
            return -1
        try:
            msg = run.msg.clone(data)
            msg.check()
        except ParseError as error:
            self.node.log.error("%s: %s", name, error)
            return broken
        if msg.is_request != run.msg.is_request:
            self.node.log.error("%s: a request can't become a reply, nor a reply a request", name)
            return -1
        run.msg = msg
        return 1

    @function
    @native("int", "str", routes=REPLY_ROUTES)
    def change_reply_status(self, run: Run, code: int, reason: str) -> int:
        """Change the status and reason phrase of a received reply, for it to be sent on.

        -1 for a request, for a status beyond 100..699, and where a 1xx or 2xx would leave its class or
        another status would enter it.
        """
        if not reason:
            self.node.log.error("change_reply_status: needs a reason phrase")
            return -1
        result = self._change_status(run, "change_reply_status", code)
        if result > 0:
            msg = run.msg
            start = msg.raw.find(b" ", _STATUS_AT) + 1
            msg.replace(start, len(msg.reason), wire(reason))
        return result

    @function
    @native("int", routes=REPLY_ROUTES)
    def change_reply_status_code(self, run: Run, code: int) -> int:
        """Change the status of a received reply, as `change_reply_status`; the reason phrase stays."""
        return self._change_status(run, "change_reply_status_code", code)

    def _change_status(self, run: Run, name: str, code: int) -> int:
        msg = run.msg
        if msg.is_request:
            self.node.log.error("%s: not a reply", name)
            return -1
        if not _LOWEST <= code <= _HIGHEST:
            self.node.log.error("%s: there is no status %d", name, code)
            return -1
        if min(code, msg.status) < _FIRST_NEGATIVE and code // 100 != msg.status // 100:
            self.node.log.error("%s: a reply %d can't become a %d", name, msg.status, code)
            return -1
        msg.status = code
        return 1

    @function
    @native()
    def remove_body(self, run: Run) -> int:
        """Remove the body; Content-Type stays."""
        msg = run.msg
        if msg.body_end > msg.body_start:
            msg.delete(msg.body_start, msg.body_end - msg.body_start)
        return 1

    @function
    @native()
    def keep_hf(self, run: Run) -> int:
        """Remove all headers but those that a message can't do without; -1 nevertheless, as in Kamailio."""
        return self._keep(run, None)

    @function
    @native("regex", name="keep_hf")
    def keep_hf_re(self, run: Run, pattern: str) -> int:
        """As `keep_hf`, and keep those whose names the expression matches."""
        if not pattern:
            return self._keep(run, None)
        try:
            return self._keep(run, compile_posix(pattern, ignore_case=True))
        except RegexError as error:
            self.node.log.error("keep_hf_re: bad regular expression %r: %s", pattern, error)
            return -1

    def _keep(self, run: Run, regex: Pattern | None) -> int:
        for header in run.msg.headers():
            if header.kind not in _ALWAYS_KEPT and (regex is None or not regex.search(text(header.name))):
                run.msg.remove_header(header)
        return -1

    @function
    def fnmatch(self, run: Run, value: str, pattern: str) -> int:
        """Match a text with a shell pattern: 0 if it matches, else -1.

        0 counts as false in the native language, and so in Python; it is what KEMI's function returns.
        """
        return self._fnmatch(value, pattern, "")

    @function
    def fnmatch_ex(self, run: Run, value: str, pattern: str, flags: str) -> int:
        """As `fnmatch`, in any case where `flags` has an `i`."""
        return self._fnmatch(value, pattern, flags)

    @native("str", "str", "str", name="fnmatch", least=2)
    def matches(self, run: Run, value: str, pattern: str, flags: str = "") -> int:
        """Whether a text matches a shell pattern, in any case where `flags` has an `i`.

        Kamailio 5.6 minds case even then, whatever its page says.
        """
        return 1 if self._fnmatch(value, pattern, flags) == 0 else -1

    def _fnmatch(self, value: str, pattern: str, flags: str) -> int:
        try:
            regex = compile_shell(pattern, ignore_case="i" in flags.lower())
        except RegexError as error:
            self.node.log.error("fnmatch: bad pattern %r: %s", pattern, error)
            return -1
        return 0 if regex.fullmatch(value) else -1
