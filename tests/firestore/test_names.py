"""The encoding of ids, and the sort keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.storage.record import Key
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_firestore import names
from tests.firestore_server.names import check_document, check_field_name, field_path
from tests.firestore_server.process import FirestoreServer

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=500),
    st.text("._%/:0aF\n\x01~", max_size=12),
)
ids = texts.filter(bool)
users = st.one_of(st.none(), texts)
keys = st.builds(Key, users, ids)


@given(keys)
def test_a_name_is_legal_and_reversible(key: Key) -> None:
    """The name of any row is a legal document id, never the marker, and leads back to it."""
    name = names.document_id(*key)
    check_document(f"notes/{name}")
    assert name != names.MARKER
    if name.startswith("%sha256-"):
        assert len(f"{key.user_id}{key.id}".encode()) > 450
    else:
        assert names.decode_document_id(name) == key


@given(ids)
def test_a_key_is_a_legal_field_name(key: str) -> None:
    """The encoding of any key of up to 500 bytes is a legal field name and leads back to it."""
    name = names.field_name(key)
    if len(name.encode()) <= 1500:
        check_field_name(name)
    assert names.decode_field_name(name) == key


@given(st.lists(keys, min_size=2, max_size=2, unique=True))
def test_different_rows_have_different_documents(pair: list[Key]) -> None:
    """No two pairs of user and id share a document."""
    assert names.document_id(*pair[0]) != names.document_id(*pair[1])


@given(st.lists(users, min_size=2, max_size=2, unique=True))
def test_the_stamps_of_a_user_have_a_path_of_their_own(pair: list[str | None]) -> None:
    """The path of a user's stamps is legal, and no other user's."""
    paths = [field_path(names.stamp_path(user)) for user in pair]
    assert paths == [("stamps", names.stamp_field(user)) for user in pair]
    assert paths[0] != paths[1]


@given(users, users, st.integers(0, 10**18))
def test_the_range_of_a_user_holds_only_this_user(
    user: str | None, other: str | None, number: int
) -> None:
    """A user's sort keys lie in the user's range, in order, and no other user's do."""
    lead = names.user_lead(user)
    low, high = lead.encode(), names.beyond(lead).encode()
    key, later = (f"{lead}{n:020d}0123456789".encode() for n in (number, number + 1))
    assert low < key < later < high
    assert len(key) <= names.MAX_BYTES
    if other != user:
        assert not low <= f"{names.user_lead(other)}{number:020d}".encode() < high


short = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@given(st.lists(short, min_size=2, max_size=2, unique=True))
def test_sort_keys_keep_the_order_of_users(pair: list[str]) -> None:
    """Sort keys are in the code-point order of their users, whatever characters these hold."""
    position = f"{7:020d}0123456789"
    ordered = sorted(pair)
    assert sorted(pair, key=lambda user: (names.user_lead(user) + position).encode()) == ordered
    assert [names.user_of(names.user_lead(user) + position) for user in pair] == pair


@pytest.mark.parametrize(
    ("user", "id", "name"),
    [
        ("ann", "a", "ann:a"),
        (None, "a", ":a"),
        ("", "a", "%:a"),
        ("%", "%", "%25:%25"),
        ("a/b", "c:d", "a%2Fb:c%3Ad"),
        ("__x", "y__", "%5F_x:y__"),
        (None, ".", ":."),
    ],
)
def test_short_names_stay_readable(user: str | None, id: str, name: str) -> None:
    """Only what Firestore refuses, the percent sign and the colon are written differently."""
    assert names.document_id(user, id) == name


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
            assert db.read_memory(row.id, user_id="🐈" * 2000 + end) == row
        assert set(db.list_users()) == {"🐈" * 2000 + end for end in "ab"}
        assert db.count_memories(user_prefix="🐈" * 300) == 2


def test_a_prefix_beyond_what_is_sorted_is_refused(
    server: FirestoreServer, collection: str
) -> None:
    """A prefix of more than 1,396 bytes is an InvalidMemoryError and never a wrong answer."""
    with FirestoreMemoryDb(collection) as db:
        assert db.count_memories(user_prefix="x" * 1396) == 0
        with pytest.raises(InvalidMemoryError, match="1,396 bytes"):
            db.count_memories(user_prefix="x" * 1397)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "__x__", "x" * 1491, "\ud800", 5, None])
def test_an_illegal_collection_is_refused(name: str) -> None:
    """A collection name that Firestore refuses is a ConfigError at once."""
    with pytest.raises(ConfigError):
        FirestoreMemoryDb(name)
