"""How SqlStore writes: one row, or many in one transaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from buddy.memory.errors import ConflictError, CorruptMemoryError, TooLargeError
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Write, later, new_stamp
from buddy.memory.storage.sql.base import DamagedRow
from buddy.memory.storage.sql.connector import EMPTY, Query, Work, execute
from buddy.memory.storage.sql.ending import SWEPT, EndedRows, EndingStore
from buddy.memory.storage.sql.reads import portions
from buddy.memory.storage.sql.statement import Statement
from buddy.memory.storage.sql.statements import NEW_ROW, NewRow, Shape
from buddy.memory.storage.users import encode_user

Stored = tuple[Any, ...]
"""What a write returns: id, encoded user and version, created_at and updated_at of a row that was
there, the stamp where no column holds it, and the end unless the statement was ``plain``."""
StoredKey = tuple[str, str]
"""Id and encoded user: how both begin."""


class WritingStore(EndingStore):
    """The writes of a Store; a backend overrides how many rows go at once."""

    async def put(self, write: Write) -> Record:
        (new,) = self._new_rows([write])
        return await self._put_new(write, new)

    async def _put_new(self, write: Write, new: NewRow) -> Record:
        query = self._upsert(write).query(_values(write, new, self._dialect.dump_time(write.now)))
        try:
            written = await self._write(self._connector.write, query)
            if written.rows:
                stored: Stored = written.rows[0]
            else:
                work: Work[Stored] = lambda cursor: self._put(cursor, write, new)  # noqa: E731
                stored = await self._write(self._connector.run, work)
            if write.has_end:
                await self._write(self._connector.write, self._sweep_user(write.record.kind, new))
            return self._stored(write, stored)
        except DamagedRow as error:
            raise CorruptMemoryError(write.record.id, error.reason) from error.__cause__

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        new, kind = self._new_rows(writes), writes[0].record.kind
        tries, has_room = itertools.count(), False

        def work(cursor: Any) -> dict[StoredKey, Stored]:
            if next(tries):
                self._lock_rows(cursor, kind, new)
            if has_room:
                self._make_room(cursor, kind, new)
            return self._put_all(cursor, writes, new, has_room)

        try:
            try:
                rows = await self._write(self._connector.transaction, work)
            except EndedRows:  # Nothing was done. Few calls meet such rows: none looks beforehand.
                has_room = True
                rows = await self._write(self._connector.transaction, work)
        except DamagedRow as error:
            raise await self._named(kind, writes, error) from error
        return [self._stored(write, rows[row[:2]]) for write, row in zip(writes, new, strict=True)]

    async def _named(
        self, kind: Kind, writes: Sequence[Write], error: DamagedRow
    ) -> CorruptMemoryError:
        """Return the error of a bulk write with the id of the row that it is about."""
        found = await self.get_many(kind, [write.record.key for write in writes])
        damaged = next((row for row in found if isinstance(row, Corrupt)), None)
        return error if damaged is None else CorruptMemoryError(damaged.id, damaged.reason)

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        new, kind = self._new_rows(writes), writes[0].record.kind

        def work(cursor: Any) -> list[Key]:
            self._make_room(cursor, kind, new)
            stored = self._insert_rows(cursor, writes, new)
            set_version = self._statements[kind].set_version()
            versions = [
                {"p_id": row[0], "p_user_id": row[1], "p_version": write.record.version}
                for write, row in zip(writes, new, strict=True)
                if row[:2] in stored and write.record.version != 1
            ]
            if versions:
                cursor.executemany(set_version.sql, [*map(set_version.bind, versions)])
            return [
                write.record.key
                for write, row in zip(writes, new, strict=True)
                if row[:2] in stored
            ]

        return await self._write(self._connector.transaction, work)

    def _insert_rows(
        self, cursor: Any, writes: Sequence[Write], new: list[NewRow]
    ) -> set[StoredKey]:
        """Insert the rows that are not there; return the keys of these."""
        stored: set[StoredKey] = set()
        for write, row in zip(writes, new, strict=True):
            statement = self._upsert(write._replace(if_version=0))
            now = self._dialect.dump_time(write.now)
            if execute(cursor, statement.query(_values(write, row, now))).rows:
                stored.add(row[:2])
        return stored

    def _lock_rows(self, cursor: Any, kind: Kind, new: list[NewRow]) -> None:
        """Lock the rows that a bulk write is about to write again after it was rolled back by a
        conflict, in the order in which all clients do; does nothing by default."""

    def _put_all(
        self, cursor: Any, writes: Sequence[Write], new: list[NewRow], has_room: bool
    ) -> dict[StoredKey, Stored]:
        """Upsert the rows as ``merge`` describes; return what ``_put`` returns by key.

        Raises EndedRows where some have ended, unless they were removed before.
        """
        kind = writes[0].record.kind
        stored: dict[StoredKey, Stored] = {
            row[:2]: row for row in self._put_rows(cursor, writes[0], new)
        }
        if len(stored) < len(new):
            pairs = zip(writes, new, strict=True)
            missing = [(write, row) for write, row in pairs if row[:2] not in stored]
            if not has_room:
                self._demand_living(cursor, kind, [row for _, row in missing])
            for write, row in missing:  # The clock is behind their times.
                stored[row[:2]] = self._put(cursor, write, row)
        if writes[0].has_end and not has_room:
            for row in {row[1]: row for row in new[:SWEPT]}.values():
                execute(cursor, self._sweep_user(kind, row))
        return stored

    def _put_rows(self, cursor: Any, first: Write, new: list[NewRow]) -> Iterator[Stored]:
        """Upsert the rows, many with each statement; yield what comes back."""
        for rows in portions(new, self._dialect.bulk_rows):
            yield from execute(cursor, self._upsert_all(first, rows)).rows

    def _upsert_all(self, first: Write, rows: Sequence[NewRow]) -> Query:
        """Return one statement that upserts all of the rows, whose ``ttl`` and ``keep`` are those
        of ``first``, as is the time of the statement."""
        statements = self._statements[first.record.kind]
        shape = shape_of(first, rows)
        statement = statements.upsert_rows(len(rows), shape)
        places = [NEW_ROW.index(name) for name in statements.new_row(shape)]
        values = itertools.chain.from_iterable(map(itemgetter(*places), rows))
        now = statement.bind({"p_now": self._dialect.dump_time(first.now)})
        return Query(statement.sql, (*values, *now))

    def _put(self, cursor: Any, write: Write, new: NewRow) -> Stored:
        """Upsert one row as ``merge`` describes."""
        values = _values(write, new, self._dialect.dump_time(write.now))
        statement = self._upsert(write)
        while True:
            rows = execute(cursor, statement.query(values)).rows
            if rows:
                stored: Stored = rows[0]
                return stored
            values["p_now"] = self._next_time(cursor, write, values)

    def _upsert(self, write: Write) -> Statement:
        """Return the statement that upserts one row if its version allows it."""
        statements = self._statements[write.record.kind]
        plain = write.record.vector is None and not write.has_end
        shape = Shape(plain, write.ttl is not None, write.keep)
        if write.if_version is None:
            return statements.upsert(shape)
        if write.if_version:
            return statements.update_version(shape)
        return statements.insert_only(shape)

    def _next_time(self, cursor: Any, write: Write, values: dict[str, Any]) -> Any:
        """Raise what kept the row from being written, or return the time to write it with."""
        id, expected, now = write.record.id, write.if_version, values["p_now"]
        statements = self._statements[write.record.kind]
        rows = execute(cursor, statements.state().query(values)).rows
        version, updated_at, has_ended = rows[0] if rows else (0, None, True)
        if has_ended:
            version = 0
            if rows and not expected:
                execute(cursor, statements.delete_ended().query(values))
        elif type(version) is not int or version < 1:
            raise CorruptMemoryError(id, f"the version {version!r:.80} is none")
        if expected is not None and expected != version:
            raise ConflictError(id, expected, version)
        if version == 0:
            return now  # It has ended, or was deleted between the two statements.
        try:
            stored_at = self._dialect.load_time(updated_at)
        except (TypeError, ValueError) as error:
            raise CorruptMemoryError(id, f"updated_at: {error}") from None
        return self._dialect.dump_time(max(later(id, stored_at), write.now))

    async def rewrite(
        self,
        kind: Kind,
        user_id: str | None,
        id: str,
        if_stamp: int,
        *,
        payload: dict[str, Any],
        vector: bytes | None,
    ) -> bool:
        values = {
            "p_id": id,
            "p_user_id": encode_user(user_id),
            "p_if_stamp": if_stamp,
            "p_payload": self._dump(payload),
            "p_vector": vector,
            "p_stamp": new_stamp(),
        }
        query = self._statements[kind].rewrite().query(values)
        return bool((await self._unless_missing(self._connector.write, query, EMPTY)).affected)

    # --- from and to records

    def _new_rows(self, writes: Sequence[Write]) -> list[NewRow]:
        """Return the values of NEW_ROW for each write."""
        dump, dump_time, dump_ttl = self._dump, self._dialect.dump_time, self._dialect.dump_ttl
        given, now = writes[0].now, dump_time(writes[0].now)
        # Usually no times are given, and all are that of the call.
        return [
            (
                id,
                encode_user(user_id),
                dump(payload),
                now if created is given else dump_time(created),
                now if updated is given else dump_time(updated),
                dump_ttl(ttl) if ttl is not None else None if end is None else dump_time(end),
                vector,
                stamp or new_stamp(),
            )
            for (
                _,
                user_id,
                id,
                payload,
                created,
                updated,
                _,
                end,
                vector,
                stamp,
                _,
            ), _, _, ttl, _ in writes
        ]

    def _dump(self, payload: dict[str, Any]) -> Any:
        dumped, limit = self._dialect.dump(payload), self._dialect.max_bytes
        if isinstance(dumped, str) and len(dumped) * 4 > limit:
            size = len(dumped.encode())
            if size > limit:
                raise TooLargeError(size, limit)
        return dumped

    def _stored(self, write: Write, row: Stored) -> Record:
        """Return the record of a write from what it gave and what the statement returned.

        Raises CorruptMemoryError where the times of the row that was there cannot be read.
        """
        record, (_, _, version, created_at, updated_at), others = write.record, row[:5], row[5:]
        if type(version) is not int or version < 1:
            raise CorruptMemoryError(record.id, f"the version {version!r:.80} is none")
        stamp = record.stamp
        if not self._dialect.stamp_column:
            stamp, others = others[0], others[1:]
        if others:
            record = self._with_end(record, others[0])
        if created_at is None and version == record.version and stamp == record.stamp:
            return record  # It is new, and as it was given.
        if created_at is None and version != record.version:
            raise CorruptMemoryError(record.id, "its times are outside of Python's range")
        kind, user_id, id, payload, created, updated, _, end, vector, _, _ = record
        if created_at is not None:
            try:
                created, updated = map(self._dialect.load_time, (created_at, updated_at))
            except (TypeError, ValueError) as error:
                raise CorruptMemoryError(record.id, f"its times: {error}") from None
        # Faster than _replace.
        return Record(kind, user_id, id, payload, created, updated, version, end, vector, stamp)

    def _with_end(self, record: Record, end: Any) -> Record:
        """Return a record with the end that the statement returned."""
        try:
            ends = None if end is None else self._dialect.load_time(end)
        except (TypeError, ValueError) as error:
            raise CorruptMemoryError(record.id, f"expires_at: {error}") from None
        return record._replace(expires_at=ends)


def shape_of(first: Write, rows: Sequence[NewRow]) -> Shape:
    """Return the shape of the statement for rows with the ``ttl`` and ``keep`` of ``first``."""
    plain = not first.keep and all(row[5] is row[6] is None for row in rows)
    return Shape(plain, first.ttl is not None, first.keep)


def _values(write: Write, new: NewRow, now: Any) -> dict[str, Any]:
    """Return the parameters of the statement that upserts one row."""
    return dict(zip(NEW_ROW, new, strict=True), p_now=now, p_if_version=write.if_version)
