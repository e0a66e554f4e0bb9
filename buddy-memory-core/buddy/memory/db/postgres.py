"""PostgreSQL, version 1: see the distribution buddy-memory-postgres."""

from buddy.memory.facade import not_installed

try:
    from buddy_memory_postgres.v1 import PgMemoryDb
except ModuleNotFoundError as error:
    raise not_installed("buddy-memory-postgres", error) from error

__all__ = ["PgMemoryDb"]
