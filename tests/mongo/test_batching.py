"""Many tasks of one event loop: their writes and reads share commands, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.database import Database

from buddy.memory.errors import (
    ConflictError,
    CorruptMemoryError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.rows import StoredMemoryRow
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_mongo import bson_payload
from buddy_memory_mongo.batched_store import BYTES
from tests.mongo.test_failures import failing
from tests.mongo.test_queries import Commands

AT_ONCE = 64
Play = Callable[[Callable[[AsyncMongoMemoryDb], Awaitable[None]]], None]


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def play(server_url: str, database: Database, commands: Commands) -> Play:
    """Run an asynchronous function on a store that has read and written before."""

    def play(act: Callable[[AsyncMongoMemoryDb], Awaitable[None]]) -> None:
        async def main() -> None:
            async with AsyncMongoClient(
                server_url, event_listeners=[commands], appname="buddy-memory"
            ) as client:
                db = AsyncMongoMemoryDb("notes", db_name=database.name, client=client)
                await db.upsert_memory(row(-1))
                await db.upsert_summary(SummaryRow({}, "none"))
                commands.sent.clear()
                await act(db)

        asyncio.run(main())

    return play


def row(n: int, user: str = "ann", **payload: Any) -> MemoryRow:
    return MemoryRow({"n": n, **payload}, f"{n:03}", user)


def test_writes_share_commands(play: Play, commands: Commands) -> None:
    """Many rows at once take few commands, and every task gets its own row back."""

    async def act(db: AsyncMongoMemoryDb) -> None:
        rows = await asyncio.gather(*[db.upsert_memory(row(n, f"u{n}")) for n in range(AT_ONCE)])
        assert Counter(name for name, _ in commands.sent) == {"findAndModify": 1, "update": 1}
        assert [(r.id, r.memory, r.version) for r in rows] == [
            (f"{n:03}", {"n": n}, 1) for n in range(AT_ONCE)
        ]
        again = await asyncio.gather(*[db.upsert_memory(row(n, f"u{n}")) for n in range(AT_ONCE)])
        assert [r.version for r in again] == [2] * AT_ONCE
        assert [r.created_at for r in again] == [r.created_at for r in rows]
        assert await db.read_memories(sort="asc", limit=AT_ONCE + 1) == [
            await db.read_memory("-01"),
            *again,
        ]

    play(act)


def test_what_cannot_share_goes_alone(play: Play, commands: Commands) -> None:
    """Large rows and conditional writes have commands of their own."""

    async def act(db: AsyncMongoMemoryDb) -> None:
        large = row(1, text="x" * BYTES)
        for call in (db.upsert_memory(large), db.upsert_memory(row(-1), if_version=1)):
            # The first goes at once, the others would go together.
            await asyncio.gather(db.upsert_memory(row(2)), db.upsert_memory(row(3)), call)
        assert {name for name, _ in commands.sent} == {"findAndModify"}

    play(act)


def test_reads_share_commands(play: Play, commands: Commands) -> None:
    """Reads by user and id at once share commands; what is not there, or another's, is None."""

    async def act(db: AsyncMongoMemoryDb) -> None:
        rows = await db.upsert_memories([row(n) for n in range(30)])
        commands.sent.clear()
        found = await asyncio.gather(
            *[db.read_memory(f"{n:03}", user_id="ann") for n in range(40)],
            *[db.read_memory(f"{n:03}", user_id="bob") for n in range(10)],
        )
        assert found == [*rows, *[None] * 20]
        assert Counter(name for name, _ in commands.sent) == {"find": 1, "aggregate": 1}
        many = await asyncio.gather(*[db.read_memory("001", user_id="ann") for _ in range(4)])
        assert many == [rows[1]] * 4
        assert many[2] is not None
        many[2].memory["n"] = "changed"
        assert many[3] == rows[1]

    play(act)


def test_users_with_the_same_ids_are_kept_apart(play: Play, commands: Commands) -> None:
    """Rows of many users with one id at once are written, updated and read each for itself."""

    async def act(db: AsyncMongoMemoryDb) -> None:
        users = [f"u{n}" for n in range(20)]
        for version in (1, 2):
            rows = await asyncio.gather(
                *[db.upsert_memory(row(n % 3, user, of=user)) for n, user in enumerate(users)]
            )
            assert [(r.user_id, r.memory["of"], r.version) for r in rows] == [
                (user, user, version) for user in users
            ]
        commands.sent.clear()
        found = await asyncio.gather(
            *[db.read_memory(f"{n % 3:03}", user_id=user) for n, user in enumerate(users)]
        )
        assert found == rows
        assert Counter(name for name, _ in commands.sent) == {"find": 1, "aggregate": 1}
        assert await db.count_memories() == 21

    play(act)


