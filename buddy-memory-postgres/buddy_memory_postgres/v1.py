"""The class of version 1."""

from buddy.memory.db.store_backed import StoreBackedMemoryDb
from buddy_memory_postgres.constructor import PostgresConstructor

__all__ = ["PgMemoryDb"]


class PgMemoryDb(PostgresConstructor, StoreBackedMemoryDb):
    """Version 1 on PostgreSQL; the arguments are those of PostgresConstructor."""
