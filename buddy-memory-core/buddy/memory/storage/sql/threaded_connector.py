"""A Connector for asyncio on a blocking driver: each piece of work runs in a thread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from buddy.memory.storage.sql.connector import Connector, Query, Result, Work
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.threads import in_thread

T = TypeVar("T")


class ThreadedConnector(Connector):
    """Runs the work of ``blocking`` in threads, so that the event loop goes on.

    Cancelling an await does not undo a write under way; it waits for it, but not for long.
    """

    def __init__(self, blocking: Connector) -> None:
        self._blocking = blocking

    async def read(self, query: Query) -> Result:
        return await _in_thread(partial(self._blocking.read, query))

    async def write(self, query: Query) -> Result:
        return await _in_thread(partial(self._blocking.write, query))

    async def run(self, work: Work[T]) -> T:
        return await _in_thread(partial(self._blocking.run, work))

    async def transaction(self, work: Work[T]) -> T:
        return await _in_thread(partial(self._blocking.transaction, work))

    async def inspect(self, work: Callable[[sa.Connection], T]) -> T:
        return await _in_thread(partial(self._blocking.inspect, work))

    async def define(self, work: Callable[[sa.Connection], T]) -> T:
        return await _in_thread(partial(self._blocking.define, work))

    async def close(self) -> None:
        await _in_thread(self._blocking.close)


async def _in_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # The coroutine is made in the thread: where that never begins, nobody forgets to await it.
    return await in_thread(lambda: run(work()))
