"""What PostgreSQL does differently from other SQL engines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.sql import Fault, Query, SqlDialect
from buddy_memory_postgres import encoding, schema
from buddy_memory_postgres.errors import MAX_BYTES, translate

_UTC: Any = sa.literal_column("'UTC'")
_ISO: Any = sa.literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US'""")
_FIRST: Any = sa.literal_column("'0001-01-01 00:00:00+00'")


class PostgresDialect(SqlDialect):
    """PostgreSQL 12 or newer, with jsonb and timestamptz."""

    name = "PostgreSQL"
    max_bytes = MAX_BYTES
    max_name_bytes = schema.MAX_NAME_BYTES
    user_type = sa.Text(collation="C")
    payload_type = postgresql.JSONB()
    time_type = sa.DateTime(timezone=True)
    vector_type = postgresql.BYTEA()
    stamp_column = False

    @property
    def insert(self) -> Callable[[sa.Table], Any]:
        return postgresql.insert

    def generation(self, table: sa.Table) -> Query:
        # Positions go on after DELETE; only a new table starts again at 1.
        query = "SELECT oid::text FROM pg_class WHERE oid = to_regclass(%s)"
        return Query(query, (schema.quoted(table),))

    def clock(self) -> Any:
        # Not that of the transaction, which stands still.
        return sa.func.statement_timestamp()

    def dump_ttl(self, ttl: timedelta) -> timedelta:
        return ttl

    def in_future(self, ttl: Any) -> Any:
        return self.clock() + ttl

    def skip_locked(self, query: Any) -> Any:
        return query.with_for_update(skip_locked=True)

    def position(self) -> sa.Column[Any]:
        # An identity and no serial: it needs no rights on a sequence besides those on the table.
        return sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False)

    def keys(self, table_name: str) -> list[sa.schema.SchemaItem]:
        return schema.keys(table_name)

    def as_read(self, column: sa.Column[Any]) -> Any:
        # As text, whatever the connection's driver would make of jsonb; and of times, whatever the
        # session's DateStyle and TimeZone are.
        if isinstance(column.type, sa.DateTime):
            # NULL before Christ, whose years would be written as those after.
            text = sa.func.to_char(sa.func.timezone(_UTC, column), _ISO)
            return sa.case((column >= _FIRST, text))
        is_payload = isinstance(column.type, postgresql.JSONB)
        return sa.cast(column, sa.Text()) if is_payload else column

    def as_read_damaged(self, column: sa.Column[Any]) -> Any:
        return self.as_read(column)

    def translate(self, error: Exception) -> MemoryDbError | Fault | None:
        return translate(error)

    def dump(self, value: dict[str, Any]) -> str:
        return encoding.dump(value)

    def load(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, str):
            raise TypeError(f"a payload was expected, not {value!r}")
        return encoding.load(value)

    def dump_time(self, time: datetime) -> datetime:
        return time

    def load_time(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise TypeError(f"a time was expected, not {value!r}")
        return datetime.fromisoformat(value).replace(tzinfo=timezone.utc)
