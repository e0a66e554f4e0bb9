"""Connections of redis-py's pools, and the exchange of packed commands over them."""

from __future__ import annotations

import asyncio
from threading import Condition
from time import monotonic, sleep
from typing import Any

import redis.asyncio
from redis.exceptions import MaxConnectionsError, RedisError, ResponseError

from buddy_memory_redis.bounded import bounded
from buddy_memory_redis.transport import value_of

IN_FLIGHT = 32
"""Exchanges of one client under way at once; more would not make it faster."""

POLL = 0.005
"""Seconds between two looks at a pool that has no connection left."""

_PLAIN_POOLS = (redis.ConnectionPool, redis.asyncio.ConnectionPool)


class ThreadGate:
    """Lets a bounded number of exchanges through at once; others wait up to ``timeout`` seconds.

    A semaphore whose usual case needs no lock, and so costs a tenth of one of Python's.
    """

    def __init__(self, limit: int, timeout: float | None) -> None:
        self._free, self._timeout = [None] * limit, timeout
        self._freed, self._waiting = Condition(), 0

    async def enter(self) -> None:
        """Wait for a place. Raises TimeoutError."""
        try:
            self._free.pop()
        except IndexError:
            self._wait()

    def _wait(self) -> None:
        with self._freed:
            # Counted before the last look: who leaves either is seen here, or sees the count.
            self._waiting += 1
            try:
                if not self._freed.wait_for(self._try, self._timeout):
                    raise TimeoutError("no connection became free")
            finally:
                self._waiting -= 1

    def _try(self) -> bool:
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def leave(self) -> None:
        """Give the place back."""
        self._free.append(None)
        if self._waiting:
            with self._freed:
                self._freed.notify()


class TaskGate:
    """The same for the tasks of an event loop."""

    def __init__(self, limit: int, timeout: float | None) -> None:
        self._free, self._timeout = asyncio.Semaphore(limit), timeout

    async def enter(self) -> None:
        """Wait for a place. Raises TimeoutError."""
        if self._free.locked():
            await asyncio.wait_for(self._free.acquire(), self._timeout)
        else:
            await self._free.acquire()

    def leave(self) -> None:
        """Give the place back."""
        self._free.release()


class Connections:
    """The connections of one pool; ``own`` when nobody else uses it.

    What was once taken from a pool of ours is kept, and looked at as the pool does before it is
    used again: redis-py's pool locks, counts and announces each connection that it gives out.
    """

    def __init__(self, pool: Any, timeout: float | None, *, is_async: bool, own: bool) -> None:
        self._pool, self._timeout, self._is_async = pool, timeout, is_async
        if own and not is_async:
            pool.connection_class = bounded(pool.connection_class)
        # The pool of Sentinels learns from what comes back that there is another primary.
        self._keeps = own and type(pool) in _PLAIN_POOLS
        self._idle: list[Any] = []

    async def exchange(self, packed: bytes, count: int) -> list[Any]:
        """Send so many packed commands and return their replies, of which each may be an error."""
        connection = await self.take()
        try:
            await value_of(connection.send_packed_command([packed]))
            replies = [await reply_of(connection) for _ in range(count)]
        except BaseException:
            await self.hang_up(connection)
            raise
        await self.keep(connection)
        return replies

    async def take(self) -> Any:
        """Return a connection that is open, to be kept, given back or hung up.

        Waits for one where the pool has none left: others may use it, too.
        """
        end = None if self._timeout is None else monotonic() + self._timeout
        while True:
            if self._idle:
                connection = await self._take_idle()
                if connection is not None:
                    return connection
            try:
                return await value_of(self._pool.get_connection())
            except MaxConnectionsError:
                if end is not None and monotonic() > end:
                    raise
            if self._is_async:
                await asyncio.sleep(POLL)
            else:
                sleep(POLL)  # noqa: ASYNC251  (a synchronous client has no loop)

    async def _take_idle(self) -> Any:
        """Return a connection that was kept and is open; None where there is none."""
        try:
            connection = self._idle.pop()
        except IndexError:  # Another thread was quicker.
            return None
        if await is_ready(connection):
            return connection
        await self.give_back(connection)
        return None

    async def keep(self, connection: Any) -> None:
        """Take back a connection of which all replies were read."""
        if self._keeps:
            self._idle.append(connection)
        else:
            await self.give_back(connection)

    async def give_back(self, connection: Any) -> None:
        """Give a connection back to the pool."""
        await value_of(self._pool.release(connection))

    async def hang_up(self, connection: Any) -> None:
        """Give a connection back on which replies are still to come: who got it next would take
        them for its own."""
        try:
            await value_of(connection.disconnect())
        finally:
            await self.give_back(connection)


async def is_ready(connection: Any) -> bool:
    """Tell whether a connection is open, with nothing to be read that nobody asked for, and was not
    marked by the driver to be opened anew."""
    # Before redis-py 8, the asynchronous one had the other name, and none had marks.
    look = getattr(connection, "can_read", None) or connection.can_read_destructive
    is_marked = getattr(connection, "should_reconnect", bool)
    try:
        return not await value_of(look()) and not is_marked()
    except (RedisError, OSError):
        return False


async def reply_of(connection: Any) -> Any:
    """Return the next reply, which may be an error."""
    try:
        return await value_of(connection.read_response(disable_decoding=True))
    except ResponseError as error:
        return error
