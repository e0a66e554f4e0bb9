"""What is stored, byte for byte where it matters, and what is too large to be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from google.cloud import firestore

from buddy.memory.errors import CorruptMemoryError, TooLargeError
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_firestore import calls, documents, sizes
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
    stored = client.collection(collection).document("a%2Fb").get().to_dict()
    order = stored.pop("order")
    assert stored == {
        "id": "a/b",
        "user_id": "ann/1",
        "memory": payload,
        "created_at": THEN,
        "updated_at": THEN,
        "version": 1,
        "user_order": f"ann%2F1/{order:020d}",
    }
    db.upsert_summary(SummaryRow({"s": 1}, "session"))
    stored = client.collection(f"{collection}_summaries").document("session").get().to_dict()
    assert sorted(stored) == [
        "created_at",
        "id",
        "order",
        "summary",
        "updated_at",
        "user_id",
        "version",
    ]


def test_payloads_can_be_queried(db: FirestoreMemoryDb, client: Any, collection: str) -> None:
    """Fields of payloads are fields of Firestore."""
    db.upsert_memory(MemoryRow({"topics": ["tea"], "meta": {"n": 5}}, "a", "ann"))
    db.upsert_memory(MemoryRow({"topics": ["jazz"], "meta": {"n": 6}}, "b", "ann"))
    rows = client.collection(collection)
    by_topic = rows.where(filter=firestore.FieldFilter("memory.topics", "array_contains", "tea"))
    by_number = rows.where(filter=firestore.FieldFilter("memory.meta.n", ">", 5))
    assert [doc.id for doc in by_topic.stream()] == ["a"]
    assert [doc.id for doc in by_number.stream()] == ["b"]


def test_what_firestore_cannot_hold_is_json_text_in_its_place(
    db: FirestoreMemoryDb, client: Any, collection: str
) -> None:
    """Lists in lists and odd keys are escaped where they stand; the rest stays native."""
    db.upsert_memory(MemoryRow({"l": [1, [2]], "__x__": 1, "": 2, "50%": "a\0"}, "a", "ann"))
    assert client.collection(collection).document("a").get().get("memory") == {
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
    fields = documents.Document().fields
    for name, value in {
        "s": {"string_value": "é" * 2000},
        "n": {"null_value": 0},
        "m": {"map_value": {"fields": {"a": {"integer_value": 1}, "b": {"map_value": {}}}}},
        "l": {"array_value": {"values": [{"boolean_value": True}, {"double_value": 1.5}]}},
        "t": {"timestamp_value": {}},
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
        {"user_id": 5},
        {"id": 5},
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
    client.collection(collection).document("b").update(damage)
    with pytest.raises(CorruptMemoryError, match="'b'"):
        db.read_memory("b")
    for _ in range(2):
        assert [row.id for row in db.read_memories("ann")] == ["c", "a"]
        assert [row.id for row in db.iter_memories(sort="asc", page_size=1)] == ["a", "c"]
    assert db.delete_memory("b") is True


def test_a_damaged_document_keeps_its_owner(
    db: FirestoreMemoryDb, client: Any, collection: str
) -> None:
    """A document that cannot be decoded is still that of its user, and of nobody else."""
    for id, owner, stranger in (("a", "", "ann"), ("b", "ann", ""), ("c", None, "")):
        db.upsert_memory(MemoryRow({}, id, owner))
        client.collection(collection).document(id).update({"memory": "text"})
        assert db.read_memory(id, user_id=stranger) is None
        with pytest.raises(CorruptMemoryError):
            db.read_memory(id, user_id=owner)


def test_documents_of_other_software_are_not_listed(
    db: FirestoreMemoryDb, client: Any, collection: str
) -> None:
    """A document without an order is no row: not listed, not counted, kept by clear()."""
    db.upsert_memory(MemoryRow({}, "a", "ann"))
    client.collection(collection).document("theirs").set({"order": "first", "x": 1})
    assert [row.id for row in db.read_memories()] == ["a"]
    assert db.count_memories() == 1
    assert db.clear() is True
    assert client.collection(collection).document("theirs").get().exists
