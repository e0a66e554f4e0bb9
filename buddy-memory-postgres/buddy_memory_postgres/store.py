"""A PostgreSQL database as a Store: its schema, writes of many rows, and older tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.engine.interfaces import Dialect

from buddy.memory.errors import AccessError, InvalidMemoryError
from buddy.memory.storage.record import Kind, Write
from buddy.memory.storage.sql import Connector, Query, SqlStore
from buddy.memory.storage.sql.connect import NOTHING, answer
from buddy.memory.storage.sql.writes import NewRow, Stored
from buddy_memory_postgres.dialect import PostgresDialect
from buddy_memory_postgres.statements import PostgresStatements, columns

T = TypeVar("T")
W = TypeVar("W")

PORTION_ROWS = 2_000
PORTION_CHARACTERS = 8_000_000
"""How much one statement of a bulk write carries; a transaction holds them together."""


class PostgresStore(SqlStore):
    """Tables in a schema of a PostgreSQL database."""

    make_statements = PostgresStatements
    _statements: dict[Kind, PostgresStatements]  # type: ignore[assignment]

    def __init__(
        self,
        connector: Connector,
        engine_dialect: Dialect,
        dialect: PostgresDialect,
        table_name: str,
        schema: str | None,
    ) -> None:
        super().__init__(connector, dialect, engine_dialect, table_name, schema)

    # --- the tables

    async def create(self) -> None:
        try:
            await super().create()
        except AccessError as error:
            from buddy_memory_postgres import ddl  # Few ever need it.

            await self._refuse(error, lambda connection: ddl.create(connection, self._tables))

    async def _write(self, runner: Callable[[W], Awaitable[T]], work: W) -> T:
        try:
            return await super()._write(runner, work)
        except AccessError as error:
            if _lacks_rights(error):
                # In a schema that one may not look into, a table that is missing is refused too.
                await self.create()
            raise

    async def upgrade(self) -> None:
        from buddy_memory_postgres import ddl

        try:
            await self._unless_missing(
                self._connector.define, lambda c: ddl.upgrade(c, self._tables), None
            )
        except AccessError as error:
            await self._refuse(error, lambda _: ddl.upgrade_script(self._tables))
        if await self.exists():
            await self.create()

    async def _refuse(self, error: AccessError, write_script: Any) -> None:
        """Raise the error with what somebody else has to run."""
        if not _lacks_rights(error):
            raise error
        script: str = await self._attempt(self._connector.look, write_script)
        raise AccessError(str(error), script) from error.__cause__

    async def facts(self) -> dict[str, str]:
        from buddy_memory_postgres import facts

        name, schema = self._tables.name, self._tables.schema
        return await self._attempt(self._connector.look, lambda c: facts.ask(c, name, schema))

    def risks(self, facts: Mapping[str, str]) -> list[str]:
        from buddy_memory_postgres.facts import risks

        return risks(facts)

    # --- many rows

    def _wait_for_others(self, cursor: Any, writes: Sequence[Write]) -> None:
        # All writers that do this take the rows in one order, so that none can block another that
        # blocks it. Not from the start, because it takes time and deadlocks are rare.
        statement = self._statements[writes[0].record.kind].lock_ids()
        ids = [write.record.id for write in writes]
        cursor.execute(statement.sql, statement.bind({"p_ids": ids}))
        cursor.fetchall()

    def _put_rows(self, cursor: Any, first: Write, new: list[NewRow]) -> Iterator[Stored]:
        for rows in portions(new):
            yield from answer(cursor, self._upsert_all(first, rows)).rows

    def _upsert_all(self, first: Write, rows: list[NewRow]) -> Query:
        statement = self._statements[first.record.kind].upsert_columns()
        return statement.query(columns(rows, first.now))

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        statement = self._statements[kind].delete_ids(user_id is not None)
        query = statement.query({"p_ids": list(ids), "p_user_id": user_id})
        return (await self._unless_missing(self._connector.write, query, NOTHING)).affected

    def _new_rows(self, writes: Sequence[Write]) -> list[NewRow]:
        if "user_id" in self._dialect.identity and any(w.record.user_id is None for w in writes):
            raise InvalidMemoryError("a table that is distributed by user needs one", "user_id")
        return super()._new_rows(writes)


def _lacks_rights(error: AccessError) -> bool:
    """Tell whether the session came about: a wrong password is not to be tried again."""
    return getattr(getattr(error.__cause__, "orig", error.__cause__), "sqlstate", None) == "42501"


def portions(rows: list[NewRow]) -> Iterator[list[NewRow]]:
    """Yield the rows in their order, as many at a time as one statement carries."""
    start = size = 0
    for end, row in enumerate(rows):
        size += len(row[2])
        if end > start and (size > PORTION_CHARACTERS or end - start == PORTION_ROWS):
            yield rows[start:end]
            start, size = end, len(row[2])
    yield rows[start:]
