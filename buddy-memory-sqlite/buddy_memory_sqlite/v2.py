"""The classes of version 2."""

from __future__ import annotations

import os

import sqlalchemy as sa

from buddy.memory.v2.db.stored import StoredMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from buddy_memory_sqlite.constructor import SqliteConstructor

__all__ = ["AsyncSqliteMemoryDb", "SqliteMemoryDb"]


class SqliteMemoryDb(SqliteConstructor, StoredMemoryDb):
    """Version 2 on SQLite; the arguments are those of SqliteConstructor."""


class AsyncSqliteMemoryDb(ThreadedMemoryDb):
    """SqliteMemoryDb for asyncio. SQLite itself blocks, so each call runs in a thread."""

    def __init__(
        self,
        table_name: str = "memory",
        db_url: str | None = None,
        db_file: str | os.PathLike[str] | None = None,
        db_engine: sa.Engine | None = None,
    ) -> None:
        super().__init__(SqliteMemoryDb(table_name, db_url, db_file, db_engine))
