"""What is really stored, whatever the caller's client is set to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson import SON, Int64, ObjectId
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.database import Database

from buddy.memory.errors import CorruptMemoryError, TooLargeError
from buddy.memory.storage.record import EVERYBODY, STAMP_BITS, Kind, Record, Write
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.users import encode_user
from buddy.memory.testing.assertions import clock
from buddy.memory.v2.db.mongodb import MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow

MOMENT = datetime(2026, 11, 22, 20, 22, 24, 123456, timezone.utc)


@pytest.fixture
def db(url: str) -> Iterator[MongoMemoryDb]:
    with MongoMemoryDb("notes", url) as db:
        yield db


def test_a_memory_is_one_readable_document(db: MongoMemoryDb, database: Database) -> None:
    """A memory has its payload as a sub-document, real dates, and exact times beside them."""
    with clock(MOMENT):
        db.upsert_memory(MemoryRow({"text": "tea", "n": 1, "x": 1.0}, "a", "ann"))
    stored = database["notes"].find_one()
    position = stored.pop("_id")
    assert position.generation_time == MOMENT.replace(microsecond=0)
    date, us = datetime(2026, 11, 22, 20, 22, 24, 123000), 1795378944123456
    assert 0 <= stored.pop("stamp") < 2**STAMP_BITS
    assert stored == {
        "buddy_memory": 2,
        "id": "a",
        "user_id": "ann",
        "memory": {"text": "tea", "n": 1, "x": 1.0},
        "vector": None,
        "created_at": date,
        "created_us": us,
        "updated_at": date,
        "updated_us": us,
        "expires_at": None,
        "expires_us": None,
        "version": 1,
    }
    assert type(stored["version"]) is Int64
    assert type(stored["memory"]["x"]) is float


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "with times given"])
def test_an_end_and_a_vector_are_fields(db: MongoMemoryDb, database: Database, plain: bool) -> None:
    """The end is a date that is never early, and exact beside it; the vector is binary."""
    store, end = db._rules.store, MOMENT.replace(year=2027)
    first = MOMENT if plain else MOMENT - timedelta(days=1)
    record = Record(Kind.MEMORY, None, "a", {}, first, first, expires_at=end, vector=b"\0\xff")
    written = run(store.put(Write(record, MOMENT)))
    assert written == run(store.get(Kind.MEMORY, None, "a"))
    assert (written.expires_at, written.vector) == (end, b"\0\xff")
    stored = database["notes"].find_one()
    assert stored["user_id"] == ""
    assert stored["expires_at"] == datetime(2027, 11, 22, 20, 22, 24, 124000)
    assert stored["expires_us"] == stored["created_us"] + (end - first) // timedelta(microseconds=1)
    assert (type(stored["vector"]), type(stored["stamp"])) == (bytes, Int64)
    db.upsert_memory(MemoryRow({}, "a"))
    stored = database["notes"].find_one()
    assert [stored[name] for name in ("expires_at", "expires_us", "vector")] == [None] * 3


@pytest.mark.parametrize("user_id", [None, "", "\x01", "ann", "\U0010ffff"], ids=ascii)
def test_a_user_is_never_null(db: MongoMemoryDb, database: Database, user_id: str | None) -> None:
    """The shard key has a text for every user, nobody and the empty one included."""
    db.upsert_memory(MemoryRow({}, "a", user_id))
    assert database["notes"].find_one()["user_id"] == encode_user(user_id)


def test_an_update_moves_the_date_too(db: MongoMemoryDb, database: Database) -> None:
    """The date of the last write follows the exact time, also when the clock stands still."""
    with clock(MOMENT.replace(microsecond=999)):
        db.upsert_memory(MemoryRow({}, "a"))
        db.upsert_memory(MemoryRow({}, "a"))
    stored = database["notes"].find_one()
    assert stored["updated_us"] == stored["created_us"] + 1
    assert stored["updated_at"] == datetime(2026, 11, 22, 20, 22, 24, 1000)


def test_a_summary_has_a_shape_of_its_own(db: MongoMemoryDb, database: Database) -> None:
    """A summary stands in a collection of its own, with other field names."""
    db.upsert_summary(SummaryRow({"text": "tea"}, "session", "ann"))
    stored = database["notes_summaries"].find_one()
    assert stored["session_id"] == "session"
    assert stored["summary"] == {"text": "tea"}
    assert stored["buddy_summary"] == 2
    assert not {"id", "memory", "buddy_memory"} & set(stored)


def test_escapes_stand_only_where_they_must(db: MongoMemoryDb, database: Database) -> None:
    """Keys and texts that BSON holds stay as they are, beside others that need escapes."""
    payload = {"a.b": 1, "$set": 2, "price $": "$5.00", "": 3, "nul": "\0", "x": ["\ud800", "é"]}
    db.upsert_memory(MemoryRow(payload, "a"))
    assert database["notes"].find_one()["memory"] == {
        "a\x1b002eb": 1,
        "\x1b0024set": 2,
        "price $": "$5.00",
        "": 3,
        "nul": "\0",
        "x": ["\x1bd800", "é"],
    }
    row = db.read_memory("a")
    assert row is not None
    assert row.memory == payload


@pytest.mark.parametrize(
    ("payload", "stored"),
    [
        ({"a": 1, "$b": 2}, {"a": 1, "\x1b0024b": 2}),
        ({"a": ["\x1b0041"]}, {"a": ["\x1b001b0041"]}),
        ({"a": [{"b": [{"c.d": None}]}]}, {"a": [{"b": [{"c\x1b002ed": None}]}]}),
        ({"a\n$b": "\n$é"}, {"a\n$b": "\n$é"}),
    ],
)
def test_one_escape_is_enough_to_need_one(
    db: MongoMemoryDb, database: Database, payload: dict[str, Any], stored: dict[str, Any]
) -> None:
    """A payload is looked through to its end, wherever the one character stands."""
    db.upsert_memory(MemoryRow(payload, "a"))
    assert database["notes"].find_one()["memory"] == stored
    assert [row.memory for row in db.read_memories()] == [payload]


def test_a_payload_that_looks_like_a_reference_stays_a_dict(db: MongoMemoryDb) -> None:
    """The driver's DBRef is never made of a payload."""
    payload = {"r": {"$ref": "c", "$id": 1, "$db": "d"}}
    assert db.upsert_memory(MemoryRow(payload, "a")).memory == payload
    row = db.read_memory("a")
    assert row is not None
    assert row.memory == payload
    assert type(row.memory["r"]) is dict


