"""Errors of sqlite3 and of SQLAlchemy's pool in those of ``buddy.memory.errors``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from sqlalchemy import exc

from buddy.memory.errors import (
    AccessError,
    CorruptMemoryError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.sql import Fault

NAME = "SQLite"

MAX_BYTES = 1_000_000_000
"""SQLITE_MAX_LENGTH as it is compiled by default (https://sqlite.org/limits.html)."""


def translate(error: Exception) -> MemoryDbError | Fault | None:
    """Return what an error means, or None when it is not the driver's."""
    if isinstance(error, exc.TimeoutError):
        return UnavailableError(NAME, "no connection of the pool came free in time")
    cause = getattr(error, "orig", None) or error
    if not isinstance(cause, (sqlite3.Error, sqlite3.Warning, OverflowError)):
        return None
    text = str(cause)
    for part, meaning in _MEANINGS.items():
        if part in text:
            return meaning if isinstance(meaning, Fault) else meaning(text)
    return UnavailableError(NAME, text)


def _unavailable(text: str) -> MemoryDbError:
    return UnavailableError(NAME, text)


def _not_allowed(text: str) -> MemoryDbError:
    return AccessError(
        f"SQLite: {text}. Check that it is a file, and the rights on it and its folder."
    )


def _no_database(text: str) -> MemoryDbError:
    return SchemaError(f"SQLite: {text}.", "Name another file; this one was not changed.")


def _constraint(text: str) -> MemoryDbError:
    return SchemaError(f"SQLite: {text}.", "The table has rows or constraints that are not ours.")


def _corrupt(text: str) -> MemoryDbError:
    return CorruptMemoryError("the database file", text)


def _too_large(text: str) -> MemoryDbError:
    return TooLargeError(MAX_BYTES + 1, MAX_BYTES)


# By text and not by code: sqlite3 has told the code only since Python 3.11, and the texts have
# stood unchanged in SQLite's sqlite3_errstr since 2013.
_MEANINGS: dict[str, Fault | Callable[[str], MemoryDbError]] = {
    "no such table": Fault.NO_TABLE,
    "no such column": Fault.NO_COLUMN,
    "has no column": Fault.NO_COLUMN,
    "ON CONFLICT clause does not match": Fault.NO_COLUMN,
    "Could not decode to UTF-8": Fault.DAMAGED_ROW,
    "integer overflow": Fault.DAMAGED_ROW,
    "is not a database": _no_database,
    "constraint failed": _constraint,
    "disk image is malformed": _corrupt,
    "malformed database schema": _corrupt,
    "readonly database": _not_allowed,
    "unable to open database file": _not_allowed,
    "access permission denied": _not_allowed,
    "authorization denied": _not_allowed,
    "not authorized": _not_allowed,
    "too big": _too_large,
    "database is locked": _unavailable,
    "table is locked": _unavailable,
    "is full": _unavailable,
    "disk I/O error": _unavailable,
    "interrupted": _unavailable,
}
