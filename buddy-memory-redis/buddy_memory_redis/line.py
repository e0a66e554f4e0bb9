"""A client of redis-py, and the connections that are sent over."""

from __future__ import annotations

from typing import Any

import redis.asyncio
from redis.exceptions import RedisError, ResponseError

_CLUSTERS = (redis.RedisCluster, redis.asyncio.RedisCluster)
_ASYNCHRONOUS = (redis.asyncio.Redis, redis.asyncio.RedisCluster)
_PLAIN_POOLS = (redis.ConnectionPool, redis.asyncio.ConnectionPool)
_ENCRYPTED = (redis.SSLConnection, redis.asyncio.SSLConnection)


class Line:
    """A client with its connections; ``own`` when nobody else uses it.

    redis-py's pool locks, counts and announces each connection that it gives out and takes back,
    and that is a tenth of what a write costs, and a fifth of a read. So what was once taken from
    the pool of a client of ours is kept, and looked at as the pool does before it is used again.
    """

    def __init__(self, client: Any, *, own: bool) -> None:
        self.client = client
        # Once: redis-py's classes are protocols, and each isinstance asks them in Python.
        self.is_cluster = isinstance(client, _CLUSTERS)
        self.is_async = isinstance(client, _ASYNCHRONOUS)
        self._pool: Any = None if self.is_cluster else client.connection_pool
        # The pool of Sentinels learns from what comes back that there is another primary.
        self._keeps = own and type(self._pool) in _PLAIN_POOLS
        self._idle: list[Any] = []

    async def exchange(self, packed: bytes, count: int) -> list[Any]:
        """Send so many packed commands to the one server and return their replies, of which each
        may be an error: what a pipeline does, at half its cost."""
        connection = await self._take()
        try:
            await value_of(connection.send_packed_command([packed]))
            replies = [await _reply(connection) for _ in range(count)]
        except BaseException:
            # Replies are still to come; who got this connection next would take them for its own.
            try:
                await value_of(connection.disconnect())
            finally:
                await value_of(self._pool.release(connection))
            raise
        if self._keeps:
            self._idle.append(connection)
        else:
            await value_of(self._pool.release(connection))
        return replies

    async def _take(self) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            return await value_of(self._pool.get_connection())
        if await _is_ready(connection):
            return connection
        await value_of(self._pool.release(connection))
        return await value_of(self._pool.get_connection())

    # --- what an operator asks

    def mode(self) -> str:
        """Return "cluster" or "sentinel" where the client knows of one; "" where it does not."""
        if self.is_cluster:
            return "cluster"
        return "sentinel" if hasattr(self._pool, "sentinel_manager") else ""

    def database(self) -> int:
        """Return the number of the database."""
        return 0 if self.is_cluster else int(self._pool.connection_kwargs.get("db") or 0)

    def is_encrypted(self) -> bool:
        """Tell whether connections are encrypted; of a cluster's client, once it was used."""
        pool = self._pool
        if self.is_cluster:
            node: Any = self.client.get_default_node()
            # An asynchronous node is its own pool.
            pool = (
                node if hasattr(node, "connection_class") else node.redis_connection.connection_pool
            )
        return issubclass(pool.connection_class, _ENCRYPTED)


async def _is_ready(connection: Any) -> bool:
    """Tell whether a connection is open, with nothing to be read that nobody asked for, and was not
    marked by the driver to be opened anew."""
    # Before redis-py 8, the asynchronous one had the other name, and none had marks.
    look = getattr(connection, "can_read", None) or connection.can_read_destructive
    marked = getattr(connection, "should_reconnect", bool)
    try:
        return not await value_of(look()) and not marked()
    except (RedisError, OSError):
        return False


async def _reply(connection: Any) -> Any:
    try:
        return await value_of(connection.read_response(disable_decoding=True))
    except ResponseError as error:
        return error


async def value_of(result: Any) -> Any:
    """Return what a call of a synchronous or an asynchronous client comes to."""
    # Not inspect.isawaitable, which asks an abstract class and costs as much as packing a command.
    return await result if hasattr(result, "__await__") else result