def test_the_indexes_are_those_that_the_calls_need(db: MongoMemoryDb, database: Database) -> None:
    """create() makes the unique index that may be the shard key, one of ids, one of users, and the
    one by which the server removes what has ended."""
    db.create()
    for name, id in (("notes", "id"), ("notes_summaries", "session_id")):
        indexes = database[name].index_information()
        assert {name: (i["key"], i.get("unique")) for name, i in indexes.items()} == {
            "_id_": ([("_id", 1)], None),
            f"user_id_1_{id}_1": ([("user_id", 1), (id, 1)], True),
            f"{id}_1": ([(id, 1)], None),
            "user_id_1__id_1": ([("user_id", 1), ("_id", 1)], None),
            "expires_at_1": ([("expires_at", 1)], None),
        }
        assert [n for n, i in indexes.items() if i.get("expireAfterSeconds") == 0] == [
            "expires_at_1"
        ]


def test_settings_of_the_callers_client_do_not_matter(server_url: str, database: Database) -> None:
    """A client with tz_aware and another document class gives the same rows, and stays open."""
    with MongoClient(server_url, tz_aware=True, document_class=SON) as client:
        db = MongoMemoryDb("notes", db_name=database.name, client=client)
        row = db.upsert_memory(MemoryRow({"deep": {"n": 2**40}}, "a", "ann"))
        found = db.read_memory("a")
        assert found == row
        assert found is not None
        assert (type(found.memory["deep"]), type(found.memory["deep"]["n"])) == (dict, int)
        assert found.created_at.utcoffset() == timezone.utc.utcoffset(None)
        db.close()
        assert client.admin.command("ping")["ok"] == 1


