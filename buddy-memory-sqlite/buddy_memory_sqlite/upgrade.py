"""A table that older software made, rebuilt with the columns of today in one transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from buddy.memory.errors import SchemaError
from buddy.memory.storage import clock, legacy
from buddy.memory.storage.record import Kind, Record, new_stamp
from buddy.memory.storage.sql.layouts import columns_of, is_legacy, refuse_earlier
from buddy.memory.storage.sql.legacy_table import PAGE, LegacyTable
from buddy.memory.storage.sql.tables import Tables, creation
from buddy.memory.storage.users import encode_user
from buddy_memory_sqlite.dialect import SqliteDialect


def upgrade(connection: sa.Connection, tables: Tables) -> None:
    """Rebuild a memory table of older software. Runs inside a write lock.

    Every row is kept with its id, user and times; an unreadable one is kept as it stands and stays
    unreadable. Raises SchemaError, and changes nothing, for a table that it cannot rebuild without
    a loss, and for one in an earlier layout of ours.
    """
    table = tables.by_kind[Kind.MEMORY]
    if not sa.inspect(connection).has_table(table.name):
        return
    columns = columns_of(connection, table)
    refuse_earlier(table, columns)
    if not is_legacy(columns):
        return
    extra = columns - {*legacy.FIELDS}
    if extra:
        raise SchemaError(
            f"An upgrade would lose columns of the table {table.name!r} that are not ours: "
            f"{', '.join(sorted(extra))}.",
            "Read it with iter_legacy_memories() and write the memories elsewhere.",
        )
    quote = connection.dialect.identifier_preparer.quote
    old = f"{table.name}__before_upgrade"
    connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} RENAME TO {quote(old)}")
    for statement in creation(table):
        connection.execute(statement)
    _copy(connection, quote(old), quote(table.name))
    _convert(connection, table, old)
    connection.exec_driver_sql(f"DROP TABLE {quote(old)}")


# As encode_user does, for what may be no text at all.
_USER = (
    "CASE WHEN user_id IS NULL THEN '' "
    "WHEN user_id = '' OR substr(user_id, 1, 1) = char(1) THEN char(1) || user_id "
    "ELSE user_id END"
)
# As new_stamp does.
_STAMP = "abs(random() % (1 << 40))"


def _copy(connection: sa.Connection, old: str, new: str) -> None:
    """Copy every row as it stands; a required value that is missing gets a default."""
    connection.exec_driver_sql(
        f"INSERT INTO {new} ({', '.join(legacy.FIELDS)}, stamp) "  # noqa: S608  (names are quoted)
        f"SELECT id, {_USER}, coalesce(memory, 'null'), "
        "coalesce(created_at, updated_at, :now), coalesce(updated_at, created_at, :now), "
        f"{_STAMP} FROM {old} ORDER BY created_at, rowid",
        {"now": _dialect.dump_time(clock.utc_now())},
    )


def _convert(connection: sa.Connection, table: sa.Table, old: str) -> None:
    """Bring the rows that can be read into the form of today."""
    older = LegacyTable(table.to_metadata(sa.MetaData(), name=old), _dialect)
    keys = older.keys(connection)
    is_row = sa.and_(
        table.c.id == sa.bindparam("row_id"), table.c.user_id == sa.bindparam("row_user")
    )
    names = (*legacy.FIELDS[2:], "stamp")
    update = sa.update(table).where(is_row)
    update = update.values({name: sa.bindparam(name) for name in names})
    for start in range(0, len(keys), PAGE):
        rows = older.rows(connection, keys[start : start + PAGE])
        values = [_values(row) for row in rows if isinstance(row, Record)]
        if values:
            connection.execute(update, values)


def _values(row: Record) -> dict[str, Any]:
    return {
        "row_id": row.id,
        "row_user": encode_user(row.user_id),
        "memory": _dialect.dump(row.payload),
        "created_at": row.created_at.replace(tzinfo=None),
        "updated_at": row.updated_at.replace(tzinfo=None),
        "stamp": new_stamp(),
    }


_dialect = SqliteDialect()
