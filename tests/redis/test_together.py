"""Writes in one step where there is one server, and what becomes of them where there is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
import redis

from buddy.memory.errors import ConflictError, OwnerMismatchError, UnavailableError
from buddy.memory.storage.record import Kind
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_redis.keys import Keys
from buddy_memory_redis.scripts import script
from tests.redis.proxy import Proxy, node_of
from tests.redis.test_clients import use
from tests.redis.test_crashes import assert_sound
from tests.redis.wires import Batches, assume_one_server, believe_again, wired
from tests.servers import redis as servers

USERS = tuple(f"user {n}" for n in range(12))


@pytest.fixture(scope="module")
def shards() -> Iterator[list[servers.RedisServer]]:
    """Three servers that know nothing of each other."""
    shards = [servers.RedisServer(servers.valkey(), *servers.DURABLE) for _ in range(3)]
    yield shards
    for shard in shards:
        shard.stop()


@pytest.fixture
def sharded(shards: list[servers.RedisServer]) -> Iterator[Proxy]:
    proxy = Proxy([shard.port for shard in shards])
    yield proxy
    proxy.stop()


def users_by_server(prefix: str) -> tuple[list[str], list[str]]:
    """Return the users whose shelves are where the directory is, and the others."""
    keys = Keys(prefix)
    home = node_of(keys.meta)
    near = [user for user in USERS if node_of(keys.shelf(Kind.MEMORY, user)[0]) == home]
    return near, [user for user in USERS if user not in near]


def assert_in_place(shards: list[servers.RedisServer]) -> None:
    """See that each key is on the server where the proxy looks for it."""
    for number, shard in enumerate(shards):
        with shard.client() as client:
            keys: Any = client.keys("*")
            assert {node_of(key) for key in keys} <= {number}


def prefix_with_both(prefix: str) -> str:
    """Return a prefix of which some users are where the directory is, and some are not."""
    return next(p for p in (f"{prefix}-{n}" for n in range(99)) if all(users_by_server(p)))


def test_a_proxy_that_spreads_keys(
    shards: list[servers.RedisServer], sharded: Proxy, prefix: str
) -> None:
    """Behind a proxy of several servers every key is where the proxy looks for it, also when the
    first user happened to be on the server of the directory."""
    prefix = prefix_with_both(prefix)
    near, far = users_by_server(prefix)
    with RedisMemoryDb.from_url(sharded.url, prefix=prefix) as db:
        db.upsert_memory(MemoryRow({}, "0", near[0]))
        rows = db.upsert_memories(MemoryRow({}, f"bulk {n}", USERS[n % 12]) for n in range(60))
        for n, user in enumerate((*far, *near)):
            assert db.upsert_memory(MemoryRow({}, f"single {n}", user)).version == 1
            assert db.upsert_memory(MemoryRow({}, f"bulk {n}", USERS[n])).version == 2
        assert db.read_memories(sort="asc")[13:61] == rows[12:]
        assert_in_place(shards)
        assert len(assert_sound(db, USERS)) == 73
        with pytest.raises(OwnerMismatchError):
            db.upsert_memory(MemoryRow({}, "bulk 0", "somebody else"))
        for n in range(60):
            believe_again(db)
            assert db.delete_memory(f"bulk {n}", user_id=USERS[n % 12] if n % 3 else None) is True
        assert_in_place(shards)
        assert len(assert_sound(db, USERS)) == 13
        db.drop_table()
    with RedisMemoryDb.from_url(sharded.url, prefix=prefix) as db:
        use(db)


def test_an_old_copy_of_the_directory(
    shards: list[servers.RedisServer], sharded: Proxy, prefix: str
) -> None:
    """What an old copy of the directory's key says on another server is not believed."""
    prefix = prefix_with_both(prefix)
    near, far = users_by_server(prefix)
    meta = Keys(prefix).meta
    with RedisMemoryDb.from_url(sharded.url, prefix=prefix) as db:
        db.upsert_memory(MemoryRow({}, "before", near[0]))
        with shards[node_of(meta)].client() as home:
            copy: Any = home.get(meta)
        db.delete_memory("before")
        others = [shard for n, shard in enumerate(shards) if n != node_of(meta)]
        for shard in others:
            with shard.client() as client:
                client.set(meta, copy)
        with RedisMemoryDb.from_url(sharded.url, prefix=prefix) as second:
            second.upsert_memory(MemoryRow({}, "0", near[0]))
            second.upsert_memory(MemoryRow({}, "1", far[0]))
        for shard in others:
            with shard.client() as client:
                assert client.get(meta) == copy
                client.delete(meta)
        assert_in_place(shards)
        assert assert_sound(db, USERS) == ["0", "1"]
        db.drop_table()


