"""Documents that were changed by hand, written by many tasks at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pymongo.database import Database

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow

DAMAGES: dict[str, dict[str, Any]] = {
    "a time that is a text": {"created_us": "yesterday"},
    "a time beyond the calendar": {"created_us": 2**60},
}


def rows(place: int) -> list[MemoryRow]:
    made = [MemoryRow({"n": n}, f"r{n}", "ann") for n in range(20)]
    made.insert(place, MemoryRow({"n": 0}, "bad", "ann"))
    return made


@pytest.fixture(params=DAMAGES.values(), ids=DAMAGES)
def damaged(request: pytest.FixtureRequest, server_url: str, database: Database) -> str:
    """The name of a collection in which one row is damaged."""
    with MongoMemoryDb("notes", server_url, database.name) as db:
        db.upsert_memory(MemoryRow({"n": 1}, "bad", "ann"))
    database["notes"].update_one({"id": "bad"}, {"$set": request.param})
    return "notes"


@pytest.mark.parametrize("place", [0, 1, 7, 20])
def test_a_damaged_row_is_the_error_of_its_own_call(
    damaged: str, server_url: str, database: Database, place: int
) -> None:
    """Of calls that share a command, only that of the damaged row fails, and none is written
    twice."""

    async def main() -> None:
        async with AsyncMongoMemoryDb(damaged, server_url, database.name) as db:
            calls = map(db.upsert_memory, rows(place))
            kept: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
            error = kept.pop(place)
            assert isinstance(error, CorruptMemoryError)
            assert error.id == "bad"
            assert [getattr(row, "version", row) for row in kept] == [1] * 20

    asyncio.run(main())


def test_a_bulk_write_names_the_damaged_row(
    damaged: str, server_url: str, database: Database
) -> None:
    """A bulk write with a damaged row names it, and says which of the others are stored."""
    with MongoMemoryDb(damaged, server_url, database.name) as db:
        with pytest.raises(CorruptMemoryError, match="'bad'") as caught:
            db.upsert_memories(rows(7))
        assert len(caught.value.stored) == 20


@pytest.mark.parametrize("stamp", [float("nan"), float("inf"), "text", None])
def test_a_stamp_that_is_no_number(server_url: str, database: Database, stamp: Any) -> None:
    """A search finds what it did, and its user has no mark where no sum tells of a change."""
    with MongoMemoryDb("notes", server_url, database.name) as db:
        db.upsert_memories([MemoryRow({"memory": "green tea"}, id, "ann") for id in "ab"])
        assert len(db.search_memories("tea", user_id="ann")) == 2
        database["notes"].update_one({"id": "a"}, {"$set": {"stamp": stamp}})
        found = [result.row.id for result in db.search_memories("tea", user_id="ann")]
        assert "b" in found
        assert isinstance(db.change_mark("ann"), (str, type(None)))
