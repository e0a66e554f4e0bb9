"""The road of the eight methods: what an author gets for implementing nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from buddy.memory.errors import ConfigError, InvalidMemoryError, UnavailableError, UnsupportedError
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.threaded import ThreadedMemoryDb


class Eight(MemoryDb):
    """The eight methods on a dict; a row with the id "down" cannot be written."""

    def __init__(self) -> None:
        self.rows: dict[str, MemoryRow] = {}

    def create(self) -> None: ...

    def table_exists(self) -> bool:
        return True

    def drop_table(self) -> None:
        self.rows = {}

    def clear(self) -> bool:
        self.rows = {}
        return True

    def memory_exists(self, memory: MemoryRow) -> bool:
        return memory.id in self.rows

    def read_memories(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[MemoryRow]:
        rows = [row for row in self.rows.values() if user_id in (None, row.user_id)]
        return (rows if sort == "asc" else rows[::-1])[:limit]

    def upsert_memory(self, memory: MemoryRow) -> MemoryRow:
        if memory.id == "down":
            raise UnavailableError("eight", "down")
        assert memory.id is not None
        self.rows[memory.id] = replace(memory)
        return memory

    def delete_memory(self, memory_id: str) -> None:
        self.rows.pop(memory_id, None)


@pytest.fixture
def db() -> Eight:
    db = Eight()
    for n, user in enumerate(("ann", "ann", "bob")):
        db.upsert_memory(MemoryRow({"n": n}, str(n), user))
    return db


def test_the_rest_follows_from_the_eight(db: Eight) -> None:
    """Reads by id, bulk calls, iteration, counts and delete_user follow from the eight methods."""
    row = db.read_memory("1")
    assert row is not None
    assert row.memory == {"n": 1}
    assert db.read_memory("1", user_id="bob") is None
    assert db.count_memories() == 3
    assert db.count_memories("ann") == 2
    assert [row.id for row in db.iter_memories("ann", "asc")] == ["0", "1"]
    assert db.delete_memories(["0", "2", "none"], user_id="ann") == 1
    assert [row.id for row in db.upsert_memories([MemoryRow({}, "x"), MemoryRow({}, "y")])] == [
        "x",
        "y",
    ]
    assert db.delete_user("ann") == {"memories": 1, "summaries": 0}
    assert sorted(db.rows) == ["2", "x", "y"]
    db.ping()
    db.upgrade()
    with db as same:
        assert same is db
    assert db.to_dict() == {"name": "Eight"}


def test_a_bulk_write_by_the_eight_says_what_is_stored(db: Eight) -> None:
    """A bulk write that fails half-way names the stored ids."""
    with pytest.raises(UnavailableError) as caught:
        db.upsert_memories([MemoryRow({}, "x"), MemoryRow({}, "down"), MemoryRow({}, "y")])
    assert caught.value.stored_ids == ("x",)
    assert "1 rows of this call are stored" in str(caught.value)


def test_arguments_are_checked_for_the_eight_too(db: Eight) -> None:
    """Wrong ids and a missing user are refused by the defaults as by every backend."""
    with pytest.raises(InvalidMemoryError):
        db.read_memory("")
    with pytest.raises(InvalidMemoryError):
        db.delete_memories("one string")
    with pytest.raises(InvalidMemoryError, match="clear"):
        db.delete_user(None)  # type: ignore[arg-type]
    assert len(db.rows) == 3


def test_summaries_are_refused_by_the_eight(db: Eight) -> None:
    """Without a place for summaries every summary method raises, and none returns "nothing"."""
    for call in (
        lambda: db.upsert_summary(SummaryRow({})),
        lambda: db.upsert_summaries([]),
        lambda: db.read_summary("a"),
        lambda: db.read_summaries(),
        lambda: db.iter_summaries(),
        lambda: db.count_summaries(),
        lambda: db.delete_summary("a"),
        lambda: db.delete_summaries([]),
    ):
        with pytest.raises(UnsupportedError, match="session summaries"):
            call()


def test_a_synchronous_plugin_is_asynchronous_by_threads(db: Eight) -> None:
    """Any synchronous database works from asyncio through ThreadedMemoryDb."""

    async def use() -> list[str | None]:
        async with ThreadedMemoryDb(db) as adb:
            assert isinstance(adb, AsyncMemoryDb)
            await adb.upsert_memory(MemoryRow({}, "3", "ann"))
            assert await adb.count_memories("ann") == 3
            return [row.id async for row in adb.iter_memories("ann", "asc", page_size=2)]

    assert asyncio.run(use()) == ["0", "1", "3"]


def test_wrong_pages_are_refused_at_the_call(db: Eight) -> None:
    """A page size of nothing raises where it is given, and never reads as nothing stored."""
    adb = ThreadedMemoryDb(db)
    for number in (0, -1, None, True):
        for call in (db.iter_memories, adb.iter_memories, adb.iter_summaries):
            with pytest.raises(ConfigError, match="page_size"):
                call(page_size=number)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sort"):
        adb.iter_memories(sort="newest")


def test_an_abstract_method_cannot_be_forgotten() -> None:
    """A class that misses one of the eight cannot be made."""

    class Seven(Eight):
        delete_memory = MemoryDb.delete_memory

    with pytest.raises(TypeError, match="delete_memory"):
        Seven()
