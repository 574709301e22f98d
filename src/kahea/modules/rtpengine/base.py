"""What rtpengine's functions stand on: parameters, the sets of relays, a table of them, and their management."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.connectors.media_relay import parse_set
from kahea.connectors.relay_sets import Patience, RelaySet
from kahea.modules.rtpengine.engines import MAX_ASKED, Calls, Engines, Policy
from kahea.modules.rtpengine.quality import Quality, with_parameters
from kahea.modules.rtpengine.session import Talk
from kahea.routing.checks import between, unless
from kahea.routing.module import ConfigError, Module, Param, RpcError, rpc
from kahea.routing.pv.errors import PvError
from kahea.routing.run import wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kahea.connectors.relay_sets import Member
    from kahea.connectors.sql import Database
    from kahea.routing.node import Node
    from kahea.routing.pv.table import Pv
    from kahea.routing.run import Run

#: The version of the table of relays.
VERSION: Final = 1
#: Seconds between two readings of it.
RELOAD_INTERVAL: Final = 10

_SETS: Final = "rtpengine.sets"
_LATER: Final = "Kamailio 5.6 has no such parameter"


def _given_set(value: str) -> tuple[int | None, list[tuple[str, int]]]:
    """A set as a parameter gives it; None for its number where that is `setid_default`."""
    number, members = parse_set(value)
    for url, _ in members:
        if url.startswith(("ws:", "wss:")):
            raise ValueError(f"{url!r}: relays over WebSocket need Kamailio's module lwsc, which is not here")
    return (number if "==" in value else None), members


def _tos(value: int) -> int:
    return value if 0 <= value <= 255 else -1


@with_parameters
class RtpengineBase(Module):
    """Parameters, sets, and management."""

    rtpengine_sock: Param[list[tuple[int | None, list[tuple[str, int]]]]] = Param(
        [], "Relays: `2 == udp:host:port=weight udp6:address:port`; without a number they are in `setid_default`.",
        many=True, check=_given_set,
    )  # fmt: skip
    rtpengine_disable_tout = Param(
        60, "Seconds that a silent relay is left alone.", check=between(0, 86400 * 365), runtime=True
    )
    rtpengine_tout_ms = Param(
        1000,
        "Milliseconds to wait for an answer before a command is repeated.",
        check=between(1, 600_000),
        runtime=True,
    )
    rtpengine_retr = Param(
        5, "How often a command is sent until a relay counts as silent.", check=between(1, 1000), runtime=True
    )
    aggressive_redetection = Param(
        1, "1: where all relays of a set are disabled they are tested at once.", check=between(0, 1), runtime=True
    )
    queried_nodes_limit = Param(
        MAX_ASKED, "The most relays that are asked for one command.", check=between(1, MAX_ASKED), runtime=True
    )
    rtpengine_allow_op = Param(
        0, "Calls that a disabled relay has: 1 they go on, 2 they do if management disabled it.", check=between(0, 2)
    )
    hash_algo = Param(
        0, "What a call's relay follows from: 0 a sum over the Call-ID, 1 its SHA-1, 2 its CRC-32.", check=between(0, 2)
    )
    hash_table_size = Param(256, "", inert="the table of calls grows and shrinks with them")
    hash_table_tout = Param(3600, "Seconds that the relay of a call is remembered.", check=between(1, 86400 * 365))
    extra_id_pv = Param("", "The variable that via-branch=extra takes.")
    setid_avp = Param("", "A variable with the number of the set, before any other choice.")
    setid_default = Param(0, "The set of relays that are given without a number, and the one that is used.")
    force_send_interface = Param("", "The address that commands leave from.")
    control_cmd_tos = Param(-1, "The type of service of commands, 0 to 255.", check=_tos)
    read_sdp_pv = Param("", "A variable that has the description, in place of the message.")
    write_sdp_pv = Param("", "A variable that gets the relay's description, in place of the message.")
    rtp_inst_pvar = Param("", "A variable that gets the URL of the relay that answered.")
    media_duration = Param(
        "", "A variable that gets the length of what play_media plays, in milliseconds, -1: unknown."
    )
    db_url = Param("", "A database with the relays, in place of `rtpengine_sock`.")
    table_name = Param("rtpengine", "Its table.")
    setid_col = Param("setid", "The column with the number of the set.")
    url_col = Param("url", "The column with the URL.")
    weight_col = Param("weight", "The column with the weight.")
    disabled_col = Param("disabled", "The column that says whether a relay is disabled.")
    wsapi = Param("", "", check=unless("", "relays over WebSocket need Kamailio's module lwsc"))
    dmq_peer_id = Param("rtpengine", "", check=unless("rtpengine", _LATER))
    enable_dmq = Param(0, "", check=unless(0, _LATER))
    event_callback = Param("", "", check=unless("", _LATER))
    dtmf_events_sock = Param("", "", check=unless("", _LATER))
    ping_interval = Param(60, "", check=unless(60, _LATER))
    ping_mode = Param(1, "", check=unless(1, _LATER))
    write_sdp_pv_mode = Param(0, "", check=unless(0, _LATER))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._engines: Engines | None = None
        self._talk: Talk | None = None
        self._quality: Quality | None = None
        self._setid: Pv | None = None
        self._duration: Pv | None = None
        self._database: Database | None = None
        self._loaded_at = -float(RELOAD_INTERVAL)
        self._beginning: asyncio.Task[None] | None = None

    # ---- life

    def start(self) -> None:
        """Make the sets and compile the variables."""
        calls = Calls(self.node.now, self.hash_table_tout)
        self._engines = Engines(self.node.now, self._patience, self._policy, calls)
        if self.db_url:
            self._database = self._make_database()
        else:
            try:
                for number, members in self.rtpengine_sock:
                    for url, weight in members:
                        self._add(self.setid_default if number is None else number, url, weight)
            except ValueError as error:
                raise ConfigError(f"parameter rtpengine.rtpengine_sock: {error}") from error
        self._talk = Talk(
            self.node,
            self._engines,
            extra_id=self._variable("extra_id_pv"),
            instance=self._variable("rtp_inst_pvar"),
            read=self._variable("read_sdp_pv"),
            write=self._variable("write_sdp_pv"),
        )
        self._setid = self._variable("setid_avp")
        self._duration = self._variable("media_duration")
        self._quality = Quality(self._variable)

    def _patience(self) -> Patience:
        return Patience(self.rtpengine_retr, self.rtpengine_tout_ms / 1000, self.rtpengine_disable_tout)

    def _policy(self) -> Policy:
        return Policy(
            self.hash_algo, self.rtpengine_allow_op, bool(self.aggressive_redetection), self.queried_nodes_limit
        )

    def _add(self, number: int, url: str, weight: int) -> Member:
        return self.engines.add(number, url, weight, source=self.force_send_interface, tos=self.control_cmd_tos)

    def _variable(self, parameter: str) -> Pv | None:
        written = getattr(self, parameter)
        if not written:
            return None
        try:
            return self.node.variables.compile(written)
        except PvError as error:
            raise ConfigError(f"parameter rtpengine.{parameter}: {error}") from error

    @property
    def engines(self) -> Engines:
        """The relays; there once the module has started."""
        assert self._engines is not None
        return self._engines

    @property
    def talk(self) -> Talk:
        """What talks with relays; there once the module has started."""
        assert self._talk is not None
        return self._talk

    @property
    def quality(self) -> Quality:
        """Where statistics go; there once the module has started."""
        assert self._quality is not None
        return self._quality

    async def open(self) -> None:
        """Load the relays, and begin to test them, which only who needs one waits for. Raises ConfigError."""
        if self._database is not None:
            try:
                await self._load(self._database)
            except (DatabaseError, ValueError) as error:
                await self.stop()
                raise ConfigError(f"rtpengine: {error}") from error
        self._beginning = asyncio.ensure_future(self.engines.test_all())

    async def stop(self) -> None:
        """Close the sockets."""
        if self._beginning is not None:
            self._beginning.cancel()
        if self._engines is not None:
            self._engines.close()
        if self._database is not None:
            await self._database.close()

    # ---- the table

    def _make_database(self) -> Database:
        from kahea.connectors.sql import Database

        try:
            return Database(self.db_url)
        except BadUrl as error:
            raise ConfigError(f"parameter rtpengine.db_url: {error}") from error

    async def _load(self, database: Database) -> None:
        """Read the table: relays that are new are added, known ones changed, those that are gone hidden and disabled.

        Raises DatabaseError, ValueError.
        """
        from sqlalchemy import column, select, table

        from kahea.connectors.versions import Versions

        await Versions(self.node.settings.version_table).check(database, self.table_name, VERSION)
        columns: list[Any] = [
            column(name) for name in (self.setid_col, self.url_col, self.weight_col, self.disabled_col)
        ]
        query: Any = select(*columns).select_from(table(self.table_name)).order_by(*columns[:2])
        rows = [(int(a), str(b), int(c), bool(d)) for a, b, c, d in await database.fetch(query)]
        there = {(number, url) for number, url, _, _ in rows}
        known = {(member.set_id, member.url): member for member in self.engines}
        for key, member in known.items():
            if key not in there:
                member.hidden = True
                self.engines.disable_for_good(member)
        for number, url, weight, disabled in rows:
            member = known.get((number, url)) or self._add(number, url, weight)
            member.weight = weight
            if disabled:
                self.engines.disable_for_good(member)
            elif member.asked_again_at is None:
                self.engines.enable(member)
            member.hidden = False

    # ---- sets

    def choose(self, run: Run, *numbers: int) -> int:
        """Choose sets for what is called next on a message; -1 at the first that does not exist, and none after it."""
        found: list[RelaySet] = []
        self.forget_choice(run)
        for number in dict.fromkeys(numbers):
            chosen = self.engines.sets.get(number)
            if chosen is None:
                self.node.log.error("rtpengine: there is no set %d", number)
                return -1
            found.append(chosen)
            run.msg.facets[_SETS] = found
        return 1

    def forget_choice(self, run: Run) -> None:
        """Choose nothing: the default is used again."""
        run.msg.facets.pop(_SETS, None)

    def chosen(self, run: Run) -> list[RelaySet] | None:
        """The sets for a message, which may be empty; None, and a line in the log, where `setid_avp` has none."""
        value = None if self._setid is None else self._setid.get(run)
        if value is not None:
            found = self.engines.sets.get(value) if isinstance(value, int) else None
            if found is None:
                self.node.log.error("rtpengine: %s has %r, which is no set", self.setid_avp, value)
            return None if found is None else [found]
        chosen = run.msg.facets.get(_SETS)
        if isinstance(chosen, list):
            return chosen
        return [self.engines.sets.get(self.setid_default) or RelaySet(self.setid_default)]

    # ---- management

    def _shown(self, url: str) -> list[Member]:
        """The relays that a command is about: of a URL, or all. Raises RpcError."""
        url = url.removeprefix("::")
        found = [member for member in self.engines if not member.hidden and url in ("all", member.url)]
        if not found:
            raise RpcError(404, "Instance not found")
        return found

    def _tell(self, url: str, done: str, work: Callable[[Member], Awaitable[bool]]) -> dict[str, str]:
        """Do something with relays at once, and say how it went."""

        async def all_of_them() -> bool:
            return all(await asyncio.gather(*(work(member) for member in members)))

        members = self._shown(url)
        return {"url": url.removeprefix("::"), "status": done if wait(all_of_them()) else "fail"}

    @rpc("rtpengine.show")
    def rpc_show(self, url: str) -> list[dict[str, Any]]:
        """The relays of a URL, or `all`; `recheck_ticks` has the seconds for which one is left alone."""
        shown = []
        for member in self._shown(url):
            for_good = member.disabled and member.asked_again_at is None
            shown.append(
                {
                    "url": member.url,
                    "set": member.set_id,
                    "index": member.index,
                    "weight": member.weight,
                    "disabled": "1(permanent)" if for_good else int(member.disabled),
                    "recheck_ticks": "N/A" if for_good else self.engines.seconds_alone(member),
                }
            )
        return shown

    @rpc("rtpengine.enable")
    def rpc_enable(self, url: str, on: int) -> dict[str, str]:
        """Enable (1) the relays of a URL, or `all`, if they answer, or disable them (0)."""
        if on > 0:
            return self._tell(url, "enable", self.engines.try_to_enable)
        for member in self._shown(url):
            self.engines.disable_for_good(member)
        return {"url": url.removeprefix("::"), "status": "disable"}

    @rpc("rtpengine.ping")
    def rpc_ping(self, url: str) -> dict[str, str]:
        """Ping the relays of a URL, or `all`; one that does not answer is left alone for a while."""
        return self._tell(url, "success", self.engines.ping)

    @rpc("rtpengine.reload")
    def rpc_reload(self) -> str:
        """Read the table of relays anew; at most every 10 seconds."""
        if self._database is None:
            raise RpcError(500, "No Database URL")
        if self.node.now() - self._loaded_at < RELOAD_INTERVAL:
            raise RpcError(500, "ongoing reload")
        self._loaded_at = self.node.now()
        try:
            wait(self._load(self._database))
        except (DatabaseError, ValueError) as error:
            raise RpcError(500, f"Failed to reload: {error}") from error
        return "success"

    @rpc("rtpengine.get_hash_total")
    def rpc_get_hash_total(self) -> int:
        """How many calls are remembered with their relays."""
        return len(self.engines.calls)
