"""Interruptions lose and double nothing; refusals are named; nothing of others is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from bson import errors as bson_errors
from pymongo import AsyncMongoClient, MongoClient
from pymongo import errors as driver_errors
from pymongo.database import Database

from buddy.memory.errors import (
    AccessError,
    ClosedError,
    ConfigError,
    MemoryDbError,
    SchemaError,
    UnavailableError,
)
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_mongo import schema
from buddy_memory_mongo.errors import BulkRefused, Duplicate, meaning, translate
from tests.servers.mongo import MongoServer

SECRET = "hunter2-is-secret"  # noqa: S105
WRITES = ["findAndModify", "update", "insert", "delete"]
READS = ["find", "aggregate", "listIndexes"]


@contextmanager
def failing(client: MongoClient, times: int, commands: list[str], **how: Any) -> Iterator[None]:
    """Let the server fail the next commands of a store, whose client is named buddy-memory."""
    data = {"failCommands": commands, "appName": "buddy-memory", **how}
    client.admin.command("configureFailPoint", "failCommand", mode={"times": times}, data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.fixture
def own_server() -> Iterator[MongoServer]:
    """A server that the test may hurt."""
    server = MongoServer()
    yield server
    server.stop()


def watchful(server: MongoServer) -> str:
    """Return a URL by which the driver soon sees that the server is primary again."""
    return f"{server.url}&serverMonitoringMode=poll&heartbeatFrequencyMS=500"


INTERRUPTIONS = {
    "dropped connection": {"closeConnection": True},
    "not primary": {"errorCode": 10107, "errorLabels": ["RetryableWriteError"]},
    "shutting down": {"errorCode": 91, "errorLabels": ["RetryableWriteError"]},
}


@pytest.mark.parametrize("how", INTERRUPTIONS.values(), ids=INTERRUPTIONS)
def test_one_interruption_is_not_seen(own_server: MongoServer, how: dict[str, Any]) -> None:
    """Single and bulk writes, deletions and reads survive an interruption, each done once."""
    with MongoClient(own_server.url) as client, MongoMemoryDb("notes", watchful(own_server)) as db:
        db.create()
        for n in range(3):
            with failing(client, 1, WRITES, **how):
                assert db.upsert_memory(MemoryRow({"n": n}, "a", "ann")).version == n + 1
        with failing(client, 1, WRITES, **how):
            db.upsert_memories([MemoryRow({"n": n}, str(n), "ann") for n in range(5)])
        with failing(client, 1, READS, **how):
            assert [row.version for row in db.read_memories("ann", sort="asc")] == [3, *[1] * 5]
        with failing(client, 1, WRITES, **how):
            assert db.delete_memory("a", user_id="ann") is True
        with failing(client, 1, WRITES, **how):
            assert db.delete_memories(["0", "1", "none"], user_id="ann") == 2
        assert db.count_memories() == 3
        with failing(client, 1, WRITES, **how):
            assert db.delete_user("ann") == {"memories": 3, "summaries": 0}


def test_an_interruption_that_goes_on_is_unavailable(own_server: MongoServer) -> None:
    """What the driver's retry does not overcome raises, and nothing is stored."""
    with MongoClient(own_server.url) as client, MongoMemoryDb("notes", own_server.url) as db:
        db.create()
        with failing(client, 100, [*WRITES, *READS], closeConnection=True):
            with pytest.raises(UnavailableError):
                db.upsert_memory(MemoryRow({}, "a"))
            with pytest.raises(UnavailableError) as raised:
                db.upsert_memories([MemoryRow({}, "b"), MemoryRow({}, "c")])
            with pytest.raises(UnavailableError):
                db.read_memories()
        assert raised.value.stored == ()
        assert db.read_memories() == []


def test_an_interrupted_bulk_tells_what_is_stored(own_server: MongoServer) -> None:
    """A bulk write that was done but not acknowledged raises with the ids that are stored."""
    concern = {"code": 64, "errmsg": "waiting for replication timed out"}
    with MongoClient(own_server.url) as client, MongoMemoryDb("notes", own_server.url) as db:
        db.upsert_memory(MemoryRow({}, "old", "ann"))
        with failing(client, 1, ["update"], writeConcernError=concern):
            with pytest.raises(UnavailableError) as raised:
                db.upsert_memories(MemoryRow({}, id, "ann") for id in ("new", "old"))
        assert sorted(raised.value.stored) == [("ann", "new"), ("ann", "old")]
        assert db.count_memories() == 2


