"""PostgreSQL, version 2: see the distribution buddy-memory-postgres."""

from buddy.memory.facade import not_installed

try:
    from buddy_memory_postgres.v2 import AsyncPostgresMemoryDb, PostgresMemoryDb
except ModuleNotFoundError as error:
    raise not_installed("buddy-memory-postgres", error) from error

__all__ = ["AsyncPostgresMemoryDb", "PostgresMemoryDb"]
