"""A Store on any engine that SQLAlchemy speaks to and that has an upsert with RETURNING.

A backend gives it a Connector (how work reaches the database) and a SqlDialect (what the engine
does differently); see buddy-memory-sqlite for a complete one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import Corrupt, Kind, Record
from buddy.memory.storage.sql.connect import NOTHING, Query
from buddy.memory.storage.sql.writes import WritingStore


class SqlStore(WritingStore):
    """One table of memories and one of summaries (see ``tables``)."""

    # --- reading

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        values = {"p_id": id, "p_user_id": user_id}

        def query(damaged: bool) -> Query:
            return self._statements[kind].get(user_id is not None, damaged).query(values)

        rows = await self._read(query)
        return self._decode(kind, rows[0]) if rows else None

    async def has(self, kind: Kind, id: str, user_id: str | None) -> bool:
        statement = self._statements[kind].has(user_id is not None)
        query = statement.query({"p_id": id, "p_user_id": user_id})
        found = await self._unless_missing(self._connector.read, query, NOTHING)
        return bool(found.rows)

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

        def query(damaged: bool) -> Query:
            return self._statements[kind].page(*flags, damaged).query(values)

        return [self._decode(kind, row) for row in await self._read(query)]

    async def count(self, kind: Kind, user_id: str | None) -> int:
        query = self._statements[kind].count(user_id is not None).query({"p_user_id": user_id})
        found = await self._unless_missing(self._connector.read, query, NOTHING)
        return int(found.rows[0][0]) if found.rows else 0

    def _decode(self, kind: Kind, row: Any) -> Record | Corrupt:
        seq, id, user_id, payload, created_at, updated_at, version = row
        dialect = self._dialect
        try:
            if isinstance(id, bytes):
                id, user_id, created_at, updated_at = _as_text(id, user_id, created_at, updated_at)
            if type(id) is not str or type(version) is not int:
                raise TypeError("id or version has the wrong type")
            created = dialect.load_time(created_at)
            updated = created if updated_at == created_at else dialect.load_time(updated_at)
            return Record(kind, id, user_id, dialect.load(payload), created, updated, version, seq)
        except (TypeError, ValueError) as error:
            return Corrupt(str(id), user_id, seq, f"{type(error).__name__}: {error}")

    async def older(self) -> AsyncIterator[list[Record | Corrupt]]:
        from buddy.memory.storage.sql.older import PAGE, OlderTable  # Few stores have any.

        table = OlderTable(self._tables.by_kind[Kind.MEMORY], self._dialect)
        keys: list[Any] = await self._unless_missing(self._connector.look, table.keys, [])
        for start in range(0, len(keys), PAGE):
            read = partial(table.rows, keys=keys[start : start + PAGE])
            yield await self._unless_missing(self._connector.look, read, [])

    # --- deleting

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        statements, by_user = self._statements[kind], user_id is not None
        values = {"p_id": id, "p_user_id": user_id, "p_if_version": if_version}
        query = statements.delete(by_user, if_version is not None).query(values)
        gone = await self._unless_missing(self._connector.write, query, NOTHING)
        if not gone.affected and if_version is not None:
            state = statements.state(by_user).query(values)
            found = await self._unless_missing(self._connector.read, state, NOTHING)
            version = found.rows[0][1] if found.rows else 0
            if version != if_version:
                raise ConflictError(id, if_version, version)
        return bool(gone.affected)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        statement = self._statements[kind].delete(user_id is not None)
        rows = [statement.bind({"p_id": id, "p_user_id": user_id}) for id in ids]

        def work(cursor: Any) -> int:
            cursor.executemany(statement.sql, rows)
            return int(cursor.rowcount)

        return await self._unless_missing(self._connector.transaction, work, 0)

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        statement = self._statements[kind].delete_all(user_id is not None)
        query = statement.query({"p_user_id": user_id})
        return (await self._unless_missing(self._connector.write, query, NOTHING)).affected

    # --- the rest

    async def ping(self) -> None:
        await self._unless_missing(self._connector.read, Query(self._dialect.ping), NOTHING)

    async def close(self) -> None:
        await self._connector.close()


def _as_text(*values: Any) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in values]
