"""SQLite for asyncio: statements run in threads, and what many tasks write at once shares them, and
so the wait for the disk."""

from __future__ import annotations

from buddy.memory.storage.sql import Connector, together
from buddy.memory.storage.sql.threads import ThreadsConnector
from buddy_memory_sqlite.store import SqliteStore


class TogetherStore(together.TogetherStore, SqliteStore):
    """As SqliteStore, with the waiting done elsewhere."""

    def _connect(self, blocking: Connector) -> Connector:
        return ThreadsConnector(blocking)

    def _check_thread(self) -> None:
        raise self.each_thread_its_own()
