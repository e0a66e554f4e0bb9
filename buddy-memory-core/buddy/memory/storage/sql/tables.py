"""The tables of a store: one for memories, and one beside it for session summaries."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

import sqlalchemy as sa

from buddy.memory.errors import ConfigError
from buddy.memory.storage.record import Kind, new_stamp
from buddy.memory.storage.sql.dialect import SqlDialect
from buddy.memory.storage.sql.layouts import check_columns, columns_of, is_legacy

SUFFIX = {Kind.MEMORY: "", Kind.SUMMARY: "_summaries"}
"""What the name of each kind's table adds to the store's table name."""


V = TypeVar("V")


class OfKind(dict[Kind, V]):
    """A value for each kind, made at first use: most processes use one kind of each store."""

    def __init__(self, make: Callable[[Kind], V]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, kind: Kind) -> V:
        made = self[kind] = self._make(kind)
        return made


class Tables:
    """Both tables, as work for a Connector: inspect, make and drop them. Raises ConfigError for a
    name that no table can have."""

    def __init__(self, dialect: SqlDialect, name: str, schema: str | None = None) -> None:
        check_name("table_name", name)
        self.name, self.schema = name, schema
        _fit(name, SUFFIX[Kind.MEMORY], dialect.max_name_bytes)
        self.by_kind = OfKind(lambda kind: _table(kind, name, schema, dialect))

    @property
    def both(self) -> list[sa.Table]:
        """The tables of both kinds."""
        return [self.by_kind[kind] for kind in Kind]

    def exist(self, connection: sa.Connection) -> bool:
        """Tell whether the memory table is there. Raises SchemaError where it is none of ours; one
        of older software is there."""
        table = self.by_kind[Kind.MEMORY]
        if not sa.inspect(connection).has_table(table.name, schema=table.schema):
            return False
        columns = columns_of(connection, table)
        if not is_legacy(columns):
            check_columns(table, columns)
        return True

    def complete(self, connection: sa.Connection) -> bool:
        """Tell whether both tables are there. Raises SchemaError when one is not as we make it."""
        inspector = sa.inspect(connection)
        there = [
            table for table in self.both if inspector.has_table(table.name, schema=table.schema)
        ]
        for table in there:
            check_columns(table, columns_of(connection, table))
        return len(there) == len(Kind)

    def missing(self, connection: sa.Connection) -> list[sa.schema.ExecutableDDLElement]:
        """Return the statements that make what is missing."""
        inspector = sa.inspect(connection)
        statements: list[sa.schema.ExecutableDDLElement] = []
        if self.schema is not None and not inspector.has_schema(self.schema):
            statements.append(sa.schema.CreateSchema(self.schema))
        for table in self.both:
            if not inspector.has_table(table.name, schema=table.schema):
                statements += creation(table)
        return statements

    def make(self, connection: sa.Connection) -> None:
        """Make what is missing and nothing else: a client without the right to create may go on."""
        for statement in self.missing(connection):
            connection.execute(statement)

    def drop(self, connection: sa.Connection) -> None:
        """Drop both tables, if they are there. Raises SchemaError when one is not as we make it."""
        self.complete(connection)
        for table in self.both:
            connection.execute(sa.schema.DropTable(table, if_exists=True))


def check_name(option: str, name: object) -> None:
    """Raise ConfigError when ``name`` cannot name a table or a schema of any engine."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise ConfigError(f"{option} must be a string that is not empty, not {name!r:.80}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{option} must be Unicode text, not {name!r:.80}") from None


def creation(table: sa.Table) -> list[sa.schema.ExecutableDDLElement]:
    """Return the statements that make a table and its indexes."""
    if "stamp" in table.c:
        # No write relies on the default; it tells this table from one made after it was dropped.
        table.c.stamp.server_default = sa.DefaultClause(sa.text(str(new_stamp())))
    indexes = [sa.schema.CreateIndex(index, if_not_exists=True) for index in table.indexes]
    return [sa.schema.CreateTable(table), *indexes]


def _table(kind: Kind, name: str, schema: str | None, dialect: SqlDialect) -> sa.Table:
    name = _fit(name, SUFFIX[kind], dialect.max_name_bytes)
    stamp = [sa.Column("stamp", sa.BigInteger(), nullable=False)] if dialect.stamp_column else []
    return sa.Table(
        name,
        sa.MetaData(schema=schema),
        dialect.position(),
        sa.Column("id", dialect.id_type, nullable=False),
        sa.Column("user_id", dialect.user_type, nullable=False),
        # Named after the kind, so that neither table can pass for the other.
        sa.Column(kind.value, dialect.payload_type, nullable=False),
        sa.Column("created_at", dialect.time_type, nullable=False),
        sa.Column("updated_at", dialect.time_type, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("1")),
        sa.Column("expires_at", dialect.time_type),
        sa.Column("vector", dialect.vector_type),
        *stamp,
        *dialect.keys(name),
        sqlite_autoincrement=True,
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
