"""The class of version 1."""

from buddy.memory.db.stored import StoredMemoryDb
from buddy_memory_postgres.constructor import PostgresConstructor

__all__ = ["PgMemoryDb"]


class PgMemoryDb(PostgresConstructor, StoredMemoryDb):
    """Version 1 on PostgreSQL; the arguments are those of PostgresConstructor."""
