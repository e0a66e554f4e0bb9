"""memory:// and memory://name: databases in the memory of the process."""

from __future__ import annotations

import asyncio
import pickle
from copy import deepcopy
from typing import Any

import pytest

from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.db.base import MemoryDb as MemoryDbV1
from buddy.memory.db.inmemory import InMemoryDb as InMemoryDbV1
from buddy.memory.errors import ConfigError
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.storage import inmemory_url
from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy.memory.v2.db.inmemory import AsyncInMemoryDb, InMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.threaded import ThreadedMemoryDb


@pytest.mark.parametrize("config", ["memory://", "memory", {"url": "memory://"}])
def test_a_fresh_store_for_each_object(config: Any) -> None:
    """Without a name each object has a store of its own; its copies share it."""
    with open_memory_db(config) as db, open_memory_db(config) as other:
        assert isinstance(db, MemoryDb)
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        assert db.count_memories() == deepcopy(db).count_memories() == 1
        assert other.count_memories() == 0


def test_a_name_is_shared_within_the_process() -> None:
    """Objects of both versions, sync and async, see the rows of one name, and of no other; the
    rows outlive the objects."""
    with open_memory_db("memory://shared-1") as db:
        db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
    with open_memory_db("memory://shared-1", version=1) as old:
        assert isinstance(old, MemoryDbV1)
        old.upsert_memory(MemoryRowV1({"n": 2}, "ann", id="b"))

    async def read() -> list[str]:
        async with open_async_memory_db("memory://shared-1") as adb:
            assert isinstance(adb, AsyncMemoryDb)
            return [row.id async for row in adb.iter_memories(sort="asc")]

    assert asyncio.run(read()) == ["a", "b"]
    with open_memory_db("memory://shared-2") as other:
        assert other.count_memories() == 0
    with open_memory_db("memory://shared-1") as db:
        assert db.clear()


@pytest.mark.parametrize(
    "url",
    [
        *("memory:///name", "memory://a/b", "memory://host:1/x?y=1", "memory://a#b", "memory:x"),
        *("memory://me:hunter2@host", "sqlite://", "", "name", "memory://a?table_name=b"),
    ],
)
def test_no_other_url(url: str) -> None:
    """Anything but a plain name is a ConfigError, which shows no password."""
    with pytest.raises(ConfigError, match="memory://name") as caught:
        InMemoryDb(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("cls", [InMemoryDb, InMemoryDbV1, AsyncInMemoryDb])
@pytest.mark.parametrize("url", ["memory://", "memory://pickled"])
def test_a_pickle_is_refused(cls: Any, url: str) -> None:
    """The rows would not come along: pickling is a TypeError that says so."""
    with pytest.raises(TypeError, match="live in this process"):
        pickle.dumps(cls(url))


def test_settings_are_shown() -> None:
    """repr and to_dict tell which store it is."""
    assert repr(InMemoryDb("memory://x")) == "InMemoryDb(db_url='memory://x')"
    assert InMemoryDb().to_dict() == {"name": "InMemoryDb", "db_url": "memory://", "expire": None}


def _threaded(url: str, **options: Any) -> ThreadedMemoryDb:
    return ThreadedMemoryDb(InMemoryDb(url, **options))


class TestNamed(Conformance):
    """The Store in a dictionary keeps every rule: in both versions and both ways of being async."""

    complete = True
    lacks = frozenset({"unreachable", "corrupt", "named", "forks", "waits"})

    @pytest.fixture(params=[InMemoryDbV1, InMemoryDb, AsyncInMemoryDb, _threaded])
    def subject(self, request: pytest.FixtureRequest) -> Any:
        cls, before = request.param, dict(inmemory_url._named)
        yield BackendUnderTest(
            open=lambda: cls("memory://notes"),
            neighbour=lambda: cls("memory://notes2"),
            expiring=lambda: cls("memory://notes", expire=3600),
            order_without_clocks=True,
            order_across_users=True,
            waits=False,
        )
        inmemory_url._named.clear()
        inmemory_url._named.update(before)
