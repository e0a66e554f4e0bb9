"""SQLite for asyncio: what many tasks write at once, and where it runs."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from buddy.memory.errors import ConfigError, TooLargeError
from buddy.memory.storage.sql import SyncConnector
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import AsyncSqliteMemoryDb
from buddy_memory_sqlite.async_store import AsyncSqliteStore

Play = Callable[[Any], None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run an asynchronous function on a database whose file was not made yet."""

    def play(act: Any) -> None:
        async def main() -> None:
            async with AsyncSqliteMemoryDb(db_file=tmp_path / "memory.db") as db:
                await act(db)

        asyncio.run(main())

    return play


def row(n: int, user: str = "ann", **payload: Any) -> MemoryRow:
    return MemoryRow({"n": n, **payload}, f"{n:03}", user)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each shared statement had."""
    seen: list[int] = []
    upsert_all = AsyncSqliteStore._upsert_all

    def watched(self: AsyncSqliteStore, first: Any, rows: list[Any]) -> Any:
        seen.append(len(rows))
        return upsert_all(self, first, rows)

    monkeypatch.setattr(AsyncSqliteStore, "_upsert_all", watched)
    return seen


def test_writes_share_statements(play: Play, sizes: list[int]) -> None:
    """Sixty-four tasks write with three statements, the first writes ever made too, and each gets
    what is stored of its own row."""

    async def act(db: AsyncSqliteMemoryDb) -> None:
        for version in (1, 2):
            sizes.clear()
            rows = [row(n, f"user-{n % 7}", version=version) for n in range(64)]
            written = await asyncio.gather(*map(db.upsert_memory, rows))
            assert sorted(sizes) == [31, 32]
            assert [(w.id, w.user_id, w.memory) for w in written] == [
                (r.id, r.user_id, r.memory) for r in rows
            ]
            assert {w.version for w in written} == {version}
            stored: dict[Any, Any] = {r.id: r for r in await db.read_memories()}
            assert [stored[r.id] for r in rows] == written

    play(act)


def test_each_write_gets_its_own_error(play: Play, tmp_path: Path) -> None:
    """Of writes that share a statement one is refused by the database; the others are stored."""

    async def act(db: AsyncSqliteMemoryDb) -> None:
        await db.create()
        with sqlite3.connect(tmp_path / "memory.db") as connection:
            connection.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON memory WHEN NEW.id = '005' "
                "BEGIN SELECT RAISE(ABORT, 'string or blob too big'); END"
            )
        connection.close()
        calls = [db.upsert_memory(row(n)) for n in range(8)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [n for n, o in enumerate(outcomes) if not isinstance(o, MemoryRow)] == [5]
        assert isinstance(outcomes[5], TooLargeError)
        assert await db.count_memories("ann") == 7

    play(act)


def test_users_may_share_an_id_in_one_statement(play: Play, sizes: list[int]) -> None:
    """Writes of one id for many users, and for none, are rows of their own with their versions."""

    async def act(db: AsyncSqliteMemoryDb) -> None:
        users = [None, "", *(f"user-{n}" for n in range(20))]
        for version in (1, 2):
            rows = [MemoryRow({"of": user}, "same", user) for user in users]
            written = await asyncio.gather(*map(db.upsert_memory, rows))
            assert [(w.user_id, w.memory["of"], w.version) for w in written] == [
                (user, user, version) for user in users
            ]
        assert max(sizes) == 21
        assert await db.count_memories() == 22

    play(act)


def test_writes_of_one_row_all_count(play: Play) -> None:
    """Tasks that write one row at once each raise its version."""

    async def act(db: AsyncSqliteMemoryDb) -> None:
        written = await asyncio.gather(*[db.upsert_memory(row(1, turn=turn)) for turn in range(20)])
        assert sorted(w.version or 0 for w in written) == [*range(1, 21)]
        stored = await db.read_memory("001", user_id="ann")
        assert stored == max(written, key=lambda w: w.version or 0)

    play(act)


def test_statements_run_in_other_threads(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call reaches the database in the thread of the event loop."""
    threads: set[int] = set()
    enter = SyncConnector._on_cursor

    def watched(self: Any, *arguments: Any) -> Any:
        threads.add(threading.get_ident())
        return enter(self, *arguments)

    monkeypatch.setattr(SyncConnector, "_on_cursor", watched)

    async def act(db: AsyncSqliteMemoryDb) -> None:
        await db.upsert_memory(row(1))
        await db.upsert_memories([row(2), row(3)])
        await db.upsert_memory(row(1), if_version=1)
        assert [r async for r in db.iter_memories(sort="asc")] == await db.read_memories(sort="asc")
        assert await db.count_memories() == 3
        await db.delete_memories(["002", "003"])
        await db.delete_user("ann")
        await db.ping()
        assert threads
        assert threading.get_ident() not in threads

    play(act)


def test_an_engine_with_a_database_for_each_thread_is_refused() -> None:
    """Every call would see another, empty one."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.SingletonThreadPool)
    db = AsyncSqliteMemoryDb(db_engine=engine)
    with pytest.raises(ConfigError, match="StaticPool"):
        asyncio.run(db.upsert_memory(row(1)))
    engine.dispose()
