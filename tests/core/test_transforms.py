"""Transforms: payloads as plugins store and show them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.errors import CorruptMemoryError, InvalidMemoryError
from buddy.memory.hookspecs import hookimpl
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Record
from buddy.memory.testing import CHECKS, BackendUnderTest, run_checks
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from tests.core.sample_plugins import Observes, Wraps, registered


def test_payloads_are_transformed_on_the_way_in_and_back(tmp_path: Path) -> None:
    """What is stored is what the plugin made; what is read and returned is what was written."""
    with registered(Wraps()), open_memory_db(f"sqlite:///{tmp_path}/a.db") as db:
        row = db.upsert_memory(MemoryRow({"secret": "tea"}, "a", "ann"))
        bulk = db.upsert_memories([MemoryRow({"secret": "milk"}, "b", "ann")])
        db.upsert_summary(SummaryRow({"s": "secret"}, "s"))
        assert row.memory == {"secret": "tea"}
        assert db.read_memory("a") == row
        assert db.read_memories("ann") == [*bulk, row]
        assert [row.memory for row in db.iter_memories()] == [{"secret": "milk"}, {"secret": "tea"}]
    connection = sqlite3.connect(tmp_path / "a.db")
    stored = connection.execute(
        "SELECT memory FROM memory UNION SELECT summary FROM memory_summaries"
    )
    assert all("secret" not in text and "hidden" in text for (text,) in stored)
    connection.close()


def test_every_rule_holds_behind_a_transform() -> None:
    """A database whose payloads are transformed keeps every rule, sync and async."""
    with registered(Wraps("outer"), Wraps("inner"), Observes()):
        for cls in (StoreBackedMemoryDb, AsyncStoreBackedMemoryDb):

            def subject(cls: Any = cls) -> BackendUnderTest:
                store = InMemoryStore()
                return BackendUnderTest(open=lambda: cls(store), waits=False)

            outcomes = run_checks(subject, [check for check in CHECKS if not check.big])
            assert [o for o in outcomes if o.status == "failed"] == []


def test_transforms_are_undone_in_the_opposite_order() -> None:
    """Two transforms nest: the last one to write is the first one to read."""
    with registered(Wraps("one"), Wraps("two")):
        store = InMemoryStore()
        db = StoreBackedMemoryDb(store)
        db.upsert_memory(MemoryRow({"a": 1}, "a"))
        (stored,) = store._of(next(iter(store._records or {}))).values()
        assert list(stored.payload) in (["one"], ["two"])
        row = db.read_memory("a")
        assert row is not None
        assert row.memory == {"a": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda r: 1 / 0,
        lambda r: r._replace(id="other"),
        lambda r: r._replace(user_id="bob"),
        lambda r: r._replace(payload={"bad": {1}}),
        lambda r: "no record",
    ],
    ids=["raises", "changes the id", "changes the user", "no JSON", "no record"],
)
def test_a_failing_transform_stores_nothing(change: Any) -> None:
    """A transform that fails, or changes more than the payload, fails the call before it stores."""

    class Bad:
        @hookimpl
        def buddy_memory_before_write(self, record: Record) -> Any:
            return change(record) if record.id == "bad" else None

    with registered(Bad()):
        db = StoreBackedMemoryDb(InMemoryStore())
        with pytest.raises(InvalidMemoryError, match="plugin"):
            db.upsert_memory(MemoryRow({}, "bad"))
        with pytest.raises(InvalidMemoryError, match="plugin"):
            db.upsert_memories([MemoryRow({}, "good"), MemoryRow({}, "bad")])
        assert db.read_memories() == []
        assert db.upsert_memory(MemoryRow({}, "good")).version == 1


def test_a_row_that_no_transform_can_read_is_corrupt(caplog: pytest.LogCaptureFixture) -> None:
    """A transform that fails after a read makes that row unreadable, and no other."""
    store = InMemoryStore()
    StoreBackedMemoryDb(store).upsert_memory(MemoryRow({"plain": 1}, "old"))
    with registered(Wraps()):
        db = StoreBackedMemoryDb(store)
        db.upsert_memory(MemoryRow({"new": 1}, "new"))
        with pytest.raises(CorruptMemoryError, match="cannot read it: KeyError"):
            db.read_memory("old")
        assert [row.id for row in db.read_memories()] == ["new"]
    assert "'old'" in caplog.text


def test_what_a_write_returns_is_what_readers_see() -> None:
    """After a transform without a way back, the returned row is the one that a read shows."""

    class Redacts:
        @hookimpl
        def buddy_memory_before_write(self, record: Record) -> Record:
            return record._replace(payload={**record.payload, "phone": "…"})

    with registered(Redacts()):
        db = StoreBackedMemoryDb(InMemoryStore())
        row = db.upsert_memory(MemoryRow({"name": "Ann", "phone": "555"}, "a"))
        bulk = db.upsert_memories([MemoryRow({"phone": "777"}, "b")])
        assert row.memory == {"name": "Ann", "phone": "…"}
        assert db.read_memories() == [*bulk, row]


def test_a_write_that_could_not_be_read_again_stores_nothing() -> None:
    """Where the transforms cannot undo each other, the write fails before it stores."""
    with registered(Wraps()):
        db = StoreBackedMemoryDb(InMemoryStore())

        class Destroys:
            @hookimpl(trylast=True)
            def buddy_memory_before_write(self, record: Record) -> Record:
                return record._replace(payload={})

        with registered(Destroys()):
            broken = StoreBackedMemoryDb(db._rules.store.inner)  # type: ignore[attr-defined]
            with pytest.raises(InvalidMemoryError, match=r"unreadable.*KeyError"):
                broken.upsert_memory(MemoryRow({}, "a"))
            with pytest.raises(InvalidMemoryError, match=r"unreadable.*KeyError"):
                broken.upsert_memories([MemoryRow({}, "a")])
        assert db.count_memories() == 0


def test_a_transform_changes_nothing_in_place() -> None:
    """What a transform does to the payload it was given goes nowhere."""

    class InPlace:
        @hookimpl
        def buddy_memory_before_write(self, record: Record) -> None:
            record.payload["bad"] = {1}

        @hookimpl
        def buddy_memory_after_read(self, record: Record) -> None:
            record.payload.clear()

    with registered(InPlace()):
        db = StoreBackedMemoryDb(InMemoryStore())
        assert db.upsert_memory(MemoryRow({"a": 1}, "a")).memory == {"a": 1}
        assert [row.memory for row in db.read_memories()] == [{"a": 1}]
