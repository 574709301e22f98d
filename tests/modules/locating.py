"""Registering and looking up in Kamailio and in our node: the same steps, and what each answers.

What can't be equal is made so: unique ids count from 1 in the order in which they are seen, and seconds left
are rounded up to five.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from twin import Outcome, Pair

MODULES = ("usrloc", "registrar", "path", "kex")
USRLOC: dict[str, int | str] = {"preload": "location"}

SAVE = 'out.append(KSR.registrar.save("location", {flags}))\n'

#: What lookup() did to the request.
SEEN = """
def pv(name):
    return KSR.pv.get(name)
out += [pv("$ru"), pv("$du"), pv("$bf"), pv("$fs"), pv("$ruid"), pv("$location_ua")]
for i in range(pv("$branch(count)") or 0):
    names = ("uri", "dst_uri", "path", "q", "send_socket", "flags", "ruid", "location_ua", "instance")
    out.append([pv("$(branch(%s)[%d])" % (name, i)) for name in names])
"""


def register(
    aor: str = "bob@example.com",
    cseq: int = 1,
    contact: str | list[str] | None = "<sip:bob@10.1.1.1:5070>",
    *headers: str,
    callid: str = "call",
    via: str = "",
    to: str = "",
) -> str:
    """A REGISTER from the caller."""
    contacts = [contact] if isinstance(contact, str) else contact or []
    lines = [
        "REGISTER sip:example.com SIP/2.0",
        "Via: SIP/2.0/UDP @CALLER;branch=z9hG4bKcaller",
        *([via] if via else []),
        f"From: <sip:{aor}>;tag=ft",
        f"To: {to or f'<sip:{aor}>'}",
        f"Call-ID: {callid}",
        f"CSeq: {cseq} REGISTER",
        *(f"Contact: {each}" for each in contacts),
        *headers,
        "Content-Length: 0",
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


@dataclass
class Ids:
    """The unique ids of one server, by the order in which they were seen."""

    seen: dict[str, str] = field(default_factory=dict)

    def blank(self, text: str) -> str:
        def number(found: re.Match[str]) -> str:
            return self.seen.setdefault(found[0], f"RUID{len(self.seen) + 1}")

        text = re.sub(r"ul(?:oc|cx)-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+", number, text)
        return re.sub(r"(expires=)(\d+)", lambda f: f"{f[1]}{-(-int(f[2]) // 5) * 5}", text)

    def real(self, name: str) -> str:
        """The id behind a RUIDn."""
        return next(real for real, blank in self.seen.items() if blank == name)


class Registrars:
    """A Kamailio and our node with the same contacts in them."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.theirs = Ids()
        self.ours = Ids()
        self._cseq = 0

    def run(self, code: str, message: str, at: str = "@UDP") -> Outcome:
        """Run a step in both, assert that the outcomes are equal, and return it.

        RUIDn in the code is filled in.
        """
        theirs = self.pair.kamailio.run(self._fill(code, self.theirs), self._fill(message, self.theirs), at)
        ours = self.pair.ours.run(self._fill(code, self.ours), self._fill(message, self.ours), at)
        want, got = _blank(theirs, self.theirs), _blank(ours, self.ours)
        assert got == want, f"Kamailio {want.out}:\n{''.join(want.caller)}\nwe {got.out}:\n{''.join(got.caller)}"
        return got

    @staticmethod
    def _fill(code: str, ids: Ids) -> str:
        return re.sub(r"RUID\d+", lambda found: ids.real(found[0]), code)

    def save(
        self,
        contact: str | list[str] | None,
        *headers: str,
        aor: str = "bob@example.com",
        flags: int = 0,
        cseq: int = 0,
        before: str = "",
        after: str = "",
        **more: Any,
    ) -> Outcome:
        """Register; CSeq goes up by itself."""
        self._cseq = cseq or self._cseq + 1
        code = before + "\n" + SAVE.format(flags=flags) + after
        return self.run(code, register(aor, self._cseq, contact, *headers, **more))

    def lookup(self, uri: str, call: str = 'KSR.registrar.lookup("location")', **more: Any) -> Outcome:
        """Look up for a request."""
        from twin import request

        before = more.pop("before", "")
        method = more.pop("method", "INVITE")
        return self.run(f"{before}\nout.append({call})\n{SEEN}", request(method, uri, **more))


def _blank(outcome: Outcome, ids: Ids) -> Outcome:
    caller = [ids.blank(text) for text in outcome.caller]
    return Outcome(_walk(outcome.out, ids), [ids.blank(text) for text in outcome.sink], caller)


def _walk(value: Any, ids: Ids) -> Any:
    if isinstance(value, str):
        return ids.blank(value)
    if isinstance(value, list):
        return [_walk(each, ids) for each in value]
    return value
