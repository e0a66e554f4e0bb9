"""Many tasks of one event loop: their writes and reads share statements, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg import sql

from buddy.memory.errors import (
    ConflictError,
    CorruptMemoryError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.rows import StoredMemoryRow
from buddy.memory.storage.sql.batching import MAX_CHARACTERS
from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_postgres import batching
from buddy_memory_postgres.dialect import PostgresDialect
from tests.servers.postgres import PostgresServer


@pytest.fixture
def play(postgres_url: str, schema: str) -> Callable[[Any], None]:
    """Run an asynchronous function on a store with its table."""

    def play(act: Any) -> None:
        async def main() -> None:
            async with AsyncPostgresMemoryDb("notes", schema, postgres_url) as db:
                await db.create()
                await act(db)

        asyncio.run(main())

    return play


LONG = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))  # noqa: S311
"""A user that no index of PostgreSQL holds."""


def row(n: int, user: str = "ann", **payload: Any) -> MemoryRow:
    return MemoryRow({"n": n, **payload}, f"{n:03}", user)


async def outcomes(*calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


def test_writes_share_statements(
    play: Any, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty-four new rows at once take few statements, and every task gets its own row back."""
    sizes: list[int] = []
    upsert_all = batching.BatchingStore._upsert_all
    monkeypatch.setattr(
        batching.BatchingStore,
        "_upsert_all",
        lambda self, first, new: sizes.append(len(new)) or upsert_all(self, first, new),
    )

    async def act(db: AsyncPostgresMemoryDb) -> None:
        rows = await asyncio.gather(*[db.upsert_memory(row(n, f"u{n % 7}")) for n in range(64)])
        assert [(r.id, r.user_id, r.memory, r.version) for r in rows] == [
            (f"{n:03}", f"u{n % 7}", {"n": n}, 1) for n in range(64)
        ]
        assert sorted(sizes) == [31, 32]
        sizes.clear()
        large = row(70, text="x" * MAX_CHARACTERS)
        await asyncio.gather(
            *[db.upsert_memory(one) for one in (row(0, "u0"), large, row(1, "u1"))]
        )
        assert sizes == []
        again = await asyncio.gather(*[db.upsert_memory(row(n, f"u{n % 7}")) for n in range(64)])
        assert [r.version for r in again] == [3, 3, *[2] * 62]
        assert [r.created_at for r in again] == [r.created_at for r in rows]
        assert all(
            new.last_updated > old.last_updated for new, old in zip(again, rows, strict=True)
        )
        stored = {r.id: r for r in await db.read_memories()}
        assert stored.pop("070").memory == large.memory
        assert [stored[r.id] for r in again] == again
        reads = [db.read_memory(f"{n:03}", user_id=f"u{n % 7}") for n in range(64)]
        found = await asyncio.gather(*reads)
        assert found == again

    play(act)


