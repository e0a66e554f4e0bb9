"""The statements of one table: those that read it (``read_statements``), and those that write."""

from __future__ import annotations

from typing import Any, NamedTuple

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

NewRow = tuple[str, str, Any, Any, Any, Any, bytes | None, int]
"""Values in the order of NEW_ROW: id, encoded user, payload, the three times, vector, stamp. The
third time is the end, or how long it is until then."""

RARE = ("p_expires_at", "p_vector")
"""Those that ``plain`` statements leave out, since most rows have neither and each parameter takes
time: both columns become NULL."""


class Shape(NamedTuple):
    """Which statement writes rows: ``plain`` ones have no end and no vector. ``counted``: the end
    is given as a duration. ``keep``: a row that is there keeps its end."""

    plain: bool = False
    counted: bool = False
    keep: bool = False


class Statements(ReadStatements):
    """All statements of one table."""

    # --- writing

    def new_row(self, shape: Shape) -> tuple[str, ...]:
        """Return the parameters of a row that this table has."""
        without = RARE if shape.plain else ()
        if not self._dialect.stamp_column:
            without = (*without, "p_stamp")
        return tuple([name for name in NEW_ROW if name not in without])

    def _new(self, shape: Shape) -> dict[str, Any]:
        """Return what a new row is made of, in the order of NEW_ROW."""
        columns = {"p_payload": self._payload.name}
        new = {
            columns.get(name, name.removeprefix("p_")): parameter(name)
            for name in self.new_row(shape)
        }
        if shape.counted:
            new["expires_at"] = self._dialect.in_future(parameter("p_expires_at"))
        return new

    def _changed(self, values: Any, shape: Shape) -> dict[str, Any]:
        """Return what an update sets; ``values`` are the columns of the row to write."""
        taken = [self._payload.name, "vector", *([] if shape.keep else ["expires_at"])]
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

    def _returned(self, shape: Shape) -> list[Any]:
        # The times of a new row are known to the caller, and formatting them is work.
        c = self._c
        is_old = c.version > sa.literal_column("1")
        times = [
            sa.case((is_old, self._as_returned(time))) for time in (c.created_at, c.updated_at)
        ]
        stamp = [] if self._dialect.stamp_column else [self.written_stamp()]
        end = [] if shape.plain else [self._as_returned(c.expires_at)]
        return [c.id, c.user_id, c.version, *times, *stamp, *end]

    def written_stamp(self) -> Any:
        """Return how a write returns the stamp that ``stamp`` selects afterwards."""
        return self.stamp()

    def _as_returned(self, time: Any) -> Any:
        """Return a time of a row that was there, so that a damaged one makes no driver fail."""
        return time

    @compiled
    def upsert(self, shape: Shape) -> Any:
        """Insert or update the row with p_id and p_user_id in one step; returns id, user_id,
        version, the times of a row that was there, the stamp where no column holds it, and the end
        unless ``plain``. Nothing comes back where a row is there that has ended."""
        return self._or_update(self._dialect.insert(self._table).values(self._new(shape)), shape)

    def _or_update(self, insert: Any, shape: Shape) -> Any:
        return insert.on_conflict_do_update(
            index_elements=[self._c.id, self._c.user_id],
            set_=self._changed(insert.excluded, shape),
            where=sa.and_(self._is_later(), self._lives()),
        ).returning(*self._returned(shape))

    @compiled
    def insert_only(self, shape: Shape) -> Any:
        """Insert the row unless it is there; returns what ``upsert`` returns."""
        insert = self._dialect.insert(self._table).values(self._new(shape))
        insert = insert.on_conflict_do_nothing(index_elements=[self._c.id, self._c.user_id])
        return insert.returning(*self._returned(shape))

    @compiled
    def update_version(self, shape: Shape) -> Any:
        """Update the row if it has p_if_version; returns what ``upsert`` returns."""
        return (
            sa.update(self._table)
            .where(*self._is_key(), self._is_later(), self._lives())
            .where(self._c.version == parameter("p_if_version"))
            .values(self._changed(self._new(shape._replace(plain=False)), shape))
            .returning(*self._returned(shape))
        )

    @compiled
    def set_version(self) -> Any:
        """Set the version of the row with p_id and p_user_id to p_version."""
        query = sa.update(self._table).where(*self._is_key())
        return query.values(version=parameter("p_version"))

    @compiled
    def rewrite(self) -> Any:
        """Replace payload and vector of the row if it has the stamp p_if_stamp."""
        new, changed = self._new(Shape()), (self._payload.name, "vector", "stamp")
        return (
            sa.update(self._table)
            .where(*self._is_key(), self.stamp() == parameter("p_if_stamp"), self._lives())
            .values({name: new[name] for name in changed if name in new})
        )

    def upsert_rows(self, count: int, shape: Shape) -> Statement:
        """Return ``upsert`` for ``count`` rows: their parameters first, then the others."""
        return self.repeated(self.upsert(shape), self.new_row(shape), count)

    # --- the end of rows

    @compiled
    def touch(self, counted: bool) -> Any:
        """Give the row with p_id and p_user_id another end, p_expires_at, if it lives."""
        end = parameter("p_expires_at")
        new = {"expires_at": self._dialect.in_future(end) if counted else end}
        if self._dialect.stamp_column:
            new["stamp"] = parameter("p_stamp")
        return sa.update(self._table).where(*self._is_key(), self._lives()).values(new)

    @compiled
    def sweep(self, where: Where) -> Any:
        """Delete p_limit of the rows that have ended, the first ones. Parameters: those of
        ``where`` besides."""
        c = self._c
        ended = sa.select(c.seq).where(*self._in_scope(where), self._has_ended())
        ended = ended.order_by(c.expires_at).limit(parameter("p_limit"))
        chosen = sa.select(self._dialect.skip_locked(ended).subquery("ended").c.seq)
        return sa.delete(self._table).where(self._is_among(c.seq, chosen), self._has_ended())

    @compiled
    def delete_ended(self, where: Where | None = None) -> Any:
        """Delete the row with p_id and p_user_id if it has ended, or all such rows of a scope."""
        rows = self._is_key() if where is None else self._in_scope(where)
        return sa.delete(self._table).where(*rows, self._has_ended())

    # --- deleting

    @compiled
    def delete(self, by_version: bool = False) -> Any:
        """Delete a row, and tell whether it was alive. Parameters: p_id, p_user_id, and
        p_if_version when ``by_version``: then it has to be."""
        query = sa.delete(self._table).where(*self._is_key()).returning(self.was_alive())
        if by_version:
            query = query.where(self._c.version == parameter("p_if_version"), self._lives())
        return query

    def was_alive(self) -> Any:
        """Return what a deletion returns of a row that it deletes."""
        # Not as ``_lives``: what SQLite 3.40 returns for IS NULL is wrong where a partial index
        # leaves out the NULLs.
        later = self._c.expires_at > self._dialect.clock()
        return sa.func.coalesce(later, sa.true())

    @compiled
    def delete_living(self) -> Any:
        """Parameters: p_id, p_user_id."""
        return sa.delete(self._table).where(*self._is_key(), self._lives())

    @compiled
    def delete_some(self, where: Where) -> Any:
        """Delete p_limit rows of a scope that are not behind p_last, and tell of each whether it
        was alive. Parameters: those of ``where`` besides."""
        c = self._c
        chosen = sa.select(c.seq).where(*self._in_scope(where), c.seq <= parameter("p_last"))
        chosen = chosen.limit(parameter("p_limit"))
        deleted = sa.delete(self._table).where(self._is_among(c.seq, chosen))
        return deleted.returning(self.was_alive())

    @compiled
    def delete_all(self, where: Where) -> Any:
        """Parameters: those of ``where``."""
        return sa.delete(self._table).where(*self._in_scope(where))