def test_an_interrupted_bulk_with_times_of_its_own_tells_what_is_stored(
    own_server: MongoServer,
) -> None:
    """Rows with times given, new and changed ones, are known by their stamps."""
    concern = {"code": 64, "errmsg": "waiting for replication timed out"}
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    rows = [MemoryRow({"n": 1}, id, "ann", last_updated=past) for id in ("new", "old")]
    with MongoClient(own_server.url) as client, MongoMemoryDb("notes", own_server.url) as db:
        db.upsert_memory(MemoryRow({}, "old", "ann"))
        with failing(client, 1, ["update"], writeConcernError=concern):
            with pytest.raises(UnavailableError) as raised:
                db.upsert_memories(rows)
        assert sorted(raised.value.stored) == [("ann", "new"), ("ann", "old")]
        assert {row.version for row in db.read_memories()} == {1, 2}


def test_an_interrupted_bulk_does_not_claim_what_stood_before(own_server: MongoServer) -> None:
    """A row that an earlier call stored is not among the ids of one that stored nothing."""
    with MongoClient(own_server.url) as client, MongoMemoryDb("notes", own_server.url) as db:
        old = db.upsert_memory(MemoryRow({}, "old"))
        client["buddy"]["notes"].insert_one({"id": "theirs", "user_id": ""})
        with failing(client, 100, WRITES, closeConnection=True):
            with pytest.raises(UnavailableError) as raised:
                db.upsert_memories(MemoryRow({}, id) for id in ("new", "old", "theirs"))
        assert raised.value.stored == ()
        assert db.read_memories() == [old]


def test_a_step_down_loses_and_doubles_nothing(own_server: MongoServer) -> None:
    """A write during a step-down is done once, or raises UnavailableError and was not done."""
    url = watchful(own_server)
    with MongoClient(url) as client, MongoMemoryDb("notes", url) as db:
        db.create()
        for n in range(2):
            client.admin.command(
                {"replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": True}
            )
            assert upsert_until_done(db, MemoryRow({"n": n}, "a")).version == n + 1


def upsert_until_done(db: MongoMemoryDb, row: MemoryRow) -> MemoryRow:
    while True:
        try:
            return db.upsert_memory(row)
        except UnavailableError:
            continue


def test_a_restarted_server_is_found_again(tmp_path: Path) -> None:
    """The next call after a restart of the server works, and everything is there."""
    server = MongoServer(folder=tmp_path)
    with MongoMemoryDb("notes", server.url) as db:
        row = db.upsert_memory(MemoryRow({"n": 1}, "a"))
        server.stop()
        server.start()
        try:
            assert db.read_memories() == [row]
            assert db.upsert_memory(MemoryRow({"n": 2}, "a")).version == 2
        finally:
            server.stop()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:1/?serverSelectionTimeoutMS=300",
        "{server}/?replicaSet=wrong&serverSelectionTimeoutMS=300",
        "no-such-host.invalid/?serverSelectionTimeoutMS=300",
    ],
    ids=["nobody listens", "another replica set", "unknown host"],
)
def test_a_server_that_cannot_be_used_is_unavailable(server_url: str, address: str) -> None:
    """Without a usable server every call raises UnavailableError, without the password."""
    address = address.format(server=server_url.split("//")[1].split("/")[0])
    with MongoMemoryDb("notes", f"mongodb://ann:{SECRET}@{address}") as db:
        for call in (db.read_memories, db.create, lambda: db.upsert_memory(MemoryRow({}))):
            with pytest.raises(UnavailableError) as raised:
                call()
            assert SECRET not in f"{raised.value}{raised.value.__cause__!r}"


