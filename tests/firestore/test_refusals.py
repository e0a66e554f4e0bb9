"""Names that mean nothing, and databases that cannot serve: errors of the public tree."""

from __future__ import annotations

import pytest

from buddy.memory import open_memory_db
from buddy.memory.errors import ConfigError, SchemaError
from buddy.memory.v2.db.firestore import AsyncFirestoreMemoryDb, FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.firestore_server.process import FirestoreServer

ROW = MemoryRow({"text": "likes tea"}, "a", "ann")


@pytest.mark.parametrize("name", ["project_id", "db_name", "collection_name"])
@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_blank_names_are_refused(name: str, value: str) -> None:
    """A name of no characters, or of spaces, is a ConfigError of both classes."""
    for cls in (FirestoreMemoryDb, AsyncFirestoreMemoryDb):
        with pytest.raises(ConfigError, match=name):
            cls(**{name: value})


@pytest.mark.parametrize("name", ["", " ", "d\nb", "d\0b", "dätenbank", "a/b"])
def test_a_name_that_no_database_can_have_is_refused(name: str) -> None:
    """A db_name that is blank, or that no header can carry, is a ConfigError in a mapping."""
    with pytest.raises(ConfigError, match="db_name"):
        open_memory_db({"backend": "firestore", "db_name": name})


@pytest.mark.parametrize("name", ["no where", " nowhere ", "it's"])
def test_an_unknown_database_is_recognized_whatever_its_name(
    server: FirestoreServer, name: str
) -> None:
    """A database of an odd name that does not exist is a SchemaError that names it, too."""
    with FirestoreMemoryDb(db_name=name) as db:
        with pytest.raises(SchemaError, match="There is no database") as caught:
            db.table_exists()
        assert repr(name) in str(caught.value)


@pytest.mark.parametrize("code", ["NOT_FOUND", "FAILED_PRECONDITION", "ALREADY_EXISTS"])
def test_every_error_of_a_call_is_of_the_public_tree(
    server: FirestoreServer, collection: str, code: str
) -> None:
    """A refusal that would mean an overtaken write is a SchemaError where nothing is at stake."""
    db = FirestoreMemoryDb(collection)
    db.create()
    server.fault(times=-1, code=code, text="the project is in a state that nobody knows")
    calls = (
        db.read_memories,
        db.table_exists,
        db.create,
        db.count_memories,
        db.list_users,
        db.ping,
        db.clear,
        lambda: db.read_memory("a"),
        lambda: db.read_memory("a", user_id="ann"),
        lambda: db.page_memories("ann", limit=1),
        lambda: db.upsert_memories([ROW]),
        lambda: db.delete_memories(["a"], user_id="ann"),
        db.upgrade,
        db.drop_table,
    )
    for call in calls:
        with pytest.raises(SchemaError, match="nobody knows"):
            call()
    server.clear_faults()
    db.create()
    server.fault(method="Commit", times=-1, code=code, text="nobody knows")
    with pytest.raises(SchemaError, match="nobody knows"):
        db.drop_table()
    db.close()
