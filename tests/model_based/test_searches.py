"""What a search reads after a write: the same on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.storage.record import Kind, Scope
from buddy.memory.testing.views import store_of
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.search.test_index import counted, fill
from tests.servers.backends import Backend

ANN = Scope.of_user("ann")
WARM = {"mark": 1, "get_many": 1}


@pytest.fixture
def url(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    return backend.url(tmp_path)


@pytest.fixture
def db(url: str) -> Iterator[StoreBackedMemoryDb]:
    with open_memory_db(url) as db:
        assert isinstance(db, StoreBackedMemoryDb)
        fill(db, 40)
        yield db


def test_nothing_more_is_read_after_an_own_write(db: StoreBackedMemoryDb) -> None:
    """A search after writes and a deletion of its own object reads the mark and what it found."""
    store = counted(db)
    db.search_memories("tea", user_id="ann")
    db.upsert_memory(MemoryRow({"memory": "likes elephants"}, "new", "ann"))
    db.upsert_memory(MemoryRow({"memory": "likes elephants, too"}, "7", "ann"))
    db.upsert_memories([MemoryRow({"memory": "elephants"}, id, "ann") for id in ("9", "many")])
    db.delete_memory("8", user_id="ann")
    store.taken()
    found = db.search_memories("elephants", user_id="ann")
    assert {result.row.id for result in found} == {"new", "7", "9", "many"}
    assert store.taken() == WARM


def test_stamps_are_those_of_the_rows(db: StoreBackedMemoryDb) -> None:
    """``Store.stamps`` has id and stamp of each living row, as a read of all has them."""
    db.upsert_memory(MemoryRow({"memory": "ends"}, "ends", "ann"), ttl=3600)
    db.upsert_memory(MemoryRow({"memory": "another's"}, "1", "ben"))
    rows = [(record.id, record.stamp) for record in db.iter_records(Kind.MEMORY, ANN)]
    assert len(rows) == 41
    assert store_of(db).stamps(Kind.MEMORY, "ann") == rows
