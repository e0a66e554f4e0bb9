"""Rows of an older release: found, and moved without loss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore
from google.cloud.firestore_v1 import types
from google.protobuf import json_format

from buddy.memory.errors import SchemaError
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.firestore_server.process import FirestoreServer

FIXTURES = Path(__file__).parents[1] / "fixtures" / "legacy"
OLD = json.loads((FIXTURES / "firestore.json").read_text())


@pytest.fixture
def client(server: FirestoreServer) -> Iterator[Any]:
    client = firestore.Client()
    yield client
    client._firestore_api.transport.close()


@pytest.fixture
def old(client: Any, collection: str) -> list[dict[str, Any]]:
    """Two hundred documents as the older release wrote them."""
    batch = client.batch()
    for document in OLD:
        fields = types.Document.pb()()
        json_format.ParseDict({"fields": document["fields"]}, fields)
        path = document["path"].replace("memory/", f"{collection}/", 1)
        data = types.Document.wrap(fields)
        plain = firestore_values(data, client)
        batch.set(client.document(path), plain)
    batch.commit()
    return OLD


def firestore_values(document: Any, client: Any) -> dict[str, Any]:
    from google.cloud.firestore_v1._helpers import decode_dict

    return dict(decode_dict(document.fields, client))


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.read_memories(),
        lambda db: db.read_memories("ann", 3),
        lambda db: db.read_memory("a"),
        lambda db: db.read_memory("a", user_id="ann"),
        lambda db: db.list_users(),
        lambda db: db.drop_table(),
        lambda db: db.create(),
        lambda db: db.count_memories(),
        lambda db: db.delete_memory("a"),
        lambda db: db.delete_memories(["a"]),
        lambda db: db.delete_user("ann"),
        lambda db: db.memory_exists(MemoryRow({}, "a")),
        lambda db: db.upsert_memory(MemoryRow({}, "a")),
        lambda db: db.upsert_memories([MemoryRow({}, "a")]),
        lambda db: db.table_exists(),
        lambda db: db.clear(),
    ],
)
def test_old_rows_are_never_read_as_none(call: Any, old: Any, collection: str) -> None:
    """While old rows are here, each call says to run upgrade() instead of finding nothing."""
    with FirestoreMemoryDb(collection) as db:
        with pytest.raises(SchemaError, match=r"upgrade\(\)"):
            call(db)


def test_upgrade_keeps_every_row(old: list[dict[str, Any]], client: Any, collection: str) -> None:
    """After upgrade() every old row is here with its id, owner, payload and times, oldest first."""
    with FirestoreMemoryDb(collection) as db:
        db.upgrade()
        db.upgrade()
        rows = db.read_memories(sort="asc")
        assert len(rows) == len(old) == db.count_memories()
        assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)
        for document in old:
            fields = document["fields"]
            user = fields["user_id"]["stringValue"]
            row = db.read_memory(fields["id"]["stringValue"], user_id=user)
            assert row is not None
            assert row.user_id == user
            assert (
                row.memory["memory"]
                == (fields["memory"]["mapValue"]["fields"]["memory"]["stringValue"])
            )
            created = int(fields["created_at"]["integerValue"])
            assert row.created_at == datetime.fromtimestamp(created, timezone.utc)
    left = list(client.collection_group("memories").stream())
    assert left == []


def test_upgrades_at_once_do_no_harm(old: list[dict[str, Any]], collection: str) -> None:
    """Two upgrades at once leave every row once."""

    def work(_: int) -> None:
        with FirestoreMemoryDb(collection) as db:
            db.upgrade()

    at_once(2, work)
    with FirestoreMemoryDb(collection) as db:
        assert len({row.id for row in db.read_memories()}) == db.count_memories() == len(old)


def test_one_id_of_two_users_stays_two_rows(client: Any, collection: str) -> None:
    """An id that two users had is kept for both."""
    for n, user in enumerate(("ann", "bob")):
        path = f"{collection}/{user}/memories/same"
        fields = {"id": "same", "user_id": user, "memory": {"of": user}, "created_at": n}
        client.document(path).set(fields)
    with FirestoreMemoryDb(collection) as db:
        older = list(db.iter_legacy_memories())
        assert [row.id for row in older if isinstance(row, MemoryRow)] == ["same", "same"]
        db.upgrade()
        found = [(row.user_id, row.id, row.memory) for row in db.read_memories(sort="asc")]
    assert found == [("ann", "same", {"of": "ann"}), ("bob", "same", {"of": "bob"})]


def test_one_name_of_two_documents_becomes_two_rows(client: Any, collection: str) -> None:
    """Two documents that say the same user and id are kept apart: the older one has the id."""
    for n, user in enumerate(("ann", "bob")):
        path = f"{collection}/{user}/memories/same"
        client.document(path).set({"id": "same", "user_id": "x", "memory": {}, "created_at": n})
    other = f"same@{collection}/bob/memories/same"
    with FirestoreMemoryDb(collection) as db:
        older = list(db.iter_legacy_memories())
        assert [row.id for row in older if isinstance(row, MemoryRow)] == ["same", other]
        db.upgrade()
        assert [row.id for row in db.read_memories("x", sort="asc")] == ["same", other]


def test_an_interrupted_upgrade_can_be_repeated(
    old: list[dict[str, Any]], server: FirestoreServer, collection: str
) -> None:
    """An upgrade that failed half-way goes on when it is run again."""
    with FirestoreMemoryDb(collection) as db:
        server.fault(method="Commit", skip=50, code="PERMISSION_DENIED")
        with pytest.raises(PermissionError):
            db.upgrade()
        with pytest.raises(SchemaError, match=r"upgrade\(\)"):
            db.count_memories()
        db.upgrade()
        assert db.count_memories() == len(old)
