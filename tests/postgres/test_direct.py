"""Single statements of asyncio, which go to the driver without SQLAlchemy's greenlets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from buddy.memory.errors import SchemaError, UnavailableError
from buddy.memory.storage.sql import AsyncConnector
from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_postgres import direct, liveness

Act = Callable[[AsyncPostgresMemoryDb], Coroutine[Any, Any, None]]
Play = Callable[[Act], None]


@pytest.fixture
def play(postgres_url: str, schema: str) -> Play:
    """Runs a test's coroutine with a database of one row and two connections."""

    def play(act: Act) -> None:
        async def main() -> None:
            async with AsyncPostgresMemoryDb("notes", schema, postgres_url, pool_size=2) as db:
                await db.upsert_memory(MemoryRow({}, "a", "ann"))
                await act(db)

        asyncio.run(main())

    return play


async def everything(db: AsyncPostgresMemoryDb) -> None:
    """Make a call of each kind."""
    new = await db.upsert_memory(MemoryRow({"n": 1}, "b", "ann"))
    assert await db.read_memory("b") == new
    assert await db.memory_exists(new)
    assert len(await db.read_memories("ann", limit=20)) == await db.count_memories("ann") == 2
    assert await db.delete_memory("b", if_version=1)
    assert not await db.delete_memory("b")
    await db.ping()


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run in a greenlet by single statements."""
    seen: list[str] = []
    spawn = direct.greenlet_spawn

    def watched(function: Any, *arguments: Any) -> Any:
        seen.append(function.__name__)
        return spawn(function, *arguments)

    monkeypatch.setattr(direct, "greenlet_spawn", watched)
    return seen


def test_a_call_needs_no_greenlet(play: Play, spawned: list[str]) -> None:
    """Where a connection is idle, no call with one statement makes a greenlet."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        spawned.clear()
        await everything(db)
        assert spawned == []

    play(act)


def test_an_older_sqlalchemy(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLAlchemy's pool always waits, everything goes through its greenlets."""
    versions = ("2.0.30", "2.0.58", "2.1.0", "2.1.4", "2.1.5", "2.1.10", "2.2.0b1", "3.0.0")
    assert [direct.is_possible(v) for v in versions] == [False, True, False, False] + [True] * 4
    monkeypatch.setattr(direct, "is_possible", lambda: False)

    async def act(db: AsyncPostgresMemoryDb) -> None:
        assert type(db._rules.store._connector) is AsyncConnector  # type: ignore[attr-defined]
        await everything(db)

    play(act)


def test_more_tasks_than_connections(play: Play) -> None:
    """Tasks wait for a connection to come free; none is opened beyond the pool's size."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        assert await asyncio.gather(*[db.count_memories() for _ in range(64)]) == [1] * 64
        engine = db._rules.store._connector._here().engine  # type: ignore[attr-defined]
        assert engine.pool.checkedin() == 2
        assert engine.pool.checkedout() == 0

    play(act)


def test_an_idle_connection_is_asked_and_kept(
    play: Play, spawned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long time without use the server is asked, and the same session goes on."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        engine = db._rules.store._connector._here().engine  # type: ignore[attr-defined]
        made: list[object] = []
        event.listen(engine, "connect", lambda *given: made.append(given))
        monkeypatch.setattr(liveness, "IDLE_SECONDS", -1.0)
        spawned.clear()
        await everything(db)
        assert set(spawned) == {"raw_connection"}
        assert made == []

    play(act)


def test_cancelled_calls_give_their_connections_back(
    play: Play, admin: psycopg.Connection, schema: str
) -> None:
    """Calls that are cancelled while the server works on them, or while they wait for a
    connection, cost the pool nothing."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        with psycopg.connect(admin.info.dsn, password=admin.info.password) as lock:
            lock.execute(f'LOCK TABLE "{schema}".notes')
            for _ in range(3):
                calls = [asyncio.ensure_future(db.count_memories()) for _ in range(5)]
                done, waiting = await asyncio.wait(calls, timeout=0.1)
                assert not done
                for _ in range(2):  # The second time while the driver still deals with the first.
                    for call in waiting:
                        call.cancel()
                    await asyncio.sleep(0)
                results = await asyncio.gather(*waiting, return_exceptions=True)
                assert all(isinstance(one, asyncio.CancelledError) for one in results)
        await everything(db)
        engine = db._rules.store._connector._here().engine  # type: ignore[attr-defined]
        assert engine.pool.checkedout() == 0
        assert await asyncio.gather(*[db.count_memories() for _ in range(8)]) == [1] * 8

    play(act)


def test_a_refused_statement_gives_its_connection_back(
    play: Play, admin: psycopg.Connection, schema: str
) -> None:
    """What the server refuses is raised, and the session serves the next call."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        pids = "SELECT pid FROM pg_stat_activity WHERE application_name = 'buddy-memory'"
        before = set(admin.execute(pids).fetchall())
        admin.execute(f'ALTER TABLE "{schema}".notes RENAME COLUMN version TO other')
        for _ in range(5):
            with pytest.raises(SchemaError):
                await db.upsert_memory(MemoryRow({}, "c"))
        admin.execute(f'ALTER TABLE "{schema}".notes RENAME COLUMN other TO version')
        await everything(db)
        assert set(admin.execute(pids).fetchall()) == before

    play(act)


def end_what_waits_for(lock: psycopg.Connection) -> None:
    """End the session that waits for this one, once there is one."""
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND %s = ANY (pg_blocking_pids(pid))"
    )
    while not lock.execute(end, [lock.info.backend_pid]).fetchall():
        time.sleep(0.01)


def test_a_session_that_ends_during_a_statement_leaves_the_pool(
    play: Play, admin: psycopg.Connection, schema: str
) -> None:
    """Its call raises, and its connection is dropped at once: its socket's number may be reused."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        engine = db._rules.store._connector._here().engine  # type: ignore[attr-defined]
        dropped: list[object] = []
        event.listen(engine, "invalidate", lambda *given: dropped.append(given))
        with psycopg.connect(admin.info.dsn, password=admin.info.password) as lock:
            lock.execute(f'LOCK TABLE "{schema}".notes')
            call = asyncio.ensure_future(db.count_memories())
            await asyncio.to_thread(end_what_waits_for, lock)
            with pytest.raises(UnavailableError):
                await call
        assert len(dropped) == 1
        await everything(db)

    play(act)