def test_one_row_by_many(play: Play, commands: Commands) -> None:
    """Of many writes of one id at once, each counts, and hears of its own version."""

    async def act(db: AsyncMongoMemoryDb) -> None:
        rows = await asyncio.gather(*[db.upsert_memory(row(1, k=k)) for k in range(AT_ONCE)])
        assert sorted(r.version for r in rows) == list(range(1, AT_ONCE + 1))
        assert "update" not in {name for name, _ in commands.sent}
        assert await db.read_memory("001", user_id="ann") == max(rows, key=lambda r: r.version)

    play(act)


def test_refusals_are_ones_own(
    play: Play, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused to one task does not touch the others of its command."""
    monkeypatch.setattr(bson_payload, "MAX_BYTES", 100_000)

    async def act(db: AsyncMongoMemoryDb) -> None:
        database["notes"].insert_many({"id": f"{n:03}", "user_id": "bob"} for n in range(0, 20, 2))
        ended = await asyncio.gather(
            *[db.upsert_memory(row(n, "ann" if n % 2 else "bob")) for n in range(20)],
            db.upsert_memory(row(3), if_version=7),
            db.upsert_memory(row(30, text="x" * 200_000)),
            return_exceptions=True,
        )
        kinds = [SchemaError, StoredMemoryRow] * 10
        assert [type(one) for one in ended] == [*kinds, ConflictError, TooLargeError]
        assert await db.count_memories() == 11

    play(act)


def test_damage_is_ones_own(play: Play, database: Database) -> None:
    """A row that cannot be read raises to the tasks that asked for it alone."""

    async def act(db: AsyncMongoMemoryDb) -> None:
        await db.upsert_memories([row(n) for n in range(4)])
        database["notes"].update_one({"id": "002"}, {"$set": {"memory": 7}})
        ended = await asyncio.gather(
            *[db.read_memory(f"{n:03}", user_id="ann") for n in range(4)], return_exceptions=True
        )
        kinds = [StoredMemoryRow, StoredMemoryRow, CorruptMemoryError, StoredMemoryRow]
        assert [type(one) for one in ended] == kinds

    play(act)


def test_memories_and_summaries_at_once(play: Play) -> None:
    """Rows of both kinds do not get into each other's collections."""

    async def act(db: AsyncMongoMemoryDb) -> None:
        calls: list[Awaitable[Any]] = []
        for n in range(8):
            calls += [db.upsert_memory(row(n)), db.upsert_summary(SummaryRow({"s": n}, f"{n}"))]
        await asyncio.gather(*calls)
        assert (await db.count_memories(), await db.count_summaries()) == (9, 9)
        found = await asyncio.gather(*[db.read_summary(f"{n}") for n in range(8)])
        assert [one.summary if one else None for one in found] == [{"s": n} for n in range(8)]

    play(act)


def test_an_interruption_is_told_to_all(play: Play, client: MongoClient) -> None:
    """Where the server is gone for a moment, every task hears that it was."""

    async def act(db: AsyncMongoMemoryDb) -> None:
        with failing(client, 1_000, ["findAndModify", "update"], errorCode=50):
            ended = await asyncio.gather(
                *[db.upsert_memory(row(n)) for n in range(8)], return_exceptions=True
            )
        assert {type(one) for one in ended} == {UnavailableError}
        assert await db.count_memories() == 1

    play(act)


class Overtake(Commands):
    """Has another client write each time before the client reads how its rows are now."""

    def __init__(self, write: Callable[[], object]) -> None:
        super().__init__()
        self.write = write

    def started(self, event: Any) -> None:
        if event.command_name == "find" and "stamp" in event.command.get("projection", ()):
            self.write()


def test_the_version_of_a_later_write_is_not_returned(
    server_url: str, url: str, database: Database
) -> None:
    """A bulk write does not return the version of what another client wrote after it."""
    with MongoMemoryDb("notes", url) as other:
        other.upsert_memories([row(1), row(2)])
        overtake = Overtake(lambda: other.upsert_memory(row(1, theirs=True)))
        with MongoClient(server_url, event_listeners=[overtake]) as client:
            db = MongoMemoryDb("notes", db_name=database.name, client=client)
            one, two = db.upsert_memories([row(1, ours=True), row(2, ours=True)])
            assert (one.version, two.version) == (2, 2)
            with pytest.raises(ConflictError):
                db.upsert_memory(row(1), if_version=one.version)
            assert db.upsert_memory(row(2), if_version=two.version).version == 3
        found = other.read_memory("001")
        assert found is not None
        assert found.memory == {"n": 1, "theirs": True}


def test_a_row_deleted_right_after_is_returned(
    server_url: str, url: str, database: Database
) -> None:
    """A bulk write returns each of its rows, also one that another client deletes at once."""
    with MongoMemoryDb("notes", url) as other:
        other.upsert_memories([row(1), row(2)])
        overtake = Overtake(lambda: other.delete_memory("001"))
        with MongoClient(server_url, event_listeners=[overtake]) as client:
            db = MongoMemoryDb("notes", db_name=database.name, client=client)
            rows = db.upsert_memories([row(1, ours=True), row(2, ours=True)])
        assert [(r.id, r.memory["ours"]) for r in rows] == [("001", True), ("002", True)]
        assert [r.id for r in other.read_memories()] == ["002"]
