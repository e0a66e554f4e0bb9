"""Memories that older software left are brought up where they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId, json_util
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from buddy.memory.errors import SchemaError, UnavailableError
from buddy.memory.testing.assertions import at_once
from buddy.memory.transfer import copy
from buddy.memory.v2.db.mongodb import MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import SqliteMemoryDb

FOLDER = Path(__file__).parent.parent / "fixtures" / "legacy"
LINES = (FOLDER / "mongodb_v2.extjson").read_text().splitlines()
DOCUMENTS: list[dict[str, Any]] = [json_util.loads(line) for line in LINES]


@pytest.fixture
def db(url: str, database: Database) -> Iterator[MongoMemoryDb]:
    """A store on a collection as it was left, with its indexes."""
    database["memory"].insert_many(DOCUMENTS)
    for index in json.loads((FOLDER / "mongodb_v2_indexes.json").read_text()):
        if index["name"] != "_id_":
            keys = list(index["key"].items())
            database["memory"].create_index(keys, unique=index.get("unique", False))
    with MongoMemoryDb("memory", url) as db:
        yield db


def test_an_older_collection_is_not_empty_but_old(db: MongoMemoryDb) -> None:
    """Every call on an older collection raises SchemaError that names upgrade()."""
    for call in (
        db.read_memories,
        db.count_memories,
        db.create,
        lambda: db.read_memory(DOCUMENTS[0]["id"]),
        lambda: db.read_memory(DOCUMENTS[0]["id"], user_id=DOCUMENTS[0]["user_id"]),
        db.list_users,
        lambda: db.delete_memory(DOCUMENTS[0]["id"]),
        lambda: db.upsert_memory(MemoryRow({}, "new")),
        lambda: db.upsert_memories([MemoryRow({}, "new")]),
    ):
        with pytest.raises(SchemaError, match=r"upgrade\(\)"):
            call()
    assert db.table_exists()


def test_upgrade_keeps_every_row_in_its_place(db: MongoMemoryDb, database: Database) -> None:
    """After upgrade() all rows are there with ids, owners, payloads, times and order."""
    db.upgrade()
    rows = db.read_memories(sort="asc")
    assert len(rows) == len(DOCUMENTS) == 200
    for row, old in zip(rows, sorted(DOCUMENTS, key=lambda old: old["_id"]), strict=True):
        assert (row.id, row.user_id, row.memory) == (old["id"], old["user_id"], old["memory"])
        assert row.created_at == datetime.fromtimestamp(old["created_at"], timezone.utc)
        assert row.last_updated == datetime.fromtimestamp(old["updated_at"], timezone.utc)
        assert row.version == 1
    assert database["memory"].count_documents({"_version": {"$exists": True}}) == 0
    assert {index["name"] for index in database["memory"].list_indexes()} == {
        *(
            "_id_",
            "user_id_1_id_1",
            "id_1",
            "user_id_1__id_1",
            "expires_at_1",
            "created_at_1",
            "user_id_1",
        )
    }
    newest = db.upsert_memory(MemoryRow({}, "new", rows[0].user_id))
    assert db.read_memories(rows[0].user_id, limit=1) == [newest]
    again = db.upsert_memory(MemoryRow({"n": 2}, rows[0].id, rows[0].user_id))
    assert (again.version, again.created_at) == (2, rows[0].created_at)
    assert db.upsert_memory(MemoryRow({}, str(rows[0].id), "another user")).version == 1


def test_upgrade_may_be_repeated_and_run_at_once(db: MongoMemoryDb, url: str) -> None:
    """upgrade() from several objects at once, and again, gives the same rows."""
    others = [MongoMemoryDb("memory", url) for _ in range(3)]
    at_once(3, lambda n: others[n].upgrade())
    rows = db.read_memories()
    assert len(rows) == 200
    db.upsert_memory(MemoryRow({"n": 2}, rows[5].id, rows[5].user_id))
    db.upgrade()
    found = db.read_memory(str(rows[5].id), user_id=rows[5].user_id)
    assert found is not None
    assert (found.memory, found.version) == ({"n": 2}, 2)
    for other in others:
        other.close()


def test_upgrade_reads_keys_and_payloads_of_any_form(url: str, database: Database) -> None:
    """Keys with dots become escaped, text becomes an object, and what is unreadable stays."""
    payloads = [{"a.b": 1, "$x": {"": 2}}, '{"json": 1}', "{'repr': None}", "no object", 7]
    database["memory"].insert_many(
        {
            "_id": ObjectId(),
            "id": str(n),
            "memory": payload,
            "created_at": 1_700_000_000,
            "updated_at": None,
            "_version": 1,
        }
        for n, payload in enumerate(payloads)
    )
    with MongoMemoryDb("memory", url) as db:
        db.upgrade()
        rows = db.read_memories(sort="asc")
        assert [row.memory for row in rows] == [payloads[0], {"json": 1}, {"repr": None}]
        assert {row.user_id for row in rows} == {None}
        assert db.count_memories() == 5
        assert database["memory"].find_one({"id": "3"})["memory"] == "no object"


def test_upgrade_leaves_documents_of_others_alone(url: str, database: Database) -> None:
    """A document that is no memory is not changed by upgrade(), and is named afterwards."""
    stranger = {"_id": ObjectId(), "id": "x", "memory": {"no": "version"}}
    database["memory"].insert_many([*DOCUMENTS[:3], stranger])
    with MongoMemoryDb("memory", url) as db, pytest.raises(SchemaError, match="other documents"):
        db.upgrade()
    assert database["memory"].find_one({"id": "x"}) == stranger


@pytest.mark.parametrize("step", ["bulk_write", "drop_index", "create_indexes"])
def test_an_interrupted_upgrade_is_continued(
    db: MongoMemoryDb, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An upgrade whose connection is lost after any of its steps is completed by the next one."""
    do, failed = getattr(Collection, step), []

    def fail_once(*arguments: Any, **options: Any) -> Any:
        result = do(*arguments, **options)
        if not failed:
            failed.append(step)
            raise AutoReconnect("gone")
        return result

    monkeypatch.setattr(Collection, step, fail_once)
    with suppress(UnavailableError):
        db.upgrade()
    db.upgrade()
    assert failed == [step]
    assert db.count_memories() == 200
    user = DOCUMENTS[0]["user_id"]
    assert db.upsert_memory(MemoryRow({}, DOCUMENTS[0]["id"], user)).version == 2


