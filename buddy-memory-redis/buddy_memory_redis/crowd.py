"""Commands of many tasks in one batch: what an event loop can do that threads cannot.

A connection of an asynchronous client costs far more time than a command. So one call at a time has
a connection of its own, as if it were alone; what other tasks want meanwhile travels together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

COMMANDS = 100
"""Calls in one batch at most."""

BYTES = 16 * 1024
"""A call that is larger does not make others wait."""

Exchange = Callable[[bytes, int], Awaitable[list[Any]]]
"""Sends packed commands, so many of them, and returns as many replies."""

Waiting = tuple[bytes, int, "asyncio.Future[list[Any]]"]


class Crowd:
    """The calls of one event loop."""

    def __init__(self) -> None:
        self._is_busy = False
        self._waiting: list[Waiting] = []
        self._courier: asyncio.Task[None] | None = None

    async def send(self, exchange: Exchange, packed: bytes, count: int) -> list[Any]:
        """Return the replies to packed commands, which may travel with those of others."""
        if len(packed) > BYTES:
            return await exchange(packed, count)
        if not self._is_busy:
            self._is_busy = True
            try:
                return await exchange(packed, count)
            finally:
                self._is_busy = False
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        self._waiting.append((packed, count, future))
        if self._courier is None:
            # A task of its own: a caller who is cancelled takes nobody's replies along.
            self._courier = loop.create_task(self._carry(exchange))
        return await future

    async def _carry(self, exchange: Exchange) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:COMMANDS], self._waiting[COMMANDS:]
                await _exchange_all(exchange, batch)
        finally:
            self._courier = None


async def _exchange_all(exchange: Exchange, batch: list[Waiting]) -> None:
    batch = [waiting for waiting in batch if not waiting[2].cancelled()]
    packed = b"".join(part for part, _, _ in batch)
    try:
        replies = await exchange(packed, sum(count for _, count, _ in batch))
    except asyncio.CancelledError:  # The loop ends.
        for _, _, future in batch:
            future.cancel()
        raise
    except Exception as error:
        for _, _, future in batch:
            if not future.done():
                future.set_exception(error)
        return
    start = 0
    for _, count, future in batch:
        if not future.done():  # Nobody waits for it any more.
            future.set_result(replies[start : start + count])
        start += count
