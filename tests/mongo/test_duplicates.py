"""Rows that stand twice, since a collection was dropped beside its writers, and their removal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from buddy.memory.errors import SchemaError
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.mongodb import MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_mongo import schema
from tests.mongo.test_upgrade import DOCUMENTS

BEHIND = ObjectId("f" * 24)
INDEXES = {"_id_", "user_id_1_id_1", "id_1", "user_id_1__id_1", "expires_at_1"}


@pytest.fixture
def db(url: str) -> Iterator[MongoMemoryDb]:
    with MongoMemoryDb("notes", url) as db:
        yield db


def double(collection: Collection, query: dict[str, Any], **changes: Any) -> None:
    """Store a copy of a document, in a collection that has lost its indexes."""
    document = collection.find_one(query)
    assert document is not None
    collection.drop_indexes()
    collection.insert_one({**document, "_id": BEHIND, "stamp": 7, **changes})


WRITES: dict[str, Callable[[MongoMemoryDb], object]] = {
    "create": lambda db: db.create(),
    "upsert": lambda db: db.upsert_memory(MemoryRow({}, "other", "ann")),
    "bulk": lambda db: db.upsert_memories([MemoryRow({}, "other", "ann")]),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("later", [1, 0, -1])
def test_the_latest_write_is_kept(
    url: str, db: MongoMemoryDb, database: Database, write: Any, later: int
) -> None:
    """Of rows that stand twice the one written last is kept, or else that with the last _id."""
    stored = db.upsert_memories([MemoryRow({"n": 1}, id, "ann") for id in ("x", "y")])
    notes = database["notes"]
    first = notes.find_one({"id": "x"})
    assert first is not None
    changes = {"memory": {"n": 2}, "updated_us": first["updated_us"] + later}
    double(notes, {"id": "x"}, **changes)
    with MongoMemoryDb("notes", f"{url}&appName=other") as other:
        write(other)
        assert set(notes.index_information()) == INDEXES
        found = other.read_memory("x", user_id="ann")
        assert found is not None
        assert found.memory == {"n": 1 if later < 0 else 2}
        assert notes.count_documents({"id": "x"}) == 1
        assert other.read_memory("y", user_id="ann") == stored[1]


def test_summaries_that_stand_twice(url: str, db: MongoMemoryDb, database: Database) -> None:
    """Summaries of one user and session become one, too, those of other users stay."""
    for user in ("ann", "bob"):
        db.upsert_summary(SummaryRow({}, "s", user))
    double(database["notes_summaries"], {"user_id": "ann"}, summary={"n": 2}, updated_us=2**60)
    with MongoMemoryDb("notes", f"{url}&appName=other") as other:
        other.create()
        assert other.count_summaries() == 2


def test_a_row_that_is_written_meanwhile_is_not_deleted(
    url: str, db: MongoMemoryDb, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that gets the latest write after it was read as the earlier one is kept."""
    db.upsert_memory(MemoryRow({"n": 1}, "x", "ann"))
    notes = database["notes"]
    double(notes, {"id": "x"}, updated_us=2**51)
    do, done = Collection.aggregate, Event()

    def write_after(collection: Collection, *arguments: Any, **options: Any) -> Any:
        found = do(collection, *arguments, **options)
        if not done.is_set():
            done.set()
            new = {"updated_us": 2**52, "stamp": 8, "memory": {"n": 3}}
            notes.update_one({"stamp": {"$ne": 7}}, {"$set": new})
        return found

    monkeypatch.setattr(Collection, "aggregate", write_after)
    with MongoMemoryDb("notes", f"{url}&appName=other") as other:
        other.create()
        assert done.is_set()
        assert [row.memory for row in other.read_memories()] == [{"n": 3}]


def test_documents_of_older_software_that_stand_twice_are_refused(
    url: str, database: Database
) -> None:
    """upgrade() of documents with one user and id changes nothing, and says so."""
    old = DOCUMENTS[0]
    database["memory"].insert_many([*DOCUMENTS[:5], {**old, "_id": ObjectId()}])
    before = list(database["memory"].find())
    with MongoMemoryDb("memory", url) as db:
        for call in (db.upgrade, db.upgrade):
            with pytest.raises(SchemaError, match="two documents of one user and id"):
                call()
        with pytest.raises(SchemaError, match=r"upgrade\(\)"):
            db.create()
        assert list(database["memory"].find()) == before
        database["memory"].delete_one({"_id": old["_id"]})
        db.upgrade()
        assert db.count_memories() == 5


def test_an_insert_is_followed_by_a_check(
    url: str, db: MongoMemoryDb, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that made a dropped collection again by an insert soon makes its indexes."""
    assert schema.INSERTED_CHECK_SECONDS < schema.CHECK_SECONDS
    db.upsert_memory(MemoryRow({}, "x", "ann"))
    db.create()
    monkeypatch.setattr(schema, "INSERTED_CHECK_SECONDS", 0.0)
    for write in (db.upsert_memory, lambda row: db.upsert_memories([row])):
        database["notes"].drop()
        write(MemoryRow({}, "x", "ann"))
        assert set(database["notes"].index_information()) == {"_id_"}
        write(MemoryRow({}, "x", "ann"))
        assert set(database["notes"].index_information()) == INDEXES
        write(MemoryRow({}, "x", "ann"))  # The check that follows no insert.


def test_a_drop_beside_two_writers(
    server_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers of one row beside drops all succeed, and leave one document after create()."""
    monkeypatch.setattr(schema, "INSERTED_CHECK_SECONDS", 0.05)
    stop = Event()

    def work(n: int) -> None:
        # Clients of their own have nothing in common, as those of other processes.
        with MongoClient(server_url) as client:
            db = MongoMemoryDb("notes", db_name=database.name, client=client)
            if n == 2:
                for _ in range(8):
                    stop.wait(0.1)
                    db.drop_table()
                stop.set()
            while not stop.is_set():
                db.upsert_memory(MemoryRow({"n": n}, "x", "ann"))

    at_once(3, work)
    with MongoClient(server_url) as client:
        db = MongoMemoryDb("notes", db_name=database.name, client=client)
        db.create()
        db.upsert_memory(MemoryRow({}, "x", "ann"))
        assert len(db.read_memories("ann")) == 1
