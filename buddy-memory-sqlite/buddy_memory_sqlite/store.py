"""A SQLite database as a Store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import TypeVar

from sqlalchemy.pool import SingletonThreadPool

from buddy.memory.errors import ConfigError
from buddy.memory.storage.sql import Connector, SqlStore
from buddy.memory.storage.sql.base import NoTable
from buddy_memory_sqlite import schema, server_info
from buddy_memory_sqlite.client import EngineHandle
from buddy_memory_sqlite.dialect import SqliteDialect
from buddy_memory_sqlite.write_turns import TurnTakingConnector

T = TypeVar("T")
W = TypeVar("W")


class SqliteStore(SqlStore):
    """Tables in a SQLite file, or in memory.

    A file that does not exist reads as empty and is made, with its folder and in WAL mode, by the
    first write. Commits are synchronous (SQLite's default, FULL): what was acknowledged is on disk.
    """

    def __init__(self, handle: EngineHandle, table_name: str) -> None:
        dialect = SqliteDialect()
        engine = handle.engine
        connector = self._connect(TurnTakingConnector(engine, dialect.begin, handle.release))
        super().__init__(connector, dialect, engine.dialect, table_name)
        self._handle = handle
        # The file, until it was seen to exist: a connection would make it.
        self._missing = handle.file
        self._ours_on_disk = handle.release is not None and not handle.in_memory
        self._thread_bound = isinstance(engine.pool, SingletonThreadPool)
        self._thread: int | None = None
        self._names_checked = False

    def _connect(self, blocking: Connector) -> Connector:
        """Return the connector to use, given the one that blocks."""
        return blocking

    async def create(self) -> None:
        file = self._missing
        if file is not None:
            await self._on_disk(partial(schema.make_file, file))
            self._missing = None  # From here on a connection may make the file.
        await super().create()

    async def _before_creation(self) -> None:
        if self._ours_on_disk:
            await self._attempt(self._connector.inspect, schema.switch_to_wal)

    async def drop(self) -> None:
        await super().drop()
        self._names_checked = False

    async def server_info(self) -> dict[str, str]:
        not_made = {"file": f"{self._missing}, not made yet"}
        return await self._unless_missing(
            self._connector.inspect, server_info.server_info, not_made
        )

    def data_files(self) -> tuple[Path, ...]:
        return self._handle.files()

    def durability_warnings(self, info: Mapping[str, str]) -> list[str]:
        return server_info.durability_warnings(info)

    async def upgrade(self) -> None:
        from buddy_memory_sqlite.upgrade import upgrade  # Few files ever need it.

        await self._unless_missing(
            self._connector.define, partial(upgrade, tables=self._tables), None
        )
        if await self.exists():
            await self.create()

    async def _attempt(self, runner: Callable[[W], Awaitable[T]], work: W) -> T:
        if self._thread_bound:
            self._check_thread()
        file = self._missing
        if file is not None:
            if not await self._on_disk(partial(schema.is_made, file)):
                raise NoTable
            self._missing = None
        if not self._names_checked:
            query = schema.names_query(self._tables)
            found = await super()._attempt(self._connector.read, query)
            self._names_checked = schema.are_ours(self._tables, found.rows)
        return await super()._attempt(runner, work)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        """Return what work on the file and its folder returns."""
        return work()

    def _check_thread(self) -> None:
        """Refuse to show another thread another, empty database."""
        if self._thread is None:
            self._thread = get_ident()
        elif self._thread != get_ident():
            raise self.one_database_per_thread()

    @staticmethod
    def one_database_per_thread() -> ConfigError:
        """Return the error for an engine that cannot be used from several threads."""
        return ConfigError(
            "this engine gives each thread a database of its own (SingletonThreadPool). Make "
            'it with create_engine("sqlite://", poolclass=StaticPool, '
            'connect_args={"check_same_thread": False}), or leave db_engine out.'
        )
