"""What SQLite does differently from other SQL engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.sql import Fault, Query, SqlDialect
from buddy_memory_sqlite.errors import MAX_BYTES, NAME, translate


class SqliteDialect(SqlDialect):
    """SQLite 3.35 or newer (RETURNING), with JSON and times as text."""

    name = NAME
    begin = "BEGIN IMMEDIATE"
    ping = "PRAGMA schema_version"  # Unlike SELECT 1, this reads the file.
    bulk_rows = 1000  # 8,000 of the 32,766 parameters that a statement may have
    deleted_rows = 5_000  # Takes some 70 ms.
    max_bytes = MAX_BYTES

    @property
    def insert(self) -> Callable[[sa.Table], Any]:
        return sqlite.insert

    def clock(self) -> Any:
        return sa.literal_column("strftime('%Y-%m-%d %H:%M:%f000', 'now')")

    def as_read_damaged(self, column: sa.Column[Any]) -> Any:
        # Text as the bytes that it is made of; numbers, which a column of any type may hold, stay.
        is_text = sa.func.typeof(column) == "text"
        return sa.case((is_text, sa.cast(column, sa.LargeBinary)), else_=column)

    def as_read_unless_text(self, column: Any) -> Any:
        return sa.case((sa.func.typeof(column) == "text", sa.literal_column("0.5")), else_=column)

    def legacy_key(self, table: sa.Table) -> Any:
        return sa.literal_column("rowid", sa.Integer())

    def generation(self, table: sa.Table) -> Query:
        query = "SELECT dflt_value FROM pragma_table_info(?) WHERE name = 'stamp'"
        return Query(query, (table.name,))

    def translate(self, error: Exception) -> MemoryDbError | Fault | None:
        return translate(error)
