"""The class of version 1."""

from buddy.memory.db.store_backed import StoreBackedMemoryDb
from buddy_memory_sqlite.constructor import SqliteConstructor

__all__ = ["SqliteMemoryDb"]


class SqliteMemoryDb(SqliteConstructor, StoreBackedMemoryDb):
    """Version 1 on SQLite; the arguments are those of SqliteConstructor."""
