"""What MariaDB does differently from other SQL engines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.sql import Fault, Query, SqlDialect
from buddy_memory_mariadb.errors import MAX_BYTES, MAX_KEY, translate

_TEXT = {"charset": "utf8mb4", "collation": "utf8mb4_nopad_bin"}

_GENERATION = """
SELECT column_default FROM information_schema.columns
WHERE table_schema = database() AND table_name = %s AND column_name = 'stamp'
"""


class MariaDbDialect(SqlDialect):
    """MariaDB 10.5 or newer (RETURNING), with payloads as text and times as DATETIME(6)."""

    name = "MariaDB"
    max_bytes = MAX_BYTES
    max_name_bytes = 64
    # Compared byte by byte, which for UTF-8 is by code point: no other case, no other accent, no
    # padding with blanks is the same.
    id_type = user_type = mysql.VARBINARY(MAX_KEY)
    # And not JSON, which is a LONGTEXT too, with a check that refuses 32 levels of nesting.
    payload_type = mysql.LONGTEXT(**_TEXT)
    time_type = mysql.DATETIME(fsp=6)
    vector_type = mysql.LONGBLOB()

    @property
    def insert(self) -> Callable[[sa.Table], Any]:
        return mysql.insert

    def generation(self, table: sa.Table) -> Query:
        return Query(_GENERATION, (table.name,))

    def keys(self, table_name: str) -> list[sa.schema.SchemaItem]:
        # An index takes 3,072 bytes, which are too few for the longest id and the longest user: it
        # is the id's digest that is unique, and the beginning of the id by which rows are found.
        digest = sa.Computed("unhex(sha2(id, 256))", persisted=True)
        return [
            sa.Column("id_digest", mysql.BINARY(32), digest),
            sa.UniqueConstraint("id_digest", "user_id"),
            sa.UniqueConstraint("user_id", "seq"),
            sa.Index("id_user", "id", "user_id", mariadb_length={"id": 1000}),
            sa.Index("expires_at", "expires_at"),
            sa.Index("user_end", "user_id", "expires_at"),
        ]

    def clock(self) -> Any:
        return sa.func.utc_timestamp(sa.literal_column("6"))

    def dump_ttl(self, ttl: timedelta) -> int:
        return ttl // timedelta(microseconds=1)

    def in_future(self, ttl: Any) -> Any:
        return sa.func.timestampadd(sa.literal_column("MICROSECOND"), ttl, self.clock())

    def as_read(self, column: sa.Column[Any]) -> Any:
        # Bytes that are compared, and text that is read.
        is_key = isinstance(column.type, mysql.VARBINARY)
        return sa.cast(column, mysql.CHAR(charset="utf8mb4")) if is_key else column

    def load_time(self, value: Any) -> datetime:
        if not isinstance(value, datetime):
            raise TypeError(f"a time was expected, not {value!r}")
        return value.replace(tzinfo=timezone.utc)

    def translate(self, error: Exception) -> MemoryDbError | Fault | None:
        return translate(error)
