"""The class of version 1."""

from buddy.memory.db.stored import StoredMemoryDb
from buddy_memory_sqlite.constructor import SqliteConstructor

__all__ = ["SqliteMemoryDb"]


class SqliteMemoryDb(SqliteConstructor, StoredMemoryDb):
    """Version 1 on SQLite; the arguments are those of SqliteConstructor."""
