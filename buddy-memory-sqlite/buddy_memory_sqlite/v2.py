"""The classes of version 2."""

from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from buddy_memory_sqlite.constructor import SqliteConstructor

__all__ = ["AsyncSqliteMemoryDb", "SqliteMemoryDb"]


class SqliteMemoryDb(SqliteConstructor, StoreBackedMemoryDb):
    """Version 2 on SQLite; the arguments are those of SqliteConstructor."""


class AsyncSqliteMemoryDb(SqliteConstructor, AsyncStoreBackedMemoryDb):
    """SqliteMemoryDb for asyncio. SQLite itself blocks, so each statement runs in a thread."""

    asynchronous = True
