"""A Store on any engine that SQLAlchemy speaks to and that has an upsert with RETURNING.

A backend gives it a Connector (how work reaches the database) and a SqlDialect (what the engine
does differently); see buddy-memory-sqlite for a complete one.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar

from sqlalchemy.engine.interfaces import Dialect

from buddy.memory.errors import (
    ConflictError,
    CorruptMemoryError,
    MemoryDbError,
    OwnerMismatchError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.record import TICK, Corrupt, Kind, Record, Write
from buddy.memory.storage.sql.connect import Connector, Work
from buddy.memory.storage.sql.dialect import Fault, SqlDialect
from buddy.memory.storage.sql.statements import NEW_ROW, Statements
from buddy.memory.storage.sql.tables import Tables
from buddy.memory.storage.store import Store

T = TypeVar("T")
NewRow = tuple[str, str | None, Any, Any, Any]
"""Values in the order of NEW_ROW: id, user_id, payload, created_at, updated_at."""


# These three are handled below. They are of our tree all the same, for the rare call that is
# interrupted twice: a table that is dropped again right after it was made, for one.


class NoTable(SchemaError):
    """The table was never made. Reading it gives nothing; writing makes it."""

    def __init__(
        self, wrong: str = "The table does not exist.", fix: str = "Call create()."
    ) -> None:
        super().__init__(wrong, fix)


class NotText(CorruptMemoryError):
    """The driver could not decode some row of the answer."""


class Exists(SchemaError):
    """Somebody else made the table, or there is something else of its name."""


ATTEMPTS = 10
"""How often work is done again that others keep undoing or overtaking."""


class SqlStore(Store):
    """One table of memories and one of summaries (see ``tables``)."""

    make_statements: type[Statements] = Statements

    def __init__(
        self,
        connector: Connector,
        dialect: SqlDialect,
        engine_dialect: Dialect,
        table_name: str,
        schema: str | None = None,
    ) -> None:
        self._connector = connector
        self._dialect = dialect
        self._tables = Tables(dialect, table_name, schema)
        self._statements = {
            kind: self.make_statements(kind, table, dialect, engine_dialect)
            for kind, table in self._tables.by_kind.items()
        }

    # --- the tables

    async def create(self) -> None:
        for attempt in range(ATTEMPTS):
            if await self._unless_missing(self._connector.look, self._tables.complete, False):
                break
            await self._before_making()
            try:
                await self._attempt(self._connector.define, self._tables.make)
            except Exists:
                if attempt == ATTEMPTS - 1:
                    raise

    async def _before_making(self) -> None:
        """Do what has to be done once before the first table is made; nothing by default."""

    async def exists(self) -> bool:
        return await self._unless_missing(self._connector.look, self._tables.exist, False)

    async def drop(self) -> None:
        await self._unless_missing(self._connector.define, self._tables.drop, None)

    # --- writing

    async def put(self, write: Write) -> Record:
        new = self._new_row(write)
        work: Work[Any] = lambda cursor: self._put(cursor, write, new)  # noqa: E731
        return self._stored(write, new, await self._write(self._connector.run, work))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        new = [self._new_row(write) for write in writes]

        work: Work[dict[str, Any]] = lambda cursor: self._put_all(cursor, writes, new)  # noqa: E731
        return await self._put_in_transaction(writes, new, work)

    async def restore(self, writes: Sequence[Write]) -> list[Record]:
        new = [self._new_row(write) for write in writes]
        set_version = self._statements[writes[0].record.kind].set_version()
        later = {w.record.id: w.record.version for w in writes if w.record.version > 1}

        def work(cursor: Any) -> dict[str, Any]:
            stored = self._put_all(cursor, writes, new)
            # A row is new here exactly when it came back with version 1.
            moved = [(id, n) for id, n in later.items() if stored[id][-1] == 1]
            values = [{"p_seq": stored[id][1], "p_version": version} for id, version in moved]
            if values:
                cursor.executemany(set_version.sql, [set_version.bind(v) for v in values])
            return {**stored, **{id: (*stored[id][:-1], version) for id, version in moved}}

        return await self._put_in_transaction(writes, new, work)

    async def _put_in_transaction(
        self, writes: Sequence[Write], new: list[NewRow], work: Work[dict[str, Any]]
    ) -> list[Record]:
        tries = itertools.count()

        def careful(cursor: Any) -> dict[str, Any]:
            if next(tries):
                self._wait_for_others(cursor, writes)
            return work(cursor)

        rows: dict[str, Any] = await self._write(self._connector.transaction, careful)
        return [
            self._stored(write, row, rows[write.record.id])
            for write, row in zip(writes, new, strict=True)
        ]

    def _wait_for_others(self, cursor: Any, writes: Sequence[Write]) -> None:
        """Keep a bulk write that was undone from being undone again; does nothing by default."""

    def _put_all(self, cursor: Any, writes: Sequence[Write], new: list[NewRow]) -> dict[str, Any]:
        """Upsert the rows as ``merge`` describes; return what ``_put`` returns by id."""
        stored = self._put_rows(cursor, writes[0], new)
        for write, row in zip(writes, new, strict=True):
            if write.record.id not in stored:  # Refused, or the clock is behind.
                stored[write.record.id] = self._put(cursor, write, row)
        return stored

    def _put_rows(self, cursor: Any, first: Write, new: list[NewRow]) -> dict[str, Any]:
        """Upsert the rows, many with each statement; return what came back by id."""
        size, statements = self._dialect.bulk_rows, self._statements[first.record.kind]
        now = {"p_now": self._dialect.dump_time(first.now)}
        stored: dict[str, Any] = {}
        for start in range(0, len(new), size):
            rows = new[start : start + size]
            statement = statements.upsert_rows(len(rows))
            cursor.execute(
                statement.sql, (*itertools.chain.from_iterable(rows), *statement.bind(now))
            )
            stored.update((row[0], row) for row in cursor.fetchall())
        return stored

    def _put(self, cursor: Any, write: Write, new: NewRow) -> Any:
        """Upsert one row as ``merge`` describes; return its id, seq, times and version."""
        now = self._dialect.dump_time(write.now)
        values = dict(zip(NEW_ROW, new, strict=True), p_now=now, p_if_version=write.if_version)
        statements = self._statements[write.record.kind]
        if write.if_version is None:
            statement = statements.upsert()
        elif write.if_version == 0:
            statement = statements.insert_only()
        else:
            statement = statements.update_version()
        while True:
            cursor.execute(statement.sql, statement.bind(values))
            # All rows and not the first: an autocommit happens when the statement has ended, and
            # what goes wrong then has to be raised here.
            rows = cursor.fetchall()
            if rows:
                return rows[0]
            values["p_now"] = self._refused(cursor, write, values["p_now"])

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

    def _new_row(self, write: Write) -> NewRow:
        """Return the values of NEW_ROW."""
        record, time = write.record, self._dialect.dump_time
        created = time(record.created_at)
        # Usually both are the time of the call, and formatting is work.
        updated = created if record.updated_at is record.created_at else time(record.updated_at)
        return record.id, record.user_id, self._dump(record.payload), created, updated

    def _dump(self, payload: dict[str, Any]) -> Any:
        dumped, limit = self._dialect.dump(payload), self._dialect.max_bytes
        if isinstance(dumped, str) and len(dumped) * 4 > limit:
            size = len(dumped.encode())
            if size > limit:
                raise TooLargeError(size, limit)
        return dumped

    def _stored(self, write: Write, new: NewRow, row: Any) -> Record:
        """Return the record of a write from what the statement returned."""
        _id, seq, created_at, updated_at, version = row
        kind, id, user_id, payload, created, updated, _, _ = write.record
        if created_at != new[3]:
            created = self._dialect.load_time(created_at)
        if updated_at != new[4]:
            updated = self._dialect.load_time(updated_at)
        return Record(kind, id, user_id, payload, created, updated, version, seq)

    # --- reading

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        values = {"p_id": id, "p_user_id": user_id}

        def work(cursor: Any, damaged: bool = False) -> Any:
            statement = self._statements[kind].get(user_id is not None, damaged)
            cursor.execute(statement.sql, statement.bind(values))
            return cursor.fetchone()

        row: Any = await self._read(work, empty=None)
        return None if row is None else self._decode(kind, row)

    async def has(self, kind: Kind, id: str, user_id: str | None) -> bool:
        statement = self._statements[kind].has(user_id is not None)
        values = statement.bind({"p_id": id, "p_user_id": user_id})

        def work(cursor: Any) -> bool:
            cursor.execute(statement.sql, values)
            return cursor.fetchone() is not None

        return await self._unless_missing(self._connector.run, work, False)

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        flags = (user_id is not None, newest_first, after is not None, limit is not None)
        values = {"p_user_id": user_id, "p_after": after, "p_limit": limit}

        def work(cursor: Any, damaged: bool = False) -> Any:
            statement = self._statements[kind].page(*flags, damaged)
            cursor.execute(statement.sql, statement.bind(values))
            return cursor.fetchall()

        rows: list[Any] = await self._read(work, empty=[])
        return [self._decode(kind, row) for row in rows]

    async def count(self, kind: Kind, user_id: str | None) -> int:
        statement = self._statements[kind].count(user_id is not None)

        def work(cursor: Any) -> int:
            cursor.execute(statement.sql, statement.bind({"p_user_id": user_id}))
            return int(cursor.fetchone()[0])

        return await self._unless_missing(self._connector.run, work, 0)

    def _decode(self, kind: Kind, row: Any) -> Record | Corrupt:
        seq, id, user_id, payload, created_at, updated_at, version = row
        dialect = self._dialect
        try:
            if isinstance(id, bytes):
                id, user_id, created_at, updated_at = _as_text(id, user_id, created_at, updated_at)
            if type(id) is not str or type(version) is not int:
                raise TypeError("id or version has the wrong type")
            created, updated = dialect.load_time(created_at), dialect.load_time(updated_at)
            return Record(kind, id, user_id, dialect.load(payload), created, updated, version, seq)
        except (TypeError, ValueError) as error:
            return Corrupt(str(id), user_id, seq, f"{type(error).__name__}: {error}")

    # --- deleting

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        statement = self._statements[kind].delete(user_id is not None, if_version is not None)
        values = {"p_id": id, "p_user_id": user_id, "p_if_version": if_version}

        def work(cursor: Any) -> bool:
            cursor.execute(statement.sql, statement.bind(values))
            if cursor.rowcount or if_version is None:
                return bool(cursor.rowcount)
            state = self._statements[kind].state(user_id is not None)
            cursor.execute(state.sql, state.bind(values))
            _, version, _ = cursor.fetchone() or (user_id, 0, None)
            if version != if_version:
                raise ConflictError(id, if_version, version)
            return False

        return await self._unless_missing(self._connector.run, work, False)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        statement = self._statements[kind].delete(user_id is not None)
        rows = [statement.bind({"p_id": id, "p_user_id": user_id}) for id in ids]

        def work(cursor: Any) -> int:
            cursor.executemany(statement.sql, rows)
            return int(cursor.rowcount)

        return await self._unless_missing(self._connector.transaction, work, 0)

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        statement = self._statements[kind].delete_all(user_id is not None)

        def work(cursor: Any) -> int:
            cursor.execute(statement.sql, statement.bind({"p_user_id": user_id}))
            return int(cursor.rowcount)

        return await self._unless_missing(self._connector.run, work, 0)

    # --- the rest

    async def ping(self) -> None:
        def work(cursor: Any) -> None:
            cursor.execute(self._dialect.ping)
            cursor.fetchall()

        await self._unless_missing(self._connector.run, work, None)

    async def close(self) -> None:
        await self._connector.close()

    # --- what can go wrong

    async def _attempt(self, runner: Callable[[Any], Awaitable[T]], work: Callable[..., T]) -> T:
        """Run the work; translate what the driver raises. The only place that does (R7)."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await runner(work)
            except MemoryDbError:
                raise
            except Exception as error:
                meaning = self._dialect.translate(error)
                if meaning is None:
                    raise
                if not isinstance(meaning, Fault):
                    raise meaning from error
                if meaning is not Fault.REPEAT:
                    await self._raise(meaning, error)
                if attempt == ATTEMPTS:
                    raise UnavailableError(self._dialect.name, str(error)) from error

    async def _raise(self, fault: Fault, error: Exception) -> NoReturn:
        name = self._tables.name
        if fault is Fault.NO_TABLE:
            raise NoTable from error
        if fault is Fault.NOT_TEXT:
            raise NotText("(one of these)", str(error)) from error
        if fault is Fault.EXISTS:
            raise Exists(f"Something that is no table is called {name!r}: {error}") from error
        await self._attempt(self._connector.look, self._tables.complete)
        raise SchemaError(f"The columns of {name!r} changed.") from error

    async def _unless_missing(
        self, runner: Callable[[Any], Awaitable[T]], work: Callable[..., T], empty: T
    ) -> T:
        try:
            return await self._attempt(runner, work)
        except NoTable:
            return empty

    async def _read(self, work: Callable[..., T], empty: T) -> T:
        """Read rows; when the driver cannot decode one, read them all in another way (R16)."""
        try:
            return await self._unless_missing(self._connector.run, work, empty)
        except NotText:
            return await self._attempt(self._connector.run, partial(work, damaged=True))

    async def _write(self, runner: Callable[[Any], Awaitable[T]], work: Callable[..., T]) -> T:
        """Write; the first write makes the tables (R5)."""
        try:
            return await self._attempt(runner, work)
        except NoTable:
            await self.create()
            return await self._attempt(runner, work)


def _as_text(*values: Any) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in values]
