"""The classes of version 2."""

from __future__ import annotations

from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from buddy_memory_mariadb.constructor import MariaDbConstructor

__all__ = ["AsyncMariaDbMemoryDb", "MariaDbMemoryDb"]


class MariaDbMemoryDb(MariaDbConstructor, StoreBackedMemoryDb):
    """Version 2 on MariaDB; the arguments are those of MariaDbConstructor."""


class AsyncMariaDbMemoryDb(ThreadedMemoryDb):
    """MariaDbMemoryDb for asyncio. PyMySQL blocks, so each call runs in a thread."""

    def __init__(
        self,
        table_name: str = "memory",
        db_url: str | None = None,
        *,
        expire: float | None = None,
    ) -> None:
        super().__init__(MariaDbMemoryDb(table_name, db_url, expire=expire))
