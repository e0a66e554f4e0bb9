"""Connections: few, shared, given back, and replaced when they were ended."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from itertools import count
from random import Random
from time import monotonic
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from buddy.memory.errors import (
    ConfigError,
    ConflictError,
    InvalidMemoryError,
    UnavailableError,
)
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb, PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, StoredMemoryRow
from buddy_memory_postgres import liveness
from tests.servers.postgres import PostgresServer

_numbers = count()

LONG = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))  # noqa: S311
"""An id that no index of PostgreSQL holds."""


@pytest.fixture
def name() -> str:
    """What the sessions of a test call themselves."""
    return f"sessions of test {next(_numbers)}"


@pytest.fixture
def url(postgres_url: str, name: str) -> str:
    return f"{postgres_url}?application_name={name.replace(' ', '%20')}"


def sessions(admin: psycopg.Connection, name: str, state: str = "%") -> int:
    """Count the sessions of that name; waits for none of them."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND state LIKE %s"
    row = admin.execute(query, (name, state)).fetchone()
    assert row is not None
    return int(row[0])


def terminate(admin: psycopg.Connection, name: str) -> None:
    """End the sessions of that name and wait until they are gone."""
    query = (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s"
    )
    ended = admin.execute(query, (name,)).fetchall()
    assert ended
    assert all(done for (done,) in ended)


def gone(admin: psycopg.Connection, name: str, but: int = 0) -> None:
    """Wait until the server has noticed that sessions of that name were closed (but so many)."""
    deadline = monotonic() + 10
    while sessions(admin, name) > but:
        assert monotonic() < deadline


# --- few, and shared


def test_all_stores_of_a_url_share_one_bounded_pool(
    url: str, name: str, admin: psycopg.Connection, schema: str
) -> None:
    """Many stores use no more connections than pool_size; the last one closes them."""
    dbs = [PostgresMemoryDb(f"notes{n % 2}", schema, url, pool_size=3) for n in range(6)]

    def work(n: int) -> None:
        for m in range(10):
            dbs[n % 6].upsert_memory(MemoryRow({}, f"{n}-{m}"))
            dbs[n % 6].read_memories(limit=3)
            seen.add(sessions(admin, name))

    seen: set[int] = set()
    at_once(16, work)
    assert max(seen) == 3
    for db in dbs[:-1]:
        db.close()
    assert sessions(admin, name) >= 1
    assert dbs[-1].count_memories() == 80
    dbs[-1].close()
    gone(admin, name)


@pytest.mark.parametrize("engine", ["ours", "the caller's"])
def test_nothing_is_held_between_calls(
    engine: str, url: str, name: str, admin: psycopg.Connection, schema: str
) -> None:
    """Between calls no transaction is open and no lock held, also after a refused write."""
    callers = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    given: dict[str, Any] = {"db_url": url} if engine == "ours" else {"db_engine": callers}
    with PostgresMemoryDb("notes", schema, **given) as db:
        row = MemoryRow({}, "a", "ann")
        calls: list[Any] = [
            lambda: db.upsert_memory(row),
            lambda: db.upsert_memories([row, MemoryRow({}, "b")]),
            lambda: db.upsert_memory(MemoryRow({}, LONG)),
            lambda: db.upsert_memories([MemoryRow({}, "new"), MemoryRow({}, LONG)]),
            lambda: db.upsert_memory(row, if_version=9),
            db.read_memories,
            lambda: next(db.iter_memories(page_size=1)),
            db.create,
        ]
        for call in calls:
            with suppress(InvalidMemoryError, ConflictError):
                call()
            assert sessions(admin, name, "idle") == sessions(admin, name) >= 1
        assert db.count_memories() == 2
    callers.dispose()


