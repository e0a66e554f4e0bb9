"""Connections to one server, and what travels over them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import redis.asyncio
from redis.exceptions import RedisError, ResponseError

Command = tuple[Any, ...]

_PLAIN_POOLS = (redis.ConnectionPool, redis.asyncio.ConnectionPool)


class Pool(Protocol):
    """Where connections come from; what these return may have to be awaited."""

    def get_connection(self) -> Any:
        """Return a connection that is open."""
        ...

    def release(self, connection: Any) -> Any:
        """Take a connection back."""
        ...


class Connections:
    """The connections of one pool; ``own`` when nobody else uses it.

    redis-py's pool locks, counts and announces each connection that it gives out and takes back,
    and that is a tenth of what a write costs, and a fifth of a read. So what was once taken from
    a pool of ours is kept, and looked at as the pool does before it is used again.
    """

    def __init__(self, pool: Pool, *, own: bool) -> None:
        self._pool = pool
        # The pool of Sentinels learns from what comes back that there is another primary.
        self._keeps = own and type(pool) in _PLAIN_POOLS
        self._idle: list[Any] = []

    async def exchange(self, packed: bytes, count: int) -> list[Any]:
        """Send so many packed commands and return their replies, of which each may be an error:
        what a pipeline does, at half its cost."""
        connection = await self.take()
        try:
            await value_of(connection.send_packed_command([packed]))
            replies = [await reply_of(connection) for _ in range(count)]
        except BaseException:
            await self.hang_up(connection)
            raise
        if self._keeps:
            self._idle.append(connection)
        else:
            await value_of(self._pool.release(connection))
        return replies

    async def take(self) -> Any:
        """Return a connection that is open, to be given back or hung up."""
        try:
            connection = self._idle.pop()
        except IndexError:
            return await value_of(self._pool.get_connection())
        if await is_ready(connection):
            return connection
        await self.give_back(connection)
        return await value_of(self._pool.get_connection())

    async def give_back(self, connection: Any) -> None:
        """Give a connection back of which all replies were read."""
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


def packed(commands: Sequence[Command]) -> bytes:
    """Return commands as they travel (RESP)."""
    parts: list[bytes] = []
    for name, *arguments in commands:
        words = [*name.split(), *arguments]  # "CONFIG GET", as redis-py writes it, is two words.
        texts: list[int | bytes] = []
        for word in words:
            text = word if isinstance(word, bytes) else str(word).encode()
            texts += (len(text), text)
        parts.append(_form(len(words)) % tuple(texts))
    return b"".join(parts)


@lru_cache(64)
def _form(words: int) -> bytes:
    return b"*%d\r\n" % words + b"$%d\r\n%b\r\n" * words


async def value_of(result: Any) -> Any:
    """Return what a call of a synchronous or an asynchronous client comes to."""
    # Not inspect.isawaitable, which asks an abstract class and costs as much as packing a command.
    return await result if hasattr(result, "__await__") else result
