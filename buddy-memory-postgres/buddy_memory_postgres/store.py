"""A Store on PostgreSQL: tables in a schema, many rows per statement, tables of older software."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.engine.interfaces import Dialect

from buddy.memory.errors import AccessError
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, Write
from buddy.memory.storage.sql import Connector, Query, SqlStore
from buddy.memory.storage.sql.connector import EMPTY, execute
from buddy.memory.storage.sql.read_statements import where_of
from buddy.memory.storage.sql.statements import NewRow
from buddy.memory.storage.sql.writes import Stored, StoredKey, shape_of
from buddy.memory.storage.users import encode_user
from buddy_memory_postgres.bounded import long_statements
from buddy_memory_postgres.dialect import PostgresDialect
from buddy_memory_postgres.statements import PostgresStatements, columns

T = TypeVar("T")
W = TypeVar("W")

PORTION_ROWS = 2_000
PORTION_CHARACTERS = 8_000_000
"""The most that one statement of a bulk write carries; one transaction holds them all."""


class PostgresStore(SqlStore):
    """Tables in a schema of a PostgreSQL database."""

    make_statements = PostgresStatements
    _statements: dict[Kind, PostgresStatements]  # type: ignore[assignment]

    def __init__(
        self,
        connector: Connector,
        engine_dialect: Dialect,
        table_name: str,
        schema: str | None,
    ) -> None:
        super().__init__(connector, PostgresDialect(), engine_dialect, table_name, schema)

    # --- the tables

    async def create(self) -> None:
        try:
            with long_statements():
                await super().create()
        except AccessError as error:
            from buddy_memory_postgres.schema import creation_script

            await self._refuse(error, lambda connection: creation_script(connection, self._tables))

    async def _write(self, runner: Callable[[W], Awaitable[T]], work: W) -> T:
        try:
            return await super()._write(runner, work)
        except AccessError as error:
            if _lacks_rights(error):
                # In a schema that one may not look into, a table that is missing is refused too.
                await self.create()
            raise

    async def drop(self) -> None:
        with long_statements():
            await super().drop()

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        await self._check_layout(kind)
        where, values = where_of(scope)
        query = self._statements[kind].delete_scope(where).query(values)
        with long_statements():
            deleted = await self._unless_missing(self._connector.write, query, EMPTY)
        return int(deleted.rows[0][0]) if deleted.rows else 0

    async def upgrade(self) -> None:
        from buddy_memory_postgres.upgrade import upgrade, upgrade_script

        def work(connection: Any) -> None:
            upgrade(connection, self._tables)

        try:
            with long_statements():
                await self._unless_missing(self._connector.define, work, None)
        except AccessError as error:
            await self._refuse(error, lambda connection: upgrade_script(connection, self._tables))
        if await self.exists():
            await self.create()

    async def _refuse(self, error: AccessError, write_script: Any) -> None:
        """Raise the error with the statements for an administrator to run."""
        if not _lacks_rights(error):
            raise error
        script: str = await self._attempt(self._connector.inspect, write_script)
        raise AccessError(str(error), script) from error.__cause__

    async def server_info(self) -> dict[str, str]:
        from buddy_memory_postgres.server_info import read_server_info

        name, schema = self._tables.name, self._tables.schema
        return await self._attempt(
            self._connector.inspect,
            lambda connection: read_server_info(connection, name, schema),
        )

    def durability_warnings(self, info: Mapping[str, str]) -> list[str]:
        from buddy_memory_postgres.server_info import durability_warnings

        return durability_warnings(info)

    # --- many rows

    def _lock_rows(self, cursor: Any, kind: Kind, new: list[NewRow]) -> None:
        # All bulk writes that do this take the rows in one order, so that none can block another
        # that blocks it. Not at the first attempt: it takes time, and deadlocks are rare.
        values = {"p_ids": [row[0] for row in new], "p_user_ids": [row[1] for row in new]}
        execute(cursor, self._statements[kind].lock_keys().query(values))

    def _put_rows(self, cursor: Any, first: Write, new: list[NewRow]) -> Iterator[Stored]:
        for rows in portions(new):
            yield from execute(cursor, self._upsert_all(first, rows)).rows

    def _insert_rows(
        self, cursor: Any, writes: Sequence[Write], new: list[NewRow]
    ) -> set[StoredKey]:
        stored: set[StoredKey] = set()
        for rows in portions(new):
            shape = shape_of(writes[0], rows)
            statement = self._statements[writes[0].record.kind].upsert_columns(shape, True)
            query = statement.query(columns(rows, writes[0].now, shape))
            stored.update(tuple(row) for row in execute(cursor, query).rows)
        return stored

    def _upsert_all(self, first: Write, rows: Sequence[NewRow]) -> Query:
        shape = shape_of(first, rows)
        statement = self._statements[first.record.kind].upsert_columns(shape)
        return statement.query(columns(rows, first.now, shape))

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        values = key_arrays(keys)
        statements = self._statements[kind]
        rows = await self._read(lambda damaged: statements.get_keys(damaged).query(values))
        found = {row[1:3]: row for row in rows}
        # Decoded for each key: a caller may change what it gets.
        names = zip(values["p_ids"], values["p_user_ids"], strict=True)
        return [self._decode(kind, found[name]) if name in found else None for name in names]

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        statements, values = self._statements[kind], {"p_ids": list(ids)}
        rows = await self._read(lambda damaged: statements.find_ids(damaged).query(values))
        return [self._decode(kind, row) for row in rows]

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        await self._check_layout(kind)
        query = self._statements[kind].delete_keys().query(key_arrays(keys))
        deleted = await self._unless_missing(self._connector.write, query, EMPTY)
        return sum(alive for (alive,) in deleted.rows)


def key_arrays(keys: Sequence[Key]) -> dict[str, list[str]]:
    """Return keys as the parameters of a statement."""
    return {
        "p_ids": [key.id for key in keys],
        "p_user_ids": [encode_user(key.user_id) for key in keys],
    }


def _lacks_rights(error: AccessError) -> bool:
    """Tell whether the session came about: a wrong password is not to be tried again."""
    return getattr(getattr(error.__cause__, "orig", error.__cause__), "sqlstate", None) == "42501"


def portions(rows: Sequence[NewRow]) -> Iterator[Sequence[NewRow]]:
    """Yield the rows in their order, as many at a time as one statement carries."""
    start = size = 0
    for end, row in enumerate(rows):
        size += len(row[2])
        if end > start and (size > PORTION_CHARACTERS or end - start == PORTION_ROWS):
            yield rows[start:end]
            start, size = end, len(row[2])
    yield rows[start:]
