"""The tables of a store: one for memories, and one beside it for session summaries."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

import sqlalchemy as sa

from buddy.memory.errors import ConfigError, SchemaError
from buddy.memory.storage.record import Kind
from buddy.memory.storage.sql.dialect import SqlDialect

SUFFIX = {Kind.MEMORY: "", Kind.SUMMARY: "_summaries"}
"""What the name of each kind's table adds to the store's table name."""


V = TypeVar("V")


class OfKind(dict[Kind, V]):
    """Something for each kind, made when it is asked for: most processes open stores of which they
    use one kind."""

    def __init__(self, make: Callable[[Kind], V]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, kind: Kind) -> V:
        made = self[kind] = self._make(kind)
        return made


class Tables:
    """Both tables, as work for a Connector: look at them, make them, drop them."""

    def __init__(self, dialect: SqlDialect, name: str, schema: str | None = None) -> None:
        self.name, self.schema = name, schema
        _fit(name, SUFFIX[Kind.MEMORY], dialect.max_name_bytes)
        self.by_kind = OfKind(lambda kind: _table(kind, name, schema, dialect))

    @property
    def both(self) -> list[sa.Table]:
        """The tables of both kinds."""
        return [self.by_kind[kind] for kind in Kind]

    def exist(self, connection: sa.Connection) -> bool:
        """Tell whether the table of memories is there."""
        table = self.by_kind[Kind.MEMORY]
        return sa.inspect(connection).has_table(table.name, schema=table.schema)

    def complete(self, connection: sa.Connection) -> bool:
        """Tell whether both tables are there. Raises SchemaError when one is not as we make it."""
        inspector = sa.inspect(connection)
        there = [
            table for table in self.both if inspector.has_table(table.name, schema=table.schema)
        ]
        for table in there:
            columns = {column["name"] for column in inspector.get_columns(table.name, table.schema)}
            check_columns(table, columns)
        return len(there) == len(Kind)

    def missing(self, connection: sa.Connection) -> list[sa.schema.ExecutableDDLElement]:
        """Return the statements that make what is missing."""
        inspector = sa.inspect(connection)
        statements: list[sa.schema.ExecutableDDLElement] = []
        if self.schema is not None and not inspector.has_schema(self.schema):
            statements.append(sa.schema.CreateSchema(self.schema))
        for table in self.both:
            if not inspector.has_table(table.name, schema=table.schema):
                statements.append(sa.schema.CreateTable(table))
                statements += [sa.schema.CreateIndex(i, if_not_exists=True) for i in table.indexes]
        return statements

    def make(self, connection: sa.Connection) -> None:
        """Make what is missing, and nothing else: whoever may not create needs no right to."""
        for statement in self.missing(connection):
            connection.execute(statement)

    def drop(self, connection: sa.Connection) -> None:
        """Drop both tables, if they are there."""
        for table in self.both:
            connection.execute(sa.schema.DropTable(table, if_exists=True))


def check_columns(table: sa.Table, columns: set[str]) -> None:
    """Raise SchemaError when a table with these columns cannot serve as ``table`` (R9)."""
    if columns >= {column.name for column in table.columns}:
        return
    from buddy.memory.storage.sql.older import is_older  # Only few ever need it.

    if is_older(columns):
        wrong = f"The table {table.fullname!r} was made by an older release."
        raise SchemaError(wrong, "Call upgrade() to bring it up to date; no row is lost.")
    raise SchemaError(
        f"The table {table.fullname!r} exists and is not one of ours.", "Choose another table_name."
    )


def _table(kind: Kind, name: str, schema: str | None, dialect: SqlDialect) -> sa.Table:
    name = _fit(name, SUFFIX[kind], dialect.max_name_bytes)
    return sa.Table(
        name,
        sa.MetaData(schema=schema),
        dialect.position(),
        sa.Column("id", dialect.id_type, nullable=False),
        sa.Column("user_id", dialect.id_type),
        # Named after the kind, so that neither table can pass for the other.
        sa.Column(kind.value, dialect.payload_type, nullable=False),
        sa.Column("created_at", dialect.time_type, nullable=False),
        sa.Column("updated_at", dialect.time_type, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("1")),
        *dialect.keys(name),
    )


def _fit(name: str, suffix: str, limit: int | None) -> str:
    """Return name and suffix; a name that is too long with it is cut and marked with its digest."""
    encoded = name.encode()
    if limit is None or len(encoded) + len(suffix) <= limit:
        return name + suffix
    if not suffix:
        raise ConfigError(f"the table name {name!r} is longer than {limit} bytes")
    suffix = f"_{sha256(encoded).hexdigest()[:8]}{suffix}"
    return encoded[: limit - len(suffix)].decode(errors="ignore") + suffix
