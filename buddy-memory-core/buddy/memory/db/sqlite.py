"""SQLite, version 1: see the distribution buddy-memory-sqlite."""

from buddy.memory.facade import not_installed

try:
    from buddy_memory_sqlite.v1 import SqliteMemoryDb
except ModuleNotFoundError as error:
    raise not_installed("buddy-memory-sqlite", error) from error

__all__ = ["SqliteMemoryDb"]
