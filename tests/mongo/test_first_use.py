"""Many tasks that use a store for the first time, all at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymongo import AsyncMongoClient
from pymongo.database import Database

from buddy.memory.errors import SchemaError, UnavailableError
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.mongo.test_conformance import NOBODY_LISTENS
from tests.mongo.test_queries import Commands

AT_ONCE = 64


@asynccontextmanager
async def opened(
    server_url: str, database: Database, commands: Commands
) -> AsyncIterator[AsyncMongoMemoryDb]:
    """A store that was never used, on a client that keeps its commands."""
    async with AsyncMongoClient(server_url, event_listeners=[commands]) as client:
        yield AsyncMongoMemoryDb("notes", db_name=database.name, client=client)


def test_tasks_prepare_once(server_url: str, database: Database) -> None:
    """Tasks that write first make the indexes once and read the newest position once for all."""
    commands = Commands()

    async def main() -> None:
        async with opened(server_url, database, commands) as db:
            rows = [MemoryRow({"n": n}, f"id-{n}", "ann") for n in range(AT_ONCE)]
            stored = await asyncio.gather(*map(db.upsert_memory, rows))
            assert [row.version for row in stored] == [1] * AT_ONCE
            assert await db.count_memories() == AT_ONCE

    asyncio.run(main())
    sent = Counter(name for name, _ in commands.sent)
    assert (sent["findAndModify"], sent["update"]) == (1, 1)
    assert sent["createIndexes"] == 2
    newest = [c for _, c in commands.sent if c.get("sort") == {"_id": -1}]
    assert len(newest) == 1
    # Before and after the indexes of each kind are made.
    assert sent["listIndexes"] == 4


def test_readers_check_once(server_url: str, database: Database) -> None:
    """Tasks that find nothing at first check the indexes once for all."""
    commands = Commands()

    async def main() -> None:
        async with opened(server_url, database, commands) as db:
            await db.create()
        async with opened(server_url, database, commands) as db:
            commands.sent.clear()
            reads = [db.read_memories("ann") for _ in range(AT_ONCE)]
            assert await asyncio.gather(*reads) == [[]] * AT_ONCE
            sent = Counter(name for name, _ in commands.sent)
            assert sent == {"listIndexes": 1, "find": AT_ONCE}

    asyncio.run(main())


def test_a_task_that_gives_up_leaves_the_others_alone(server_url: str, database: Database) -> None:
    """A task that is cancelled while all wait for the first check does not cancel the check."""

    async def main() -> None:
        async with opened(server_url, database, Commands()) as db:
            tasks = [
                asyncio.ensure_future(db.upsert_memory(MemoryRow({}, f"id-{n}"))) for n in range(3)
            ]
            await asyncio.sleep(0)  # All of them have begun, and wait.
            tasks[0].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(done[0], asyncio.CancelledError)
            assert [row.version for row in done[1:]] == [1, 1]

    asyncio.run(main())


def test_all_learn_that_there_is_no_server() -> None:
    """Every task that waits for a check raises what it raises, and a later one checks again."""

    async def main() -> None:
        async with AsyncMongoMemoryDb("notes", NOBODY_LISTENS) as db:
            for _ in range(2):
                done = await asyncio.gather(
                    *[db.read_memories() for _ in range(AT_ONCE)], return_exceptions=True
                )
                assert {type(error) for error in done} == {UnavailableError}
            with pytest.raises(UnavailableError):
                await db.count_memories()

    asyncio.run(main())


def test_a_failed_check_is_repeated(server_url: str, database: Database) -> None:
    """After a check that failed, the next call checks again."""
    database["notes"].insert_one({"of": "other software"})

    async def main() -> None:
        async with opened(server_url, database, Commands()) as db:
            done = await asyncio.gather(
                *[db.read_memories() for _ in range(3)], return_exceptions=True
            )
            assert {type(error) for error in done} == {SchemaError}
            database["notes"].delete_many({})
            assert await db.read_memories() == []

    asyncio.run(main())
