"""What an author gets for implementing the eight abstract methods and nothing else."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from buddy.memory import Page
from buddy.memory.errors import (
    AmbiguousIdError,
    ConfigError,
    InvalidMemoryError,
    UnavailableError,
    UnsupportedError,
)
from buddy.memory.rows import RowLike, StoredMemoryRow
from buddy.memory.storage.record import Key, Record
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from tests.core.eight_methods import TABLES, EightMethodMemoryDb

_numbers = count()


class Eight(EightMethodMemoryDb):
    """A new table of eight methods; a row with the id "down" cannot be written."""

    def __init__(self) -> None:
        super().__init__(f"contract {next(_numbers)}")
        self.create()

    @property
    def rows(self) -> dict[Key, Record]:
        return TABLES[self.table_name]

    def upsert_memory(self, memory: RowLike, *, if_version: int | None = None) -> StoredMemoryRow:
        if memory.id == "down":
            raise UnavailableError("eight", "down")
        return super().upsert_memory(memory, if_version=if_version)


@pytest.fixture
def db() -> Eight:
    db = Eight()
    for n, user in enumerate(("ann", "ann", "bob")):
        db.upsert_memory(MemoryRow({"n": n}, str(n), user))
    return db


def test_the_rest_follows_from_the_eight(db: Eight) -> None:
    """Reads by id, bulk calls, iteration, pages, counts, users and delete_user follow."""
    row = db.read_memory("1")
    assert row is not None
    assert row.memory == {"n": 1}
    assert db.read_memory("1", user_id="bob") is None
    assert [row and row.id for row in db.read_memories_by_id(["2", "x", "0"])] == ["2", None, "0"]
    assert db.count_memories() == 3
    assert db.count_memories("ann") == db.count_memories(user_prefix="a") == 2
    assert db.list_users() == ["ann", "bob"]
    assert [row.id for row in db.iter_memories("ann", "asc")] == ["0", "1"]
    page = db.page_memories(limit=2)
    assert [row.id for row in page.rows] == ["2", "1"]
    assert [row.id for row in db.page_memories(limit=2, after=page.next).rows] == ["0"]
    assert db.delete_memories(["0", "2", "none"], user_id="ann") == 1
    assert [row.id for row in db.upsert_memories([MemoryRow({}, "x"), MemoryRow({}, "y")])] == [
        "x",
        "y",
    ]
    assert db.delete_user("ann") == {"memories": 1, "summaries": 0}
    assert list(db.rows) == [("bob", "2"), (None, "x"), (None, "y")]
    assert db.change_mark("bob") is None
    db.ping()
    db.upgrade()
    with db as same:
        assert same is db
    assert db.to_dict() == {"name": "Eight"}


def test_a_bulk_write_by_the_eight_says_what_is_stored(db: Eight) -> None:
    """A bulk write that fails half-way names the pairs of user and id that are stored."""
    with pytest.raises(UnavailableError) as caught:
        db.upsert_memories(
            [MemoryRow({}, "x"), MemoryRow({}, "x", "ann"), MemoryRow({}, "down"), MemoryRow({})]
        )
    assert caught.value.stored == ((None, "x"), ("ann", "x"))
    assert "2 rows had been stored" in str(caught.value)


def test_arguments_are_checked_for_the_eight_too(db: Eight) -> None:
    """Wrong ids and a missing user are refused by the defaults as by every backend."""
    calls: list[Any] = [
        lambda: db.read_memory(""),
        lambda: db.delete_memories("one string"),
        lambda: db.upsert_memories([MemoryRow({}, "new"), MemoryRow({"bad": {1}}, "x")]),
        lambda: db.upsert_memories([MemoryRow({}, "new"), "no row"]),  # type: ignore[list-item]
        lambda: db.delete_users(user_prefix=""),
        lambda: db.change_mark(None),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(InvalidMemoryError):
            call()
    for named in (db.delete_user, db.forget_user):
        with pytest.raises(InvalidMemoryError, match="clear"):
            named(None)  # type: ignore[arg-type]
    db.upsert_memory(MemoryRow({}, "2", "ann"))
    with pytest.raises(AmbiguousIdError):
        db.delete_memories(["0", "2"])
    assert len(db.rows) == 4


def test_summaries_are_refused_by_the_eight(db: Eight) -> None:
    """Without a place for summaries every summary method raises, and none returns "nothing"."""
    for call in (
        lambda: db.upsert_summary(SummaryRow({})),
        lambda: db.upsert_summaries([]),
        lambda: db.read_summary("a"),
        lambda: db.read_summaries_by_id(["a"]),
        lambda: db.read_summaries(),
        lambda: db.iter_summaries(),
        lambda: db.page_summaries(),
        lambda: db.count_summaries(),
        lambda: db.delete_summary("a"),
        lambda: db.delete_summaries([]),
    ):
        with pytest.raises(UnsupportedError, match="session summaries"):
            call()


def test_a_page_goes_on_where_rows_near_it_are_deleted() -> None:
    """The cursor of a listing without positions holds while one of the rows near it is left; when
    none is, it is refused, and nothing is skipped."""
    db = Eight()
    db.upsert_memories(MemoryRow({}, f"{n:03}", "ann") for n in range(100))
    page = db.page_memories(limit=40, sort="asc")
    db.delete_memories([f"{n:03}" for n in range(55)])
    assert db.page_memories(limit=1, sort="asc", after=page.next).rows[0].id == "055"
    db.delete_memories(["055"])
    with pytest.raises(ConfigError, match="start again"):
        db.page_memories(limit=1, sort="asc", after=page.next)
    db.clear()
    assert db.page_memories(limit=1, sort="asc", after=page.next) == Page([], None)


def test_a_synchronous_plugin_is_asynchronous_by_threads(db: Eight) -> None:
    """Any synchronous database works from asyncio through ThreadedMemoryDb."""

    async def use() -> list[str | None]:
        async with ThreadedMemoryDb(db) as adb:
            assert isinstance(adb, AsyncMemoryDb)
            await adb.upsert_memory(MemoryRow({}, "3", "ann"))
            assert await adb.count_memories("ann") == 3
            assert await adb.list_users() == ["ann", "bob"]
            return [row.id async for row in adb.iter_memories("ann", "asc", page_size=2)]

    assert asyncio.run(use()) == ["0", "1", "3"]


def test_wrong_pages_are_refused_at_the_call(db: Eight) -> None:
    """A page size of nothing raises where it is given, and never reads as nothing stored."""
    adb = ThreadedMemoryDb(db)
    for number in (0, -1, None, True):
        for call in (db.iter_memories, adb.iter_memories):
            with pytest.raises(ConfigError, match="page_size"):
                call(page_size=number)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sort"):
        adb.iter_memories(sort="newest")
    with pytest.raises(ConfigError, match="not both"):
        adb.iter_memories("ann", user_prefix="a")


def test_an_abstract_method_cannot_be_forgotten() -> None:
    """A class that misses one of the eight cannot be made."""

    class Seven(Eight):
        delete_memory = MemoryDb.delete_memory

    with pytest.raises(TypeError, match="delete_memory"):
        Seven()
