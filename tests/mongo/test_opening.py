"""URLs, names and clients; loops and processes."""

from __future__ import annotations

import asyncio
import os
import pickle
from datetime import datetime, timezone
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import InvalidOperation
from pymongo.write_concern import WriteConcern

from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.db.mongodb import MongoMemoryDb as MongoMemoryDbV1
from buddy.memory.errors import ConfigError
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_mongo.positions import Positions
from buddy_memory_mongo.url import Target

SECRET = "hunter2-is-secret"  # noqa: S105
MOMENT = datetime(2026, 11, 22, 20, 22, 24, 123456, timezone.utc)


def test_the_path_names_the_database() -> None:
    """The database is the one in the URL's path, otherwise db_name."""
    assert Target.parse("mongodb://h1,h2/app?replicaSet=rs0", "buddy").database == "app"
    assert Target.parse("mongodb://h1:1,h2:2/?replicaSet=rs0", "buddy").database == "buddy"
    assert Target.parse("mongodb+srv://cluster.example/app?w=majority", "x").database == "app"
    assert Target.parse("mongodb+srv://c.example/app?srvMaxHosts=2&w=1", "x").database == "app"
    assert Target.parse(None, "buddy") == Target.parse("mongo://localhost", "buddy")


@pytest.mark.parametrize("name", ["mongodb", "mongodb+srv", "mongo"])
def test_every_name_opens_every_version(name: str) -> None:
    """The names and schemes of the backend open v1, v2 and the asynchronous class."""
    url = f"{name}://h1.example/app?collection_name=notes"
    assert type(open_memory_db(url, version=1)) is MongoMemoryDbV1
    assert type(open_async_memory_db(url)) is AsyncMongoMemoryDb
    db = open_memory_db(url)
    assert type(db) is MongoMemoryDb
    assert db.to_dict()["collection_name"] == "notes"


def test_options_of_the_driver_stay_in_the_url() -> None:
    """Parameters that are not ours stay for the driver, several hosts included."""
    db = open_memory_db(f"mongodb://ann:{SECRET}@h1,h2/buddy?replicaSet=rs0&collection_name=notes")
    shown = db.to_dict()
    assert shown["collection_name"] == "notes"
    assert shown["db_url"] == "mongodb://ann:***@h1,h2/buddy?replicaSet=rs0"
    assert SECRET not in repr(db)


@pytest.mark.parametrize(
    "url",
    [
        "http://h/app",
        "mongodb://",
        f"mongodb:ann:{SECRET}@h/app",
        f"mongodb://ann:{SECRET}/@h/app",
        f"mongodb://ann:{SECRET}%zz@h:x/app",
        f"mongodb://ann:{SECRET}@h/app?noSuchOption=1",
        f"mongodb://ann:{SECRET}@h/app.collection",
        f"mongodb://ann:{SECRET}@h/app?w=0",
        f"mongodb://ann:{SECRET}@h/a%20b",
        "mongodb://h/app?colection_name=x",
        "mongodb://h/app?sharded=yes",
        "mongodb://h/app?collection_name=",
        "mongodb://h/app?collection_name=%20",
        "mongodb://h/?db_name=",
        "mongodb://h/?db_name=%20",
    ],
)
def test_a_wrong_url_is_a_config_error(url: str) -> None:
    """A URL that is no MongoDB URL, or asks for what cannot be, raises ConfigError."""
    with pytest.raises(ConfigError) as raised:
        MongoMemoryDb.from_url(url)
    assert SECRET not in f"{raised.value!r}{raised.value.__cause__!r}"


@pytest.mark.parametrize(
    "name", ["", " ", "\t", "a$b", "system.x", ".a", "a.", "a..b", "a\0b", "\ud800", 7]
)
def test_an_illegal_name_is_a_config_error(name: Any) -> None:
    """Names that MongoDB does not allow are refused without asking it."""
    with pytest.raises(ConfigError):
        MongoMemoryDb(name)
    for url in (None, "mongodb://h/app"):  # Also where the URL names another database.
        with pytest.raises(ConfigError):
            MongoMemoryDb(db_url=url, db_name=name)


def test_an_empty_url_is_a_config_error() -> None:
    """An empty URL is not taken for the default one."""
    with pytest.raises(ConfigError):
        MongoMemoryDb(db_url="")


