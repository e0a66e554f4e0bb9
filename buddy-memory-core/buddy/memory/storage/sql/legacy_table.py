"""A table of memories that older software made: recognised and read, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from buddy.memory.storage import legacy
from buddy.memory.storage.record import Corrupt, Record
from buddy.memory.storage.sql.dialect import SqlDialect
from buddy.memory.storage.sql.layouts import columns_of, is_legacy, refuse_earlier

PAGE = 500
"""Rows read at a time."""


class LegacyTable:
    """Work for a Connector on one table."""

    def __init__(self, table: sa.Table, dialect: SqlDialect) -> None:
        self._table = table
        self._key = dialect.legacy_key(table)
        # In the form that does not fail for a row that the driver cannot decode.
        self._columns = [
            sa.type_coerce(dialect.as_read_damaged(table.c[name]), sa.types.NullType())
            for name in legacy.FIELDS
        ]

    def keys(self, connection: sa.Connection) -> list[Any]:
        """Return the keys of all rows, oldest first; none where there is no such table.

        Raises SchemaError for a table in an earlier layout of ours.
        """
        table = self._table
        if not sa.inspect(connection).has_table(table.name, schema=table.schema):
            return []
        columns = columns_of(connection, table)
        refuse_earlier(table, columns)
        if not is_legacy(columns):
            return []
        query = sa.select(self._key).select_from(table).order_by(table.c.created_at, self._key)
        return [*connection.execute(query).scalars()]

    def rows(self, connection: sa.Connection, keys: Sequence[Any]) -> list[Record | Corrupt]:
        """Return the rows with these keys, in their order; the key is each one's position."""
        query = sa.select(self._key, *self._columns).where(self._key.in_(keys))
        found = {row[0]: row[1:] for row in connection.execute(query)}
        return [legacy.read_row(found[key], key) for key in keys if key in found]
