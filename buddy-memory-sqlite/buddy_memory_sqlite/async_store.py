"""SQLite for asyncio: statements run in threads, and concurrent writes share statements and so the
wait for the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from buddy.memory.storage.sql import Connector
from buddy.memory.storage.sql.batching import BatchingStore
from buddy.memory.storage.sql.threaded_connector import ThreadedConnector
from buddy.memory.storage.threads import in_thread
from buddy_memory_sqlite.store import SqliteStore

T = TypeVar("T")


class AsyncSqliteStore(BatchingStore, SqliteStore):
    """A SqliteStore that never blocks the event loop."""

    def _connect(self, blocking: Connector) -> Connector:
        return ThreadedConnector(blocking)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await in_thread(work)

    def _check_thread(self) -> None:
        raise self.one_database_per_thread()