def test_wrong_credentials_and_missing_rights_are_told_apart(tmp_path: Path) -> None:
    """A wrong password and a role that is too small raise AccessError; a larger role works."""
    server = MongoServer(folder=tmp_path)
    with MongoClient(server.url) as client:
        admin, app = client.admin, client["app"]
        admin.command("createUser", "root", pwd=SECRET, roles=["root"])
        app.command("createUser", "writer", pwd=SECRET, roles=["readWrite"])
        app.command("createUser", "reader", pwd=SECRET, roles=["read"])
    server.stop()
    guarded = MongoServer("--auth", folder=tmp_path)
    try:
        host = f"127.0.0.1:{guarded.port}/app?serverSelectionTimeoutMS=500"
        with MongoMemoryDb("notes", f"mongodb://writer:wrong-{SECRET}@{host}") as db:
            for call in (db.ping, db.read_memories, lambda: db.upsert_memory(MemoryRow({}))):
                with pytest.raises(AccessError) as raised:
                    call()
                assert SECRET not in f"{raised.value}{raised.value.__cause__!r}"
        with MongoMemoryDb("notes", f"mongodb://reader:{SECRET}@{host}") as reader:
            assert reader.read_memories() == []
            with pytest.raises(AccessError, match="createIndex") as raised:
                reader.create()
            assert "user_id: 1, id: 1}, {unique: true}" in str(raised.value.statement)
            with MongoMemoryDb("notes", f"mongodb://writer:{SECRET}@{host}") as writer:
                row = writer.upsert_memory(MemoryRow({}, "a"))
            assert reader.read_memories() == [row]
            reader.create()
            with pytest.raises(AccessError):
                reader.upsert_memory(MemoryRow({}, "b"))
    finally:
        guarded.stop()


def test_a_service_that_refuses_to_make_indexes_works_on_existing_ones(
    own_server: MongoServer,
) -> None:
    """Where createIndexes is refused, existing indexes do, and missing ones are named."""
    with MongoClient(own_server.url) as client, MongoMemoryDb("notes", own_server.url) as first:
        with failing(client, 100, ["createIndexes"], errorCode=13):
            with pytest.raises(AccessError, match="createIndex") as raised:
                first.upsert_memory(MemoryRow({}, "a"))
            statement = str(raised.value.statement)
            assert statement.count('db.getCollection("notes").createIndex(') == 4
            assert first.table_exists() is False
        first.create()
        with failing(client, 100, ["createIndexes"], errorCode=13):
            with MongoMemoryDb("notes", own_server.url) as second:
                second.create()
                assert second.upsert_memory(MemoryRow({}, "a")).version == 1


FOREIGN = [
    {"_id": 1, "id": "a", "user_id": "ann", "memory": {"not": "ours"}, "version": 3},
    {"title": "an order", "created_at": 5},
]


@pytest.mark.parametrize("document", FOREIGN, ids=["alike", "different"])
def test_a_collection_of_other_documents_is_refused(
    url: str, database: Database, document: dict[str, Any]
) -> None:
    """A collection that holds other documents is a SchemaError for every call that uses it."""
    database["notes"].insert_one(dict(document))
    before = list(database["notes"].find())
    with MongoMemoryDb("notes", url) as db:
        for call in (
            db.create,
            db.read_memories,
            db.count_memories,
            db.drop_table,
            db.clear,
            lambda: db.delete_memory("a"),
            lambda: db.delete_memory("a", user_id="ann"),
            lambda: db.read_memory("a"),
            lambda: db.read_memory("a", user_id="ann"),
            lambda: db.list_users(),
            lambda: db.change_mark("ann"),
            lambda: db.delete_user("ann"),
            lambda: db.upsert_memory(MemoryRow({}, "a", "ann")),
            lambda: db.upsert_memories([MemoryRow({}, "a", "ann")]),
        ):
            with pytest.raises(SchemaError, match="other"):
                call()
    assert list(database["notes"].find()) == before


def test_documents_that_others_add_later_are_neither_shown_nor_touched(
    url: str, database: Database
) -> None:
    """Foreign documents beside ours are not read, counted, changed, or deleted."""
    with MongoMemoryDb("notes", url) as db:
        row = db.upsert_memory(MemoryRow({}, "mine", "ann"))
        database["notes"].insert_one({"id": "a", "user_id": "ann", "memory": {}, "updated_us": 1})
        theirs = database["notes"].find_one({"id": "a"})
        assert db.read_memories() == db.read_memories("ann") == [row]
        assert (db.count_memories(), db.count_memories("ann")) == (1, 1)
        for user_id in (None, "ann"):
            assert db.read_memory("a", user_id=user_id) is None
            assert db.read_memories_by_id(["a"], user_id=user_id) == [None]
            assert db.delete_memory("a", user_id=user_id) is False
            assert db.delete_memories(["a"], user_id=user_id) == 0
        for write in (
            lambda: db.upsert_memory(MemoryRow({"n": 1}, "a", "ann")),
            lambda: db.upsert_memories([MemoryRow({"n": 1}, "a", "ann")]),
            db.drop_table,
        ):
            with pytest.raises(SchemaError):
                write()
        assert db.delete_user("ann") == {"memories": 1, "summaries": 0}
        db.clear()
        assert list(database["notes"].find()) == [theirs]


