"""The layout of an earlier buddy-memory is refused by every call, and not touched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from buddy.memory.errors import SchemaError
from buddy.memory.storage.sync_runner import iterate
from buddy.memory.testing.assertions import raises
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
LAYOUTS = ["with a row", "empty", "sharded by user"]


def earlier(kind: str, id: str) -> dict[str, Any]:
    """A row of an earlier layout."""
    mark, field = f"buddy_{kind}", "id" if kind == "memory" else "session_id"
    times = {f"{name}_us": 1_767_323_045_000_000 for name in ("created", "updated")}
    times |= {f"{name}_at": NOW for name in ("created", "updated")}
    return {
        "_id": ObjectId(),
        mark: 1,
        field: id,
        "user_id": "ann",
        kind: {},
        "version": 1,
        **times,
    }


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, database: Database) -> str:
    """The collections as an earlier buddy-memory made them."""
    for name, kind, id in (("notes", "memory", "id"), ("notes_summaries", "summary", "session_id")):
        database[name].create_index([(id, 1)], unique=request.param != "sharded by user")
        database[name].create_index([("user_id", 1), ("_id", 1)])
        if request.param != "empty":
            database[name].insert_one(earlier(kind, "a"))
    return str(request.param)


def contents(database: Database) -> dict[str, Any]:
    names = sorted(database.list_collection_names())
    return {
        name: (list(database[name].find()), database[name].index_information()) for name in names
    }


def test_every_call_is_refused(url: str, database: Database, layout: str) -> None:
    """Each call on a store of an earlier layout is a SchemaError, and leaves it as it is."""
    row, before = MemoryRow({}, "a", "ann"), contents(database)

    with MongoMemoryDb("notes", url) as db:
        calls: list[Callable[[], object]] = [
            db.create,
            db.table_exists,
            db.upgrade,
            db.drop_table,
            db.clear,
            lambda: db.upsert_memory(row),
            lambda: db.upsert_memory(row, if_version=1),
            lambda: db.upsert_memories([row]),
            lambda: db.memory_exists(row),
            lambda: db.read_memory("a"),
            lambda: db.read_memory("a", user_id="ann"),
            lambda: db.read_memories_by_id(["a"], user_id="ann"),
            db.read_memories,
            lambda: db.read_memories("ann"),
            lambda: db.read_memories(user_prefix="a"),
            lambda: list(db.iter_memories()),
            db.count_memories,
            db.list_users,
            lambda: db.list_users(limit=2),
            lambda: db.change_mark("ann"),
            lambda: db.delete_memory("a"),
            lambda: db.delete_memory("a", user_id="ann"),
            lambda: db.delete_memories(["a"], user_id="ann"),
            lambda: db.delete_user("ann"),
            lambda: db.delete_users(user_prefix="a"),
            lambda: db.upsert_summary(SummaryRow({}, "a", "ann")),
            lambda: db.read_summary("a", user_id="ann"),
            db.read_summaries,
            lambda: list(iterate(db._rules.store.legacy_records())),
        ]
        for number, call in enumerate(calls):
            error = raises(SchemaError, call)
            assert "earlier buddy-memory. Export it" in str(error), number
    assert contents(database) == before


def test_tasks_are_refused(url: str, database: Database, layout: str) -> None:
    """Calls of many tasks at once on an earlier layout are refused, too."""
    before = contents(database)

    async def main() -> None:
        async with AsyncMongoMemoryDb("notes", url) as db:
            calls: list[Any] = [db.read_memory(f"{n}", user_id="ann") for n in range(8)]
            calls += [db.upsert_memory(MemoryRow({}, f"{n}", "ann")) for n in range(8)]
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(error) for error in ended} == {SchemaError}

    asyncio.run(main())
    assert contents(database) == before


def test_rows_of_an_earlier_layout_among_ours_are_foreign(url: str, database: Database) -> None:
    """Where the collection is ours, earlier documents are neither shown nor touched."""
    with MongoMemoryDb("notes", url) as db:
        row = db.upsert_memory(MemoryRow({}, "mine", "ann"))
        database["notes"].insert_one(earlier("memory", "a"))
        assert db.read_memories() == [row]
        with pytest.raises(SchemaError, match="earlier buddy-memory"):
            db.upsert_memory(MemoryRow({}, "a", "ann"))
        db.clear()
        assert [found["id"] for found in database["notes"].find()] == ["a"]