def test_a_client_of_the_wrong_kind_is_a_config_error() -> None:
    """Each class takes its own client, and none whose writes are not acknowledged."""
    with MongoClient(connect=False) as client:
        with pytest.raises(ConfigError, match="AsyncMongoClient"):
            AsyncMongoMemoryDb(client=client)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="MongoClient"):
            MongoMemoryDb(client=AsyncMongoClient())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="live client"):
            pickle.dumps(MongoMemoryDb(client=client))
    with MongoClient(connect=False, w=0) as client:
        assert client.write_concern == WriteConcern(w=0)
        with pytest.raises(ConfigError, match="w=0"):
            MongoMemoryDb(client=client)


def test_one_async_object_serves_loops_in_several_threads(url: str) -> None:
    """Each event loop gets a client of its own, and gives it back when it ends."""
    db = AsyncMongoMemoryDb("notes", url)

    async def write(n: int) -> int | None:
        return (await db.upsert_memory(MemoryRow({"n": n}, f"id {n}"))).version

    asyncio.run(db.create())
    assert at_once(4, lambda n: asyncio.run(write(n))) == [1] * 4

    async def end() -> int:
        count = await db.count_memories()
        await db.close()
        return count

    assert asyncio.run(end()) == 4


def test_objects_of_one_url_share_one_client(url: str) -> None:
    """Objects of one URL use one client, and the last of them to close closes it."""
    one, two = MongoMemoryDb("notes", url), MongoMemoryDb("others", url)
    other = MongoMemoryDb("notes", f"{url}&appName=other")
    client = client_of(one)
    assert client_of(two) is client
    assert client_of(other) is not client
    one.close()
    one.close()
    two.upsert_memory(MemoryRow({}, "a"))
    assert client_of(two) is client
    two.close()
    with pytest.raises(InvalidOperation):
        client.admin.command("ping")
    with MongoMemoryDb("others", url) as again:
        assert client_of(again) is not client
        assert again.count_memories() == 1
    other.close()


def test_asynchronous_objects_share_the_client_of_their_loop(url: str) -> None:
    """Objects of one URL use one client for each event loop, until the last of them is closed."""

    async def main() -> None:
        one, two = AsyncMongoMemoryDb("notes", url), AsyncMongoMemoryDb("others", url)
        client = client_of(one)
        assert client_of(two) is client
        await one.close()
        await two.upsert_memory(MemoryRow({}, "a"))
        assert client_of(two) is client
        await two.close()
        with pytest.raises(InvalidOperation):
            await client.admin.command("ping")

    asyncio.run(main())


def test_an_object_that_was_refused_holds_no_client() -> None:
    """A constructor that raises has not taken a share of a client."""
    url = "mongodb://refused.example/app"
    with pytest.raises(ConfigError):
        MongoMemoryDb("a..b", url)
    with MongoMemoryDb("notes", url) as db:
        client = client_of(db)
    with pytest.raises(InvalidOperation):
        client.admin.command("ping")


def client_of(db: Any) -> Any:
    return db._rules.store.database.client()


def test_a_forked_child_makes_other_positions() -> None:
    """A child process never makes a position that its parent makes."""
    positions = Positions()

    def take() -> str:
        return str(positions.take(1, MOMENT)[0])[14:]

    before = take()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, take().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert take() == before
    assert os.read(reader, 100).decode() != before
    os.close(reader)
    os.close(writer)


def test_a_position_is_a_time_in_sixteenths_of_a_microsecond() -> None:
    """Seconds come first, as in any ObjectId; beyond the year 2106 positions are counted on."""
    assert str(Positions().take(1, MOMENT)[0])[:14] == f"{1795378944:08x}{123456 * 16:06x}"
    positions = Positions()
    far = [position for _ in range(2) for position in positions.take(2, MOMENT.replace(year=2300))]
    assert far == sorted(set(far))


def test_positions_follow_what_was_read() -> None:
    """Positions are behind a stored one, whatever the clock says; one that cannot be is ignored."""
    positions = Positions()
    ahead = Positions().take(1, MOMENT.replace(year=2030))[0]
    positions.follow(ahead)
    positions.follow("no position")
    (following,) = positions.take(1, MOMENT)
    assert following > ahead
    positions.follow(ObjectId("f" * 24))
    assert len(set(positions.take(3, MOMENT))) == 3
