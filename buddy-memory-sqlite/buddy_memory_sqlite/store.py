"""A SQLite database as a Store: which engine, which file, WAL, and older tables."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from threading import get_ident
from time import monotonic, sleep
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import SingletonThreadPool

from buddy.memory.errors import AccessError, ConfigError, UnavailableError
from buddy.memory.storage.sql import Connector, SqlStore
from buddy.memory.storage.sql.guarded import NoTable
from buddy_memory_sqlite.dialect import SqliteDialect
from buddy_memory_sqlite.engine import BUSY_SECONDS, Opened
from buddy_memory_sqlite.turns import TurnsConnector

T = TypeVar("T")
W = TypeVar("W")


class SqliteStore(SqlStore):
    """Tables in a SQLite file, or in memory.

    A file that does not exist reads as empty and is made, with its folder and in WAL mode, by the
    first write. Commits are synchronous (SQLite's default, FULL): what was acknowledged is on disk.
    """

    def __init__(self, opened: Opened, table_name: str) -> None:
        dialect = SqliteDialect()
        engine = opened.engine
        connector = self._connect(TurnsConnector(engine, dialect.begin, opened.release))
        super().__init__(connector, dialect, engine.dialect, table_name)
        # The file, until it was seen to exist: a connection would make it.
        self._missing = opened.file
        self._ours_on_disk = opened.release is not None and not opened.in_memory
        self._thread_bound = isinstance(engine.pool, SingletonThreadPool)
        self._thread: int | None = None

    def _connect(self, blocking: Connector) -> Connector:
        """Return how work reaches the file, given how it does with everything else waiting."""
        return blocking

    async def create(self) -> None:
        file = self._missing
        if file is not None:
            _make_folder(file.parent)
            self._missing = None  # From here on a connection may make the file.
        await super().create()

    async def _before_making(self) -> None:
        if self._ours_on_disk:
            await self._attempt(self._connector.look, _switch_to_wal)

    async def facts(self) -> dict[str, str]:
        not_made = {"file": f"{self._missing}, not made yet"}
        return await self._unless_missing(self._connector.look, _facts, not_made)

    def risks(self, facts: Mapping[str, str]) -> list[str]:
        found: list[str] = []
        if facts["file"] == _IN_MEMORY:
            return ["all is gone when this process ends (in memory)"]
        if facts.get("synchronous") == "OFF" or facts.get("journal mode") in ("OFF", "MEMORY"):
            found.append("a crash of the machine may damage the file")
        elif facts.get("synchronous") == "NORMAL":
            found.append("a crash of the machine may lose the last writes (synchronous NORMAL)")
        return found

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
            if not file.exists():
                _check_can_make(file)
                raise NoTable
            self._missing = None
        return await super()._attempt(runner, work)

    def _check_thread(self) -> None:
        """Refuse to show another thread another, empty database."""
        if self._thread is None:
            self._thread = get_ident()
        elif self._thread != get_ident():
            raise self.each_thread_its_own()

    @staticmethod
    def each_thread_its_own() -> ConfigError:
        """Return the error for an engine that cannot be used from several threads."""
        return ConfigError(
            "this engine gives each thread a database of its own (SingletonThreadPool). Make "
            'it with create_engine("sqlite://", poolclass=StaticPool, '
            'connect_args={"check_same_thread": False}), or leave db_engine out.'
        )


_IN_MEMORY = "in memory"
_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


def _facts(connection: sa.Connection) -> dict[str, str]:
    def pragma(name: str) -> Any:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    level = pragma("synchronous")
    return {
        "file": connection.engine.url.database or _IN_MEMORY,
        "SQLite": str(connection.exec_driver_sql("SELECT sqlite_version()").scalar()),
        "journal mode": str(pragma("journal_mode")).upper(),
        "synchronous": _SYNCHRONOUS.get(level, str(level)),
    }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AccessError(f"The folder {folder} cannot be made: {error.strerror}.") from error


def _check_can_make(file: Path) -> None:
    """Raise when the file could not be made: an unusable path must not read as empty (R7)."""
    folder = file.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise AccessError(f"{file} cannot be made: {folder} is not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AccessError(f"{file} cannot be made: no rights to write in {folder}.")


def _switch_to_wal(connection: sa.Connection) -> None:
    """Switch a file without tables to WAL for good, while others may be doing the same.

    SQLite does not wait for the lock that this needs (busy_timeout does not apply to it), so the
    waiting is done here.
    """
    deadline = monotonic() + BUSY_SECONDS
    while True:
        try:
            tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
            if tables == 0:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL").fetchall()
            return
        except exc.OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            if monotonic() > deadline:
                raise UnavailableError("SQLite", "the file stayed locked while opening") from error
        sleep(0.01)
