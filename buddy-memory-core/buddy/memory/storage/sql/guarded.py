"""The ground of SqlStore: its tables, and what is done when a call fails."""

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
from buddy.memory.storage.sql.connect import NOTHING, Connector, Query
from buddy.memory.storage.sql.dialect import Fault, SqlDialect
from buddy.memory.storage.sql.statements import Statements
from buddy.memory.storage.sql.tables import OfKind, Tables
from buddy.memory.storage.store import Store

T = TypeVar("T")
W = TypeVar("W")


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


class GuardedStore(Store):
    """Makes and drops the tables, and runs work of all kinds with its faults translated."""

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

    # --- what can go wrong

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

    async def _unless_missing(self, runner: Callable[[W], Awaitable[T]], work: W, empty: T) -> T:
        try:
            return await self._attempt(runner, work)
        except NoTable:
            return empty

    async def _read(self, query: Callable[[bool], Query]) -> list[Any]:
        """Read rows; when the driver cannot decode one, read them all in another way (R16), which
        ``query(True)`` gives."""
        try:
            found = await self._unless_missing(self._connector.read, query(False), NOTHING)
        except NotText:
            found = await self._attempt(self._connector.read, query(True))
        return found.rows

    async def _write(self, runner: Callable[[W], Awaitable[T]], work: W) -> T:
        """Write; the first write makes the tables (R5)."""
        try:
            return await self._attempt(runner, work)
        except NoTable:
            await self.create()
            return await self._attempt(runner, work)