def test_a_document_of_others_with_the_same_id_does_not_hide_ours(
    url: str, database: Database
) -> None:
    """Ours is found beside foreign documents with its id, and its user is listed."""
    with MongoMemoryDb("notes", url) as db:
        db.create()
        theirs = [{"id": "a", "user_id": f"user {n}"} for n in range(5)]
        theirs += [{"id": "b", "user_id": "user 3"}, {"id": "c", "user_id": 7}]
        database["notes"].insert_many(theirs)
        assert db.read_memory("a") is None
        assert db.list_users() == db.list_users(limit=9) == []
        rows = db.upsert_memories([MemoryRow({}, "a", "user 9"), MemoryRow({}, "c", "user 3")])
        for user_id in (None, "user 9"):
            assert db.read_memory("a", user_id=user_id) == rows[0]
            assert db.read_memories_by_id(["a"], user_id=user_id) == rows[:1]
        assert db.list_users() == db.list_users(limit=9) == ["user 3", "user 9"]
        assert db.read_memories(user_prefix="user", sort="asc") == rows
        assert db.delete_memory("a") is True
        assert db.delete_users(user_prefix="user") == {"memories": 1, "summaries": 0}
        assert list(database["notes"].find()) == theirs


def test_only_the_mark_makes_a_document_ours(url: str, database: Database) -> None:
    """A document with all fields of ours but the mark is in no listing, and limits none."""
    with MongoMemoryDb("notes", url) as db:
        one, theirs, two = [db.upsert_memory(MemoryRow({"n": n}, f"{n}", "ann")) for n in range(3)]
        database["notes"].update_one({"id": theirs.id}, {"$unset": {"buddy_memory": True}})
        assert db.read_memory("1") is None
        for user_id in (None, "ann"):
            assert db.read_memories(user_id) == [two, one]
            assert db.read_memories(user_id, limit=2) == [two, one]
            assert db.read_memories(user_id, limit=1, sort="asc") == [one]
            for size in (1, 2, 3):
                assert list(db.iter_memories(user_id, "asc", size)) == [one, two]
        database["notes"].update_one({"id": one.id}, {"$unset": {"buddy_memory": True}})
        db.upsert_memory(MemoryRow({}, "3", "ann"))
        assert [row.id for row in db.read_memories(limit=1, sort="asc")] == ["2"]
        assert [row.id for row in db.read_memories("ann")] == ["3", "2"]


@pytest.mark.parametrize("rows", [0, 1])
def test_summaries_do_not_pass_for_memories(url: str, rows: int) -> None:
    """A store named as another one's collection of summaries is refused by every call."""
    with MongoMemoryDb("notes", url) as db, MongoMemoryDb("notes_summaries", url) as other:
        db.create()
        for n in range(rows):
            db.upsert_summary(SummaryRow({"s": 1}, f"{n}"))
        for call in (
            other.table_exists,
            other.create,
            other.drop_table,
            other.clear,
            other.read_memories,
            other.read_summaries,
            other.count_summaries,
            lambda: other.read_summary("a"),
            lambda: other.upsert_memory(MemoryRow({}, "a")),
            lambda: other.upsert_summary(SummaryRow({}, "a")),
        ):
            with pytest.raises(SchemaError, match="other documents"):
                call()
        assert db.count_summaries() == rows


def test_a_collection_of_others_does_not_exist_as_a_table(url: str, database: Database) -> None:
    """Whether there is a table is not told of a collection of other software."""
    database["notes"].insert_one({"title": "an order"})
    with MongoMemoryDb("notes", url) as db:
        for call in (db.table_exists, db.read_summaries):
            with pytest.raises(SchemaError, match="other documents"):
                call()


def test_an_index_of_others_that_refuses_a_row_is_named(url: str, database: Database) -> None:
    """A unique index of other software on another field is a SchemaError that names it."""
    with MongoMemoryDb("notes", url) as db:
        db.create()
        database["notes"].create_index("user_id", unique=True)
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        with pytest.raises(SchemaError, match="user_id"):
            db.upsert_memory(MemoryRow({}, "b", "ann"))


