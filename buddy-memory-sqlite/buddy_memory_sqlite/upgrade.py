"""Tables from before versions and positions, brought up to date in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from buddy.memory import payload
from buddy.memory.errors import SchemaError
from buddy.memory.storage import clock, legacy
from buddy.memory.storage.record import Kind
from buddy.memory.storage.sql.tables import Tables, is_older
from buddy_memory_sqlite.dialect import SqliteDialect

_COLUMNS = ("id", "user_id", "memory", "created_at", "updated_at")


def upgrade(connection: sa.Connection, tables: Tables) -> None:
    """Rebuild an older table of memories with the columns of today. Runs inside a write lock.

    Every row is kept with its id, owner and times; one whose payload is unreadable is kept as it
    stands and stays unreadable. Software that reads the five old columns can still read them.
    """
    table = tables.by_kind[Kind.MEMORY]
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name):
        return
    columns = {column["name"] for column in inspector.get_columns(table.name)}
    if not is_older(columns):
        return
    extra = columns - {*_COLUMNS, "seq", "version"}
    if extra:
        raise SchemaError(
            f"An upgrade would lose columns of the table {table.name!r} that are not ours: "
            f"{', '.join(sorted(extra))}."
        )
    quote = connection.dialect.identifier_preparer.quote
    old = f"{table.name}__before_upgrade"
    connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} RENAME TO {quote(old)}")
    connection.execute(sa.schema.CreateTable(table))
    # Names are quoted by the dialect, and values are parameters.
    columns_sql = ", ".join(_COLUMNS)
    rows = connection.exec_driver_sql(
        f"SELECT {columns_sql} FROM {quote(old)} ORDER BY created_at, rowid"  # noqa: S608
    )
    insert = f"INSERT INTO {quote(table.name)} ({columns_sql}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
    for row in _converted(rows):
        connection.exec_driver_sql(insert, row)
    connection.exec_driver_sql(f"DROP TABLE {quote(old)}")
    for index in table.indexes:
        connection.execute(sa.schema.CreateIndex(index))


def _converted(rows: Any) -> Iterator[tuple[Any, ...]]:
    now = clock.utc_now()
    for id, user_id, memory, created_at, updated_at in rows:
        created, updated = legacy.read_time(created_at), legacy.read_time(updated_at)
        readable = legacy.read_payload(memory)
        yield (
            id,
            user_id,
            memory if readable is None else payload.to_json(readable),
            _text(created or updated or now),
            _text(updated or created or now),
        )


def _text(time: datetime) -> Any:
    return SqliteDialect().dump_time(time)
