"""Layouts: which columns a table has, and whether it can serve."""

from __future__ import annotations

import sqlalchemy as sa

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import Kind

_LEGACY = {"id", "user_id", "memory", "created_at", "updated_at"}
"""What memories of older software have, and all that they have of ours."""

_EARLIER = {"seq", "id", "user_id", "created_at", "updated_at", "version"}
"""What tables have had since rows have a version."""

_CURRENT = {"expires_at", "vector"}
"""What they have had since a row is named by its user and its id."""


def columns_of(connection: sa.Connection, table: sa.Table) -> set[str]:
    """Return the names of the columns that an existing table really has."""
    found = sa.inspect(connection).get_columns(table.name, table.schema)
    return {column["name"] for column in found}


def is_legacy(columns: set[str]) -> bool:
    """Tell whether these are the columns of a memory table from before versions and positions."""
    return columns >= _LEGACY and not columns >= _EARLIER


def refuse_earlier(table: sa.Table, columns: set[str]) -> None:
    """Raise SchemaError for a layout of ours in which an id was unique among all users."""
    is_ours = columns >= _EARLIER and columns & {kind.value for kind in Kind}
    if is_ours and not columns >= _CURRENT:
        raise SchemaError(
            f"The table {table.fullname!r} has the layout of an earlier buddy-memory.",
            "Export it with the release that wrote it, and import it here.",
        )


def check_columns(table: sa.Table, columns: set[str]) -> None:
    """Raise SchemaError when a table with these columns cannot serve as ``table`` (R9)."""
    if columns >= {column.name for column in table.columns}:
        return
    if is_legacy(columns):
        wrong = f"The table {table.fullname!r} was made by older software."
        raise SchemaError(wrong, "Call upgrade() to bring it up to date; no row is lost.")
    refuse_earlier(table, columns)
    raise SchemaError(
        f"The table {table.fullname!r} exists and is not one of ours.", "Choose another table_name."
    )
