"""Objects of one process on the same collections share state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from buddy.memory.db.mongodb import MongoMemoryDb as MongoMemoryDbV1
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.testing.assertions import clock
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def test_a_clock_that_steps_back_between_objects(url: str) -> None:
    """Rows stand in the order of writing, whichever objects wrote them and whatever the clock."""

    async def main() -> None:
        async with AsyncMongoMemoryDb("notes", url) as third:
            with MongoMemoryDbV1("notes", url) as first, MongoMemoryDb("notes", url) as second:
                for n in range(3):
                    with clock(NOW - timedelta(seconds=n)):
                        first.upsert_memory(MemoryRowV1({}, id=f"{n}a"))
                        second.upsert_memories([MemoryRow({}, f"{n}b"), MemoryRow({}, f"{n}c")])
                        await third.upsert_memory(MemoryRow({}, f"{n}d"))
                found = [str(row.id) for row in second.iter_memories(sort="asc")]
                assert found == [f"{n}{x}" for n in range(3) for x in "abcd"]

    asyncio.run(main())


def test_a_process_whose_clock_is_behind(url: str) -> None:
    """A store's first row comes after all that other processes stored, whatever their clocks."""
    # A URL of its own has nothing in common with others, as another process.
    with MongoMemoryDb("notes", url) as ahead, MongoMemoryDb("notes", f"{url}&appName=b") as behind:
        with clock(NOW + timedelta(hours=1)):
            ahead.upsert_memories([MemoryRow({}, "a"), MemoryRow({}, "b")])
        with clock(NOW):
            behind.upsert_memory(MemoryRow({}, "c"))
        assert [row.id for row in ahead.read_memories(sort="asc")] == ["a", "b", "c"]


def test_rows_that_were_read_are_followed(url: str, server_url: str, database: Database) -> None:
    """What a process writes comes behind every row that it has read, by whichever call."""
    with MongoMemoryDb("notes", url) as db:
        db.upsert_memory(MemoryRow({}, "first", "ann"))
        calls: list[Callable[[], object]] = [
            lambda: db.read_memory("x", user_id="ann"),
            lambda: db.read_memory("x"),
            lambda: db.read_memories_by_id(["none", "x"], user_id="ann"),
            lambda: db.read_memories("ann"),
            lambda: db.read_memories(sort="asc"),
            lambda: db.page_memories(user_prefix="a"),
        ]
        for n, call in enumerate(calls):
            # A client of its own has nothing in common with others, as another process.
            with MongoClient(server_url) as client, clock(NOW + timedelta(days=n)):
                other = MongoMemoryDb("notes", db_name=database.name, client=client)
                other.delete_memory("x", user_id="ann")
                other.upsert_memory(MemoryRow({}, "x", "ann"))
            assert call()
            with clock(NOW - timedelta(days=n)):
                db.upsert_memory(MemoryRow({}, f"after {n}", "ann"))
            assert [row.id for row in db.read_memories("ann", limit=2)] == [f"after {n}", "x"]


def test_what_another_object_drops_is_made_again(url: str, database: Database) -> None:
    """Rows are unique also where another object dropped the collections a moment ago."""

    async def main() -> None:
        async with AsyncMongoMemoryDb("notes", url) as db:
            with MongoMemoryDb("notes", url) as other:
                for _ in range(2):
                    await db.upsert_memory(MemoryRow({}, "a", "ann"))
                    await db.upsert_summary(SummaryRow({}, "a", "ann"))
                    for name in ("notes", "notes_summaries"):
                        assert len(database[name].index_information()) == 5
                    other.drop_table()
        assert database.list_collection_names() == []

    asyncio.run(main())


def test_objects_on_one_client_of_the_caller(server_url: str, database: Database) -> None:
    """Objects share their state on one client of the caller, and not with another client's."""
    clients: list[Any] = [MongoClient(server_url) for _ in range(2)]
    dbs = [MongoMemoryDb("notes", db_name=database.name, client=clients[n // 2]) for n in range(4)]
    state = [db._rules.store.state for db in dbs]
    assert state[0] is state[1]
    assert state[2] is state[3] is not state[0]
    for client in clients:
        client.close()


def test_rows_with_times_of_their_own_over_rows_of_the_future(url: str) -> None:
    """A bulk write returns what it left also where rows are ahead of the clock and times are
    given."""
    with MongoMemoryDb("notes", url) as db:
        with clock(NOW):
            db.upsert_memory(MemoryRow({}, "a"))
        with clock(NOW - timedelta(seconds=2)):
            given = [MemoryRow({}, id, last_updated=NOW - timedelta(days=1)) for id in "ab"]
            stored = db.upsert_memories(given)
        assert stored == db.read_memories(sort="asc")
        assert [row.version for row in stored] == [2, 1]
