"""Limits of time: of a call, and of what it waits for."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest
from pymongo import MongoClient

from buddy.memory.db.mongodb import MongoMemoryDb as MongoMemoryDbV1
from buddy.memory.errors import ConfigError, UnavailableError
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_mongo.url import Target
from tests.mongo.test_failures import failing
from tests.servers.mongo import MongoServer

CLASSES = [MongoMemoryDbV1, MongoMemoryDb, AsyncMongoMemoryDb]
LIMITS = ["serverSelectionTimeoutMS", "waitQueueTimeoutMS", "socketTimeoutMS", "connectTimeoutMS"]


@pytest.fixture
def server() -> Iterator[MongoServer]:
    """A server that the test may stop."""
    server = MongoServer()
    yield server
    os.kill(server._process.pid, signal.SIGCONT)
    server.stop()


def freeze(server: MongoServer) -> None:
    os.kill(server._process.pid, signal.SIGSTOP)
    os.waitpid(server._process.pid, os.WUNTRACED)  # Until then it may answer.


def plain(server: MongoServer) -> str:
    """Return its URL without limits."""
    return server.url.split("?")[0]


def seconds_until_unavailable(call: Callable[[], object]) -> float:
    begin = monotonic()
    with pytest.raises(UnavailableError):
        call()
    return monotonic() - begin


def test_limits_are_those_of_the_url() -> None:
    """The option is the limit of each wait and of the call; what the URL sets itself wins."""
    ours = Target.parse("mongodb://h", "x", 2.5)
    assert {name: ours.client_options[name] for name in LIMITS} == dict.fromkeys(LIMITS, 2500)
    assert ours.call_seconds == 2.5
    assert Target.parse("mongodb://h", "x").call_seconds == 15.0
    url = "mongodb://h/?serverselectiontimeoutms=5&waitQueueTimeoutMS=6&appName=me"
    theirs = Target.parse(url, "x", 2.5)
    assert theirs.client_options == {"socketTimeoutMS": 2500, "connectTimeoutMS": 2500}
    assert theirs.call_seconds is None
    assert Target.parse("mongodb://h/?timeoutMS=5&appName=me", "x", 2.5)[2:] == ({}, None)
    never = Target.parse("mongodb://h/?appName=me", "x", None)
    assert never[2:] == ({"serverSelectionTimeoutMS": 999_999_999}, None)
    assert Target.parse("mongodb://h", "x", 1e-9).client_options["socketTimeoutMS"] == 1


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5", True, 10**9])
def test_a_timeout_is_a_number_of_seconds(cls: Any, timeout: Any) -> None:
    """What is no number of seconds above 0 is a ConfigError."""
    with pytest.raises(ConfigError, match="timeout"):
        cls(timeout=timeout)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_timeout_in_the_url(cls: Any) -> None:
    """The option may be a parameter of the URL, and is shown with the settings."""
    assert cls.from_url("mongodb://h/app?timeout=2.5").to_dict()["timeout"] == 2.5
    assert cls().to_dict()["timeout"] == 15.0
    assert cls(timeout=None).to_dict()["timeout"] is None
    for text in ("0", "-1", "nan", "soon"):
        with pytest.raises(ConfigError, match="timeout"):
            cls.from_url(f"mongodb://h/app?timeout={text}")


@pytest.mark.parametrize("timeout", [None, 999_999, 5])
def test_the_driver_takes_every_timeout(server: MongoServer, timeout: Any) -> None:
    """Calls work without a limit, and with the longest one."""
    with MongoMemoryDb("notes", plain(server), timeout=timeout) as db:
        row = db.upsert_memory(MemoryRow({}, "a"))
        assert db.read_memories() == [row]


def test_a_server_that_stands_still(server: MongoServer) -> None:
    """A call whose server is frozen raises after the timeout; the next ones work again."""
    with MongoMemoryDb("notes", plain(server), timeout=1) as db:
        row = db.upsert_memory(MemoryRow({}, "a", "ann"))
        freeze(server)
        for call in (
            lambda: db.upsert_memory(MemoryRow({}, "a", "ann")),
            lambda: db.read_memory("a", user_id="ann"),
            lambda: db.read_memories("ann", limit=5),
            db.count_memories,
            db.ping,
        ):
            assert seconds_until_unavailable(call) < 2.5
        for call in (db.read_memories, lambda: db.upsert_memories([row])):
            assert seconds_until_unavailable(call) < 6
        os.kill(server._process.pid, signal.SIGCONT)
        assert db.read_memories("ann")[0].created_at == row.created_at


def test_a_server_that_stands_still_before_tasks(server: MongoServer) -> None:
    """Calls of many tasks end after the timeout, too."""

    async def main() -> None:
        async with AsyncMongoMemoryDb("notes", plain(server), timeout=1) as db:
            await db.upsert_memory(MemoryRow({}, "a", "ann"))
            freeze(server)
            begin = monotonic()
            calls: list[Any] = [db.upsert_memory(MemoryRow({}, f"{n}", "ann")) for n in range(9)]
            calls += [db.read_memory(f"{n}", user_id="ann") for n in range(9)]
            done = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(error) for error in done} == {UnavailableError}
            assert monotonic() - begin < 6
            os.kill(server._process.pid, signal.SIGCONT)
            assert await db.read_memory("a", user_id="ann") is not None

    asyncio.run(main())


@pytest.mark.parametrize("parameters", ["", "?serverSelectionTimeoutMS=1000"])
def test_a_command_that_hangs(server: MongoServer, parameters: str) -> None:
    """A server that answers heartbeats, and nothing else, is unavailable after the timeout."""
    hang = {"blockConnection": True, "blockTimeMS": 20_000}
    with MongoClient(server.url) as client:
        with MongoMemoryDb("notes", plain(server) + parameters, timeout=1) as db:
            db.upsert_memory(MemoryRow({}, "a"))
            with failing(client, 100, ["findAndModify", "find"], **hang):
                write = lambda: db.upsert_memory(MemoryRow({}, "a"))  # noqa: E731
                for call in (write, db.read_memories):
                    assert seconds_until_unavailable(call) < 4


def test_a_client_of_the_caller_keeps_its_limits(server: MongoServer) -> None:
    """The option limits no call on a client that was given."""
    slow = {"blockConnection": True, "blockTimeMS": 700}
    with MongoClient(plain(server), appname="buddy-memory") as client:
        db = MongoMemoryDb("notes", client=client, timeout=0.1)
        db.create()
        with failing(client, 1, ["findAndModify"], **slow):
            assert db.upsert_memory(MemoryRow({}, "a")).version == 1
