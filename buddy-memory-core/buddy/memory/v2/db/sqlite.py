"""SQLite, version 2: see the distribution buddy-memory-sqlite."""

from buddy.memory.facade import not_installed

try:
    from buddy_memory_sqlite.v2 import AsyncSqliteMemoryDb, SqliteMemoryDb
except ModuleNotFoundError as error:
    raise not_installed("buddy-memory-sqlite", error) from error

__all__ = ["AsyncSqliteMemoryDb", "SqliteMemoryDb"]
