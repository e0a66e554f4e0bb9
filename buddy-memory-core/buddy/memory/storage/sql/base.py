"""Base of SqlStore: table creation and error translation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from sqlalchemy.engine.interfaces import Dialect

from buddy.memory.errors import (
    CorruptMemoryError,
    MemoryDbError,
    SchemaError,
    UnavailableError,
)
from buddy.memory.storage.record import Kind
from buddy.memory.storage.sql.connector import EMPTY, Connector, Query, Result
from buddy.memory.storage.sql.dialect import Fault, SqlDialect
from buddy.memory.storage.sql.statements import Statements
from buddy.memory.storage.sql.tables import OfKind, Tables
from buddy.memory.storage.store import Store

T = TypeVar("T")
W = TypeVar("W")


# These three are handled below. They belong to our tree for the rare call that meets one twice:
# when a table is dropped again right after it was made, for one.


class NoTable(SchemaError):
    """The table was never made. Reading it gives nothing; writing makes it."""

    def __init__(
        self, wrong: str = "The table does not exist.", fix: str = "Call create()."
    ) -> None:
        super().__init__(wrong, fix)


class DamagedRow(CorruptMemoryError):
    """Some row cannot be decoded by the driver, or not be counted on."""


class Exists(SchemaError):
    """Another client made the table, or there is something else of its name."""


ATTEMPTS = 10
"""How often work is retried that conflicts with other clients."""


class SqlStoreBase(Store):
    """Makes and drops the tables, and runs all work with its errors translated."""

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
        self._statements = OfKind(
            lambda kind: self.make_statements(
                kind, self._tables.by_kind[kind], dialect, engine_dialect
            )
        )
        self._checked: set[Kind] = set()

    # --- the tables

    async def create(self) -> None:
        for attempt in range(ATTEMPTS):
            if await self._unless_missing(self._connector.inspect, self._tables.complete, False):
                break
            await self._before_creation()
            try:
                await self._attempt(self._connector.define, self._tables.make)
            except Exists:
                if attempt == ATTEMPTS - 1:
                    raise

    async def _before_creation(self) -> None:
        """Prepare the database before the first table is made; does nothing by default."""

    async def exists(self) -> bool:
        return await self._unless_missing(self._connector.inspect, self._tables.exist, False)

    async def drop(self) -> None:
        await self._unless_missing(self._connector.define, self._tables.drop, None)
        self._checked.clear()

    async def _check_layout(self, kind: Kind) -> None:
        """Raise SchemaError when the table cannot serve.

        Needed once before a statement that names no column by which the database itself would
        refuse it.
        """
        if kind in self._checked:
            return
        query = self._statements[kind].layout().query({})
        try:
            await self._attempt(self._connector.read, query)
        except NoTable:
            return  # It may be made with any layout.
        self._checked.add(kind)

    # --- errors

    async def _attempt(self, runner: Callable[[W], Awaitable[T]], work: W) -> T:
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
                if meaning is not Fault.SERIALIZATION:
                    await self._raise(meaning, error)
                if attempt == ATTEMPTS:
                    raise UnavailableError(self._dialect.name, str(error)) from error

    async def _raise(self, fault: Fault, error: Exception) -> NoReturn:
        name = self._tables.name
        if fault is Fault.NO_TABLE:
            raise NoTable from error
        if fault is Fault.DAMAGED_ROW:
            raise DamagedRow("(one of these)", str(error)) from error
        if fault is Fault.EXISTS:
            raise Exists(f"Something that is no table is called {name!r}: {error}") from error
        await self._attempt(self._connector.inspect, self._tables.complete)
        raise SchemaError(f"The columns of {name!r} changed.") from error

    async def _unless_missing(self, runner: Callable[[W], Awaitable[T]], work: W, empty: T) -> T:
        """Run the work; return ``empty`` where the table was never made (R5)."""
        try:
            return await self._attempt(runner, work)
        except NoTable:
            return empty

    async def _query(self, query: Query) -> Result:
        """Run a query that changes nothing."""
        return await self._unless_missing(self._connector.read, query, EMPTY)

    async def _read(self, query: Callable[[bool], Query]) -> list[Any]:
        """Read rows; when the driver cannot decode one, read them all by ``query(True)`` (R16)."""
        try:
            found = await self._query(query(False))
        except DamagedRow:
            found = await self._attempt(self._connector.read, query(True))
        return found.rows

    async def _write(self, runner: Callable[[W], Awaitable[T]], work: W) -> T:
        """Write; the first write makes the tables (R5)."""
        try:
            return await self._attempt(runner, work)
        except NoTable:
            await self.create()
            return await self._attempt(runner, work)
