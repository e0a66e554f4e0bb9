"""The classes of version 2."""

from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from buddy_memory_postgres.constructor import PostgresConstructor

__all__ = ["AsyncPostgresMemoryDb", "PostgresMemoryDb"]


class PostgresMemoryDb(PostgresConstructor, StoreBackedMemoryDb):
    """Version 2 on PostgreSQL; the arguments are those of PostgresConstructor."""


class AsyncPostgresMemoryDb(PostgresConstructor, AsyncStoreBackedMemoryDb):
    """PostgresMemoryDb for asyncio: the same arguments, with an AsyncEngine as ``db_engine``."""

    asynchronous = True
