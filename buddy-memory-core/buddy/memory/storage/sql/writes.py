"""How SqlStore writes: one row, or many in one transaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from buddy.memory.errors import (
    ConflictError,
    CorruptMemoryError,
    OwnerMismatchError,
    TooLargeError,
)
from buddy.memory.storage.record import TICK, Record, Write
from buddy.memory.storage.sql.connect import Query, Work, answer
from buddy.memory.storage.sql.guarded import GuardedStore
from buddy.memory.storage.sql.statements import NEW_ROW, Statement

NewRow = tuple[str, str | None, Any, Any, Any]
"""Values in the order of NEW_ROW: id, user_id, payload, created_at, updated_at."""
Stored = tuple[str, int, Any, Any]
"""What a write returns: id and version, and created_at and updated_at of a row that was there."""


class WritingStore(GuardedStore):
    """The writes of a Store; a backend overrides how many rows go at once."""

    async def put(self, write: Write) -> Record:
        (new,) = self._new_rows([write])
        return await self._put_new(write, new)

    async def _put_new(self, write: Write, new: NewRow) -> Record:
        query = self._upsert(write).query(_values(write, new, self._dialect.dump_time(write.now)))
        written = await self._write(self._connector.write, query)
        if written.rows:
            return self._stored(write, written.rows[0])
        work: Work[Stored] = lambda cursor: self._put(cursor, write, new)  # noqa: E731
        return self._stored(write, await self._write(self._connector.run, work))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        new = self._new_rows(writes)

        work: Work[dict[str, Stored]] = lambda cursor: self._put_all(cursor, writes, new)  # noqa: E731
        return await self._put_in_transaction(writes, work)

    async def restore(self, writes: Sequence[Write]) -> list[Record]:
        new = self._new_rows(writes)
        by_user = "user_id" in self._dialect.identity
        set_version = self._statements[writes[0].record.kind].set_version(by_user)

        def work(cursor: Any) -> dict[str, Stored]:
            stored = self._put_all(cursor, writes, new)
            # A row is new here exactly when it came back with version 1.
            moved = [w.record for w in writes if stored[w.record.id][1] == 1 != w.record.version]
            values = [{"p_id": r.id, "p_user_id": r.user_id, "p_version": r.version} for r in moved]
            if values:
                cursor.executemany(set_version.sql, [set_version.bind(v) for v in values])
            return {**stored, **{r.id: (r.id, r.version, None, None) for r in moved}}

        return await self._put_in_transaction(writes, work)

    async def _put_in_transaction(
        self, writes: Sequence[Write], work: Work[dict[str, Stored]]
    ) -> list[Record]:
        tries = itertools.count()

        def careful(cursor: Any) -> dict[str, Stored]:
            if next(tries):
                self._wait_for_others(cursor, writes)
            return work(cursor)

        rows: dict[str, Stored] = await self._write(self._connector.transaction, careful)
        return [self._stored(write, rows[write.record.id]) for write in writes]

    def _wait_for_others(self, cursor: Any, writes: Sequence[Write]) -> None:
        """Keep a bulk write that was undone from being undone again; does nothing by default."""

    def _put_all(
        self, cursor: Any, writes: Sequence[Write], new: list[NewRow]
    ) -> dict[str, Stored]:
        """Upsert the rows as ``merge`` describes; return what ``_put`` returns by id."""
        stored = {row[0]: row for row in self._put_rows(cursor, writes[0], new)}
        if len(stored) < len(new):  # Some were refused, or the clock is behind.
            for write, row in zip(writes, new, strict=True):
                if write.record.id not in stored:
                    stored[write.record.id] = self._put(cursor, write, row)
        return stored

    def _put_rows(self, cursor: Any, first: Write, new: list[NewRow]) -> Iterator[Stored]:
        """Upsert the rows, many with each statement; yield what comes back."""
        size = self._dialect.bulk_rows
        for start in range(0, len(new), size):
            yield from answer(cursor, self._upsert_all(first, new[start : start + size])).rows

    def _upsert_all(self, first: Write, rows: list[NewRow]) -> Query:
        """Return one statement that upserts all of the rows; its time is that of ``first``."""
        statement = self._statements[first.record.kind].upsert_rows(len(rows))
        now = statement.bind({"p_now": self._dialect.dump_time(first.now)})
        return Query(statement.sql, (*itertools.chain.from_iterable(rows), *now))

    def _put(self, cursor: Any, write: Write, new: NewRow) -> Stored:
        """Upsert one row as ``merge`` describes."""
        values = _values(write, new, self._dialect.dump_time(write.now))
        statement = self._upsert(write)
        while True:
            rows = answer(cursor, statement.query(values)).rows
            if rows:
                stored: Stored = rows[0]
                return stored
            values["p_now"] = self._refused(cursor, write, values["p_now"])

    def _upsert(self, write: Write) -> Statement:
        """Return the statement that upserts one row if its version allows it."""
        statements = self._statements[write.record.kind]
        if write.if_version is None:
            return statements.upsert()
        return statements.update_version() if write.if_version else statements.insert_only()

    def _refused(self, cursor: Any, write: Write, now: Any) -> Any:
        """Raise what kept the write from happening, or return the time to try again with."""
        id, expected = write.record.id, write.if_version
        state = self._statements[write.record.kind].state("user_id" in self._dialect.identity)
        cursor.execute(state.sql, state.bind({"p_id": id, "p_user_id": write.record.user_id}))
        user_id, version, updated_at = cursor.fetchone() or (write.record.user_id, 0, None)
        if user_id != write.record.user_id:
            raise OwnerMismatchError(id)
        if expected is not None and expected != version:
            raise ConflictError(id, expected, version)
        if version == 0:
            return now  # Deleted between the two statements.
        try:
            stored_at = self._dialect.load_time(updated_at)
        except (TypeError, ValueError) as error:
            raise CorruptMemoryError(id, f"updated_at: {error}") from None
        return self._dialect.dump_time(max(stored_at + TICK, write.now))

    def _new_rows(self, writes: Sequence[Write]) -> list[NewRow]:
        """Return the values of NEW_ROW for each write."""
        dump, dump_time = self._dump, self._dialect.dump_time
        given, now = writes[0].now, dump_time(writes[0].now)
        # Usually no times are given, and all are that of the call.
        return [
            (
                id,
                user_id,
                dump(payload),
                now if created is given else dump_time(created),
                now if updated is given else dump_time(updated),
            )
            for (_, id, user_id, payload, created, updated, _, _), _, _ in writes
        ]

    def _dump(self, payload: dict[str, Any]) -> Any:
        dumped, limit = self._dialect.dump(payload), self._dialect.max_bytes
        if isinstance(dumped, str) and len(dumped) * 4 > limit:
            size = len(dumped.encode())
            if size > limit:
                raise TooLargeError(size, limit)
        return dumped

    def _stored(self, write: Write, row: Stored) -> Record:
        """Return the record of a write from what the statement returned."""
        record, (_, version, created_at, updated_at) = write.record, row
        if created_at is None:
            return record  # It is new, and as it was given.
        created, updated = map(self._dialect.load_time, (created_at, updated_at))
        return record._replace(version=version, created_at=created, updated_at=updated)


def _values(write: Write, new: NewRow, now: Any) -> dict[str, Any]:
    """Return the parameters of the statement that upserts one row."""
    return dict(zip(NEW_ROW, new, strict=True), p_now=now, p_if_version=write.if_version)
