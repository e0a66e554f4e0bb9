"""A Store on any engine that SQLAlchemy speaks to and that has an upsert with RETURNING.

A backend gives it a Connector (how work reaches the database) and a SqlDialect (what the engine
does differently); see buddy-memory-sqlite for a complete one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from buddy.memory.errors import ConflictError, CorruptMemoryError
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope
from buddy.memory.storage.sql.base import DamagedRow
from buddy.memory.storage.sql.connector import EMPTY, Query, execute
from buddy.memory.storage.sql.read_statements import Where, where_of
from buddy.memory.storage.sql.reads import ReadingStore
from buddy.memory.storage.sql.writes import WritingStore
from buddy.memory.storage.users import encode_user

LAST_SEQ = 2**63 - 1
"""The place behind all others."""


class SqlStore(ReadingStore, WritingStore):
    """One table of memories and one of summaries (see ``tables``)."""

    sums_stamps = True
    sweep_step = 4_000

    # --- deleting

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        await self._check_layout(kind)
        statements = self._statements[kind]
        values = {"p_id": id, "p_user_id": encode_user(user_id), "p_if_version": if_version}
        query = statements.delete(if_version is not None).query(values)
        deleted = await self._unless_missing(self._connector.write, query, EMPTY)
        if not deleted.rows and if_version is not None:
            try:
                found = await self._query(statements.state().query(values))
            except DamagedRow as error:
                raise CorruptMemoryError(id, error.reason) from error
            version, _, has_ended = found.rows[0] if found.rows else (0, None, False)
            version = 0 if has_ended else version
            if version != if_version:
                raise ConflictError(id, if_version, version)
        return bool(deleted.rows and deleted.rows[0][0])

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        await self._check_layout(kind)
        living = self._statements[kind].delete_living()
        ended = self._statements[kind].delete_ended()
        values = [{"p_id": id, "p_user_id": encode_user(user)} for user, id in keys]

        def work(cursor: Any) -> int:
            cursor.executemany(living.sql, [*map(living.bind, values)])
            count = int(cursor.rowcount)
            if count < len(values):
                cursor.executemany(ended.sql, [*map(ended.bind, values)])
            return count

        return await self._unless_missing(self._connector.transaction, work, 0)

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        await self._check_layout(kind)
        where, values = where_of(scope)
        statements = self._statements[kind]
        if self._dialect.deleted_rows is not None and where is not Where.EVERYBODY:
            return await self._delete_in_steps(kind, where, values, self._dialect.deleted_rows)
        ended = statements.delete_ended(where).query(values)
        every = statements.delete_all(where).query(values)

        def work(cursor: Any) -> int:
            execute(cursor, ended)  # Not counted.
            return execute(cursor, every).affected

        return await self._unless_missing(self._connector.run, work, 0)

    async def _delete_in_steps(
        self, kind: Kind, where: Where, values: dict[str, Any], size: int
    ) -> int:
        """Delete the rows of a scope, ``size`` in a transaction, so that other writers get a turn;
        return how many lived. What is written after the first step stays."""
        statement = self._statements[kind].delete_some(where)
        values = {**values, "p_last": LAST_SEQ, "p_limit": size}
        living = 0
        while True:
            query = statement.query(values)
            deleted = await self._unless_missing(self._connector.write, query, EMPTY)
            living += sum(bool(alive) for (alive,) in deleted.rows)
            if len(deleted.rows) < size:
                return living
            if values["p_last"] == LAST_SEQ:
                newest = self._statements[kind].last(where).query(values)
                values["p_last"] = (await self._query(newest)).rows[0][0] or 0

    # --- the rest

    async def legacy_records(self) -> AsyncIterator[list[Record | Corrupt]]:
        from buddy.memory.storage.sql.legacy_table import PAGE, LegacyTable  # Few stores have any.

        table = LegacyTable(self._tables.by_kind[Kind.MEMORY], self._dialect)
        keys: list[Any] = await self._unless_missing(self._connector.inspect, table.keys, [])
        for start in range(0, len(keys), PAGE):
            read = partial(table.rows, keys=keys[start : start + PAGE])
            yield await self._unless_missing(self._connector.inspect, read, [])

    async def ping(self) -> None:
        await self._query(Query(self._dialect.ping))

    async def close(self) -> None:
        await self._connector.close()