def test_a_store_that_was_dropped(valkey_url: str, prefix: str) -> None:
    """When somebody else dropped the store, writes begin anew and are soon in one step again."""
    batches = Batches()
    with wired(valkey_url, prefix, batches.seen) as db:
        for user in ("ann", "bob", "ann"):
            db.upsert_memory(MemoryRow({"n": 1}, "a", user))
            with RedisMemoryDb.from_url(valkey_url, prefix=prefix) as other:
                other.drop_table()
        db.upsert_memory(MemoryRow({"n": 2}, "b", "bob"))
        batches.clear()
        db.upsert_memories(MemoryRow({"n": 3}, id, "ann") for id in ("c",))
        assert len(batches) == 1
        assert assert_sound(db) == ["b", "c"]
        db.drop_table()


def test_a_deletion_in_a_store_that_was_dropped(valkey_url: str, prefix: str) -> None:
    """When somebody else dropped the store and made it anew, a deletion takes what is there."""
    with (
        RedisMemoryDb.from_url(valkey_url, prefix=prefix) as db,
        RedisMemoryDb.from_url(valkey_url, prefix=prefix) as other,
    ):
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        other.drop_table()
        assert db.delete_memory("a") is False
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        other.drop_table()
        other.upsert_memory(MemoryRow({}, "a", "bob"))
        with pytest.raises(ConflictError):
            db.delete_memory("a", if_version=2)
        assert db.delete_memory("a", user_id="ann") is False
        assert assert_sound(db) == ["a"]
        assert db.delete_memory("a", if_version=1) is True
        assert assert_sound(db) == []
        db.drop_table()


def test_a_server_that_becomes_a_cluster(
    valkey: servers.RedisServer, cluster: servers.RedisCluster, prefix: str
) -> None:
    """Where a cluster takes the place of the server, writes go on in two steps."""
    proxy = Proxy([valkey.port] * 3)
    with redis.Redis.from_url(proxy.url) as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        db.upsert_memory(MemoryRow({}, "b", "ann"))
        db.drop_table()
        proxy.ports = [node.port for node in cluster.nodes]
        client.connection_pool.disconnect()
        db.upsert_memories(MemoryRow({}, f"{n}", f"user {n % 5}") for n in range(20))
        assert len(assert_sound(db, USERS)) == 20
        believe_again(db)
        assert db.delete_memory("7") is True
        assert len(assert_sound(db, USERS)) == 19
        assert db.upsert_memory(MemoryRow({}, "a", "ann")).version == 1
        db.drop_table()
    proxy.stop()


def test_one_step_needs_no_pending(valkey: servers.RedisServer, prefix: str) -> None:
    """A write in one step leaves nothing to be told, and settles what others left open."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        pending, owners = (Keys(prefix).directory(Kind.MEMORY)[n] for n in (4, 1))
        assume_one_server(db)
        db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(3))
        assert client.exists(pending) == 0
        client.sadd(pending, "crashed")
        client.hset(owners, "crashed", "17 =ann")
        db.upsert_memory(MemoryRow({}, "crashed", "ann"))
        assert client.exists(pending) == 0
        assert assert_sound(db) == ["0", "1", "2", "crashed"]
        db.drop_table()


def test_rows_that_are_written_again(valkey: servers.RedisServer, prefix: str) -> None:
    """Rows of a bulk write whose ids somebody claimed who died keep their places in it."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memory(MemoryRow({}, "first", "ann"))
        pending, owners = (Keys(prefix).directory(Kind.MEMORY)[n] for n in (4, 1))
        client.hset(owners, mapping={"b": "17 =dead", "d": "18 =dead"})
        client.sadd(pending, "b", "d")
        db.upsert_memories(MemoryRow({}, id, "ann" if id in "bd" else "bob") for id in "abcde")
        assert assert_sound(db) == ["first", *"abcde"]
        db.drop_table()


