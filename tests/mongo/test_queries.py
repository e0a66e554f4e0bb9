"""What the server is asked for: filters that an index answers by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener

from buddy.memory.errors import ConflictError, SchemaError
from buddy.memory.storage.record import EVERYBODY, Key, Kind, Scope
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.mongodb import MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_mongo import bulk, deletions, lookups
from buddy_memory_mongo.ends import ALIVE

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


def test_the_first_answer_needs_no_check_of_the_indexes(
    server_url: str, database: Database, commands: Commands
) -> None:
    """A store that finds a row at its first call knows by it that the collection is ours."""
    calls: list[Callable[[MongoMemoryDb], object]] = [
        lambda db: db.read_memory("id-1"),
        lambda db: db.memory_exists(ROWS[1]),
        lambda db: db.read_memory("id-1", user_id="ann"),
        lambda db: db.read_memories_by_id(["id-1"], user_id="ann"),
        lambda db: db.read_memories("ann", limit=20),
        lambda db: db.list_users(),
        lambda db: db.list_users(limit=1),
        lambda db: db.count_memories("ann"),
        lambda db: db.delete_memory("id-1"),
        lambda db: db.delete_memories(["id-2", "id-3"]),
        lambda db: db.clear(),
    ]
    with MongoClient(server_url) as client:
        MongoMemoryDb("notes", client=client, db_name=database.name).upsert_memories(ROWS)
    for call in calls:
        # A client of its own shares no state with others.
        with MongoClient(server_url, event_listeners=[commands]) as client:
            assert call(MongoMemoryDb("notes", client=client, db_name=database.name))
    checks = {command["listIndexes"] for name, command in commands.sent if name == "listIndexes"}
    assert checks == {"notes_summaries"}  # There are none.


def test_reads_ask_for_what_the_indexes_have(db: MongoMemoryDb, commands: Commands) -> None:
    """Reads by user and id name the fields of one index and nothing else, and those by id alone
    whether the row has ended besides."""
    assert db.read_memory("id-1", user_id="ann") is not None
    assert db.memory_exists(ROWS[1]) is True
    assert db.memory_exists(MemoryRow({}, "id-1")) is False
    assert db.read_memory("id-1") is not None
    assert [command["filter"] for _, command in commands.sent] == [
        {"id": "id-1", "user_id": "ann"},
        {"id": "id-1", "user_id": "ann"},
        {"id": "id-1", "user_id": ""},
        {"id": "id-1", **ALIVE},
    ]
    assert set(commands.sent[1][1]["projection"]) == {"_id", "buddy_memory", "expires_at"}
    assert commands.sent[3][1]["limit"] == 2


def test_many_keys_are_read_by_one_command(db: MongoMemoryDb, commands: Commands) -> None:
    """Rows of one user, or of several, are read at once, and no other rows of theirs."""
    db.upsert_memories(MemoryRow({}, f"id-{n}", "bob") for n in range(30))
    commands.sent.clear()
    store = db._rules.store
    for keys in (
        [Key("ann", f"id-{n}") for n in range(20)],
        [Key("ann", "id-3"), Key("bob", "id-3")],
        [Key("ann" if n % 2 else "bob", f"id-{n}") for n in range(20)],
    ):
        found = run(store.get_many(Kind.MEMORY, keys))
        assert [row and row.key for row in found] == keys
    assert [name for name, _ in commands.sent] == ["find", "find", "aggregate"]


def test_ids_are_read_by_one_command(
    db: MongoMemoryDb, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids are read at once; where many users have one of them, the others are read after it."""
    store = db._rules.store
    assert len(run(store.find(Kind.MEMORY, [row.id for row in ROWS]))) == len(ROWS)
    assert [name for name, _ in commands.sent] == ["find"]
    db.upsert_memories(MemoryRow({}, "id-1", f"user {n}") for n in range(30))
    found = run(store.find(Kind.MEMORY, ["id-0", "id-1", "id-2", "none"]))
    assert sorted(row.id for row in found) == ["id-0", "id-1", "id-1", "id-2"]
    monkeypatch.setattr(lookups, "PART", 10)
    assert len(run(store.find(Kind.MEMORY, [row.id for row in ROWS]))) == len(ROWS) + 1


