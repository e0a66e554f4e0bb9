"""From the constructor's arguments to an engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import QueuePool

from buddy.memory.config import redact_url
from buddy.memory.errors import ConfigError
from buddy.memory.storage.sql.engines import acquire, protect_from_fork

BUSY_SECONDS = 30.0
"""How long a call waits for other writers before it raises UnavailableError; ``?timeout=`` in the
URL changes it."""

POOL_SIZE = 8
"""The most connections to one file: readers at once, and one writer."""

_PARAMETERS = {"timeout", "detect_types", "cached_statements", "uri"}
_DRIVERS = ("sqlite", "sqlite+pysqlite", "sqlite+aiosqlite")


class Opened:
    """An engine; how to give it back (None: it is the caller's); its file, if it has one;
    whether it is a database in memory."""

    def __init__(
        self,
        engine: sa.Engine,
        release: Callable[[], None] | None,
        file: Path | None,
        in_memory: bool,
    ) -> None:
        self.engine, self.release, self.file, self.in_memory = engine, release, file, in_memory


def open_engine(
    db_url: str | None, db_file: str | os.PathLike[str] | None, db_engine: sa.Engine | None
) -> Opened:
    """Return the engine by the first given of ``db_engine``, ``db_url`` and ``db_file``, otherwise
    that of a fresh database in memory. Does no I/O. Raises ConfigError."""
    if db_engine is not None:
        return _callers(db_engine)
    if db_url is not None:
        return _from_url(_parse(db_url))
    if db_file is not None:
        path = Path(db_file).expanduser()
        return _from_url(sa.URL.create("sqlite", database=str(path)))
    return _from_url(sa.URL.create("sqlite"))


def _callers(engine: Any) -> Opened:
    if not isinstance(engine, sa.Engine):
        raise ConfigError(f"db_engine must be a SQLAlchemy Engine, not {type(engine).__name__}")
    if engine.dialect.name != "sqlite":
        raise ConfigError(f"db_engine speaks to {engine.dialect.name}, not to SQLite")
    in_memory = _is_memory(engine.url)
    if not in_memory:
        protect_from_fork(engine)
    return Opened(engine, None, None, in_memory)


def _parse(db_url: Any) -> sa.URL:
    try:
        url = sa.make_url(db_url)
    except (exc.ArgumentError, ValueError, TypeError):
        raise ConfigError(f"{redact_url(str(db_url))!r} is not a database URL") from None
    if url.drivername not in _DRIVERS:
        raise ConfigError(f"a SQLite URL begins with sqlite://, not with {url.drivername}://")
    if url.host or url.username:
        raise ConfigError(
            "a SQLite URL has no host: sqlite:///relative/file.db or sqlite:////absolute/file.db"
        )
    _check_parameters(url)
    return url.set(drivername="sqlite")


def _check_parameters(url: sa.URL) -> None:
    """Refuse what the driver would ignore, unless the whole query is for a ``file:`` URI."""
    unknown = set(url.query) - _PARAMETERS
    if unknown and "uri" not in url.query:
        raise ConfigError(
            f"a SQLite URL has no parameter {', '.join(sorted(unknown))}; the driver knows "
            f"{', '.join(sorted(_PARAMETERS))}"
        )


def _from_url(url: sa.URL) -> Opened:
    if _is_memory(url):
        # One connection that any thread may use, one at a time: one database for all of them.
        engine = _make(url, pool_size=1)
        return Opened(engine, engine.dispose, None, True)
    assert url.database is not None
    file = None
    if not url.database.startswith("file:"):
        file = Path(url.database).absolute()
        url = url.set(database=str(file))
    engine, release = acquire(url.render_as_string(), lambda: _make(url, pool_size=POOL_SIZE))
    return Opened(engine, release, file, False)


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


def _is_memory(url: sa.URL) -> bool:
    database = url.database or ""
    return (
        database in ("", ":memory:") or ":memory:" in database or url.query.get("mode") == "memory"
    )