def test_an_empty_collection_of_older_software_is_brought_up(url: str, database: Database) -> None:
    """Where ids are unique and there are no rows, upgrade() makes the indexes of today."""
    database["memory"].create_index("id", unique=True)
    with MongoMemoryDb("memory", url) as db:
        for call in (db.read_memories, lambda: db.upsert_memory(MemoryRow({}, "a"))):
            with pytest.raises(SchemaError, match=r"upgrade\(\)"):
                call()
        db.upgrade()
        db.upsert_memories([MemoryRow({}, "a", user) for user in ("ann", "bob")])


def test_what_is_no_memory_of_older_software_is_named(
    url: str, database: Database, tmp_path: Path
) -> None:
    """A plain date is read; a number as id, no version, and an id twice are named and counted."""
    time = datetime(2025, 1, 31, tzinfo=timezone.utc)
    good = {"id": "date", "user_id": "ann", "memory": {"a": 1}, "created_at": time, "_version": 1}
    documents: list[dict[str, Any]] = [
        good,
        {**good, "id": 7},
        {name: value for name, value in {**good, "id": "unversioned"}.items() if name[0] != "_"},
        {**good, "id": "named", "_id": "by a text"},
        {**good, "memory": {"a": 2}},
    ]
    database["memory"].insert_many(documents)
    with MongoMemoryDb("memory", url) as db, SqliteMemoryDb(db_file=tmp_path / "new.db") as new:
        result = copy(db, new, from_legacy=True)
        assert [(row.id, row.created_at, row.memory) for row in new.read_memories()] == [
            ("date", time, {"a": 1})
        ]
    assert {row["id"] for row in result.unreadable_rows} == {"7", "unversioned", "named", "date"}
    assert (result.new, result.unreadable, result.complete) == (1, 4, False)
