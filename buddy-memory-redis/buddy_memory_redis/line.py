"""A client of redis-py, and what it is."""

from __future__ import annotations

from typing import Any

import redis.asyncio

from buddy_memory_redis.cluster import Cluster
from buddy_memory_redis.connections import Connections

_ENCRYPTED = (redis.SSLConnection, redis.asyncio.SSLConnection)


class Line:
    """A client; ``own`` when nobody else uses it. It has ``connections``, or ``cluster``."""

    def __init__(self, client: Any, *, own: bool) -> None:
        self.client = client
        self.is_async = isinstance(client, (redis.asyncio.Redis, redis.asyncio.RedisCluster))
        self.cluster: Cluster | None = None
        if isinstance(client, (redis.RedisCluster, redis.asyncio.RedisCluster)):
            self.cluster = Cluster(client, is_async=self.is_async)
        else:
            self._pool: Any = client.connection_pool
            self.connections = Connections(self._pool, own=own)

    def mode(self) -> str:
        """Return "cluster" or "sentinel" where the client knows of one; "" where it does not."""
        if self.cluster is not None:
            return "cluster"
        return "sentinel" if hasattr(self._pool, "sentinel_manager") else ""

    def database(self) -> int:
        """Return the number of the database."""
        return 0 if self.cluster is not None else int(self._pool.connection_kwargs.get("db") or 0)

    def is_encrypted(self) -> bool:
        """Tell whether connections are encrypted; of a cluster's client, once it was used."""
        if self.cluster is None:
            pool = self._pool
        else:
            node: Any = self.client.get_default_node()
            # An asynchronous node is its own pool.
            pool = (
                node if hasattr(node, "connection_class") else node.redis_connection.connection_pool
            )
        return issubclass(pool.connection_class, _ENCRYPTED)
