"""Engines: made, shared by the objects on one file, and released."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import QueuePool

from buddy.memory.errors import ConfigError
from buddy.memory.storage.client_cache import share
from buddy_memory_sqlite import fork_guard
from buddy_memory_sqlite.url import is_in_memory, to_url

BUSY_SECONDS = 30.0
"""How long a call waits for other writers before it raises UnavailableError; ``?timeout=`` in the
URL changes it."""

POOL_SIZE = 8
"""The most connections to one file: readers at once, and one writer."""


class EngineHandle:
    """An engine; how to release it (None: it is the caller's); the file that it makes, if it has
    one; whether it is a database in memory."""

    def __init__(
        self,
        engine: sa.Engine,
        release: Callable[[], None] | None,
        file: Path | None,
        in_memory: bool,
    ) -> None:
        self.engine, self.release, self.file, self.in_memory = engine, release, file, in_memory

    def files(self) -> tuple[Path, ...]:
        """Return the database file and those that SQLite keeps beside it."""
        if self.in_memory or not self.engine.url.database:
            return ()
        path = self.engine.url.database.removeprefix("file:").partition("?")[0]
        return tuple(Path(path + suffix) for suffix in ("", "-wal", "-shm", "-journal"))


def open_engine(
    db_url: str | None, db_file: str | os.PathLike[str] | None, db_engine: sa.Engine | None
) -> EngineHandle:
    """Return the engine by the first given of ``db_engine``, ``db_url`` and ``db_file``, otherwise
    that of a fresh database in memory. Does no I/O. Raises ConfigError."""
    if db_engine is not None:
        return _callers(db_engine)
    return _from_url(to_url(db_url, db_file))


def _callers(engine: Any) -> EngineHandle:
    if not isinstance(engine, sa.Engine):
        raise ConfigError(f"db_engine must be a SQLAlchemy Engine, not {type(engine).__name__}")
    if engine.dialect.name != "sqlite":
        raise ConfigError(f"db_engine speaks to {engine.dialect.name}, not to SQLite")
    in_memory = is_in_memory(engine.url)
    if not in_memory:
        fork_guard.protect(engine)
    return EngineHandle(engine, None, None, in_memory)


def _from_url(url: sa.URL) -> EngineHandle:
    if is_in_memory(url):
        # One connection that any thread may use, one at a time: one database for all of them.
        engine = _make(url, pool_size=1)
        return EngineHandle(engine, lambda: _close(engine), None, True)
    assert url.database is not None
    file = None
    if not url.database.startswith("file:"):
        file = Path(url.database).absolute()
        url = url.set(database=str(file))
    engine, give_back = share(("sqlite", str(url)), lambda: _make(url, pool_size=POOL_SIZE))
    fork_guard.protect(engine)

    def release() -> None:
        if give_back():
            _close(engine)

    return EngineHandle(engine, release, file, False)


def _close(engine: sa.Engine) -> None:
    """Close the connections of an engine: idle ones at once, others when they come back."""
    event.listen(engine.pool, "checkin", lambda connection, _: connection and connection.close())
    engine.dispose()


def _make(url: sa.URL, **pool: Any) -> sa.Engine:
    wait = {} if "timeout" in url.query else {"timeout": BUSY_SECONDS}
    try:
        engine = sa.create_engine(
            url,
            # Single statements commit by themselves; transactions are begun explicitly.
            isolation_level="AUTOCOMMIT",
            poolclass=QueuePool,
            pool_reset_on_return=None,
            max_overflow=0,  # What is above pool_size would be opened and closed for each call.
            pool_use_lifo=True,
            connect_args={"check_same_thread": False, **wait},
            **pool,
        )
    except (exc.ArgumentError, ValueError, TypeError) as error:
        raise ConfigError(f"SQLite: {error}") from error
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: Any, record: Any) -> None:
    # What a bulk write may need to undo one of its statements is as much again as what it writes.
    # It is of no use after a crash, and otherwise goes to a file.
    connection.execute("PRAGMA temp_store = MEMORY")
    # Pages that stay in memory, and pages of the log after which it is written into the file. Four
    # times as many as by default: rows of many users that are written or swept together lie on
    # many pages, which otherwise are written over and over.
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
