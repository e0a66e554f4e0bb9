"""Collections that are not ours to use: of an earlier release, or another store's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from google.cloud import firestore

from buddy.memory.errors import ConfigError, SchemaError
from buddy.memory.storage.record import Kind
from buddy.memory.storage.sync_runner import run
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_firestore.names import MARKER
from tests.firestore_server.process import FirestoreServer

THEN = datetime(2026, 1, 2, tzinfo=timezone.utc)
EARLIER = {
    "id": "a",
    "user_id": "ann",
    "memory": {"text": "likes tea"},
    "created_at": THEN,
    "updated_at": THEN,
    "version": 1,
    "order": 1_767_312_000_000_000,
    "user_order": "ann/00001767312000000000",
}
"""A row as an earlier buddy-memory wrote it, at ``{collection}/a``."""

CALLS: dict[str, Callable[[FirestoreMemoryDb], Any]] = {
    "create": lambda db: db.create(),
    "exists": lambda db: db.table_exists(),
    "drop": lambda db: db.drop_table(),
    "clear": lambda db: db.clear(),
    "read": lambda db: db.read_memories(),
    "read of a user": lambda db: db.read_memories("ann", 3),
    "read of a prefix": lambda db: db.read_memories(user_prefix="a"),
    "read by id": lambda db: db.read_memory("a"),
    "read a row": lambda db: db.read_memory("a", user_id="ann"),
    "row exists": lambda db: db.memory_exists(MemoryRow({}, "a", "ann")),
    "count": lambda db: db.count_memories(),
    "users": lambda db: db.list_users(),
    "write": lambda db: db.upsert_memory(MemoryRow({}, "a", "ann")),
    "write many": lambda db: db.upsert_memories([MemoryRow({}, "a", "ann")]),
    "write a summary": lambda db: db.upsert_summary(SummaryRow({}, "a", "ann")),
    "read summaries": lambda db: db.read_summaries("ann"),
    "delete": lambda db: db.delete_memory("a", user_id="ann"),
    "delete many": lambda db: db.delete_memories(["a"], user_id="ann"),
    "delete a user": lambda db: db.delete_user("ann"),
    "page": lambda db: db.page_memories("ann", limit=1, after="x"),
    "upgrade": lambda db: db.upgrade(),
    "legacy rows": lambda db: list(db.iter_legacy_memories()),
}


@pytest.fixture
def client(server: FirestoreServer) -> Iterator[Any]:
    client = firestore.Client()
    yield client
    client._firestore_api.transport.close()


def everything(client: Any, *collections: str) -> dict[str, Any]:
    found = (document for name in collections for document in client.collection(name).stream())
    return {document.reference.path: document.to_dict() for document in found}


@pytest.mark.parametrize("has_marker", [True, False])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_layout_of_an_earlier_release_is_refused(
    client: Any, collection: str, call: Callable[[Any], Any], has_marker: bool
) -> None:
    """Each call on a store of an earlier buddy-memory is a SchemaError, and changes nothing."""
    client.collection(collection).document("a").set(EARLIER)
    if has_marker:
        client.collection(collection).document(MARKER).set({"format": 1})
    before = everything(client, collection)
    with FirestoreMemoryDb(collection) as db:
        for _ in range(2):
            with pytest.raises(SchemaError, match=r"earlier buddy-memory.*Export it with"):
                call(db)
    assert everything(client, collection) == before


@pytest.mark.parametrize("call", [call for name, call in CALLS.items() if name != "upgrade"])
@pytest.mark.parametrize("is_outer", [True, False], ids=["of summaries", "of memories"])
def test_the_collection_of_another_kind_is_refused(
    client: Any, collection: str, call: Callable[[Any], Any], is_outer: bool
) -> None:
    """A store whose collection holds another store's summaries, or whose summaries would be among
    another's memories, is a SchemaError for every call, and neither changes the other."""
    names = [collection, f"{collection}_summaries", f"{collection}_summaries_summaries"]
    first, second = names[:2] if is_outer else names[1::-1]
    with FirestoreMemoryDb(first) as one:
        one.upsert_memory(MemoryRow({"of": "one"}, "a", "ann"))
        one.upsert_summary(SummaryRow({"of": "one"}, "a", "ann"))
        before = everything(client, *names)
        with FirestoreMemoryDb(second) as two:
            with pytest.raises(SchemaError, match=r"another store.*collection_name"):
                call(two)
        assert everything(client, *names) == before


