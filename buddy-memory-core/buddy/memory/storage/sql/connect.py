"""How work reaches the database: one pooled connection for one piece of work, then given back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
Work = Callable[[Any], T]
"""Takes a DBAPI cursor. Called again when the work has to be repeated."""


class Connector(ABC):
    """Runs synchronous pieces of work on a synchronous or an asynchronous engine."""

    @abstractmethod
    async def run(self, work: Work[T]) -> T:
        """Run ``work`` and commit. Where the engine autocommits, each statement stands alone."""

    @abstractmethod
    async def transaction(self, work: Work[T]) -> T:
        """Run ``work`` in one transaction: all of it, or nothing."""

    @abstractmethod
    async def look(self, work: Callable[[sa.Connection], T]) -> T:
        """Run an inspection of the catalog on SQLAlchemy's own Connection."""

    @abstractmethod
    async def define(self, work: Callable[[sa.Connection], T]) -> T:
        """Run DDL on SQLAlchemy's own Connection, in one transaction."""

    @abstractmethod
    async def close(self) -> None:
        """Give back the engine."""


class SyncConnector(Connector):
    """On a SQLAlchemy Engine; ``release`` is what ``close`` calls when the engine is ours."""

    def __init__(
        self, engine: sa.Engine, begin: str, release: Callable[[], None] | None = None
    ) -> None:
        self.engine = engine
        self._begin = begin
        self._release = release

    async def run(self, work: Work[T]) -> T:
        return self._on_cursor(work, None)

    async def transaction(self, work: Work[T]) -> T:
        return self._on_cursor(work, self._begin)

    def _on_cursor(self, work: Work[T], begin: str | None) -> T:
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            if begin is not None:
                cursor.execute(begin)
            result = work(cursor)
            connection.commit()
            return result
        except BaseException as error:
            self._clean(connection, error)
            raise
        finally:
            connection.close()

    def _clean(self, connection: sa.PoolProxiedConnection, error: BaseException) -> None:
        """Leave nothing behind in the pool: no broken connection, no open transaction."""
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

    async def look(self, work: Callable[[sa.Connection], T]) -> T:
        with self.engine.connect() as connection:
            return work(connection)

    async def define(self, work: Callable[[sa.Connection], T]) -> T:
        with self.engine.connect() as connection:
            connection.exec_driver_sql(self._begin)
            try:
                result = work(connection)
                connection.connection.commit()
                return result
            except BaseException:
                connection.connection.rollback()
                raise

    async def close(self) -> None:
        if self._release is not None:
            self._release()