def test_reads_share_statements(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads by id at once share statements; what is not there, or another's, is None."""
    sizes: list[int] = []
    get = batching.BatchingStore._get_batch

    async def spy(self: Any, kind: Any, keys: list[Any]) -> Any:
        sizes.append(len(keys))
        return await get(self, kind, keys)

    monkeypatch.setattr(batching.BatchingStore, "_get_batch", spy)

    async def act(db: AsyncPostgresMemoryDb) -> None:
        rows = await db.upsert_memories([row(n) for n in range(30)])
        found = await asyncio.gather(
            *[db.read_memory(f"{n:03}", user_id="ann") for n in range(40)],
            *[db.read_memory(f"{n:03}", user_id="bob") for n in range(10)],
        )
        assert found == [*rows, *[None] * 20]
        assert sorted(sizes) == [1, 17, 32]
        one, same = await asyncio.gather(*[db.read_memory("001", user_id="ann") for _ in range(2)])
        twice = await asyncio.gather(*[db.read_memory("001", user_id="ann") for _ in range(3)])
        assert one == same == twice[1] == twice[2]
        twice[1].memory["n"] = "changed"
        assert twice[2].memory == {"n": 1}

    play(act)


def test_one_row_by_many(play: Any) -> None:
    """Of sixty-four writes of one row at once, each counts."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        rows = await asyncio.gather(*[db.upsert_memory(row(1, k=k)) for k in range(64)])
        assert sorted(r.version for r in rows) == list(range(1, 65))
        last = max(rows, key=lambda r: r.version)
        assert await db.read_memory("001") == last

    play(act)


def test_refusals_are_ones_own(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused to one task does not touch the others of its statement."""
    monkeypatch.setattr(PostgresDialect, "max_bytes", 100_000)

    async def act(db: AsyncPostgresMemoryDb) -> None:
        await db.upsert_memories([row(n) for n in range(20)])
        ended = await outcomes(
            *[db.upsert_memory(row(n, text="x" * 200_000 * (n % 2))) for n in range(20)],
            db.upsert_memory(row(3), if_version=7),
            db.upsert_memory(row(30, LONG)),
            db.upsert_memory(row(31, text="x" * 20_000)),
        )
        kinds = [StoredMemoryRow, TooLargeError] * 10
        last = [ConflictError, TooLargeError, StoredMemoryRow]
        assert [type(one) for one in ended] == [*kinds, *last]
        assert await db.count_memories() == 21

    play(act)


def test_memories_and_summaries_at_once(play: Any) -> None:
    """Rows of both kinds do not get into each other's tables."""
    from buddy.memory.v2.db.schema import SummaryRow

    async def act(db: AsyncPostgresMemoryDb) -> None:
        await asyncio.gather(
            *[db.upsert_memory(row(n)) for n in range(10)],
            *[db.upsert_summary(SummaryRow({"s": n}, f"{n:03}", "ann")) for n in range(12)],
        )
        assert (await db.count_memories(), await db.count_summaries()) == (10, 12)

    play(act)


def test_an_unreadable_row(play: Any, admin: psycopg.Connection, schema: str) -> None:
    """A row that cannot be read fails who asked for it, and nobody else."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        rows = await db.upsert_memories([row(n) for n in range(10)])
        table = sql.Identifier(schema, "notes")
        admin.execute(
            sql.SQL("UPDATE {} SET created_at = 'infinity' WHERE id = '003'").format(table)
        )
        admin.execute(sql.SQL("UPDATE {} SET memory = '[]' WHERE id = '005'").format(table))
        ended = await outcomes(*[db.read_memory(f"{n:03}") for n in range(10)])
        bad = [n for n, one in enumerate(ended) if isinstance(one, CorruptMemoryError)]
        assert bad == [3, 5]
        assert [one for n, one in enumerate(ended) if n not in bad] == [
            one for n, one in enumerate(rows) if n not in bad
        ]

    play(act)


def test_a_locked_row(play: Any, postgres_url: str, schema: str) -> None:
    """A row that another session holds keeps its own statement waiting, and no later ones."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        await db.upsert_memories([row(n) for n in range(3)])
        with psycopg.connect(postgres_url) as other:
            table = sql.Identifier(schema, "notes")
            other.execute(sql.SQL("SELECT 1 FROM {} WHERE id = '001' FOR UPDATE").format(table))
            other.execute(sql.SQL("SELECT 1 FROM {} WHERE id = '002' FOR UPDATE").format(table))
            alone, waiting = (asyncio.ensure_future(db.upsert_memory(row(n))) for n in (2, 1))
            for _ in range(10):
                await asyncio.sleep(0)
            later = [db.upsert_memory(row(n)) for n in range(100, 140)]
            assert len(await asyncio.wait_for(asyncio.gather(*later), 60)) == 40
            assert not waiting.done()
            assert not alone.done()
            other.rollback()
        assert [(await call).version for call in (alone, waiting)] == [2, 2]

    play(act)


def test_one_id_of_many_users(play: Any) -> None:
    """Writes and reads at once of one id by many users concern each user's own row."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        users = [None, *[f"u{n}" for n in range(9)]] * 3
        rows = await asyncio.gather(
            *[db.upsert_memory(MemoryRow({"k": k}, "same", user)) for k, user in enumerate(users)]
        )
        assert sorted(row.version for row in rows) == [1] * 10 + [2] * 10 + [3] * 10
        named = users[1:10]
        found = await asyncio.gather(*[db.read_memory("same", user_id=user) for user in named])
        assert [row and (row.user_id, row.version) for row in found] == [(u, 3) for u in named]
        assert await db.count_memories() == 10

    play(act)


def test_batches_of_the_same_rows(play: Any, admin: psycopg.Connection) -> None:
    """Single and bulk writes of the same rows at once, in any order, neither fail nor get lost."""

    async def act(db: AsyncPostgresMemoryDb) -> None:
        keys = [(n, f"u{k}") for n in range(10) for k in range(3)]
        calls: list[Any] = []
        for turn in range(8):
            order = keys if turn % 2 else keys[::-1]
            calls += [db.upsert_memory(row(n, user)) for n, user in order]
            calls.append(db.upsert_memories([row(n, user) for n, user in order]))
        await asyncio.gather(*calls)
        assert {one.version for one in await db.read_memories()} == {16}

    admin.execute("ALTER SYSTEM SET deadlock_timeout = '10ms'")
    admin.execute("SELECT pg_reload_conf()")
    play(act)
    admin.execute("ALTER SYSTEM RESET deadlock_timeout")
    admin.execute("SELECT pg_reload_conf()")


def test_what_may_have_been_stored_is_not_sent_again(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a statement's outcome is not known, its writes are not tried one by one."""
    alone: list[str] = []

    async def interrupted(self: Any, runner: Any, work: Any) -> Any:
        raise UnavailableError("PostgreSQL", "the connection was lost")

    async def put_new(self: Any, write: Any, new: Any) -> Any:
        alone.append(write.record.id)
        await asyncio.sleep(0)  # Or it would be over before the others ask.
        return write.record

    async def act(db: AsyncPostgresMemoryDb) -> None:
        monkeypatch.setattr(batching.BatchingStore, "_write", interrupted)
        monkeypatch.setattr(batching.BatchingStore, "_put_new", put_new)
        ended = await outcomes(*[db.upsert_memory(row(n)) for n in range(10)])
        assert [type(one) for one in ended] == [StoredMemoryRow, *[UnavailableError] * 9]
        assert alone == ["000"]
        monkeypatch.undo()

    play(act)


def test_a_server_that_is_gone() -> None:
    """All tasks learn that the server is gone, and the next calls work when it is back."""
    server = PostgresServer()

    async def main() -> None:
        async with AsyncPostgresMemoryDb("notes", db_url=server.url()) as db:
            await asyncio.gather(*[db.upsert_memory(row(n)) for n in range(20)])
            server.halt()
            ended = await outcomes(
                *[db.upsert_memory(row(n)) for n in range(20)],
                *[db.read_memory(f"{n:03}") for n in range(20)],
            )
            assert {type(one) for one in ended} == {UnavailableError}
            server.start()
            assert len(await asyncio.gather(*[db.read_memory(f"{n:03}") for n in range(20)])) == 20

    try:
        asyncio.run(main())
    finally:
        server.stop()


def test_engines_of_two_loops(postgres_url: str, schema: str) -> None:
    """One object serves one loop after the other, however the first one ended."""
    db = AsyncPostgresMemoryDb("notes", schema, postgres_url)

    async def leave() -> list[Any]:
        await db.create()
        tasks = [asyncio.ensure_future(db.upsert_memory(row(n))) for n in range(20)]
        for _ in range(3):
            await asyncio.sleep(0)
        return tasks

    async def stay() -> None:
        await asyncio.gather(*[db.upsert_memory(row(n)) for n in range(20)])
        assert await db.count_memories() == 20
        await db.close()

    asyncio.run(leave())
    asyncio.run(stay())
