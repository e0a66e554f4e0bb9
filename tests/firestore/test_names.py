"""The encoding of ids, and the sort keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buddy.memory.errors import ConfigError
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_firestore import names
from tests.firestore_server.names import check_document, check_field_name
from tests.firestore_server.process import FirestoreServer

ids = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=500),
    st.text("._%/0aF\n", min_size=1, max_size=12),
)


@given(ids)
def test_an_id_is_legal_and_reversible(id: str) -> None:
    """The encoding of any id is a legal document id, never the marker, and leads back to it."""
    name = names.document_id(id)
    check_document(f"notes/{name}")
    assert name != names.MARKER
    if name.startswith("%sha256-"):
        assert len(id.encode()) > 480
    else:
        assert names.decode(name) == id


@given(ids)
def test_a_key_is_a_legal_field_name(key: str) -> None:
    """The encoding of any key of up to 500 bytes is a legal field name and leads back to it."""
    name = names.field_name(key)
    if len(name.encode()) <= 1500:
        check_field_name(name)
    assert names.decode(name) == key


@given(st.lists(ids, min_size=2, max_size=2, unique=True))
def test_different_ids_have_different_documents(pair: list[str]) -> None:
    """No two ids share a document."""
    assert names.document_id(pair[0]) != names.document_id(pair[1])


@given(ids, ids, st.integers(0, 10**18))
def test_the_range_of_a_user_holds_only_this_user(user: str, other: str, order: int) -> None:
    """A user's sort keys lie in the user's range, in order, and nobody else's do."""
    first, beyond = (bound.encode() for bound in names.user_range(user))
    key = names.user_order(user, order).encode()
    assert first <= key < names.user_order(user, order + 1).encode() < beyond
    assert len(key) <= names.MAX_ID
    if other != user:
        assert not first <= names.user_order(other, order).encode() < beyond


@pytest.mark.parametrize("text", ["/", ".", "..", "__x__", "%", "%2F", "%store", "a/b", "x" * 500])
def test_short_ids_stay_readable(text: str) -> None:
    """Only what Firestore refuses, and the percent sign, is written differently."""
    wanted = {"/": "%2F", ".": "%2E", "..": "%2E.", "__x__": "%5F_x__", "a/b": "a%2Fb"}
    assert names.document_id(text) == wanted.get(text, text.replace("%", "%25"))


def test_ids_beyond_1500_bytes_work(server: FirestoreServer, collection: str) -> None:
    """Ids and user ids of thousands of bytes are told apart and come back whole."""
    with FirestoreMemoryDb(collection) as db:
        for end in "ab":
            db.upsert_memory(MemoryRow({"end": end}, "🦉" * 2000 + end, "🐈" * 2000 + end))
        for end in "ab":
            row = db.read_memory("🦉" * 2000 + end)
            assert row is not None
            assert (row.id, row.memory) == ("🦉" * 2000 + end, {"end": end})
            assert db.read_memories("🐈" * 2000 + end) == [row]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "__x__", "x" * 1491, "\ud800", 5, None])
def test_an_illegal_collection_is_refused(name: str) -> None:
    """A collection name that Firestore refuses is a ConfigError at once."""
    with pytest.raises(ConfigError):
        FirestoreMemoryDb(name)
