"""MySQL and MariaDB by Kamailio's URLs. The work is the connectors'; here are the parameters of Kamailio's module."""

from __future__ import annotations

from importlib.util import find_spec

from kahea.connectors.options import CONNECT, MYSQL
from kahea.routing.checks import unless
from kahea.routing.module import Module, Param

_PINGED = "No effect: a connection is tried before it is used, and made anew if it is gone."
_BOUNDED = "No effect: no statement is waited for longer than five seconds."


class DbMysql(Module):
    """MySQL and MariaDB databases."""

    name = "db_mysql"
    auto_reconnect = Param(1, _PINGED)
    ping_interval = Param(300, _PINGED)
    retries = Param(1, _PINGED)
    connect_timeout = Param(2, "Seconds until a connection attempt is given up.")
    timeout_interval = Param(2, _BOUNDED)
    send_timeout = Param(0, _BOUNDED)
    receive_timeout = Param(0, _BOUNDED)
    insert_delayed = Param(0, "No effect: rows that wait together are written in one commit.")
    unsigned_type = Param(0, "No effect: numbers have any size.")
    server_timezone = Param(0, "No effect: the time zone of a session is the server's.")
    update_affected_found = Param(0, "1 has `$sqlrows` count the rows that an update found, not those it changed.")
    opt_ssl_mode = Param(0, "", check=unless(0, "connections to MySQL are not encrypted here"))
    opt_ssl_ca = Param("", "", check=unless("", "Kamailio 5.6 has no such parameter"))

    @classmethod
    def missing(cls) -> str:
        """The driver, if it is not installed."""
        return "" if find_spec("asyncmy") else "its driver is not installed: pip install kahea[mysql]"

    def start(self) -> None:
        """Tell the connector, before anything connects."""
        CONNECT["mysql"]["connect_timeout"] = self.connect_timeout
        MYSQL.found_rows = bool(self.update_affected_found)


MODULE = DbMysql
