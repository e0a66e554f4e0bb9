"""What is stored, byte for byte where it matters, and what is too large to be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from google.cloud import firestore

from buddy.memory.errors import CorruptMemoryError, TooLargeError
from buddy.memory.storage.record import Key, Kind, Record, Write
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.users import NOBODY
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_firestore import calls, encoding, names, sizes
from tests.firestore_server import values
from tests.firestore_server.process import FirestoreServer

THEN = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)


@pytest.fixture
def db(server: FirestoreServer, collection: str) -> Iterator[FirestoreMemoryDb]:
    with FirestoreMemoryDb(collection) as db:
        yield db


@pytest.fixture
def client(server: FirestoreServer) -> Iterator[Any]:
    client = firestore.Client()
    yield client
    client._firestore_api.transport.close()


def test_a_row_is_a_plain_document(db: FirestoreMemoryDb, client: Any, collection: str) -> None:
    """The document of a row, as any other software sees it."""
    payload = {"text": "likes tea", "topics": ["food"], "meta": {"n": 1, "x": 0.5, "none": None}}
    db.upsert_memory(MemoryRow(payload, "a/b", "ann/1", THEN, THEN))
    stored = client.collection(collection).document("ann%2F1:a%2Fb").get().to_dict()
    position = stored.pop("order")[1:]
    stamp = stored["stamps"]["ann%2F1"]
    assert 0 <= stamp < 2**40
    assert stored == {
        "id": "a/b",
        "user_id": "ann/1",
        "memory": payload,
        "created_at": THEN,
        "updated_at": THEN,
        "version": 1,
        "stamps": {"ann%2F1": stamp},
        "user_order": f"ann/1\0{position}",
    }
    db.upsert_summary(SummaryRow({"s": 1}, "session"))
    stored = client.collection(f"{collection}_summaries").document(":session").get().to_dict()
    assert stored["user_id"] is None
    assert sorted(stored) == [
        "created_at",
        "id",
        "order",
        "stamps",
        "summary",
        "updated_at",
        "user_id",
        "user_order",
        "version",
    ]


def test_the_end_and_the_vector_of_a_row_are_fields(
    db: FirestoreMemoryDb, client: Any, collection: str
) -> None:
    """``expires_at`` is a timestamp, as a TTL policy needs it, and ``vector`` bytes."""
    end = THEN.replace(year=2126)
    record = Record(Kind.MEMORY, "ann", "a", {}, THEN, THEN, 1, end, b"\0\xff")
    stored = run(db._rules.store.put(Write(record, THEN)))
    assert run(db._rules.store.get(Kind.MEMORY, *record.key)) == stored
    fields = client.collection(collection).document("ann:a").get().to_dict()
    assert (fields["expires_at"], fields["vector"]) == (end, b"\0\xff")


def test_rows_of_all_users_are_spread_over_the_index(
    db: FirestoreMemoryDb, client: Any, collection: str
) -> None:
    """The field that sorts all rows begins with one of sixteen digits, by a hash of the name."""
    db.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(200))
    found = [d.get("order")[0] for d in client.collection(collection).stream() if ":" in d.id]
    assert set(found) == set(names.BUCKETS)


def test_markers_say_what_is_kept(db: FirestoreMemoryDb, client: Any, collection: str) -> None:
    """Each collection has a marker with layout, kind of its rows, and a token of this making."""
    db.upsert_memory(MemoryRow({}, "a", "ann"))
    for name, kind in ((collection, "memory"), (f"{collection}_summaries", "summary")):
        marker = client.collection(name).document(names.MARKER).get().to_dict()
        assert marker == {"layout": 2, "kind": kind, "generation": marker["generation"]}


def test_payloads_can_be_queried(db: FirestoreMemoryDb, client: Any, collection: str) -> None:
    """Fields of payloads are fields of Firestore."""
    db.upsert_memory(MemoryRow({"topics": ["tea"], "meta": {"n": 5}}, "a", "ann"))
    db.upsert_memory(MemoryRow({"topics": ["jazz"], "meta": {"n": 6}}, "b", "ann"))
    rows = client.collection(collection)
    by_topic = rows.where(filter=firestore.FieldFilter("memory.topics", "array_contains", "tea"))
    by_number = rows.where(filter=firestore.FieldFilter("memory.meta.n", ">", 5))
    assert [doc.id for doc in by_topic.stream()] == ["ann:a"]
    assert [doc.id for doc in by_number.stream()] == ["ann:b"]


def test_what_firestore_cannot_hold_is_json_text_in_its_place(
    db: FirestoreMemoryDb, client: Any, collection: str
) -> None:
    """Lists in lists and odd keys are escaped in their place; the rest stays native."""
    db.upsert_memory(MemoryRow({"l": [1, [2]], "__x__": 1, "": 2, "50%": "a\0"}, "a", "ann"))
    assert client.collection(collection).document("ann:a").get().get("memory") == {
        "l": [1, {"%json": '{"value":[2]}'}],
        "%5F_x__": 1,
        "%": 2,
        "50%25": "a\x1b0000",
    }


@pytest.mark.parametrize(
    "payload",
    [
        {"%json": "x", "%": 1, "%25": 2, "%5F": 3, "": 4},
        {"k" * 2000: {"k" * 2000: 1}},
        {"a" * 600: {"b" * 600: {"c" * 600: 1}}},
        {"wide": list(range(45_000))},
        {f"key {n}": [n, str(n)] for n in range(12_000)},
        {"empty": [{} for _ in range(2000)], "lists": [[] for _ in range(2000)]},
        {"deep": [[[[[{"x": [[]]}]]]]]},
    ],
    ids=["our escapes", "long keys", "long paths", "wide list", "many keys", "empties", "deep"],
)
def test_payloads_at_the_limits_come_back(db: FirestoreMemoryDb, payload: dict[str, Any]) -> None:
    """What exceeds a limit of Firestore's maps or indexes is stored all the same."""
    db.upsert_memory(MemoryRow(payload, "a" * 1000, "ann"))
    row = db.read_memory("a" * 1000)
    assert row is not None
    assert row.memory == payload


