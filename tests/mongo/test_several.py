"""Several objects of one process on the same collections."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from buddy.memory.db.mongodb import MongoMemoryDb as MongoMemoryDbV1
from buddy.memory.errors import OwnerMismatchError
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.testing.expect import clock
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


@pytest.mark.parametrize("sharded", [False, True])
def test_what_another_object_drops_is_made_anew(
    url: str, database: Database, sharded: bool
) -> None:
    """Ids are unique also where another object dropped the collections a moment ago."""

    async def main() -> None:
        async with AsyncMongoMemoryDb("notes", url, sharded=sharded) as db:
            with MongoMemoryDb("notes", url, sharded=sharded) as other:
                for _ in range(2):
                    await db.upsert_memory(MemoryRow({}, "a", "ann"))
                    await db.upsert_summary(SummaryRow({}, "a", "ann"))
                    with pytest.raises(OwnerMismatchError):
                        await db.upsert_memory(MemoryRow({}, "a", "bob"))
                    with pytest.raises(OwnerMismatchError):
                        await db.upsert_summaries([SummaryRow({}, "a", "bob")])
                    other.drop_table()
        assert database.list_collection_names() == []

    asyncio.run(main())


def test_objects_on_one_client_of_the_caller(server_url: str, database: Database) -> None:
    """What objects know together they also do on a client of the caller, and on no other one."""
    clients: list[Any] = [MongoClient(server_url) for _ in range(2)]
    dbs = [MongoMemoryDb("notes", db_name=database.name, client=clients[n // 2]) for n in range(4)]
    known = [db._policy.store._known for db in dbs]
    assert known[0] is known[1]
    assert known[2] is known[3] is not known[0]
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
