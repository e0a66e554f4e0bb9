"""What the server is asked for: filters that an index answers by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener

from buddy.memory.errors import ConflictError, OwnerMismatchError
from buddy.memory.v2.db.mongodb import MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_mongo import bulk

ROWS = [MemoryRow({"n": n}, f"id-{n}", "ann") for n in range(30)]


class Commands(CommandListener):
    """Keeps the commands that a client sends, with their names."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def started(self, event: Any) -> None:
        self.sent.append((event.command_name, event.command))

    def succeeded(self, event: Any) -> None:
        """Of no interest."""

    def failed(self, event: Any) -> None:
        """Of no interest."""


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def db(server_url: str, database: Database, commands: Commands) -> Iterator[MongoMemoryDb]:
    """A store that has read and written before."""
    with MongoClient(server_url, event_listeners=[commands]) as client:
        db = MongoMemoryDb("notes", db_name=database.name, client=client)
        db.upsert_memories(ROWS)
        commands.sent.clear()
        yield db


def test_the_first_answer_needs_no_look_at_the_indexes(
    server_url: str, database: Database, commands: Commands
) -> None:
    """A store that finds a row at its first call knows by it that the collection is ours."""
    calls: list[Callable[[MongoMemoryDb], object]] = [
        lambda db: db.read_memory("id-1"),
        lambda db: db.memory_exists(ROWS[1]),
        lambda db: db.read_memories("ann", limit=20),
        lambda db: db.count_memories("ann"),
        lambda db: db.delete_memory("id-1"),
        lambda db: db.delete_memories(["id-2", "id-3"]),
        lambda db: db.clear(),
    ]
    with MongoClient(server_url, event_listeners=[commands]) as client:
        for sharded in (False, True):
            name = f"notes_{sharded}"
            MongoMemoryDb(name, client=client, db_name=database.name).upsert_memories(ROWS)
            commands.sent.clear()
            for call in calls:
                assert call(
                    MongoMemoryDb(name, client=client, db_name=database.name, sharded=sharded)
                )
            looks = [command for name, command in commands.sent if name == "listIndexes"]
            # clear() finds no summaries.
            assert [command["listIndexes"] for command in looks] == [f"{name}_summaries"]


@pytest.mark.parametrize("user_id", [None, "ann"])
def test_reads_by_id_ask_for_the_id_alone(
    db: MongoMemoryDb, commands: Commands, user_id: str | None
) -> None:
    """The server finds the document by the index of the ids, and compares nothing else."""
    assert db.read_memory("id-1", user_id=user_id) is not None
    assert db.memory_exists(MemoryRow({}, "id-1", user_id)) is True
    assert [command["filter"] for _, command in commands.sent] == [{"id": "id-1"}] * 2
    assert set(commands.sent[1][1]["projection"]) == {"_id", "user_id", "buddy_memory"}


def test_a_sharded_store_names_the_user(
    server_url: str, database: Database, commands: Commands
) -> None:
    """On a sharded cluster a read by id that knows the user reaches one shard."""
    with MongoClient(server_url, event_listeners=[commands]) as client:
        db = MongoMemoryDb("notes", db_name=database.name, client=client, sharded=True)
        db.create()
        commands.sent.clear()
        db.read_memory("id-1", user_id="ann")
        db.read_memory("id-1")
        filters = [command["filter"] for _, command in commands.sent]
    assert filters == [{"id": "id-1", "user_id": "ann"}, {"id": "id-1"}]


def test_listings_ask_for_the_user_alone(db: MongoMemoryDb, commands: Commands) -> None:
    """The index of users and places answers a listing, in its order."""
    assert len(db.read_memories("ann", limit=20)) == 20
    assert [command["filter"] for _, command in commands.sent] == [{"user_id": "ann"}]
    assert list(commands.sent[0][1]["sort"].items()) == [("_id", -1)]


def test_what_decides_a_write_is_read_from_the_primary(
    server_url: str, database: Database, commands: Commands
) -> None:
    """Where a client reads from secondaries, listings do; what a write has to know does not."""
    with MongoClient(
        server_url, event_listeners=[commands], readPreference="secondaryPreferred"
    ) as client:
        db = MongoMemoryDb("notes", db_name=database.name, client=client)
        db.upsert_memories(ROWS)
        db.upsert_memories(ROWS)
        with pytest.raises(ConflictError):
            db.upsert_memory(ROWS[0], if_version=7)
        written = preferences(commands)
        commands.sent.clear()
        db.read_memories("ann")
        assert preferences(commands) == {"secondaryPreferred"}
    assert "secondaryPreferred" not in written


def test_a_bulk_goes_in_parts(
    db: MongoMemoryDb, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many rows are many commands, which keep the order, refuse what they must and go on."""
    monkeypatch.setattr(bulk, "_PART", 10)
    rows = [MemoryRow({"n": n}, f"new-{n}", "bob") for n in range(25)]
    assert db.upsert_memories(rows) == db.read_memories("bob", sort="asc")
    assert [name for name, _ in commands.sent] == ["update"] * 3 + ["find"]
    again = [MemoryRow({"n": -n}, f"new-{n}", "eve" if n in (3, 24) else "bob") for n in range(25)]
    with pytest.raises(OwnerMismatchError) as raised:
        db.upsert_memories(again)
    assert raised.value.stored_ids == tuple(f"new-{n}" for n in range(25) if n not in (3, 24))
    assert [row.version for row in db.read_memories("bob", sort="asc")].count(2) == 23


def preferences(commands: Commands) -> set[str]:
    """From where the listings and the reads by id were asked for."""
    finds = [command for name, command in commands.sent if name == "find"]
    return {c.get("$readPreference", {}).get("mode") for c in finds if "$ne" not in str(c)}
