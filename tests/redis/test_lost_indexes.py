"""An index that was evicted, or deleted by hand, hides no row and leaves none behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import Kind
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.redis.stored import keys_of
from tests.servers.redis import RedisServer

CALLS: dict[str, Callable[[RedisMemoryDb], Any]] = {
    "everybody": lambda db: db.read_memories(),
    "one user": lambda db: db.read_memories("ann"),
    "prefix": lambda db: db.read_memories(user_prefix="a", limit=5),
    "users": lambda db: db.list_users(),
    "id alone": lambda db: db.read_memory("0"),
    "count": lambda db: db.count_memories("ann"),
    "delete_user": lambda db: db.delete_user("ann"),
}


@pytest.mark.parametrize("lost", ["order", "users", "ids"])
def test_a_lost_index(valkey: RedisServer, prefix: str, lost: str) -> None:
    """Listings and deletions say so, create() builds it anew, and nothing is missing then."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memories([MemoryRow({"n": n}, f"{n}", "ann") for n in range(1_200)])
        db.upsert_memories([MemoryRow({"n": n}, f"{n} ends", None) for n in range(5)], ttl=999)
        rows, users = db.read_memories(), db.list_users()
        client.delete(keys_of(client, prefix, Kind.MEMORY, "ann")[lost])
        for name, call in CALLS.items():
            with pytest.raises(SchemaError, match="index of the store is lost"):
                call(db)
            assert name
        assert db.read_memory("7", user_id="ann") is not None
        db.upsert_memory(MemoryRow({"n": "new"}, "new", "ann"))
        db.create()
        assert db.read_memories()[1:] == rows
        assert db.list_users() == users
        mark = db.change_mark("ann")
        db.upsert_memory(MemoryRow({"n": 8}, "8", "ann"))
        assert db.change_mark("ann") != mark
        assert db.delete_user("ann") == {"memories": 1_201, "summaries": 0}
        assert db.count_memories() == 5
        db.drop_table()


@pytest.mark.parametrize("score", ["inf", "-inf", "1.5"])
def test_an_odd_entry_hides_no_listing(valkey: RedisServer, prefix: str, score: str) -> None:
    """A position that was edited by hand, and an id that is no UTF-8, leave the others readable."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memories([MemoryRow({"n": n}, f"{n}", "ann") for n in range(3)])
        order = keys_of(client, prefix, Kind.MEMORY, "ann")["order"]
        client.zadd(order, {"ann\x001": float(score)})
        assert {row.id for row in db.read_memories()} == {"0", "1", "2"}
        assert [row.id for row in db.read_memories("ann")] == ["2", "1", "0"]
        assert db.clear() is True
        assert db.count_memories() == 0
        db.drop_table()
