"""What PostgreSQL does differently from other SQL engines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.sql import Fault, SqlDialect
from buddy_memory_postgres import jsonb
from buddy_memory_postgres.faults import MAX_BYTES, translate

MAX_NAME_BYTES = 63
"""NAMEDATALEN - 1: PostgreSQL silently cuts longer names."""

# With some room: what PostgreSQL holds (4713 BC to 294276) is more than what Python does.
_FIRST, _LAST = sa.text("'0001-01-03 UTC'"), sa.text("'9999-12-29 UTC'")


class PostgresDialect(SqlDialect):
    """PostgreSQL 12 or newer, with jsonb and timestamptz."""

    name = "PostgreSQL"
    max_bytes = MAX_BYTES
    max_name_bytes = MAX_NAME_BYTES
    payload_type = postgresql.JSONB()
    time_type = sa.DateTime(timezone=True)

    def __init__(self, distributed_by_user: bool = False) -> None:
        if distributed_by_user:
            self.identity = ("user_id", "id")

    @property
    def insert(self) -> Callable[[sa.Table], Any]:
        return postgresql.insert

    def position(self) -> sa.Column[Any]:
        # An identity and no serial: it needs no rights on a sequence besides those on the table.
        return sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False)

    def keys(self, table_name: str) -> list[sa.schema.SchemaItem]:
        # Constraints and no indexes, because PostgreSQL finds names for them that are free.
        newest_of_all = [sa.UniqueConstraint("seq")] if "user_id" not in self.identity else []
        return [
            sa.PrimaryKeyConstraint(*self.identity),
            *newest_of_all,
            sa.UniqueConstraint("user_id", "seq"),
        ]

    def as_read(self, column: sa.Column[Any]) -> Any:
        # As text, whatever the connection's driver would make of jsonb.
        is_payload = isinstance(column.type, postgresql.JSONB)
        return sa.cast(column, sa.Text()) if is_payload else column

    def as_read_damaged(self, column: sa.Column[Any]) -> Any:
        if isinstance(column.type, sa.DateTime):
            return sa.case((column.between(_FIRST, _LAST), column))  # NULL outside
        return self.as_read(column)

    def translate(self, error: Exception) -> MemoryDbError | Fault | None:
        return translate(error)

    def dump(self, value: dict[str, Any]) -> str:
        return jsonb.dump(value)

    def load(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, str):
            raise TypeError(f"a payload was expected, not {value!r}")
        return jsonb.load(value)

    def dump_time(self, time: datetime) -> datetime:
        return time

    def load_time(self, value: Any) -> datetime:
        if not isinstance(value, datetime):
            raise TypeError(f"a time was expected, not {value!r}")
        return value.astimezone(timezone.utc)