def test_the_callers_engine_is_used_and_left_open(url: str, schema: str) -> None:
    """An engine that was passed is really used, and not closed."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    used: list[str] = []
    sa.event.listen(engine, "checkout", lambda *_: used.append("checkout"))
    with PostgresMemoryDb("notes", schema, db_engine=engine) as db:
        db.upsert_memory(MemoryRow({}, "a"))
    assert used
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    engine.dispose()


def test_the_callers_async_engine_is_used_and_left_open(url: str, schema: str) -> None:
    """An AsyncEngine that was passed is really used, and not closed."""

    async def work() -> Any:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        async with AsyncPostgresMemoryDb("notes", schema, db_engine=engine) as db:
            await db.upsert_memory(MemoryRow({}, "a"))
            await db.upsert_memories([MemoryRow({}, "b")])
            assert engine.pool.checkedin() >= 1  # type: ignore[attr-defined]
        async with engine.connect() as connection:
            one = (await connection.exec_driver_sql("SELECT 1")).scalar()
        await engine.dispose()
        return one

    assert asyncio.run(work()) == 1


def test_an_engine_of_another_kind_is_refused(url: str) -> None:
    """An engine for another database, driver or world is a ConfigError that says which is meant."""
    sqlite = sa.create_engine("sqlite://")
    sync = sa.create_engine("postgresql+psycopg://")
    for cls, engine in (
        (PostgresMemoryDb, sqlite),
        (PostgresMemoryDb, create_async_engine("postgresql+psycopg://")),
        (AsyncPostgresMemoryDb, sync),
        (PostgresMemoryDb, "postgresql://"),
    ):
        with pytest.raises(ConfigError, match="db_engine"):
            cls("notes", db_engine=engine)  # type: ignore[arg-type]
    sqlite.dispose()


# --- replaced


def test_the_next_call_works_after_all_sessions_were_ended(
    url: str, name: str, admin: psycopg.Connection, schema: str
) -> None:
    """After pg_terminate_backend of all sessions every kind of next call just works."""
    with PostgresMemoryDb("notes", schema, url) as db:
        calls: list[Any] = [
            db.create,
            lambda: db.upsert_memory(MemoryRow({}, "a")),
            lambda: db.upsert_memories([MemoryRow({}, "b")]),
            db.read_memories,
            db.table_exists,
            lambda: db.delete_memory("b"),
            db.ping,
        ]
        db.create()
        for call in calls:
            at_once(4, lambda _: db.count_memories())  # Several connections in the pool.
            terminate(admin, name)
            call()
        assert db.read_memory("a") is not None
        assert db.read_memory("a").version == 1  # type: ignore[union-attr]


def test_the_next_async_call_works_after_all_sessions_were_ended(
    url: str, name: str, admin: psycopg.Connection, schema: str
) -> None:
    """The same for the asynchronous class."""

    async def work() -> None:
        async with AsyncPostgresMemoryDb("notes", schema, url) as db:
            for n in range(3):
                await asyncio.gather(*[db.upsert_memory(MemoryRow({}, str(m))) for m in range(5)])
                await asyncio.to_thread(terminate, admin, name)
                assert (await db.upsert_memory(MemoryRow({}, "a"))).version == n + 1

    asyncio.run(work())


def test_the_next_call_works_after_a_restart() -> None:
    """While the server is down calls raise UnavailableError; afterwards the next one works."""
    server = PostgresServer()
    db = PostgresMemoryDb("notes", db_url=server.url())
    db.upsert_memory(MemoryRow({"a": 1}, "a"))
    server.halt()
    for call in (db.read_memories, lambda: db.upsert_memory(MemoryRow({}, "b"))):
        with pytest.raises(UnavailableError):
            call()
    server.start()
    assert db.upsert_memory(MemoryRow({"a": 2}, "a")).version == 2
    db.close()
    server.stop()


def test_a_connection_idle_for_long_is_asked_before_use(
    url: str, name: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long time without use the server is asked first, and otherwise not."""
    asked: list[str] = []
    with PostgresMemoryDb("notes", schema, url) as db:
        db.create()
        db.count_memories()  # The first one also asks for the layout.
        engine = db._rules.store._connector.engine  # type: ignore[attr-defined]
        sa.event.listen(engine, "checkin", lambda *_: asked.append("returned"))
        statements: list[str] = []
        cursor = psycopg.Cursor.execute

        def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            statements.append(str(query))
            return cursor(self, query, *args, **kwargs)

        monkeypatch.setattr(psycopg.Cursor, "execute", execute)
        db.count_memories()
        assert len(statements) == 1
        monkeypatch.setattr(liveness, "IDLE_SECONDS", -1.0)
        db.count_memories()
        assert statements[1:2] == ["SELECT 1"]
        assert len(statements) == 3


