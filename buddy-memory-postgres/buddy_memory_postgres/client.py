"""Engines and their connections: made, shared by URL and options, closed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakSet

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.util import greenlet_spawn

from buddy.memory.errors import ConfigError
from buddy.memory.storage.client_cache import PerLoop, share
from buddy.memory.storage.sql import AsyncConnector, Connector, SyncConnector
from buddy.memory.storage.sql.engine_cache import acquire, protect_from_fork
from buddy_memory_postgres.bounded import LONG, connect, connect_async
from buddy_memory_postgres.liveness import watch
from buddy_memory_postgres.url import Options, read_options

POOL_SIZE = 10
BEGIN = "BEGIN"

# Everything is passed beside it, so that no engine can show a password.
_BLANK_URL = sa.URL.create("postgresql+psycopg")

Opened = tuple[Connector, Dialect]


def open_sync(
    db_url: str | None,
    db_engine: Any,
    pool_size: int,
    prepare: bool | None,
    timeout: float | None,
) -> Opened:
    """Return how work reaches the database, and for which dialect to compile. Does no I/O.

    Raises ConfigError.
    """
    if db_engine is not None:
        _check_engine(db_engine, sa.Engine)
        protect_from_fork(db_engine)
        return SyncConnector(db_engine, BEGIN), db_engine.dialect
    options = read_options(db_url, pool_size, prepare, timeout)
    engine, release = acquire(("postgres", *options), partial(_make_sync, options))
    return SyncConnector(engine, BEGIN, release), engine.dialect


def open_async(
    db_url: str | None,
    db_engine: Any,
    pool_size: int,
    prepare: bool | None,
    timeout: float | None,
) -> Opened:
    """As ``open_sync``, for asyncio: each event loop gets an engine of its own."""
    from sqlalchemy.ext.asyncio import AsyncEngine

    from buddy_memory_postgres import direct

    if db_engine is not None:
        _check_engine(db_engine, AsyncEngine)
        connector = SyncConnector(db_engine.sync_engine, BEGIN)
        protect_from_fork(connector.engine)
        return AsyncConnector(lambda: connector), db_engine.dialect
    options = read_options(db_url, pool_size, prepare, timeout)
    clients, give_back = share(("postgres async", *options), lambda: _per_loop(options))

    async def release() -> None:
        if give_back():
            await clients.close()

    kind = direct.DirectConnector if direct.is_possible() else AsyncConnector
    return kind(lambda: clients.get().connector, release), _dialect()


def _check_engine(engine: Any, kind: type[Any]) -> None:
    if not isinstance(engine, kind):
        raise ConfigError(
            f"db_engine must be SQLAlchemy's {kind.__name__} here, not {type(engine).__name__}"
        )
    name = f"{engine.dialect.name}+{engine.dialect.driver}"
    if not isinstance(engine.dialect, PGDialect_psycopg):
        raise ConfigError(f"db_engine must be one for postgresql+psycopg, not for {name}")


def _dialect() -> Dialect:
    return _BLANK_URL.get_dialect()()


# --- engines of our own


def _make_sync(options: Options) -> sa.Engine:
    creator = partial(connect, dict(options.parameters), options.timeout)
    engine: sa.Engine = _make(sa.create_engine, options, creator=creator)
    return engine


def _make(create: Callable[..., Any], options: Options, **how: Any) -> Any:
    """Return a new engine by SQLAlchemy's function for one of either kind."""
    engine = create(
        _BLANK_URL,
        **how,
        # Single statements commit by themselves; transactions are begun explicitly.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        pool_size=options.pool_size,
        pool_timeout=options.timeout or LONG,
        max_overflow=0,
        pool_use_lifo=True,
        use_native_hstore=False,
    )
    sync_engine = getattr(engine, "sync_engine", engine)
    event.listen(sync_engine, "connect", partial(_prepare, options.prepare))
    watch(sync_engine)
    return engine


def _prepare(prepare: bool | None, connection: Any, record: Any) -> None:
    """Tell psycopg whether to prepare the statements that it meets again."""
    if prepare is None:
        cursor = connection.cursor()
        cursor.execute("SELECT pg_backend_pid()")
        (behind,) = cursor.fetchone()
        cursor.close()
        # A pooler tells its clients numbers of its own.
        prepare = behind == record.driver_connection.pgconn.backend_pid
    if not prepare:
        record.driver_connection.prepare_threshold = None


class _LoopEngine(NamedTuple):
    connector: SyncConnector
    connections: WeakSet[psycopg.AsyncConnection[Any]]


def _per_loop(options: Options) -> PerLoop[_LoopEngine]:
    return PerLoop(partial(_loop_engine, options), _close, _discard)


def _loop_engine(options: Options) -> _LoopEngine:
    from sqlalchemy.ext.asyncio import create_async_engine

    open_one = partial(connect_async, options.timeout)
    arguments = {**dict(options.parameters), "async_creator_fn": open_one}
    engine = _make(create_async_engine, options, connect_args=arguments).sync_engine
    connections: WeakSet[psycopg.AsyncConnection[Any]] = WeakSet()
    event.listen(engine, "connect", lambda _, record: connections.add(record.driver_connection))
    return _LoopEngine(SyncConnector(engine, BEGIN), connections)


async def _close(client: _LoopEngine) -> None:
    await greenlet_spawn(client.connector.engine.dispose)


def _discard(client: _LoopEngine) -> None:
    """Close the connections of a loop that ended, which can no longer be awaited."""
    for connection in list(client.connections):
        connection.pgconn.finish()
    client.connector.engine.dispose(close=False)
