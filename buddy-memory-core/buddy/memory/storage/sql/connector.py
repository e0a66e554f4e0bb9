"""Connectors: run queries and pieces of work, each on one connection of a pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.util import greenlet_spawn

from buddy.memory.storage.sync_runner import run

T = TypeVar("T")
Work = Callable[[Any], T]
"""Takes a DBAPI cursor. Called again when the transaction has to be repeated."""


class Query:
    """One statement, as the driver takes it.

    ``returns`` tells whether there are rows to fetch; recorded here because some drivers answer
    this slowly.
    """

    __slots__ = ("returns", "sql", "values")

    def __init__(self, sql: str, values: tuple[Any, ...] = (), returns: bool = True) -> None:
        self.sql, self.values, self.returns = sql, values, returns


class Result:
    """All rows that a statement returned, and the number of rows that it affected."""

    __slots__ = ("affected", "rows")

    def __init__(self, rows: list[Any], affected: int) -> None:
        self.rows, self.affected = rows, affected


EMPTY = Result([], 0)


def execute(cursor: Any, query: Query) -> Result:
    """Run a query on a DBAPI cursor."""
    cursor.execute(query.sql, query.values)
    # All rows and not the first: the autocommit happens when the statement ends, and its errors
    # have to be raised here.
    return Result(cursor.fetchall() if query.returns else [], cursor.rowcount)


class Connector(ABC):
    """Runs queries and synchronous work on a synchronous or an asynchronous engine."""

    async def read(self, query: Query) -> Result:
        """Run a query that changes nothing."""
        return await self.run(lambda cursor: execute(cursor, query))

    async def write(self, query: Query) -> Result:
        """Run a query and commit."""
        return await self.run(lambda cursor: execute(cursor, query))

    @abstractmethod
    async def run(self, work: Work[T]) -> T:
        """Run ``work`` and commit. Where the engine autocommits, each statement stands alone."""

    @abstractmethod
    async def transaction(self, work: Work[T]) -> T:
        """Run ``work`` in one transaction: all of it, or nothing."""

    @abstractmethod
    async def inspect(self, work: Callable[[sa.Connection], T]) -> T:
        """Run an inspection of the catalog on a SQLAlchemy Connection."""

    @abstractmethod
    async def define(self, work: Callable[[sa.Connection], T]) -> T:
        """Run DDL on a SQLAlchemy Connection, in one transaction."""

    @abstractmethod
    async def close(self) -> None:
        """Release the engine."""


class SyncConnector(Connector):
    """A Connector on a SQLAlchemy Engine; ``close`` calls ``release`` when the engine is ours."""

    def __init__(
        self, engine: sa.Engine, begin: str, release: Callable[[], None] | None = None
    ) -> None:
        self.engine = engine
        self._begin = begin
        self._release = release

    async def read(self, query: Query) -> Result:
        return self._on_cursor(lambda cursor: execute(cursor, query), None)

    async def run(self, work: Work[T]) -> T:
        return self._on_cursor(work, None)

    async def transaction(self, work: Work[T]) -> T:
        return self._on_cursor(work, self._begin)

    def _on_cursor(self, work: Work[T], begin: str | None) -> T:
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            commits_itself = _autocommit(connection)
            # Whoever keeps an error keeps the cursor with it: an open one holds its transaction.
            try:
                if begin is not None and commits_itself is not False:
                    cursor.execute(begin)
                result = work(cursor)
            finally:
                cursor.close()
            # Some drivers do work even for an empty commit.
            if begin is not None or commits_itself is not True:
                connection.commit()
            return result
        except BaseException as error:
            self.clean(connection, error)
            raise
        finally:
            connection.close()

    def clean(self, connection: sa.PoolProxiedConnection, error: BaseException) -> None:
        """Leave neither a broken connection nor an open transaction in the pool."""
        dialect = self.engine.dialect
        if not isinstance(error, Exception) or (
            isinstance(error, dialect.loaded_dbapi.Error)
            and dialect.is_disconnect(error, connection.dbapi_connection, None)
        ):
            connection.invalidate(error)
            return
        try:
            connection.rollback()
        except Exception as rollback_error:
            connection.invalidate(rollback_error)

    async def inspect(self, work: Callable[[sa.Connection], T]) -> T:
        with self.engine.connect() as connection:
            return work(connection)

    async def define(self, work: Callable[[sa.Connection], T]) -> T:
        with self.engine.connect() as connection:
            connection.begin()  # An engine may have a listener that begins the transaction here.
            has_begun = getattr(connection.connection.dbapi_connection, "in_transaction", False)
            if not has_begun and _autocommit(connection.connection) is not False:
                connection.exec_driver_sql(self._begin)
            try:
                result = work(connection)
                connection.connection.commit()
                return result
            except BaseException as error:
                if not connection.invalidated:  # As a cancelled wait of the driver leaves it.
                    self.clean(connection.connection, error)
                raise

    async def close(self) -> None:
        if self._release is not None:
            self._release()


def _autocommit(connection: sa.PoolProxiedConnection) -> bool | None:
    """Tell whether each statement commits by itself; False: the driver begins a transaction before
    the first statement; None: unknown."""
    autocommit: Any = getattr(connection.dbapi_connection, "autocommit", None)
    return autocommit if isinstance(autocommit, bool) else None


class AsyncConnector(Connector):
    """A Connector on an asynchronous engine: a SyncConnector on its synchronous side, run in the
    greenlet in which SQLAlchemy turns each wait of the driver into an await.

    ``here`` returns the connector of the running event loop; ``close`` calls ``release``.
    """

    def __init__(
        self,
        here: Callable[[], SyncConnector],
        release: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._here = here
        self._release = release

    async def read(self, query: Query) -> Result:
        return await self._spawn(self._here().read(query))

    async def run(self, work: Work[T]) -> T:
        return await self._spawn(self._here().run(work))

    async def transaction(self, work: Work[T]) -> T:
        return await self._spawn(self._here().transaction(work))

    async def inspect(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._spawn(self._here().inspect(work))

    async def define(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._spawn(self._here().define(work))

    async def _spawn(self, work: Coroutine[Any, Any, T]) -> T:
        result: Any = await greenlet_spawn(run, work)
        return cast("T", result)

    async def close(self) -> None:
        if self._release is not None:
            await self._release()