def test_a_document_of_exactly_one_mebibyte_is_stored(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """The largest row is stored; one byte more is TooLargeError with both numbers, unsent."""
    db.upsert_memory(MemoryRow({}, "first", "ann"))
    with pytest.raises(TooLargeError) as caught:
        db.upsert_memory(MemoryRow({"text": "é" * 600_000}, "a", "ann"))
    assert (caught.value.limit, caught.value.size > 1_200_000) == (1_048_576, True)
    with pytest.raises(TooLargeError) as caught:
        db.upsert_memory(MemoryRow({"text": "x" * 1_048_576}, "a", "ann"))
    most = 1_048_576 - (caught.value.size - 1_048_576)
    server.reset()
    db.upsert_memory(MemoryRow({"text": "x" * most}, "a", "ann"))
    assert server.requests == {"Commit": 1}
    with pytest.raises(TooLargeError) as caught:
        db.upsert_memory(MemoryRow({"text": "x" * (most + 1)}, "a", "ann"))
    assert caught.value.size == 1_048_577
    with pytest.raises(TooLargeError):
        db.upsert_memories(
            [MemoryRow({}, "b", "ann"), MemoryRow({"text": "x" * (most + 1)}, "c", "ann")]
        )
    assert server.requests == {"Commit": 1}


def test_sizes_agree_with_the_servers() -> None:
    """Our weights of a document are those of the server, which were written apart."""
    fields = encoding.Document().fields
    for name, value in {
        "s": {"string_value": "é" * 2000},
        "n": {"null_value": 0},
        "m": {"map_value": {"fields": {"a": {"integer_value": 1}, "b": {"map_value": {}}}}},
        "l": {"array_value": {"values": [{"boolean_value": True}, {"double_value": 1.5}]}},
        "t": {"timestamp_value": {}},
        "b": {"bytes_value": b"x" * 3000},
    }.items():
        fields[name].CopyFrom(calls.Value(**value))
    weight = sizes.weigh("notes/id", fields)
    entries = list(values.index_entries("notes/id", fields))
    assert weight == (values.document_size("notes/id", fields), len(entries), sum(entries))


@pytest.mark.parametrize(
    "damage",
    [
        {"memory": "text"},
        {"memory": {"%json": "{torn"}},
        {"memory": {"%json": "[]"}},
        {"memory": [1]},
        {"memory": {"at": THEN}},
        {"created_at": "yesterday"},
        {"version": "2"},
        {"version": 0},
        {"version": 2**63 - 1},
        {"user_id": 5},
        {"id": 5},
        {"id": "c"},
        {"user_id": "bob"},
        {"user_order": "ann"},
        {"order": "x"},
        {"stamps": {}},
        {"vector": "text"},
        {"expires_at": 5},
        {"memory": firestore.DELETE_FIELD},
        {"updated_at": firestore.DELETE_FIELD},
    ],
    ids=str,
)
def test_a_document_that_others_damaged_is_corrupt(
    db: FirestoreMemoryDb, client: Any, collection: str, damage: dict[str, Any]
) -> None:
    """A document that cannot be decoded raises by id and is skipped in listings."""
    for id in "abc":
        db.upsert_memory(MemoryRow({}, id, "ann"))
    client.collection(collection).document("ann:b").update(damage)
    with pytest.raises(CorruptMemoryError, match="'b'"):
        db.read_memory("b", user_id="ann")
    for _ in range(2):
        assert [row.id for row in db.read_memories("ann")] == ["c", "a"]
        assert [row.id for row in db.iter_memories(sort="asc", page_size=1)] == ["a", "c"]
        assert [row.id for row in db.iter_memories(user_prefix="an", page_size=1)] == ["c", "a"]
    assert db.delete_memory("b", user_id="ann") is True


def test_a_damaged_document_keeps_its_owner(
    db: FirestoreMemoryDb, client: Any, collection: str
) -> None:
    """A document that cannot be decoded is still that of its user, and of no other."""
    store = db._rules.store
    for owner, stranger in (("", "ann"), ("ann", ""), (None, "")):
        db.upsert_memory(MemoryRow({}, "a", owner))
        name = names.document_id(owner, "a")
        client.collection(collection).document(name).update({"memory": "text"})
        found = run(store.get(Kind.MEMORY, owner, "a"))
        assert (type(found).__name__, found.key) == ("Corrupt", Key(owner, "a"))
        db.delete_memory("a", user_id=NOBODY if owner is None else owner)
        assert db.read_memory("a", user_id=stranger) is None


def test_documents_of_other_software_are_not_listed(
    db: FirestoreMemoryDb, client: Any, collection: str
) -> None:
    """A document without our sort keys is no row: not listed, not counted, kept by clear()."""
    db.upsert_memory(MemoryRow({}, "a", "ann"))
    client.collection(collection).document("theirs").set({"order": 1, "user_order": 2, "x": 1})
    assert [row.id for row in db.read_memories()] == ["a"]
    assert db.list_users() == ["ann"]
    assert db.count_memories() == 1
    assert db.clear() is True
    assert client.collection(collection).document("theirs").get().exists
