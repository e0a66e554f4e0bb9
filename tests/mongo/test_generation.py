"""Cursors of a collection that is not there any more, or of another one, are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from buddy.memory.errors import ConfigError
from buddy.memory.storage.record import Kind
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.mongodb import MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.mongo.test_failures import failing
from tests.mongo.test_queries import Commands
from tests.servers.mongo import MongoServer

ROWS = [MemoryRow({}, f"{n}", "ann") for n in range(4)]


def generation(db: MongoMemoryDb, kind: Kind = Kind.MEMORY) -> str:
    return str(run(db._rules.store.generation(kind)))


def test_a_generation_is_that_of_the_collection(url: str) -> None:
    """It is empty before there is a collection, stays while there is one, and never comes again."""
    with MongoMemoryDb("notes", url) as db, MongoMemoryDb("notes", f"{url}&appName=b") as other:
        assert generation(db) == generation(db, Kind.SUMMARY) == ""
        seen = [""]
        for _ in range(3):
            db.create()
            seen.append(generation(db))
            db.upsert_memories(ROWS)
            db.clear()
            assert generation(db) == generation(other) == seen[-1]
            assert generation(db, Kind.SUMMARY) not in seen
            db.drop_table()
        assert len(set(seen)) == 4


def test_a_cursor_of_another_collection_is_refused(url: str) -> None:
    """A cursor from before drop_table(), or of another store, is a ConfigError."""
    with MongoMemoryDb("notes", url) as db, MongoMemoryDb("others", url) as others:
        for each in (db, others):
            each.upsert_memories(ROWS)
        page = db.page_memories("ann", limit=2)
        assert page.next is not None
        assert db.page_memories("ann", limit=2, after=page.next).next is None
        with pytest.raises(ConfigError, match="cursor"):
            others.page_memories("ann", limit=2, after=page.next)
        db.drop_table()
        with pytest.raises(ConfigError, match="cursor"):
            db.page_memories("ann", limit=2, after=page.next)
        db.upsert_memories(ROWS)
        with pytest.raises(ConfigError, match="cursor"):
            db.page_memories("ann", limit=2, after=page.next)


def test_it_is_read_only_for_a_cursor(server_url: str, database: Database) -> None:
    """A page that is the only one needs no other command."""
    commands = Commands()
    with MongoClient(server_url, event_listeners=[commands]) as client:
        db = MongoMemoryDb("notes", db_name=database.name, client=client)
        db.upsert_memories(ROWS)
        for limit, expected in ((9, ["find"]), (2, ["find", "listCollections"])):
            commands.sent.clear()
            db.page_memories("ann", limit=limit)
            assert [name for name, _ in commands.sent] == expected


@pytest.mark.parametrize(
    "how", [{"errorCode": 13}, None], ids=["a role without the right", "a server without uuids"]
)
def test_where_the_server_does_not_tell(how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the collection's uuid, its name tells cursors of other collections."""
    server = MongoServer()
    try:
        with MongoClient(server.url) as client, MongoMemoryDb("notes", server.url) as db:
            db.create()
            if how is None:
                found = [{"name": "notes", "info": {"readOnly": False}}]

                async def list_collections(filter: Any) -> Any:
                    return found

                store = db._rules.store
                monkeypatch.setattr(store.database, "list_collections", list_collections)
                assert generation(db) == "buddy.notes"
            else:
                with failing(client, 1, ["listCollections"], **how):
                    assert generation(db) == "buddy.notes"
    finally:
        server.stop()
