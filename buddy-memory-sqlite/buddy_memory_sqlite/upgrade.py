"""Tables from before versions and positions, brought up to date in one transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from buddy.memory.errors import SchemaError
from buddy.memory.storage import clock, legacy
from buddy.memory.storage.record import Kind, Record
from buddy.memory.storage.sql.older import PAGE, OlderTable, is_older
from buddy.memory.storage.sql.tables import Tables
from buddy_memory_sqlite.dialect import SqliteDialect


def upgrade(connection: sa.Connection, tables: Tables) -> None:
    """Rebuild an older table of memories with the columns of today. Runs inside a write lock.

    Every row is kept with its id, owner and times; one that is unreadable is kept as it stands and
    stays unreadable. Software that knows the five old columns, and JSON in them, can go on.
    """
    table = tables.by_kind[Kind.MEMORY]
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name):
        return
    columns = {column["name"] for column in inspector.get_columns(table.name)}
    if not is_older(columns):
        return
    extra = columns - {*legacy.FIELDS, "seq", "version"}
    if extra:
        raise SchemaError(
            f"An upgrade would lose columns of the table {table.name!r} that are not ours: "
            f"{', '.join(sorted(extra))}.",
            "Read it with iter_older_memories() and write the memories elsewhere.",
        )
    quote = connection.dialect.identifier_preparer.quote
    old = f"{table.name}__before_upgrade"
    connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} RENAME TO {quote(old)}")
    connection.execute(sa.schema.CreateTable(_open_to_others(table)))
    _copy(connection, quote(old), quote(table.name))
    _convert(connection, table, old)
    connection.exec_driver_sql(f"DROP TABLE {quote(old)}")
    for index in table.indexes:
        connection.execute(sa.schema.CreateIndex(index))


def _open_to_others(table: sa.Table) -> sa.Table:
    """Return the table with times that are filled in: older software leaves them out."""
    copy = table.to_metadata(sa.MetaData())
    for name in ("created_at", "updated_at"):
        copy.c[name].server_default = sa.DefaultClause(sa.text("CURRENT_TIMESTAMP"))
    return copy


def _copy(connection: sa.Connection, old: str, new: str) -> None:
    """Copy every row as it stands; what the new table must have and is missing gets a value."""
    connection.exec_driver_sql(
        f"INSERT INTO {new} ({', '.join(legacy.FIELDS)}) "  # noqa: S608  (names are quoted)
        "SELECT id, user_id, coalesce(memory, 'null'), coalesce(created_at, updated_at, :now), "
        f"coalesce(updated_at, created_at, :now) FROM {old} ORDER BY created_at, rowid",
        {"now": _dialect.dump_time(clock.utc_now())},
    )


def _convert(connection: sa.Connection, table: sa.Table, old: str) -> None:
    """Bring the rows that can be read into the form of today."""
    older = OlderTable(table.to_metadata(sa.MetaData(), name=old), _dialect)
    keys = older.keys(connection)
    update = sa.update(table).where(table.c.id == sa.bindparam("row_id"))
    update = update.values({name: sa.bindparam(name) for name in legacy.FIELDS[2:]})
    for start in range(0, len(keys), PAGE):
        rows = older.rows(connection, keys[start : start + PAGE])
        values = [_values(row) for row in rows if isinstance(row, Record)]
        if values:
            connection.execute(update, values)


def _values(row: Record) -> dict[str, Any]:
    return {
        "row_id": row.id,
        "memory": _dialect.dump(row.payload),
        "created_at": row.created_at.replace(tzinfo=None),
        "updated_at": row.updated_at.replace(tzinfo=None),
    }


_dialect = SqliteDialect()
