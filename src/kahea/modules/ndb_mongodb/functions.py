"""The servers, the functions and the variable of scripts."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.routing.attributes import parse_attributes
from kahea.routing.checks import between
from kahea.routing.module import ConfigError, Module, Param, Value, Variable, function, native, rpc
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.run import can_wait, wait

if TYPE_CHECKING:
    from kahea.connectors.mongodb import Cursor, Document, MongoPool
    from kahea.routing.node import Node
    from kahea.routing.pv.table import Index
    from kahea.routing.run import Run

T = TypeVar("T")

FAILED: Final = -1
#: What KEMI's functions give for a reply, as in Kamailio; native ones give 1.
DONE: Final = 0

_FIVE: Final = ("str",) * 5
_STATE: Final = "ndb_mongodb"
#: Replies that one run keeps.
MAX_KEPT: Final = 1000
#: The type of every reply.
_TYPE: Final = 0


def parse_server(given: str) -> tuple[str, str]:
    """Read `name=srv;uri='mongodb://127.0.0.1/kamailio'`. Raises ValueError."""
    values = parse_attributes(given, ("name", "uri"), "a server")
    if not values.get("name") or not values.get("uri"):
        raise ValueError(f"expected name=server;uri=..., not {given!r}")
    return values["name"], values["uri"]


@dataclass(slots=True)
class Reply:
    """A reply: its current document as text, where the next ones come from, and what went wrong."""

    value: str | None = None
    cursor: Cursor | None = None
    info: str | None = None


def replies_of(run: Run) -> dict[str, Reply]:
    """The replies that a run has, by name."""
    found = run.state.setdefault(_STATE, {})
    assert isinstance(found, dict)
    return found


def _native(code: int) -> int:
    return 1 if code == DONE else code


class MongoFunctions(Module):
    """Servers of MongoDB, each with a bounded pool, and calls that suspend the run that asks."""

    server: Param[list[tuple[str, str]]] = Param(
        [], "A server: `name=srv;uri='mongodb://127.0.0.1/kamailio'`.", many=True, check=parse_server
    )
    connect_timeout = Param(1000, "Milliseconds that a server is looked for.", check=between(1, 600_000))
    cmd_timeout = Param(5000, "Milliseconds that a call may take in all.", check=between(1, 600_000))
    pool_size = Param(8, "The most connections to each server.", check=between(1, 1000))
    max_waiting = Param(1000, "The most calls under way at each server; further ones fail.", check=between(1, 100_000))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._servers: dict[str, MongoPool] = {}

    @classmethod
    def missing(cls) -> str:
        """The driver, if it is not installed."""
        return "" if find_spec("pymongo") else "its driver is not installed: pip install kahea[mongodb]"

    def start(self) -> None:
        """Check the servers."""
        names = [name for name, _ in self.server]
        for name, uri in self.server:
            from kahea.connectors.mongodb import check_uri

            if names.count(name) > 1:
                raise ConfigError(f"parameter ndb_mongodb.server: the server {name!r} is defined twice")
            try:
                check_uri(uri)
            except BadUrl as error:
                raise ConfigError(f"parameter ndb_mongodb.server: {name}: {error}") from error

    async def open(self) -> None:
        """Make the pools. They connect when they are asked first, as Kamailio's: the node starts without a server."""
        for name, uri in self.server:
            from kahea.connectors.mongodb import MongoPool

            self._servers[name] = MongoPool(
                uri,
                size=self.pool_size,
                connect_timeout=self.connect_timeout / 1000,
                timeout=self.cmd_timeout / 1000,
                waiting=self.max_waiting,
            )

    async def stop(self) -> None:
        """Release the connections."""
        for server in self._servers.values():
            await server.close()

    # ---- asking

    def _fail(self, why: object) -> int:
        self.node.log.error("ndb_mongodb: %s", why)
        return FAILED

    def _wait(self, reply: Reply, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` gives; None, and a line in the log and in the reply, if it fails."""
        try:
            return wait(work)
        except DatabaseError as error:
            reply.info = str(error)
            self._fail(error)
            return None

    def _begin(
        self, run: Run, server: str, database: str, collection: str, command: str, reply: str
    ) -> tuple[MongoPool, Document, Reply] | None:
        """The server, what it is asked, and the reply to come in place of that which had its name; None if there is
        something wrong, which is logged."""
        from kahea.modules.ndb_mongodb.documents import read_document

        if not (server and database and collection and command and reply):
            self._fail("an empty parameter")
            return None
        pool = self._servers.get(server)
        if pool is None:
            self._fail(f"there is no server {server!r}")
            return None
        replies = replies_of(run)
        if reply not in replies and len(replies) >= MAX_KEPT:
            self._fail(f"a run keeps no more than {MAX_KEPT} replies")
            return None
        made = replies[reply] = Reply()
        if not can_wait():
            self._fail("a query waits, which this route can't")
            return None
        try:
            document = read_document(command)
        except ValueError as error:
            made.info = str(error)
            self._fail(error)
            return None
        return pool, document, made

    def _show(self, reply: Reply, document: Document) -> bool:
        from kahea.modules.ndb_mongodb.documents import write_document

        try:
            reply.value = write_document(document)
        except ValueError as error:
            reply.info = str(error)
            self._fail(error)
            return False
        return True

    def _find(self, run: Run, server: str, database: str, collection: str, command: str, reply: str, limit: int) -> int:
        begun = self._begin(run, server, database, collection, command, reply)
        if begun is None:
            return FAILED
        pool, wanted, made = begun
        made.cursor = self._wait(made, pool.find(database, collection, wanted, limit))
        return DONE if made.cursor is not None and self._advance(made, made.cursor) else FAILED

    def _advance(self, reply: Reply, cursor: Cursor) -> bool:
        """Move to the next document. After the last, or a failure, the one before stays."""
        document = self._wait(reply, cursor.next())
        if document is None:
            reply.cursor = None
            return False
        return self._show(reply, document)

    def _exec(self, run: Run, server: str, database: str, collection: str, command: str, reply: str) -> int:
        begun = self._begin(run, server, database, collection, command, reply)
        if begun is None:
            return FAILED
        pool, document, made = begun
        if not document:
            return self._fail("an empty command")
        answer = self._wait(made, pool.command(database, document))
        return DONE if answer is not None and self._show(made, answer) else FAILED

    # ---- functions

    @function
    def find(self, run: Run, server: str, database: str, collection: str, query: str, reply: str) -> int:
        """Find documents by a filter in JSON, and keep the reply under a name; -1 if there is none, or for an error.

        0 if there is one, as in Kamailio: the native `mongodb_find` gives 1.
        """
        return self._find(run, server, database, collection, query, reply, 0)

    @function
    def find_one(self, run: Run, server: str, database: str, collection: str, query: str, reply: str) -> int:
        """As `find`, of the first document alone."""
        return self._find(run, server, database, collection, query, reply, 1)

    @function
    def exec(self, run: Run, server: str, database: str, collection: str, command: str, reply: str) -> int:
        """Have a command in JSON done, and keep its answer under a name; 0, -1 for an error.

        Commands name their collection themselves: `collection` must not be empty, and says nothing more.
        """
        return self._exec(run, server, database, collection, command, reply)

    @function
    def execx(self, run: Run, server: str, database: str, collection: str, command: str, reply: str) -> int:
        """As `exec`: Kamailio has three names for it."""
        return self._exec(run, server, database, collection, command, reply)

    @function
    def exec_simple(self, run: Run, server: str, database: str, collection: str, command: str, reply: str) -> int:
        """As `exec`: Kamailio has three names for it."""
        return self._exec(run, server, database, collection, command, reply)

    # Natively KEMI's names are there, too, as those of every module are, but a 0 would end the route.

    @native(*_FIVE, name="find")
    @native(*_FIVE)
    def mongodb_find(self, run: Run, server: str, database: str, collection: str, query: str, reply: str) -> int:
        """Find documents by a filter in JSON, and keep the reply under a name; -1 if there is none, or for an error."""
        return _native(self._find(run, server, database, collection, query, reply, 0))

    @native(*_FIVE, name="find_one")
    @native(*_FIVE)
    def mongodb_find_one(self, run: Run, server: str, database: str, collection: str, query: str, reply: str) -> int:
        """As `mongodb_find`, of the first document alone."""
        return _native(self._find(run, server, database, collection, query, reply, 1))

    @native(*_FIVE, name="execx")
    @native(*_FIVE, name="exec_simple")
    @native(*_FIVE, name="mongodb_cmd_simple")
    @native(*_FIVE)
    def mongodb_cmd(self, run: Run, server: str, database: str, collection: str, command: str, reply: str) -> int:
        """Have a command in JSON done, and keep its answer under a name; -1 for an error."""
        return _native(self._exec(run, server, database, collection, command, reply))

    @function
    @native("str", name="mongodb_next")
    def next_reply(self, run: Run, reply: str) -> int:
        """Move to the next document of a reply; -1 if there is none, and then the last one stays."""
        found = replies_of(run).get(reply)
        if found is None or found.cursor is None:
            return self._fail(f"there is no further document in {reply!r}")
        if not can_wait():
            return self._fail("a query waits, which this route can't")
        return 1 if self._advance(found, found.cursor) else FAILED

    @function
    @native("str", name="mongodb_free")
    def free_reply(self, run: Run, reply: str) -> int:
        """Forget a reply; -1 if there never was one."""
        replies = replies_of(run)
        if reply not in replies:
            return FAILED
        replies[reply] = Reply()
        return 1

    def variables(self) -> Iterator[Variable]:
        """With `$mongodb`."""
        yield from super().variables()
        yield named(
            "mongodb",
            self._bind,
            doc="Of a reply: `$mongodb(r=>value)`, its current document as JSON; `info`, what went wrong; `type`, 0.",
        )

    @staticmethod
    def _bind(inner: Value, _index: Index) -> Bound:
        name, arrow, key = (part.strip() for part in str(inner).partition("=>"))
        if not name or not arrow or key not in ("type", "value", "info"):
            raise PvError(f"$mongodb({inner}): expected reply=>type, reply=>value or reply=>info")

        def get(run: Run) -> Value:
            if key == "type":
                return _TYPE
            reply = replies_of(run).get(name)
            return None if reply is None else reply.value if key == "value" else reply.info

        return Bound(get)

    @rpc("ndb_mongodb.servers")
    def rpc_servers(self) -> list[dict[str, Any]]:
        """The servers: their pools, how many calls wait, and what failed last."""
        return [{"name": name, **pool.describe()} for name, pool in self._servers.items()]