def test_a_server_that_ends_each_session_at_once(
    url: str, name: str, admin: psycopg.Connection, schema: str
) -> None:
    """Where new connections are lost before they are used, calls raise UnavailableError; later ones
    work."""
    with PostgresMemoryDb("notes", schema, url) as db:
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        engine = db._rules.store._connector.engine

        def end(*_: object) -> None:
            terminate(admin, name)

        event.listen(engine, "checkout", end, insert=True)
        for call in (db.read_memories, db.table_exists, db.create):
            with pytest.raises(UnavailableError, match="new connections are lost"):
                call()
        event.remove(engine, "checkout", end)
        assert db.count_memories() == 1


# --- asyncio


@pytest.fixture
def async_db(url: str, schema: str) -> Iterator[AsyncPostgresMemoryDb]:
    return AsyncPostgresMemoryDb("notes", schema, url, pool_size=4)


def run_without_shutdown(work: Coroutine[Any, Any, Any]) -> Any:
    """Run on a loop that ends without closing what was begun on it, unlike asyncio.run."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


@pytest.mark.parametrize("run", [asyncio.run, run_without_shutdown])
def test_loops_that_ended_leave_no_session(
    run: Any, async_db: AsyncPostgresMemoryDb, name: str, admin: psycopg.Connection
) -> None:
    """Connections of a loop that ended are closed, and close() closes those of the running one."""

    async def last() -> int:
        number = await async_db.count_memories()
        gone(admin, name, but=1)
        await async_db.close()
        gone(admin, name)
        return number

    gc.disable()  # It would close the connections as well, at some time.
    try:
        for n in range(3):
            run(async_db.upsert_memory(MemoryRow({}, str(n))))
        assert run(last()) == 3
    finally:
        gc.enable()


def test_a_cancelled_call_leaves_the_pool_usable(
    async_db: AsyncPostgresMemoryDb, name: str, admin: psycopg.Connection, schema: str
) -> None:
    """Calls that are cancelled while they wait leave no transaction open and no connection lost."""

    async def work() -> None:
        async with async_db as db:
            await db.upsert_memory(MemoryRow({}, "a", "ann"))
            with psycopg.connect(admin.info.dsn, password=admin.info.password) as lock:
                lock.execute(f'LOCK TABLE "{schema}".notes')
                for _ in range(3):
                    calls = [
                        asyncio.ensure_future(db.upsert_memories([MemoryRow({}, f"{n}")]))
                        for n in range(4)
                    ]
                    done, waiting = await asyncio.wait(calls, timeout=0.2)
                    assert not done
                    for call in waiting:
                        call.cancel()
                    results = await asyncio.gather(*waiting, return_exceptions=True)
                    assert all(isinstance(r, asyncio.CancelledError) for r in results)
            assert await asyncio.gather(*[db.count_memories() for _ in range(8)]) == [1] * 8
            assert sessions(admin, name, "idle in transaction%") == 0

    asyncio.run(work())


def test_a_cancelled_first_write_is_a_cancelled_error(postgres_url: str, schema: str) -> None:
    """Whenever it is cancelled, the write that makes the tables raises CancelledError and nothing
    else, and the database serves the next call."""

    async def main() -> None:
        for step in range(25):
            async with AsyncPostgresMemoryDb(f"t{step}", schema, postgres_url) as db:
                call = asyncio.ensure_future(db.upsert_memory(MemoryRow({}, "a", "ann")))
                await asyncio.sleep(0.001 * step)
                call.cancel()
                (found,) = await asyncio.gather(call, return_exceptions=True)
                assert isinstance(found, (asyncio.CancelledError, StoredMemoryRow)), found
                await db.upsert_memory(MemoryRow({}, "b", "ann"))

    asyncio.run(main())
