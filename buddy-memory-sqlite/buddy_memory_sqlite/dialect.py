"""SQLite: what its text forms are and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import sqlite

from buddy.memory.errors import (
    AccessError,
    CorruptMemoryError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault, SqlDialect

MAX_BYTES = 1_000_000_000
"""SQLITE_MAX_LENGTH as it is compiled by default (https://sqlite.org/limits.html)."""


class SqliteDialect(SqlDialect):
    """SQLite 3.35 or newer (RETURNING), with JSON and times as text."""

    name = "SQLite"
    begin = "BEGIN IMMEDIATE"
    ping = "PRAGMA schema_version"  # Unlike SELECT 1, this reads the file.
    bulk_rows = 1000  # 5,000 of the 32,766 parameters that a statement may have
    max_bytes = MAX_BYTES

    @property
    def insert(self) -> Callable[[sa.Table], Any]:
        return sqlite.insert

    def as_read_damaged(self, column: sa.Column[Any]) -> Any:
        # Text as the bytes that it is made of; numbers, which a column of any type may hold, stay.
        is_text = sa.func.typeof(column) == "text"
        return sa.case((is_text, sa.cast(column, sa.LargeBinary)), else_=column)

    def older_key(self, table: sa.Table) -> Any:
        return sa.literal_column("rowid", sa.Integer())

    def translate(self, error: Exception) -> MemoryDbError | Fault | None:
        if isinstance(error, exc.TimeoutError):
            return UnavailableError(self.name, "no connection of the pool came free in time")
        cause = getattr(error, "orig", None) or error
        if not isinstance(cause, (sqlite3.Error, sqlite3.Warning, OverflowError)):
            return None
        text = str(cause)
        for part, meaning in _MEANINGS.items():
            if part in text:
                return meaning if isinstance(meaning, Fault) else meaning(text)
        return UnavailableError(self.name, text)


def _unavailable(text: str) -> MemoryDbError:
    return UnavailableError(SqliteDialect.name, text)


def _not_allowed(text: str) -> MemoryDbError:
    return AccessError(f"SQLite: {text}. Check the rights on the file and its folder.")


def _no_database(text: str) -> MemoryDbError:
    return SchemaError(f"SQLite: {text}.", "Name another file; this one was not changed.")


# By text and not by code: sqlite3 has told the code only since Python 3.11, and the texts have
# stood unchanged in SQLite's sqlite3_errstr since 2013.
_MEANINGS: dict[str, Fault | Callable[[str], MemoryDbError]] = {
    "no such table": Fault.NO_TABLE,
    "no such column": Fault.NO_COLUMN,
    "has no column": Fault.NO_COLUMN,
    "ON CONFLICT clause does not match": Fault.NO_COLUMN,
    "Could not decode to UTF-8": Fault.NOT_TEXT,
    "is not a database": _no_database,
    "disk image is malformed": lambda text: CorruptMemoryError("the database file", text),
    "malformed database schema": lambda text: CorruptMemoryError("the database file", text),
    "readonly database": _not_allowed,
    "unable to open database file": _not_allowed,
    "access permission denied": _not_allowed,
    "authorization denied": _not_allowed,
    "not authorized": _not_allowed,
    "too big": lambda text: TooLargeError(MAX_BYTES + 1, MAX_BYTES),
    "database is locked": _unavailable,
    "table is locked": _unavailable,
    "is full": _unavailable,
    "disk I/O error": _unavailable,
    "interrupted": _unavailable,
}
