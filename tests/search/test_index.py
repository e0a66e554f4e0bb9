"""The index in the process: never older than what was acknowledged, and asked for little."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from buddy.memory import MemoryRow, open_async_memory_db, open_memory_db
from buddy.memory.search import index_cache
from buddy.memory.search.index_cache import IndexCache
from buddy.memory.search.options import SearchOptions
from buddy.memory.search.request import parse
from buddy.memory.search.searching import new_index, search_records
from buddy.memory.storage.record import Kind, Scope
from buddy.memory.v2.db.sqlite import SqliteMemoryDb

WORDS = ["tea", "coffee", "car", "train", "rain", "sun", "Ann", "Bob", "likes", "hates"]


class Counted:
    """Counts the calls of a Store."""

    def __init__(self, store: Any) -> None:
        self.store, self.calls = store, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self.store, name)

    def taken(self) -> dict[str, int]:
        taken = {name: n for name, n in self.calls.items() if name != "next_mark"}
        self.calls.clear()
        return taken


def counted(db: Any) -> Counted:
    """Count the calls of a database's Store from now on."""
    counted = Counted(db._rules._store)
    db._rules._store = counted
    return counted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def fill(db: Any, count: int) -> None:
    db.upsert_memories(
        MemoryRow({"memory": f"likes {WORDS[n % 6]}"}, str(n), "ann") for n in range(count)
    )


def test_a_warm_search_takes_two_reads(file: Path) -> None:
    """The mark and the winners: no other row is read, however many there are."""
    with SqliteMemoryDb(db_file=file) as db:
        fill(db, 300)
        store = counted(db)
        db.search_memories("tea", user_id="ann", limit=3)
        store.taken()
        db.search_memories("coffee", user_id="ann", limit=3)
        assert store.taken() == {"mark": 1, "get_many": 1}


def test_own_writes_are_taken_over_at_once(file: Path) -> None:
    """After a write and a deletion of its own, a database reads the mark and the winners only."""
    with SqliteMemoryDb(db_file=file) as db:
        fill(db, 300)
        store = counted(db)
        db.search_memories("tea", user_id="ann")
        db.upsert_memory(MemoryRow({"memory": "likes elephants"}, "new", "ann"))
        db.upsert_memory(MemoryRow({"memory": "likes elephants, too"}, "7", "ann"))
        db.delete_memory("8", user_id="ann")
        store.taken()
        assert len(db.search_memories("elephants", user_id="ann")) == 2
        assert store.taken() == {"mark": 1, "get_many": 1}


def test_of_others_writes_the_difference_is_read(file: Path) -> None:
    """Rows that another object wrote are read by id, and the others are not read again."""
    with SqliteMemoryDb(db_file=file) as db, SqliteMemoryDb(db_file=file) as other:
        fill(db, 300)
        store = counted(db)
        db.search_memories("tea", user_id="ann")
        other.upsert_memory(MemoryRow({"memory": "likes elephants"}, "new", "ann"))
        store.taken()
        assert len(db.search_memories("elephants", user_id="ann")) == 1
        assert store.taken() == {"mark": 2, "stamps": 1, "get_many": 2}


def test_two_objects_agree_with_the_reference(file: Path) -> None:
    """After random writes by two objects, each search is that of the reference over all rows."""
    random = Random(3)  # noqa: S311
    with SqliteMemoryDb(db_file=file) as one, SqliteMemoryDb(db_file=file) as two:
        for _ in range(400):
            db, id = random.choice([one, two]), str(random.randrange(30))
            if random.random() < 0.6:
                text = " ".join(random.choices(WORDS, k=random.randint(1, 5)))
                db.upsert_memory(MemoryRow({"memory": text}, id, "ann"))
            elif random.random() < 0.5:
                db.delete_memory(id, user_id="ann")
            else:
                query = " ".join(random.choices(WORDS, k=2))
                request = parse(query, None, 9, 0, "keyword", None, random.choice([0, 2]))
                rows = list(one.iter_records(Kind.MEMORY, Scope.of_user("ann")))
                expected = search_records(rows, request, None, SearchOptions())
                found = db.search_memories(
                    query, user_id="ann", limit=9, neighbours=request.neighbours
                )
                assert [(r.row.id, r.score) for r in found] == [
                    (record.id, hit and hit.score) for record, hit in expected
                ]


def test_a_search_beside_writers_is_of_rows_that_were_there(file: Path) -> None:
    """Threads that write and search at once find whole rows with the words that were asked for."""
    with SqliteMemoryDb(db_file=file) as db:
        fill(db, 50)

        def work(n: int) -> None:
            for i in range(20):
                db.upsert_memory(MemoryRow({"memory": f"likes tea {n}"}, str(i), "ann"))
                for result in db.search_memories("tea", user_id="ann", limit=5):
                    assert "tea" in result.row.memory["memory"]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))


def test_tasks_search_at_once(file: Path) -> None:
    """Many tasks get the same answer, the first ones of the process included."""

    async def main() -> list[list[str]]:
        async with open_async_memory_db(f"sqlite:///{file}") as db:
            await db.upsert_memories(
                [MemoryRow({"memory": f"likes tea {n}"}, str(n), "ann") for n in range(50)]
            )
            calls = [db.search_memories("tea", user_id="ann", limit=3) for _ in range(40)]
            return [[one.row.id for one in found] for found in await asyncio.gather(*calls)]

    assert asyncio.run(main()) == [["49", "48", "47"]] * 40


def test_memory_is_bounded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The indexes of many users take no more than the cache may; those unused longest go."""
    monkeypatch.setattr(index_cache, "MAX_BYTES", 0)
    monkeypatch.setattr(index_cache.IndexCache.__init__, "__defaults__", (200_000,))
    with SqliteMemoryDb(db_file=file) as db:
        for user in range(20):
            db.upsert_memories(
                MemoryRow({"memory": f"likes tea {n}"}, str(n), f"u{user}") for n in range(50)
            )
            assert len(db.search_memories("tea", user_id=f"u{user}")) == 10
        cache = db._store_operations._search._cache  # type: ignore[union-attr]
        assert 0 < len(cache._indexes) < 10


def test_an_index_that_is_used_stays() -> None:
    """What goes first is the index that was not asked for the longest, not the oldest one."""
    cache = IndexCache(lambda: new_index(SearchOptions()), max_bytes=10**9)
    for user in "abc":
        cache.keep(user, cache.get_or_make(user))
    assert cache.get("a") is not None
    assert [*cache._indexes] == ["b", "c", "a"]


def test_no_query_gives_the_newest() -> None:
    """Without a query the newest rows that satisfy the filter come back, without a score."""
    with open_memory_db("memory://") as db:
        fill(db, 12)
        found = db.search_memories(user_id="ann", where={"memory": "likes tea"}, limit=2)
        assert [(one.row.id, one.score) for one in found] == [("6", None), ("0", None)]
