"""Tables in Redis by Kamailio's URLs. The work is the connectors'; here are the parameters of Kamailio's module."""

from __future__ import annotations

from kahea.connectors.errors import Refused
from kahea.connectors.redis_tables.schema import SCHEMAS, Keys, parse_keys
from kahea.routing.module import ConfigError, Module, Param


class DbRedis(Module):
    """Tables in Redis, in the layout of Kamailio's db_redis, for modules with a `db_url` of `redis://host:port/number`.

    Rows are found without reading all of a table by the columns of its entry, or of one of its maps. There are no
    statements of scripts (sqlops, `avp_db_query`), and no clusters. Unlike Kamailio it sorts where a module asks for an
    order, and keeps maps as they should be where a mapped column changes or is not set.
    """

    name = "db_redis"
    schema_path = Param(
        "/usr/share/kamailio/db_redis", "The folder of the tables' files: their columns' types, and versions."
    )
    keys: Param[list[dict[str, Keys]]] = Param(
        [],
        "How rows are named and found: `table=entry:column,column&map:column;table=...`.",
        many=True,
        check=parse_keys,
    )
    verbosity = Param(1, "1 shows the layout of each table in the log, at the level of debugging.")

    def start(self) -> None:
        """Tell the connector, before anything connects. Raises ConfigError."""
        keys = {table: found for given in self.keys for table, found in given.items()}
        SCHEMAS.configure(self.schema_path, keys, told=self.verbosity > 0)
        try:
            for table in keys:
                SCHEMAS.layout(table)
        except Refused as error:
            raise ConfigError(f"parameter db_redis.keys: {error}") from error


MODULE = DbRedis
