"""The file and its tables: where it may be made, WAL, and whether names stand for our tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from buddy.memory.errors import AccessError, ConfigError, SchemaError, UnavailableError
from buddy.memory.storage.sql import Query
from buddy.memory.storage.sql.tables import Tables, check_name
from buddy_memory_sqlite.client import BUSY_SECONDS


def check_table_name(table_name: str) -> None:
    """Raise ConfigError for what is no name, and for a name that SQLite keeps for itself."""
    check_name("table_name", table_name)
    if table_name.lower().startswith("sqlite_"):
        raise ConfigError(f"SQLite reserves table names like {table_name!r}: choose another one")


# --- names: SQLite takes those that differ in the case of ASCII letters only for one


def names_query(tables: Tables) -> Query:
    """Return the query for the names under which SQLite knows our tables."""
    query = (
        "SELECT name FROM sqlite_master "
        "WHERE type IN ('table', 'view') AND name COLLATE NOCASE IN (?, ?)"
    )
    return Query(query, tuple(table.name for table in tables.both))


def are_ours(tables: Tables, rows: Sequence[Any]) -> bool:
    """Tell whether both tables are there, by what ``names_query`` found.

    Raises SchemaError where SQLite would use a table of another name for one of ours.
    """
    ours = {table.name for table in tables.both}
    for (name,) in rows:
        if name not in ours:
            raise SchemaError(
                f"The database has a table {name!r}, which SQLite does not tell from one of the "
                f"store {tables.name!r}: their names differ in upper and lower case only.",
                "Choose another table_name.",
            )
    return len(rows) == len(ours)


# --- the file


def make_file(file: Path) -> None:
    """Make an empty file, which is an empty database, and its folder. Raises AccessError.

    Only the owner may read it, from the first byte on; SQLite gives its other files the same mode.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AccessError(f"The folder {file.parent} cannot be made: {error.strerror}.") from error
    with suppress(OSError):  # It is there, or SQLite says what is wrong.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def is_made(file: Path) -> bool:
    """Tell whether the file is there.

    Raises AccessError when it is not, and could not be made: an unusable path must not read as
    empty (R7).
    """
    if file.exists():
        return True
    folder = file.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise AccessError(f"{file} cannot be made: {folder} is not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AccessError(f"{file} cannot be made: no rights to write in {folder}.")
    return False


def switch_to_wal(connection: sa.Connection) -> None:
    """Switch a file without tables to WAL for good, while other processes may be doing the same.

    SQLite does not wait for the lock that this needs (busy_timeout does not apply to it), so the
    waiting is done here.
    """
    deadline = monotonic() + BUSY_SECONDS
    while True:
        try:
            tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
            if tables == 0:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL").fetchall()
            return
        except exc.OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            if monotonic() > deadline:
                raise UnavailableError("SQLite", "the file stayed locked while opening") from error
        sleep(0.01)
