"""The keys of a table, and the statements that make what is missing."""

from __future__ import annotations

from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from buddy.memory.storage.sql.tables import Tables

MAX_NAME_BYTES = 63
"""NAMEDATALEN - 1: PostgreSQL silently cuts longer names."""

# Not that of psycopg, which writes each % twice.
_PLAIN = postgresql.dialect()  # type: ignore[no-untyped-call]
_quote = _PLAIN.identifier_preparer


def keys(table_name: str) -> list[sa.schema.SchemaItem]:
    """Return what keeps rows unique and lists them in order.

    Every unique key holds ``user_id``, so that a table may be partitioned or distributed by it.
    The id comes first in the primary key, which serves reads by id alone.
    """
    return [
        sa.PrimaryKeyConstraint("id", "user_id"),
        sa.UniqueConstraint("user_id", "seq"),
        sa.Index(_index_name(table_name, "seq"), "seq"),
        sa.Index(
            _index_name(table_name, "expires_at"),
            "expires_at",
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        ),
        sa.Index(
            _index_name(table_name, "user_end"),
            "user_id",
            "expires_at",
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        ),
    ]


def _index_name(table_name: str, column: str) -> str:
    # As PostgreSQL would call it, which cuts long names so that two tables may get the same.
    name = f"{table_name}_{column}_idx"
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return f"{sha256(table_name.encode()).hexdigest()[:32]}_{column}_idx"


def quote(name: str) -> str:
    """Return a name as it stands in a statement."""
    return _quote.quote(name)


def quoted(table: sa.Table) -> str:
    """Return the name of a table as it stands in a statement, with its schema."""
    return _quote.format_table(table)


def creation_script(connection: sa.Connection, tables: Tables) -> str:
    """Return the script that makes what is missing, and lets the current user work with it."""
    user = quote(connection.exec_driver_sql("SELECT current_user").scalar_one())
    lines = [_text(statement) for statement in tables.missing(connection)]
    if tables.schema is not None:
        lines.append(f"GRANT USAGE ON SCHEMA {quote(tables.schema)} TO {user}")
    names = ", ".join(map(quoted, tables.both))
    lines.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {names} TO {user}")
    return script(lines)


def _text(statement: sa.schema.ExecutableDDLElement) -> str:
    return str(statement.compile(dialect=_PLAIN)).strip()


def script(lines: list[str]) -> str:
    """Return statements as one text."""
    return "".join(f"{line};\n" for line in lines)
