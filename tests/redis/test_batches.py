"""Many tasks of one event loop: their commands travel together, and each gets its own answers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import redis
import redis.asyncio

from buddy.memory.errors import ConflictError, UnavailableError
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_redis import connections
from tests.servers import redis as servers

SENT: list[bytes] = []


class Wire(redis.asyncio.Connection):
    """A connection that notes what it sends."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        SENT.append(b"".join(command))
        await super().send_packed_command(command, check_health)


def opened(url: str, prefix: str) -> AsyncRedisMemoryDb:
    pool: Any = redis.asyncio.ConnectionPool.from_url(url, connection_class=Wire)
    return AsyncRedisMemoryDb(prefix, client=redis.asyncio.Redis.from_pool(pool))


async def close(db: AsyncRedisMemoryDb) -> None:
    await db.drop_table()
    await db._rules.store._transport.line().client.aclose()


def test_tasks_share_batches(valkey_url: str, prefix: str) -> None:
    """Writes and reads at once travel in a few batches of bounded size over two connections."""

    async def main() -> None:
        db = opened(valkey_url, prefix)
        await db.upsert_memory(MemoryRow({}, "warm", "ann"))
        await db.upsert_memory(MemoryRow({}, "warmer", "ann"))
        SENT.clear()
        writes = [db.upsert_memory(MemoryRow({"n": n}, f"{n}", f"user {n % 7}")) for n in range(64)]
        rows = await asyncio.gather(*writes)
        assert [(row.id, row.memory["n"], row.version) for row in rows] == [
            (f"{n}", n, 1) for n in range(64)
        ]
        assert len([sent for sent in SENT if b"EVALSHA" in sent]) == 2
        SENT.clear()
        reads = [db.read_memory(f"{n % 64}", user_id=f"user {n % 64 % 7}") for n in range(300)]
        assert await asyncio.gather(*reads) == [rows[n % 64] for n in range(300)]
        assert [sent.count(b"generation") for sent in SENT] == [1, 100, 100, 99]
        SENT.clear()
        large = MemoryRow({"text": "x" * 20_000}, "large")
        await asyncio.gather(db.count_memories("ann"), db.upsert_memory(large), db.ping())
        alone = [b"EVALSHA" in sent and b"EXISTS" not in sent for sent in SENT if b"xxx" in sent]
        assert alone == [True]
        await close(db)

    asyncio.run(main())


def test_an_error_is_its_own(valkey_url: str, prefix: str) -> None:
    """What is refused to one task does not touch the others of its batch."""

    async def main() -> None:
        db = opened(valkey_url, prefix)
        await db.upsert_memories([MemoryRow({}, f"{n}", "ann") for n in range(20)])
        ended = await asyncio.gather(
            *[
                db.upsert_memory(MemoryRow({}, f"{n}", "ann"), if_version=n % 2 + 1)
                for n in range(20)
            ],
            return_exceptions=True,
        )
        assert [isinstance(one, ConflictError) for one in ended] == [False, True] * 10
        await close(db)

    asyncio.run(main())


def test_who_is_cancelled_takes_nobody_along(valkey_url: str, prefix: str) -> None:
    """When tasks are cancelled at any moment, the others get their own answers."""

    async def main() -> None:
        db = opened(valkey_url, prefix)
        rows = await db.upsert_memories([MemoryRow({"n": n}, f"{n}", "ann") for n in range(20)])
        for turns in range(15):
            tasks = [asyncio.ensure_future(db.read_memory(row.id, user_id="ann")) for row in rows]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[::3]:
                task.cancel()
            for n, task in enumerate(tasks):
                with suppress(asyncio.CancelledError):
                    assert await task == rows[n]
                assert task.cancelled() <= (n % 3 == 0)
        await close(db)

    asyncio.run(main())


def test_a_server_that_is_gone(prefix: str) -> None:
    """All tasks whose commands were under way learn that the server is gone, and work again when it
    is back."""
    server = servers.RedisServer(servers.valkey(), *servers.DURABLE)

    async def main() -> None:
        async with AsyncRedisMemoryDb.from_url(server.url, prefix=prefix) as db:
            await db.upsert_memory(MemoryRow({}, "a", "ann"))
            server.process.kill()
            server.process.wait()
            ended = await asyncio.gather(
                *[db.read_memory("a", user_id="ann") for _ in range(20)], return_exceptions=True
            )
            assert {type(one) for one in ended} == {UnavailableError}
            server.restart()
            assert await asyncio.gather(*[db.count_memories() for _ in range(20)]) == [0] * 20

    asyncio.run(main())
    server.stop()


def test_a_loop_that_ends_early(valkey_url: str, prefix: str) -> None:
    """A loop that ends while tasks wait ends them, and the object works in the next loop."""
    db = AsyncRedisMemoryDb.from_url(valkey_url, prefix=prefix)

    async def leave() -> list[Any]:
        tasks = [asyncio.ensure_future(db.read_memories("ann")) for _ in range(20)]
        await asyncio.sleep(0)
        return tasks

    async def stay() -> None:
        await asyncio.gather(*[db.upsert_memory(MemoryRow({}, f"{n}", "ann")) for n in range(20)])
        assert await db.count_memories("ann") == 20
        await db.drop_table()
        await db.close()

    assert all(task.cancelled() for task in asyncio.run(leave()))
    asyncio.run(stay())


def test_connections_of_ours_are_kept(
    valkey: servers.RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client of ours took from its pool once is kept, also over a hang-up of the server; a
    caller's pool gets its connection back after each call."""
    asked = []

    class Pool(redis.ConnectionPool):
        def get_connection(self, *args: Any, **kwargs: Any) -> Any:
            asked.append(self)
            return super().get_connection(*args, **kwargs)

    admin = valkey.client()
    monkeypatch.setattr(redis.client, "ConnectionPool", Pool)
    monkeypatch.setattr(connections, "_PLAIN_POOLS", (Pool,))
    with RedisMemoryDb(prefix, port=valkey.port) as db, valkey.client() as client, admin:
        for store, times in ((db, [1, 1]), (RedisMemoryDb(prefix, client=client), [1, 2])):
            store.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
            asked.clear()
            admin.client_kill_filter(_type="normal", skipme=True)
            found = []
            for _ in times:
                assert store.count_memories("ann") == 1
                found.append(len(asked))
            assert found == times
        db.ping()  # It was hung up, too.
        asked.clear()
        kept = db._rules.store._transport.line().connections._idle
        kept[0].mark_for_reconnect()  # As the driver does when a server announces maintenance.
        for _ in range(2):
            assert db.count_memories("ann") == 1
        assert (len(asked), kept[0].should_reconnect()) == (1, False)
        asked.clear()
        for _ in range(5):
            at_once(4, lambda n: [db.count_memories("ann") for _ in range(20)])
        assert len(asked) <= 4
        db.drop_table()