def test_users_are_skipped_from_one_to_the_next(
    db: MongoMemoryDb, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of users reads a few entries for each of them; all users come by one command."""
    db.upsert_memories(MemoryRow({}, f"{n}", f"u{n % 4}") for n in range(40))
    store = db._rules.store
    monkeypatch.setattr(lookups, "_KEYS", 5)
    commands.sent.clear()
    users = run(store.users(Kind.MEMORY, prefix="u", after="u0", limit=2))
    assert users == ["u1", "u2"]
    assert [command["limit"] for _, command in commands.sent] == [5, 5]
    assert [command["filter"] for _, command in commands.sent] == [
        {"user_id": {"$gt": "u0", "$lt": "v"}, **ALIVE},
        {"user_id": {"$gt": "u1", "$lt": "v"}, **ALIVE},
    ]
    commands.sent.clear()
    assert run(store.users(Kind.MEMORY, prefix="", after=None, limit=None)) == [
        *("ann", "u0", "u1", "u2", "u3")
    ]
    assert [name for name, _ in commands.sent] == ["aggregate"]


@pytest.mark.parametrize("scope", [EVERYBODY, Scope.of_user("ann"), Scope.of_prefix("an")])
def test_a_scope_is_deleted_in_parts(
    db: MongoMemoryDb, commands: Commands, monkeypatch: pytest.MonkeyPatch, scope: Scope
) -> None:
    """Many rows take many commands, and rows that are written meanwhile stay."""
    monkeypatch.setattr(deletions, "PART", 7)
    store, delete_each, written = db._rules.store, deletions.delete_each, 0

    async def write_meanwhile(*arguments: Any) -> int:
        nonlocal written
        deleted = await delete_each(*arguments)
        for _ in range(9):
            written += 1
            db.upsert_memory(MemoryRow({}, f"new {written}", "ann"))
        return deleted

    monkeypatch.setattr(deletions, "delete_each", write_meanwhile)
    deleted = run(store.delete_all(Kind.MEMORY, scope))
    # What is written until the newest row is read may go, too.
    assert 30 <= deleted <= 30 + 9
    assert db.count_memories() == 30 + written - deleted
    assert len([name for name, _ in commands.sent if name == "delete"]) < 10


def test_listings_ask_for_the_user_alone(db: MongoMemoryDb, commands: Commands) -> None:
    """The index of users and places answers a listing, in its order."""
    assert len(db.read_memories("ann", limit=20)) == 20
    assert [command["filter"] for _, command in commands.sent] == [{"user_id": "ann", **ALIVE}]
    assert list(commands.sent[0][1]["sort"].items()) == [("_id", -1)]


def test_listings_of_a_prefix_do_not_go_through_everybody(
    db: MongoMemoryDb, commands: Commands
) -> None:
    """The sort of a prefix is one that the index of places cannot answer."""
    assert len(db.read_memories(user_prefix="an", limit=20)) == 20
    assert [command["filter"] for _, command in commands.sent] == [
        {"user_id": {"$gte": "an", "$lt": "ao"}, **ALIVE}
    ]
    assert list(commands.sent[0][1]["sort"].items()) == [("_id", -1), ("user_id", 1)]


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
    db: MongoMemoryDb, database: Database, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many rows are many commands, which keep the order, refuse what they must and go on."""
    monkeypatch.setattr(bulk, "PART", 10)
    rows = [MemoryRow({"n": n}, f"new-{n}", "bob") for n in range(25)]
    assert db.upsert_memories(rows) == db.read_memories("bob", sort="asc")
    assert [name for name, _ in commands.sent] == ["find", *["update"] * 3, "find"]
    database["notes"].insert_many({"id": f"new-{n}", "user_id": "eve"} for n in (3, 24))
    again = [MemoryRow({"n": -n}, f"new-{n}", "eve" if n in (3, 24) else "bob") for n in range(25)]
    with pytest.raises(SchemaError) as raised:
        db.upsert_memories(again)
    stored = tuple(("bob", f"new-{n}") for n in range(25) if n not in (3, 24))
    assert raised.value.stored == stored
    assert [row.version for row in db.read_memories("bob", sort="asc")].count(2) == 23


def preferences(commands: Commands) -> set[str]:
    """From where the listings and the reads by id were asked for."""
    finds = [command for name, command in commands.sent if name == "find"]
    return {c.get("$readPreference", {}).get("mode") for c in finds if "$ne" not in str(c)}