def test_two_stores_at_once_never_share_a_collection(
    server: FirestoreServer, collection: str
) -> None:
    """Of two stores that would keep different rows in one collection, the first write decides."""
    for n in range(10):
        names = (f"{collection}{n}", f"{collection}{n}_summaries")
        dbs = [FirestoreMemoryDb(name) for name in names]
        refused: list[str] = []

        def write(i: int, dbs: Any = dbs, refused: list[str] = refused) -> None:
            try:
                dbs[i].upsert_memory(MemoryRow({}, "a", "ann"))
            except SchemaError as error:
                refused.append(str(error))

        at_once(2, write)
        assert len(refused) == 1
        for db in dbs:
            db.close()


def test_a_marker_that_is_lost_is_made_again(client: Any, collection: str) -> None:
    """A store whose markers were deleted is read as before, and marked by the next write."""
    with FirestoreMemoryDb(collection) as db:
        db.upsert_memory(MemoryRow({}, "a", "ann"))
    for name in (collection, f"{collection}_summaries"):
        client.collection(name).document(MARKER).delete()
    with FirestoreMemoryDb(collection) as db:
        assert db.table_exists()
        assert [row.id for row in db.read_memories("ann")] == ["a"]
        db.upsert_memory(MemoryRow({}, "b", "ann"))
    assert client.collection(collection).document(MARKER).get().exists


def test_a_drop_takes_the_markers_last(
    client: Any, server: FirestoreServer, collection: str
) -> None:
    """A drop that was interrupted leaves a store; the next one leaves nothing."""
    with FirestoreMemoryDb(collection) as db:
        db.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(600))
        server.fault(method="BatchWrite", skip=1, code="PERMISSION_DENIED", text="no")
        with pytest.raises(PermissionError):
            db.drop_table()
        assert db.table_exists()
        db.drop_table()
        assert not db.table_exists()
        assert run(db._rules.store.exists()) is False
    assert everything(client, collection, f"{collection}_summaries") == {}


# --- cursors


@pytest.mark.parametrize("kind", Kind)
def test_a_store_made_again_has_another_generation(
    server: FirestoreServer, collection: str, kind: Kind
) -> None:
    """Each making of a store draws a token, which its objects see also if others made it again."""
    with FirestoreMemoryDb(collection) as db, FirestoreMemoryDb(collection) as other:
        store = db._rules.store
        assert run(store.generation(kind)) == ""
        db.create()
        first = run(store.generation(kind))
        assert first
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        other.create()
        assert run(other._rules.store.generation(kind)) == run(store.generation(kind)) == first
        other.drop_table()
        assert run(store.generation(kind)) == ""
        other.create()
        assert run(store.generation(kind)) not in ("", first)


def test_a_cursor_is_of_one_store(server: FirestoreServer, collection: str) -> None:
    """A cursor from before a store was made again, or of another collection, is refused."""
    with FirestoreMemoryDb(collection) as db, FirestoreMemoryDb(f"{collection}2") as another:
        for one in (db, another):
            one.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(3))
        cursor = db.page_memories("ann", limit=1).next
        assert [row.id for row in db.page_memories("ann", limit=1, after=cursor).rows] == ["1"]
        with pytest.raises(ConfigError, match="another listing"):
            another.page_memories("ann", limit=1, after=cursor)
        with FirestoreMemoryDb(collection) as other:
            other.drop_table()
            other.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(3))
        with pytest.raises(ConfigError, match="another listing"):
            db.page_memories("ann", limit=1, after=cursor)
        assert db.page_memories("ann", limit=2).next


def test_a_cursor_costs_one_read(server: FirestoreServer, collection: str) -> None:
    """A page that starts or ends with a cursor reads the marker of its collection besides."""
    with FirestoreMemoryDb(collection) as db:
        db.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(3))
        for after, found in ((None, 2), (db.page_memories("ann", limit=1).next, 2)):
            server.reset()
            assert db.page_memories("ann", limit=1, after=after).next
            assert server.requests == {"RunQuery": 1, "BatchGetDocuments": 1}
            assert server.billed == {"reads": found + 1}
