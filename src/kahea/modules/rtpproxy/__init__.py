"""Media through relays that speak rtpproxy's protocol (Kamailio's module rtpproxy).

| file | what |
|---|---|
| `edits.py` | what answers change in session descriptions |
| `flags.py` | the letters that functions take |
| `proxies.py` | relays in their sets: choosing, testing, asking |
| `session.py` | commands for the session of a message |
| here | parameters, the functions of scripts, management |

A function waits for the relay's answer; only its script does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.connectors.media_relay import parse_set
from kahea.connectors.relay_sets import Patience, RelaySet
from kahea.modules.rtpproxy.proxies import Proxies
from kahea.modules.rtpproxy.session import FAILED, Settings, Side, Talk
from kahea.routing.checks import between, unless
from kahea.routing.literals import set_number
from kahea.routing.module import ConfigError, Module, Param, RpcError, Value, function, native, rpc, variable
from kahea.routing.pv.errors import PvError
from kahea.routing.run import BRANCH_FAILURE_ROUTE, FAILURE_ROUTE, ONREPLY_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.message import M_ACK, M_BYE, M_CANCEL, M_INVITE, M_PRACK, M_UPDATE
from kahea.sip.sdp_places import has_description

if TYPE_CHECKING:
    from kahea.connectors.sql import Database
    from kahea.routing.node import Node
    from kahea.routing.pv.table import Pv

#: The version of the table of relays.
VERSION: Final = 1

_SET: Final = "rtpproxy.set"
#: Says of a request, and so of its transaction, that `rtpproxy_manage` has offered its description.
_OFFERED: Final = "rtpproxy.offered"


def _set_number(node: Node, written: str) -> int | Pv:
    """The argument of `set_rtp_proxy_set`: a set that there is, or a variable. Raises ValueError."""
    module = node.module("rtpproxy")
    assert isinstance(module, Rtpproxy)
    return set_number(node, written, lambda number: bool(module.db_url) or number in module.proxies.sets)


class Rtpproxy(Module):
    """Media through relays that speak rtpproxy's protocol: sessions made, answered and ended, descriptions edited."""

    name = "rtpproxy"

    rtpproxy_sock: Param[list[tuple[int, list[tuple[str, int]]]]] = Param(
        [], "Relays: `2 == udp:host:port=weight unix:/path`; without a number they are in set 0.", many=True,
        check=parse_set,
    )  # fmt: skip
    rtpproxy_disable_tout = Param(60, "Seconds that a silent relay is left alone.", check=between(0, 86400 * 365))
    rtpproxy_tout = Param(1, "Seconds to wait for an answer before a command is repeated.", check=between(0, 3600))
    rtpproxy_retr = Param(5, "How often a command is sent until a relay counts as silent.", check=between(0, 1000))
    nortpproxy_str = Param("a=nortpproxy:yes\r\n", "The line that marks a description as changed; empty for none.")
    timeout_socket = Param("", "Where a relay is to tell that media stopped; part of offers within a dialog.")
    ice_candidate_priority_avp = Param(
        "", "A variable: 1 adds relay candidates of high, 2 (or none) of low preference, 0 adds none."
    )
    extra_id_pv = Param("", "The variable that the flag b appends to the call's name.")
    db_url = Param("", "A database with the relays, in place of `rtpproxy_sock`.")
    table_name = Param("rtpproxy", "Its table.")
    rtp_inst_pvar = Param("", "A variable that gets the URL of the relay that was chosen.")
    timeout_tag_pv = Param("", "", check=unless("", "Kamailio 5.6 has no such parameter"))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.proxies = Proxies(node.now, Patience(0, 0, 0))
        self._talk: Talk | None = None
        self._database: Database | None = None
        self._beginning: asyncio.Task[None] | None = None

    # ---- life

    def start(self) -> None:
        """Make the sets and compile the variables."""
        patience = Patience(self.rtpproxy_retr, self.rtpproxy_tout, self.rtpproxy_disable_tout)
        self.proxies = Proxies(self.node.now, patience)
        if self.db_url:
            self._database = self._make_database()
        else:
            try:
                for number, members in self.rtpproxy_sock:
                    for url, weight in members:
                        self.proxies.add(number, url, weight)
            except ValueError as error:
                raise ConfigError(f"parameter rtpproxy.rtpproxy_sock: {error}") from error
        self._talk = Talk(
            self.node,
            self.proxies,
            Settings(
                mark=wire(self.nortpproxy_str.removesuffix("\r\n")),
                timeout_socket=wire(self.timeout_socket),
                priority=self._variable("ice_candidate_priority_avp"),
                extra_id=self._variable("extra_id_pv"),
                instance=self._variable("rtp_inst_pvar"),
            ),
        )

    def _variable(self, parameter: str) -> Pv | None:
        written = getattr(self, parameter)
        if not written:
            return None
        try:
            return self.node.variables.compile(written)
        except PvError as error:
            raise ConfigError(f"parameter rtpproxy.{parameter}: {error}") from error

    def _make_database(self) -> Database:
        from kahea.connectors.sql import Database

        try:
            return Database(self.db_url)
        except BadUrl as error:
            raise ConfigError(f"parameter rtpproxy.db_url: {error}") from error

    async def open(self) -> None:
        """Load the relays, and begin to test them, which only who needs one waits for. Raises ConfigError."""
        if self._database is not None:
            try:
                await self._load(self._database)
            except (DatabaseError, ValueError) as error:
                await self.stop()
                raise ConfigError(f"rtpproxy: {error}") from error
        self._beginning = asyncio.ensure_future(self.proxies.test_all())

    async def _load(self, database: Database) -> None:
        from sqlalchemy import column, select, table

        from kahea.connectors.versions import Versions

        await Versions(self.node.settings.version_table).check(database, self.table_name, VERSION)
        query: Any = select(column("setid"), column("url"), column("weight")).select_from(table(self.table_name))
        for row in await database.fetch(query.order_by(column("id"))):
            self.proxies.add(int(row.setid), row.url, row.weight)

    async def stop(self) -> None:
        """Close the sockets."""
        if self._beginning is not None:
            self._beginning.cancel()
        self.proxies.close()
        if self._database is not None:
            await self._database.close()

    # ---- sets

    def _members(self, run: Run) -> RelaySet:
        """The set for a message: the one that was chosen for it, else 0, which may be empty."""
        chosen = run.msg.facets.get(_SET)
        if isinstance(chosen, RelaySet):
            return chosen
        return self.proxies.sets.get(0) or RelaySet(0)

    @function
    def set_rtpproxy_set(self, run: Run, number: int) -> int:
        """Choose the set of relays for what is called next on this message; -1 if there is no such set."""
        chosen = self.proxies.sets.get(number)
        if chosen is None:
            run.msg.facets.pop(_SET, None)
            self.node.log.error("rtpproxy: there is no set %d", number)
            return FAILED
        run.msg.facets[_SET] = chosen
        return 1

    @native(_set_number, name="set_rtp_proxy_set")
    def set_rtp_proxy_set(self, run: Run, number: int | Pv) -> int:
        """As set_rtpproxy_set."""
        if isinstance(number, int):
            return self.set_rtpproxy_set(run, number)
        value = number.get(run)
        if not isinstance(value, int):
            run.msg.facets.pop(_SET, None)
            self.node.log.error("rtpproxy: %s holds no number of a set", number.text)
            return FAILED
        return self.set_rtpproxy_set(run, value)

    # ---- sessions

    @property
    def talk(self) -> Talk:
        """What talks with relays; there once the module has started."""
        assert self._talk is not None
        return self._talk

    @function
    @native("str", "str", least=0, name="rtpproxy_offer")
    def rtpproxy_offer_ip(self, run: Run, flags: str = "", address: str = "") -> int:
        """As rtpproxy_offer, with the address that media shall be sent to, in place of the relay's."""
        return self.talk.offer(run, self._members(run), flags, address)

    @function
    def rtpproxy_offer(self, run: Run, flags: str) -> int:
        """Have a relay take the media that a message's session description offers, and lead it there.

        -1 where the message has no usable description or tags, or the relay refuses; -2 if the description is marked
        as led to a relay already; -3 if no relay answers. Letters in `flags`: 1, 2, 3: the session of a Via's branch;
        b: of `extra_id_pv`; a: the sender sends from another port than it receives at, w: from the same one; c: replace
        the session's address in any case; f: whatever mark there is; ie: from the inner to the outer network, ei the
        other way, x: ie for IPv4, ei for IPv6; l: only if the session exists; r: trust the description's address rather
        than the sender's; zN: packets of N ms.
        """
        return self.rtpproxy_offer_ip(run, flags)

    @function
    def rtpproxy_offer0(self, run: Run) -> int:
        """As rtpproxy_offer, without flags."""
        return self.rtpproxy_offer_ip(run)

    @function
    @native("str", "str", least=0, name="rtpproxy_answer")
    def rtpproxy_answer_ip(self, run: Run, flags: str = "", address: str = "") -> int:
        """As rtpproxy_answer, with the address that media shall be sent to, in place of the relay's."""
        return self.talk.answer(run, self._members(run), flags, address)

    @function
    def rtpproxy_answer(self, run: Run, flags: str) -> int:
        """As rtpproxy_offer for the description that answers: in a reply, or in an ACK."""
        return self.rtpproxy_answer_ip(run, flags)

    @function
    def rtpproxy_answer0(self, run: Run) -> int:
        """As rtpproxy_answer, without flags."""
        return self.rtpproxy_answer_ip(run)

    @function
    @native("str", least=0, name="unforce_rtp_proxy")
    @native("str", least=0, name="rtpproxy_destroy")
    def rtpproxy_destroy(self, run: Run, flags: str = "") -> int:
        """End the session of a message's call. Flags: 1, 2, 3, b as in rtpproxy_offer; t: whoever was called."""
        return self.talk.end(run, self._members(run), flags)

    @function
    def rtpproxy_destroy0(self, run: Run) -> int:
        """As rtpproxy_destroy, without flags."""
        return self.rtpproxy_destroy(run)

    @function
    @native("str", "str", least=0, name="rtpproxy_manage")
    def rtpproxy_manage_ip(self, run: Run, flags: str = "", address: str = "") -> int:
        """As rtpproxy_manage, with the address that media shall be sent to, in place of the relay's."""
        msg = run.msg
        method = msg.method_id
        if run.kind == BRANCH_FAILURE_ROUTE:
            return 1
        if method in (M_BYE, M_CANCEL):
            return self.rtpproxy_destroy(run, flags)
        if method not in (M_INVITE, M_ACK, M_UPDATE, M_PRACK):
            return FAILED
        if msg.is_request:
            return self._manage_request(run, flags, address)
        if msg.status >= 300:
            return self.rtpproxy_destroy(run, flags)
        if not has_description(msg):
            return FAILED
        if method == M_INVITE and self._is_offer(run):
            return self.rtpproxy_offer_ip(run, flags, address)
        return self.rtpproxy_answer_ip(run, flags, address)

    @staticmethod
    def _is_offer(run: Run) -> bool:
        """Whether a reply's description offers: its INVITE, as a route of the transaction knows, did not."""
        return (
            run.kind == ONREPLY_ROUTE and run.transaction is not None and _OFFERED not in run.transaction.request.facets
        )

    def _manage_request(self, run: Run, flags: str, address: str) -> int:
        method = run.msg.method_id
        if not has_description(run.msg):
            return FAILED
        if method == M_INVITE and run.kind == FAILURE_ROUTE:
            return self.rtpproxy_destroy(run, flags)
        if method == M_ACK:
            return self.rtpproxy_answer_ip(run, flags, address)
        if method == M_INVITE:
            run.msg.facets[_OFFERED] = True
        return self.rtpproxy_offer_ip(run, flags, address)

    @function
    def rtpproxy_manage(self, run: Run, flags: str) -> int:
        """Do what a message calls for: offer, answer, or end the session; flags and codes are those of that function.

        INVITE, UPDATE and PRACK with a description offer, replies to them below 300 and an ACK answer; a reply offers
        if its INVITE did not. BYE, CANCEL, replies from 300 on, and in a failure route an INVITE that offered end the
        session. In a branch-failure route nothing is done.
        """
        return self.rtpproxy_manage_ip(run, flags)

    @function
    def rtpproxy_manage0(self, run: Run) -> int:
        """As rtpproxy_manage, without flags."""
        return self.rtpproxy_manage_ip(run)

    @function
    @native()
    def start_recording(self, run: Run) -> int:
        """Have the relay record what the sender of this message sends."""
        return self.talk.record(run, self._members(run))

    # ---- announcements

    @function
    @native("str", "int")
    def rtpproxy_stream2uac(self, run: Run, prompt: str, times: int) -> int:
        """Have the relay play a file of its own to who began the transaction, so many times, or for ever with -1."""
        return self.talk.play(run, self._members(run), Side.UAC, prompt, times)

    @function
    @native("str", "int")
    def rtpproxy_stream2uas(self, run: Run, prompt: str, times: int) -> int:
        """As rtpproxy_stream2uac, to the other side."""
        return self.talk.play(run, self._members(run), Side.UAS, prompt, times)

    @function
    @native()
    def rtpproxy_stop_stream2uac(self, run: Run) -> int:
        """Stop what rtpproxy_stream2uac began."""
        return self.talk.stop_playing(run, self._members(run), Side.UAC)

    @function
    @native()
    def rtpproxy_stop_stream2uas(self, run: Run) -> int:
        """Stop what rtpproxy_stream2uas began."""
        return self.talk.stop_playing(run, self._members(run), Side.UAS)

    # ---- what is known

    @variable("rtpstat")
    def rtpstat(self, run: Run, name: str, index: int | None) -> Value:
        """As $rtppstat."""
        return self.rtppstat(run, name, index)

    @variable("rtppstat")
    def rtppstat(self, run: Run, name: str, index: int | None) -> Value:
        """The relay's counters for the session, as it writes them, line end and all; null if there is no answer."""
        found = self.talk.statistics(run, self._members(run))
        return None if found is None else text(found)

    @rpc("rtpproxy.list")
    def rpc_list(self) -> list[dict[str, Any]]:
        """The relays: their sets, weights, and which are disabled; `recheck` has the seconds for which, -1 for ever."""
        return [
            {
                "setid": member.set_id,
                "url": member.url,
                "index": member.index,
                "disabled": int(member.disabled),
                "weight": member.weight,
                "recheck": self.proxies.seconds_alone(member),
            }
            for member in self.proxies
        ]

    @rpc("rtpproxy.enable")
    def rpc_enable(self, url: str, on: int) -> None:
        """Enable (1) or disable (0) the relays of a URL, in all sets."""
        found = self.proxies.find(url)
        if not found:
            raise RpcError(404, "RTPProxy not found")
        for member in found:
            if on > 0:
                self.proxies.enable(member)
            else:
                self.proxies.disable_for_good(member)


MODULE = Rtpproxy