def test_a_deletion_in_one_step_ends_others(valkey: servers.RedisServer, prefix: str) -> None:
    """A deletion in one step shuts out an insert or a deletion that is between its two steps, and
    leaves nothing pending."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        pending, owners = (Keys(prefix).directory(Kind.MEMORY)[n] for n in (4, 1))
        for slow_call in (
            lambda slow: slow.upsert_memory(MemoryRow({"n": 2}, "a", "ann")),
            lambda slow: slow.delete_memory("a"),
        ):
            outcomes: list[Any] = []

            def intrude(data: bytes, outcomes: list[Any] = outcomes) -> bytes:
                second = script("put").sha in data or script("remove").sha in data
                if second and client.sismember(pending, "a"):
                    assume_one_server(db)
                    outcomes.append(db.delete_memory("a", user_id="ann"))
                    outcomes += [client.exists(pending), client.hexists(owners, "a")]
                return data

            if not outcomes:
                db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
            with wired(valkey.url, prefix, intrude, expire=1000) as slow:
                slow_call(slow)
            assert outcomes[:3] == [True, 0, False]
            assert assert_sound(db) in ([], ["a"])
            db.clear()
        db.drop_table()


def test_positions_grow_whatever_the_clock_does(valkey: servers.RedisServer, prefix: str) -> None:
    """When the server's clock is behind the last position, inserts in one step go on from there."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memory(MemoryRow({}, "first", "ann"))
        meta, _, index, *_ = Keys(prefix).directory(Kind.MEMORY)
        client.set(meta, 2**52)
        rows = [db.upsert_memory(MemoryRow({}, id, "ann")) for id in ("b", "a", "c")]
        assert db.read_memories(sort="asc")[1:] == db.read_memories("ann", sort="asc")[1:] == rows
        assert client.zscore(index, "c") == int(client.get(meta) or 0) == 2**52 + 3
        db.drop_table()


def test_a_write_gives_up(proxy_url: str, prefix: str) -> None:
    """When somebody always gets in between the two steps of a write, it ends after 50 attempts."""
    puts = []
    with RedisMemoryDb.from_url(proxy_url, prefix=prefix) as db:

        def intrude(data: bytes) -> bytes:
            if script("put").sha in data:
                puts.append(data)
                db.upsert_memory(MemoryRow({}, "a", "ann"))
                db.delete_memory("a")
            return data

        with wired(proxy_url, prefix, intrude, expire=1000) as slow:
            with pytest.raises(UnavailableError, match="too many"):
                slow.upsert_memory(MemoryRow({}, "a", "ann"))
            assert len(puts) == 50
        assert assert_sound(db) == []
        db.drop_table()


@pytest.mark.parametrize("route", ["valkey_url", "proxy_url"])
def test_restored_rows_keep_their_versions(
    route: str, prefix: str, request: pytest.FixtureRequest
) -> None:
    """A restored row keeps its version, its times and its place; one that is there counts on."""
    with RedisMemoryDb.from_url(request.getfixturevalue(route), prefix=prefix) as db:
        time = datetime(2020, 1, 2, 3, 4, 5, 678, timezone.utc)
        for turn in range(2):  # In two steps, and then, on one server, in one.
            rows = [
                MemoryRow({"n": n}, f"{turn} {n}", f"user {n % 3}", time, time, version=n + 1)
                for n in range(9)
            ]
            assert db.restore_memories(rows) == rows
            assert db.read_memories(sort="asc")[-9:] == rows
            assert db.upsert_memory(MemoryRow({}, f"{turn} 4", "user 1")).version == 6
            again = db.restore_memories([replace(rows[4], version=99)])
            assert [row.version for row in again] == [7]
        summary = SummaryRow({}, "s", "ann", version=2**40)
        (stored,) = db.restore_summaries([summary])
        assert stored.version == 2**40
        assert db.upsert_summary(SummaryRow({}, "s", "ann"), if_version=2**40).version == 2**40 + 1
        db.drop_table()