@pytest.mark.parametrize("options", [{}, {"unique": True, "collation": {"locale": "en"}}])
def test_an_index_that_names_no_rows_is_refused(
    url: str, database: Database, options: dict[str, Any]
) -> None:
    """An index of users and ids that is not unique, or has a collation, is a SchemaError."""
    database["notes"].create_index([("user_id", 1), ("id", 1)], **options)
    database["notes"].create_index([("user_id", 1), ("_id", 1)])
    database["notes"].create_index([("id", 1)])
    with MongoMemoryDb("notes", url) as db, pytest.raises(SchemaError, match="collation"):
        db.upsert_memory(MemoryRow({}, "a"))


def test_a_collection_that_others_dropped_gets_its_indexes_again(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Indexes are checked again after a while, so that rows stay unique."""
    with MongoMemoryDb("notes", url) as db:
        db.upsert_memory(MemoryRow({}, "a"))
        database["notes"].drop()
        monkeypatch.setattr(schema, "CHECK_SECONDS", 0.0)
        db.upsert_memory(MemoryRow({}, "a"))
        assert database["notes"].index_information()["user_id_1_id_1"]["unique"] is True


def test_a_closed_client_of_the_caller_is_told(server_url: str, database: Database) -> None:
    """A caller's client that the caller closed raises ClosedError."""
    client: MongoClient[Any] = MongoClient(server_url)
    db = MongoMemoryDb("notes", db_name=database.name, client=client)
    client.close()
    with pytest.raises(ClosedError):
        db.read_memories()


def test_an_async_client_serves_one_loop_only(server_url: str, database: Database) -> None:
    """A caller's AsyncMongoClient in another event loop is a ConfigError, not a RuntimeError."""

    async def main() -> AsyncMongoMemoryDb:
        async with AsyncMongoClient(server_url) as client:
            db = AsyncMongoMemoryDb("notes", db_name=database.name, client=client)
            await db.upsert_memory(MemoryRow({}, "a"))
            error = await asyncio.to_thread(asyncio.run, fail(db))
            assert "event loop" in error
            return db

    async def fail(db: AsyncMongoMemoryDb) -> str:
        with pytest.raises(ConfigError) as raised:
            await db.read_memories()
        return str(raised.value)

    asyncio.run(main())


def every_class(base: type[Exception]) -> list[type[Exception]]:
    return [base, *(found for sub in base.__subclasses__() for found in every_class(sub))]


@pytest.mark.parametrize(
    "kind",
    dict.fromkeys([*every_class(driver_errors.PyMongoError), *every_class(bson_errors.BSONError)]),
    ids=lambda kind: kind.__name__,
)
def test_every_error_of_the_driver_has_a_meaning(kind: type[Exception]) -> None:
    """No class of the driver's errors is left untranslated."""
    arguments: dict[type[Exception], tuple[Any, ...]] = {
        driver_errors.BulkWriteError: (
            {"writeErrors": [{"index": 0, "code": 13, "errmsg": "no"}]},
        ),
        driver_errors.ClientBulkWriteException: ({}, False),
        driver_errors.EncryptionError: (ValueError("no"),),
        driver_errors.EncryptedCollectionError: (ValueError("no"), {}),
    }
    meant = translate(kind(*arguments.get(kind, ("no",))))
    assert isinstance(meant, (MemoryDbError, Duplicate, BulkRefused))


def test_the_drivers_words_come_without_its_settings() -> None:
    """Unreachable servers are told by their addresses and the reasons, and nothing else."""
    settings = "(configured timeouts: socketTimeoutMS: 20000.0ms, connectTimeoutMS: 20000.0ms)"
    words = f"a:1: refused {settings},b:2: timed out {settings}, Timeout: 15.0s, Topology: <…>"
    meant = translate(driver_errors.ServerSelectionTimeoutError(words))
    assert str(meant) == "MongoDB is unavailable: a:1: refused,b:2: timed out"


def test_what_is_not_the_drivers_has_no_meaning() -> None:
    """A programming error is not taken for a failure of the database."""
    assert translate(TypeError("oops")) is None


def test_codes_of_the_server_that_nobody_listed_still_raise_from_the_tree() -> None:
    """An unknown code is a MemoryDbError that tells the code and the server's words."""
    error = meaning(987654, "strange")
    assert type(error) is MemoryDbError
    assert "strange" in str(error)
    assert "987654" in str(error)