def test_a_document_at_the_limit_is_stored_and_one_beyond_is_not_sent(
    db: MongoMemoryDb, database: Database
) -> None:
    """16 MB is the limit: TooLargeError tells both numbers, and bulk calls send nothing."""
    limit = 16 * 1024 * 1024
    row = db.upsert_memory(MemoryRow({"s": "x" * (limit - 600)}, "fits", "ann"))
    assert db.read_memory("fits") == row
    for call in (
        lambda: db.upsert_memory(MemoryRow({"s": "x" * limit}, "a")),
        lambda: db.upsert_memories([MemoryRow({}, "b"), MemoryRow({"s": "é" * (limit // 2)}, "a")]),
        lambda: db.upsert_memory(MemoryRow({}, "i" * limit)),
    ):
        with pytest.raises(TooLargeError) as raised:
            call()
        assert raised.value.limit == limit
        assert raised.value.size > limit
    assert database["notes"].count_documents({}) == 1


DAMAGES: dict[str, dict[str, Any]] = {
    "a date": {"$set": {"memory.when": MOMENT}},
    "an ObjectId": {"$set": {"memory.ref": ObjectId("6b034f00e9c811a31f2966ca")}},
    "not a number": {"$set": {"memory.nan": float("nan")}},
    "no payload": {"$unset": {"memory": ""}},
    "no version": {"$unset": {"version": ""}},
    "no stamp": {"$unset": {"stamp": ""}},
    "no vector": {"$set": {"vector": "text"}},
    "beyond all time": {"$set": {"created_us": 2**62}},
    "an odd user": {"$set": {"user_id": 7}},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_no_record_is_corrupt_and_named(
    db: MongoMemoryDb, database: Database, damage: dict[str, Any]
) -> None:
    """A document that somebody edited into no record raises by id and is skipped in listings."""
    for id in "ab":
        db.upsert_memory(MemoryRow({"n": 1}, id, "ann"))
    database["notes"].update_one({"id": "a"}, damage)
    with pytest.raises(CorruptMemoryError) as raised:
        db.read_memory("a")
    assert raised.value.id == "a"
    assert [row.id for row in db.read_memories()] == ["b"]


def test_restored_rows_keep_their_versions(db: MongoMemoryDb, database: Database) -> None:
    """A row from another store keeps version and times where it is new, and counts on later; one
    that is there is left alone."""
    store = db._rules.store
    records = [
        Record(Kind.MEMORY, "ann", str(n), {"n": n}, MOMENT, MOMENT, version=n) for n in range(1, 6)
    ]
    db.upsert_memory(MemoryRow({"old": True}, "5", "ann"))
    now = datetime.now(timezone.utc)
    stored = run(store.restore([Write(record, now) for record in records]))
    assert stored == [record.key for record in records[:4]]
    page = run(store.page(Kind.MEMORY, EVERYBODY, newest_first=False, after=None, limit=None))
    assert [r._replace(stamp=None, position=None) for r in page[1:]] == records[:4]
    assert (page[0].version, page[0].payload) == (1, {"old": True})
    assert db.upsert_memory(MemoryRow({"n": 0}, "4", "ann"), if_version=4).version == 5
    assert {type(found["version"]) for found in database["notes"].find()} == {Int64}


def test_a_restored_row_with_the_time_of_the_write_keeps_its_version(db: MongoMemoryDb) -> None:
    """A version is kept where the time is that of the write, too."""
    record = Record(Kind.MEMORY, None, "a", {}, MOMENT, MOMENT, version=7)
    assert run(db._rules.store.restore([Write(record, MOMENT)])) == [record.key]
    assert [row.version for row in db.read_memories()] == [7]


def test_a_number_edited_in_the_shell_stays_readable(db: MongoMemoryDb, database: Database) -> None:
    """mongosh writes every number as a double; versions and payloads go on."""
    db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
    options: CodecOptions = CodecOptions(tz_aware=True)
    notes = database.get_collection("notes", codec_options=options)
    notes.update_one({"id": "a"}, {"$set": {"memory.n": 2.0, "version": 1.0}})
    assert db.upsert_memory(MemoryRow({"n": 3}, "a", "ann"), if_version=1).version == 2
