"""PostgreSQL by Kamailio's URLs. The work is the connectors'; here are the parameters of Kamailio's module."""

from __future__ import annotations

from importlib.util import find_spec

from kahea.connectors.options import CONNECT
from kahea.routing.checks import unless
from kahea.routing.module import Module, Param


class DbPostgres(Module):
    """PostgreSQL databases."""

    name = "db_postgres"
    retries = Param(2, "No effect: a connection is tried before it is used, and made anew if it is gone.")
    timeout = Param(0, "Seconds until a connection attempt is given up; 0 for the driver's own.")
    tcp_keepalive = Param(0, "No effect: the kernel's own.")
    lockset = Param(4, "No effect: there is one process.")
    bytea_output_escape = Param(1, "No effect: bytes are read in either form.")
    con_param = Param("", "", check=unless("", "settings of libpq mean nothing to the driver here"))

    @classmethod
    def missing(cls) -> str:
        """The driver, if it is not installed."""
        return "" if find_spec("asyncpg") else "its driver is not installed: pip install kahea[postgres]"

    def start(self) -> None:
        """Tell the connector, before anything connects."""
        if self.timeout:
            CONNECT["postgresql"]["timeout"] = self.timeout


MODULE = DbPostgres
