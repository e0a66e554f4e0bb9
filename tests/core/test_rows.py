"""Rows: taken by their attributes, and returned with everything known."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from buddy.memory.db.inmemory import InMemoryDb as InMemoryDbV1
from buddy.memory.errors import InvalidMemoryError
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.row import StoredMemoryRow as StoredMemoryRowV1
from buddy.memory.row import content_id
from buddy.memory.storage.users import NOBODY
from buddy.memory.v2.db.inmemory import InMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, StoredMemoryRow, StoredSummaryRow, SummaryRow

PAST = datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Frozen:
    memory: Any
    id: str | None = None
    user_id: str | None = "ann"


class Slots:
    __slots__ = ("id", "memory", "user_id")

    def __init__(self) -> None:
        self.id, self.user_id, self.memory = None, "ann", {"a": 1}


Named = namedtuple("Named", "memory id user_id")

ROWS: dict[str, Any] = {
    "namespace": SimpleNamespace(id="a", user_id="ann", memory={"a": 1}),
    "frozen dataclass": Frozen({"a": 1}, "a"),
    "named tuple": Named({"a": 1}, "a", "ann"),
    "row of version 1": MemoryRowV1({"a": 1}, "ann", id="a"),
    "row of version 2": MemoryRow({"a": 1}, "a", "ann"),
}


@pytest.mark.parametrize("db", [InMemoryDb, InMemoryDbV1], ids=["v2", "v1"])
@pytest.mark.parametrize("given", ROWS)
def test_any_object_with_the_attributes_is_a_row(given: str, db: Any) -> None:
    """Objects of any class, of the other version too, are stored as the row that they describe."""
    db, row = db(), ROWS[given]
    stored = db.upsert_memory(row)
    assert (stored.id, stored.user_id, stored.memory) == ("a", "ann", {"a": 1})
    assert db.memory_exists(row)
    assert db.upsert_memories([row])[0].version == 2


@pytest.mark.parametrize("row", [Frozen({"a": 1}), Slots()], ids=["frozen", "slots"])
def test_a_missing_id_is_made(row: Any) -> None:
    """A missing id is made, and set on the object where that can be done."""
    stored = InMemoryDb().upsert_memory(row)
    assert stored.id
    assert row.id == (None if isinstance(row, Frozen) else stored.id)


def test_a_missing_id_of_version_1_is_made_from_the_content() -> None:
    """Version 1 makes the id of any object as its own row does, NOBODY being nobody."""
    stored = InMemoryDbV1().upsert_memory(Frozen({"a": 1}))
    assert stored.id == content_id({"a": 1}, "ann") == MemoryRowV1({"a": 1}, "ann").id
    nobody: Any = Frozen({"a": 1}, user_id=NOBODY)  # type: ignore[arg-type]
    assert InMemoryDbV1().upsert_memory(nobody).id == content_id({"a": 1})


@pytest.mark.parametrize("name", ["updated_at", "last_updated"])
def test_times_are_taken_where_there_are_any(name: str) -> None:
    """created_at, and updated_at or last_updated, are the times of a first write."""
    later = PAST + timedelta(days=1)
    row = SimpleNamespace(id="a", user_id=None, memory={}, created_at=PAST, **{name: later})
    stored = InMemoryDb().upsert_memory(row)
    assert (stored.created_at, stored.last_updated) == (PAST, later)


@pytest.mark.parametrize(
    "given",
    [None, 7, "text", {"memory": {}}, object(), SimpleNamespace(id="a", memory={}), SummaryRow({})],
    ids=lambda given: type(given).__name__,
)
def test_what_has_not_the_attributes_is_no_row(given: Any) -> None:
    """Anything else is refused by the name of its class, with the attributes that it lacks."""
    db = InMemoryDb()
    for call in (db.upsert_memory, db.memory_exists, lambda row: db.upsert_memories([row])):
        with pytest.raises(InvalidMemoryError, match="id, user_id and memory") as caught:
            call(given)
        assert type(given).__name__ in str(caught.value)


def test_rows_that_are_read() -> None:
    """What comes from a database is a stored row of its version, and equal to itself."""
    db, old = InMemoryDb("memory://rows"), InMemoryDbV1("memory://rows")
    stored = db.upsert_memory(MemoryRow({"a": 1}, "a", "ann"))
    summary = db.upsert_summary(SummaryRow({"s": 1}, "s", "ann"))
    assert [type(row) for row in (stored, *db.read_memories(), *db.iter_memories())] == [
        StoredMemoryRow
    ] * 3
    assert type(summary) is type(db.read_summary("s")) is StoredSummaryRow
    assert type(old.read_memory("a")) is StoredMemoryRowV1
    assert stored == db.read_memory("a", user_id="ann")
    assert (stored.version, stored.expires_at) == (1, None)
    assert isinstance(stored, MemoryRow)
    assert db.upsert_memory(stored).version == 2
    db.clear()


def test_a_row_that_was_read_can_be_written_again() -> None:
    """A stored row that was changed is written as any other: its user and id name the row."""
    db = InMemoryDb()
    row = db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
    row.memory["n"] = 2
    assert db.upsert_memory(row, if_version=row.version).memory == {"n": 2}
    row.user_id = "bob"
    assert db.upsert_memory(row).version == 1
    assert db.count_memories() == 2
