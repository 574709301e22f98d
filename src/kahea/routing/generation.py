"""A generation: one compiled set of routes. A reload makes the next one and swaps a single reference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from kahea.routing.dispatch import Routes
from kahea.sip.message import Message, parse

if TYPE_CHECKING:
    from kahea.routing.libraries import Library
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

#: A route: called with its run; its value is the return code, if the language has one.
Route = Callable[["Run"], object]

_numbers = count(1)


class Generation(Routes):
    """The routes of a script: the fixed ones as attributes, the named ones by `find`."""

    def __init__(
        self,
        find: Callable[[str], Route | None],
        *,
        request: Route | None = None,
        reply: Route | None = None,
        onsend: Route | None = None,
        pre_routing: Route | None = None,
        received: Route | None = None,
        events: Callable[[str], Route | None] = lambda _name: None,
        of_kind: Callable[[str, str], Route | None] | None = None,
        source: bytes = b"",
        files: Callable[[], Sequence[Path]] = tuple,
        variables: Sequence[Pv] = (),
        close: Callable[[], object] | None = None,
        language: str = "",
        libraries: Mapping[str, Library] | None = None,
    ) -> None:
        """`of_kind(kind, name)` is for a language whose routes of each kind have names of their own. `language` is the
        routes', `libraries` are functions called by name, by their language: this one, where it has them, and others.

        `files()` are what it was read from so far: routes may load more. `close` is called when it is no longer
        kept, while runs may still be in it.
        """
        self.number = next(_numbers)
        self.hash = hashlib.sha256(source).hexdigest()[:12]
        self.request = request
        self.reply = reply
        self.onsend = onsend
        self.pre_routing = pre_routing
        self.received = received
        self._find = find
        self._events = events
        self._of_kind = of_kind
        #: By language; those of the routes under "".
        self._files = {"": files}
        #: The variables that the script uses, as far as its language can tell.
        self.variables = tuple(variables)
        self._close = close
        self.language = language
        self.libraries = dict(libraries or {})
        self._named: dict[str, Route | None] = {}

    @classmethod
    def empty(cls) -> Generation:
        """No routes at all: what a node has before its script."""
        return cls(lambda _name: None)

    def add(self, language: str, library: Library) -> None:
        """Give it the library of a language, before it is used."""
        self.libraries[language] = library
        self.hash = hashlib.sha256(f"{self.hash} {language}".encode() + library.source).hexdigest()[:12]
        self._files[language] = lambda: library.files

    def with_library(self, language: str, library: Library) -> Generation:
        """A new generation with these routes, and another library of a language."""
        made = Generation(
            self._find,
            request=self.request,
            reply=self.reply,
            onsend=self.onsend,
            pre_routing=self.pre_routing,
            received=self.received,
            events=self._events,
            of_kind=self._of_kind,
            variables=self.variables,
            language=self.language,
            libraries=self.libraries,
        )
        made.hash = self.hash
        made._files = dict(self._files)
        made.add(language, library)
        return made

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it was read from so far."""
        return tuple(dict.fromkeys(path for files in self._files.values() for path in files()))

    def close(self) -> None:
        """It is not kept any more; runs and transactions that began with it go on."""
        if self._close is not None:
            self._close()

    def find(self, name: str, kind: str = "request") -> Route | None:
        """A route by name, or None. `kind` is `request`, `failure`, `branch` or `reply`."""
        if self._of_kind is not None:
            return self._of_kind(kind, name)
        try:
            return self._named[name]
        except KeyError:
            found = self._find(name)
            if len(self._named) < 10_000:
                self._named[name] = found
            return found

    def event(self, name: str) -> Route | None:
        """The route of an event such as `tm:local-request`, or None."""
        return self._events(name)


_EVENT_MESSAGE = (
    b"OPTIONS sip:you@kahea.invalid SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKevent\r\n"
    b"From: <sip:you@kahea.invalid>;tag=event\r\n"
    b"To: <sip:you@kahea.invalid>\r\n"
    b"Call-ID: event-%d@127.0.0.1\r\n"
    b"CSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_events = count(1)


def event_message() -> Message:
    """The made-up request that event routes get which concern no message."""
    msg = parse(_EVENT_MESSAGE % next(_events))
    msg.src_ip = msg.dst_ip = b"127.0.0.1"
    msg.src_port = msg.dst_port = 5060
    msg.proto = 1
    msg.faked = True
    return msg
