"""SQL in scripts (Kamailio's module sqlops): any statement, its result by variables; parameters and transactions.

What a query gave belongs to the run that asked; in Kamailio it stays for whatever the same process runs next.
"""

from __future__ import annotations

from kahea.modules.sqlops.functions import SqlFunctions


class SqlOps(SqlFunctions):
    """SQL in scripts: any statement, its result by variables."""

    name = "sqlops"


MODULE = SqlOps
