"""MongoDB in scripts (Kamailio's module ndb_mongodb): queries and commands, and their replies by a variable.

Replies belong to the run; in Kamailio they stay for whatever the same process runs next.
"""

from __future__ import annotations

from kahea.modules.ndb_mongodb.functions import MongoFunctions


class NdbMongodb(MongoFunctions):
    """MongoDB in scripts: queries and commands, and their replies by a variable."""

    name = "ndb_mongodb"


MODULE = NdbMongodb
