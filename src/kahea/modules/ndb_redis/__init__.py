"""Redis in scripts (Kamailio's module ndb_redis): commands, pipelines, and their replies by variables.

Replies and pipelines belong to the run; in Kamailio they stay for whatever the same process runs next.
"""

from __future__ import annotations

from kahea.modules.ndb_redis.functions import RedisFunctions


class NdbRedis(RedisFunctions):
    """Redis in scripts: commands, pipelines, and their replies by variables."""

    name = "ndb_redis"


MODULE = NdbRedis
