"""The statements of one table: those that read it (``read_statements``), and those that write."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from buddy.memory.storage.sql.read_statements import ReadStatements, Where
from buddy.memory.storage.sql.statement import Statement, compiled, parameter

NEW_ROW = (
    "p_id",
    "p_user_id",
    "p_payload",
    "p_created_at",
    "p_updated_at",
    "p_expires_at",
    "p_vector",
    "p_stamp",
)
"""The parameters of one row of ``upsert_rows``; p_stamp only where there is such a column."""

RARE = ("p_expires_at", "p_vector")
"""Those that ``plain`` statements leave out, since most rows have neither and each parameter takes
time: both columns become NULL."""


class Statements(ReadStatements):
    """All statements of one table."""

    # --- writing

    def new_row(self, plain: bool = False) -> tuple[str, ...]:
        """Return the parameters of a row that this table has."""
        without = RARE if plain else ()
        if not self._dialect.stamp_column:
            without = (*without, "p_stamp")
        return tuple([name for name in NEW_ROW if name not in without])

    def _new(self, plain: bool = False) -> dict[str, Any]:
        """Return what a new row is made of, in the order of NEW_ROW."""
        columns = {"p_payload": self._payload.name}
        return {
            columns.get(name, name.removeprefix("p_")): parameter(name)
            for name in self.new_row(plain)
        }

    def _changed(self, values: Any) -> dict[str, Any]:
        """Return what an update sets; ``values`` are the columns of the row to write."""
        taken = [self._payload.name, "expires_at", "vector"]
        if self._dialect.stamp_column:
            taken.append("stamp")
        return {
            **{name: values[name] for name in taken},
            "updated_at": parameter("p_now"),
            "version": self._c.version + sa.literal_column("1"),
        }

    def _is_later(self) -> Any:
        # The time always moves forward: otherwise no row comes back.
        return self._c.updated_at < parameter("p_now")

    def _returned(self) -> list[Any]:
        # The times of a new row are known to the caller, and formatting them is work.
        c = self._c
        is_old = c.version > sa.literal_column("1")
        times = [
            sa.case((is_old, self._as_returned(time))) for time in (c.created_at, c.updated_at)
        ]
        return [c.id, c.user_id, c.version, *[sa.case((is_old, time)) for time in times]]

    def _as_returned(self, time: Any) -> Any:
        """Return a time of a row that was there, so that a damaged one makes no driver fail."""
        return time

    @compiled
    def upsert(self, plain: bool = False) -> Any:
        """Insert or update the row with p_id and p_user_id in one step; returns id, user_id,
        version, and the times of a row that was there."""
        return self._or_update(self._dialect.insert(self._table).values(self._new(plain)))

    def _or_update(self, insert: Any) -> Any:
        return insert.on_conflict_do_update(
            index_elements=[self._c.id, self._c.user_id],
            set_=self._changed(insert.excluded),
            where=self._is_later(),
        ).returning(*self._returned())

    @compiled
    def insert_only(self) -> Any:
        """Insert the row unless it is there; returns what ``upsert`` returns."""
        insert = self._dialect.insert(self._table).values(self._new())
        insert = insert.on_conflict_do_nothing(index_elements=[self._c.id, self._c.user_id])
        return insert.returning(*self._returned())

    @compiled
    def update_version(self) -> Any:
        """Update the row if it has p_if_version; returns what ``upsert`` returns."""
        return (
            sa.update(self._table)
            .where(*self._is_key(), self._is_later())
            .where(self._c.version == parameter("p_if_version"))
            .values(self._changed(self._new()))
            .returning(*self._returned())
        )

    @compiled
    def set_version(self) -> Any:
        """Set the version of the row with p_id and p_user_id to p_version."""
        query = sa.update(self._table).where(*self._is_key())
        return query.values(version=parameter("p_version"))

    @compiled
    def rewrite(self) -> Any:
        """Replace payload and vector of the row if it has the stamp p_if_stamp."""
        new, changed = self._new(), (self._payload.name, "vector", "stamp")
        return (
            sa.update(self._table)
            .where(*self._is_key(), self.stamp() == parameter("p_if_stamp"))
            .values({name: new[name] for name in changed if name in new})
        )

    def upsert_rows(self, count: int, plain: bool = False) -> Statement:
        """Return ``upsert`` for ``count`` rows: their parameters first, then the others."""
        return self.repeated(self.upsert(plain), self.new_row(plain), count)

    # --- deleting

    @compiled
    def delete(self, by_version: bool = False) -> Any:
        """Parameters: p_id, p_user_id, and p_if_version when ``by_version``."""
        query = sa.delete(self._table).where(*self._is_key())
        return query.where(self._c.version == parameter("p_if_version")) if by_version else query

    @compiled
    def delete_all(self, where: Where) -> Any:
        """Parameters: those of ``where``."""
        return sa.delete(self._table).where(*self._in_scope(where))
