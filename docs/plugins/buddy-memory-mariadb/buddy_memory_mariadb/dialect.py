"""What MariaDB does differently from other SQL engines, and what its errors mean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pymysql
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import mysql

from buddy.memory.errors import (
    AccessError,
    ConfigError,
    InvalidMemoryError,
    MemoryDbError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault, SqlDialect

MAX_BYTES = 16_000_000
"""A little less than ``max_allowed_packet``, which is 16 MiB by default."""

MAX_KEY = 700
"""Characters of an id or a user id: an index takes 3072 bytes, four of them for each character."""

# Byte by byte: no other case, no other accent, no padding with blanks is the same.
_TEXT = {"charset": "utf8mb4", "collation": "utf8mb4_nopad_bin"}


class MariaDbDialect(SqlDialect):
    """MariaDB 10.5 or newer (RETURNING), with payloads as text and times as DATETIME(6)."""

    name = "MariaDB"
    max_bytes = MAX_BYTES
    max_name_bytes = 64
    id_type = mysql.VARCHAR(MAX_KEY, **_TEXT)
    # And not JSON, which is a LONGTEXT too, with a check that refuses 32 levels of nesting.
    payload_type = mysql.LONGTEXT(**_TEXT)
    time_type = mysql.DATETIME(fsp=6)

    @property
    def insert(self) -> Callable[[sa.Table], Any]:
        return mysql.insert

    def keys(self, table_name: str) -> list[sa.schema.SchemaItem]:
        # Without names of their own, which could be too long.
        return [sa.UniqueConstraint(*self.identity), sa.UniqueConstraint("user_id", "seq")]

    def load_time(self, value: Any) -> datetime:
        if not isinstance(value, datetime):
            raise TypeError(f"a time was expected, not {value!r}")
        return value.replace(tzinfo=timezone.utc)

    def translate(self, error: Exception) -> MemoryDbError | Fault | None:
        if isinstance(error, exc.TimeoutError):
            return UnavailableError(self.name, "no connection of the pool came free in time")
        cause = getattr(error, "orig", None) or error
        if not isinstance(cause, (pymysql.Error, pymysql.Warning)):
            return None
        code, text = cause.args[0] if cause.args else 0, f"MariaDB: {cause.args[-1:]}"
        meaning = _MEANINGS.get(code)
        if meaning is None:
            return UnavailableError(self.name, str(cause))
        return meaning if isinstance(meaning, Fault) else meaning(text)


# https://mariadb.com/kb/en/mariadb-error-code-reference/
_MEANINGS: dict[int, Fault | Callable[[str], MemoryDbError]] = {
    1050: Fault.EXISTS,
    1146: Fault.NO_TABLE,
    1932: Fault.NO_TABLE,  # It is being dropped.
    1054: Fault.NO_COLUMN,
    1020: Fault.REPEAT,
    1213: Fault.REPEAT,  # A deadlock: this transaction was undone for another one.
    1044: AccessError,
    1045: AccessError,
    1142: AccessError,
    1143: AccessError,
    1227: AccessError,
    1049: ConfigError,  # There is no such database.
    1153: lambda text: TooLargeError(MAX_BYTES + 1, MAX_BYTES),
    1406: lambda text: InvalidMemoryError(f"an id or user id has over {MAX_KEY} characters", "id"),
}
