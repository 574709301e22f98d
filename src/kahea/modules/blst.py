"""The blocklist of destinations for scripts (Kamailio's module blst)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kahea.net.address import Address
from kahea.net.blocklist import ORDERED
from kahea.routing.blocking import IGNORED, REPLIES_IGNORED, ignored, retry_after
from kahea.routing.module import Module, function, native

if TYPE_CHECKING:
    from kahea.routing.run import Run

#: Every event.
_ALL: Final = 0xFF


class Blst(Module):
    """The blocklist of destinations: who is left alone for a while, and what counts for that."""

    name = "blst"

    def _is_on(self) -> bool:
        if not self.node.blocking.is_on:
            self.node.log.warning("blst: there is no blocklist: see use_dst_blocklist")
        return self.node.blocking.is_on

    @staticmethod
    def _source(run: Run) -> tuple[int, Address]:
        return run.msg.proto, Address.of(run.msg.src_ip, run.msg.src_port)

    def _add(self, run: Run, seconds: int) -> int:
        if not self._is_on():
            return 1
        proto, address = self._source(run)
        return 1 if self.node.blocking.add(proto, address, ORDERED, seconds or None) else -1

    @function
    @native("int", least=0)
    def blst_add(self, run: Run, timeout: int = 0) -> int:
        """Put where the message came from on the blocklist, for so many seconds, 0 for `dst_blocklist_expire`."""
        return self._add(run, timeout)

    @function
    def blst_add_default(self, run: Run) -> int:
        """As `blst_add`, for `dst_blocklist_expire` seconds."""
        return self._add(run, 0)

    @function
    @native("int", "int")
    def blst_add_retry_after(self, run: Run, least: int, most: int) -> int:
        """As `blst_add`, for the seconds that Retry-After says, within these bounds; -1 without that header."""
        seconds = retry_after(run.msg)
        return -1 if seconds is None else self._add(run, min(max(seconds, least), most))

    @function
    @native()
    def blst_del(self, run: Run) -> int:
        """Take where the message came from off the blocklist; -1 if it is not on it."""
        return 1 if self._is_on() and self.node.blocking.list.remove(*self._source(run)) else -1

    @function
    @native()
    def blst_is_blocklisted(self, run: Run) -> int:
        """Whether where the message came from is on the blocklist; -1 if not."""
        return 1 if self._is_on() and self.node.blocking.list.find(*self._source(run)) is not None else -1

    # ---- what is not to count

    @staticmethod
    def _ignore(run: Run, facet: str, flags: int) -> int:
        run.msg.facets[facet] = ignored(run.msg, facet) | flags & _ALL
        return 1

    @staticmethod
    def _count(run: Run, facet: str, flags: int) -> int:
        run.msg.facets[facet] = ignored(run.msg, facet) & ~flags
        return 1

    @function
    @native("int", least=0)
    def blst_set_ignore(self, run: Run, flags: int = _ALL) -> int:
        """Let events where the message goes not count, a sum: 2 nothing sent, 4 no connection, 16 silence, 32 a 503."""
        return self._ignore(run, IGNORED, flags)

    @function
    def blst_set_ignore_all(self, run: Run) -> int:
        """As `blst_set_ignore`, of all events."""
        return self._ignore(run, IGNORED, _ALL)

    @function
    @native("int", least=0)
    def blst_clear_ignore(self, run: Run, flags: int = _ALL) -> int:
        """Let these events count again."""
        return self._count(run, IGNORED, flags)

    @function
    def blst_clear_ignore_all(self, run: Run) -> int:
        """Let all events count again."""
        return self._count(run, IGNORED, _ALL)

    @function
    @native("int", least=0)
    def blst_rpl_set_ignore(self, run: Run, flags: int = _ALL) -> int:
        """As `blst_set_ignore`, where the replies to the message go; those of a transaction count, others never do."""
        return self._ignore(run, REPLIES_IGNORED, flags)

    @function
    def blst_rpl_set_ignore_all(self, run: Run) -> int:
        """As `blst_rpl_set_ignore`, of all events."""
        return self._ignore(run, REPLIES_IGNORED, _ALL)

    @function
    @native("int", least=0)
    def blst_rpl_clear_ignore(self, run: Run, flags: int = _ALL) -> int:
        """Let these events count again where the replies go."""
        return self._count(run, REPLIES_IGNORED, flags)

    @function
    def blst_rpl_clear_ignore_all(self, run: Run) -> int:
        """Let all events count again where the replies go."""
        return self._count(run, REPLIES_IGNORED, _ALL)


MODULE = Blst
