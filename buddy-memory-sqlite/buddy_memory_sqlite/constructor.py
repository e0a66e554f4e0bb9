"""The constructor that both versions share."""

from __future__ import annotations

import os
from typing import ClassVar

import sqlalchemy as sa

from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy_memory_sqlite.client import open_engine
from buddy_memory_sqlite.schema import check_table_name
from buddy_memory_sqlite.store import SqliteStore


class SqliteConstructor(StoreBackedDatabase):
    """Memories in SQLite: ``db_engine``, ``db_url`` or ``db_file``, whichever is given first,
    otherwise a fresh database in memory.

    ``table_name`` names the table of memories; summaries are kept in ``{table_name}_summaries``.
    The first write makes the file, its folder and the tables. ``expire`` is how many seconds a row
    lives that is written without a ``ttl``; None: for ever. Raises ConfigError; does no I/O.
    """

    asynchronous: ClassVar[bool] = False

    def __init__(
        self,
        table_name: str = "memory",
        db_url: str | None = None,
        db_file: str | os.PathLike[str] | None = None,
        db_engine: sa.Engine | None = None,
        *,
        expire: float | None = None,
    ) -> None:
        check_table_name(table_name)
        handle = open_engine(db_url, db_file, db_engine)
        settings = {
            "table_name": table_name,
            "db_url": db_url,
            "db_file": None if db_file is None else os.fspath(db_file),
            "db_engine": db_engine,
            "expire": expire,
        }
        make = _asynchronous_store() if self.asynchronous else SqliteStore
        super().__init__(make(handle, table_name), settings, portable=not handle.in_memory)


def _asynchronous_store() -> type[SqliteStore]:
    from buddy_memory_sqlite.async_store import AsyncSqliteStore

    return AsyncSqliteStore
