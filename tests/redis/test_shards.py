"""Stores of several shards: their number, positions, marks; dropped and made while in use."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
import redis

from buddy.memory import open_memory_db
from buddy.memory.errors import AmbiguousIdError, ConfigError, SchemaError, UnavailableError
from buddy.memory.storage.record import EVERYBODY, Kind, Scope
from buddy.memory.storage.sync_runner import run
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_redis import bulk
from buddy_memory_redis.schema import Keys
from tests.redis.stored import all_keys, assert_sound, dangling_entries, layout_of, shard_of
from tests.servers.redis import RedisCluster, RedisServer

USERS = tuple(f"user {n}" for n in range(20))


def test_the_number_of_a_new_store(valkey: RedisServer, cluster: RedisCluster, prefix: str) -> None:
    """A new store has one shard on a server and sixteen in a cluster, unless a number is given."""
    for server, given, wanted in (
        (valkey, None, 1),
        (valkey, 5, 5),
        (cluster, None, 16),
        (cluster, 3, 3),
    ):
        with server.client() as client, RedisMemoryDb(prefix, client=client, shards=given) as db:
            db.create()
            assert layout_of(client, prefix).shards == wanted
            assert db.server_info()["shards"] == str(wanted)
            db.drop_table()
            assert db.server_info()["shards"] == "none yet"


def test_the_number_of_the_store_counts(valkey_url: str, prefix: str) -> None:
    """Without a number a store is opened with its own; another number is refused with both."""
    with open_memory_db(f"{valkey_url}?prefix={prefix}&shards=6") as db:
        rows = db.upsert_memories(MemoryRow({}, f"{n}", USERS[n % 20]) for n in range(60))
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix) as db:
        assert db.read_memories(sort="asc") == rows
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix, shards=4) as db:
        for call in (db.create, db.read_memories, db.clear, db.drop_table, db.table_exists):
            with pytest.raises(SchemaError, match="shards=6, not 4"):
                call()
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix, shards=6) as db:
        assert db.count_memories() == 60
        db.drop_table()


@pytest.mark.parametrize("shards", [0, -1, 1.5, True, 1025, "x"])
def test_a_wrong_number(shards: Any) -> None:
    """A number of shards that is none is refused by the constructor."""
    with pytest.raises(ConfigError, match="shards"):
        RedisMemoryDb(shards=shards)


def test_one_slot_for_each_shard(valkey: RedisServer, prefix: str) -> None:
    """Each shard has keys of its own, and users are spread over all of them."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client, shards=4) as db:
        db.upsert_memories(MemoryRow({}, user, user) for user in USERS)
        assert {shard_of(client, prefix, user) for user in USERS} == {0, 1, 2, 3}
        starts = {key.partition("}")[0] for key in all_keys(client, prefix)}
        assert starts == {"/0", "/1", "/2", "/3"}
        assert dangling_entries(client, prefix) == []
        db.drop_table()
        assert all_keys(client, prefix) == set()


def test_order_over_shards(valkey: RedisServer, prefix: str) -> None:
    """Rows of all users are in the order of writing, one by one and in bulk, whatever the limit."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client, shards=5) as db:
        rows = []
        for turn in range(3):
            rows += [db.upsert_memory(MemoryRow({}, f"{turn} {n}", USERS[n])) for n in range(20)]
            rows += db.upsert_memories(
                MemoryRow({}, f"bulk {turn} {n}", USERS[n * 7 % 20]) for n in range(700)
            )
        assert db.read_memories(sort="asc") == rows
        for limit in (1, 2, 20, 100, 2000):
            assert db.read_memories(limit=limit) == rows[::-1][:limit]
            assert (
                db.read_memories(user_prefix="user 1", limit=limit)
                == [row for row in rows[::-1] if str(row.user_id).startswith("user 1")][:limit]
            )
        assert list(db.iter_memories(page_size=37)) == rows[::-1]
        assert list(db.iter_memories(user_prefix="user 1", sort="asc", page_size=37)) == [
            row for row in rows if str(row.user_id).startswith("user 1")
        ]
        assert dangling_entries(client, prefix) == []
        db.drop_table()


def test_order_over_shards_whose_clocks_differ(valkey: RedisServer, prefix: str) -> None:
    """A bulk write, and what the same object writes after it, is in order also when one shard is
    far ahead of the others."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client, shards=5) as db:
        db.create()
        client.hset(Keys(prefix).meta(shard_of(client, prefix, USERS[0])), "last", 2**52)
        rows = db.upsert_memories(MemoryRow({}, f"{n}", USERS[n % 20]) for n in range(60))
        rows += [db.upsert_memory(MemoryRow({}, f"own {user}", user)) for user in USERS]
        assert db.read_memories(sort="asc") == rows
        assert dangling_entries(client, prefix) == []
        db.drop_table()


def test_positions_grow_whatever_the_clock_does(valkey: RedisServer, prefix: str) -> None:
    """When the server's clock is behind the last position, rows go on from there."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        first = db.upsert_memory(MemoryRow({}, "first", "ann"))
        client.hset(Keys(prefix).meta(0), "last", 2**52)
        rows = [db.upsert_memory(MemoryRow({}, id, "ann")) for id in ("b", "a", "c")]
        rows += db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(3))
        assert db.read_memories("ann", sort="asc") == db.read_memories(sort="asc") == [first, *rows]
        assert int(client.hget(Keys(prefix).meta(0), "last") or 0) == 2**52 + 6
        db.drop_table()


@pytest.mark.parametrize("shards", [1, 4])
def test_bulk_writes_at_once(valkey: RedisServer, prefix: str, shards: int) -> None:
    """Of bulk and single writes at once no two rows have one position, and each user's rows are in
    the order in which one writer wrote them."""
    dbs = [RedisMemoryDb(prefix, port=valkey.port, shards=shards) for _ in range(4)]

    def write(n: int) -> None:
        for turn in range(8):
            dbs[n].upsert_memories(
                MemoryRow({}, f"{n} {turn:02} {m:03}", USERS[m % 3]) for m in range(60)
            )
            dbs[n].upsert_memory(MemoryRow({}, f"{n} {turn:02} zzz", USERS[0]))

    at_once(4, write)
    rows = run(
        dbs[0]._rules.store.page(Kind.MEMORY, EVERYBODY, newest_first=False, after=None, limit=None)
    )
    assert len({row.position for row in rows}) == len(rows) == 4 * 8 * 61
    for n in range(4):
        for user in USERS[:3]:
            ids = [row.id for row in rows if row.user_id == user and row.id[0] == str(n)]
            assert ids == sorted(ids)
    with valkey.client() as client:
        assert dangling_entries(client, prefix) == []
    dbs[0].drop_table()
    for db in dbs:
        db.close()


def test_windows_of_a_bulk_write(
    valkey: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bulk write of several windows, and of more rows than a script takes, keeps its order."""
    monkeypatch.setattr(bulk, "WINDOW", 1200)
    for shards in (1, 3):
        with RedisMemoryDb(prefix, port=valkey.port, shards=shards) as db:
            rows = db.upsert_memories(MemoryRow({}, f"{n}", USERS[n % 7]) for n in range(2500))
            assert db.read_memories(sort="asc") == rows
            again = db.upsert_memories(
                MemoryRow({}, f"{n}", USERS[n % 7]) for n in range(1000, 3000)
            )
            assert [row.version for row in again] == [2] * 1500 + [1] * 500
            assert db.read_memories(sort="asc")[2500:] == again[1500:]
            db.drop_table()


def test_restored_rows_keep_their_versions(valkey_url: str, prefix: str) -> None:
    """A restored row keeps version, times and place; one that is there stays as it is."""
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix, shards=3) as db:
        time = datetime(2020, 1, 2, 3, 4, 5, 678, timezone.utc)
        rows = [
            MemoryRow({"n": n}, f"{n}", f"user {n % 3}", time, time, version=n + 1)
            for n in range(9)
        ]
        stored = db.restore_memories(rows)
        assert [(row.id, row.version, row.created_at) for row in stored] == [
            (f"{n}", n + 1, time) for n in range(9)
        ]
        assert db.read_memories(sort="asc") == stored
        assert db.upsert_memory(MemoryRow({}, "4", "user 1")).version == 6
        assert db.restore_memories([replace(rows[4], version=99)]) == []
        assert db.read_memory("4").version == 6
        (summary,) = db.restore_summaries([SummaryRow({}, "s", "ann", version=2**40)])
        assert summary.version == 2**40
        assert db.upsert_summary(SummaryRow({}, "s", "ann"), if_version=2**40).version == 2**40 + 1
        db.drop_table()


# --- by id alone


@pytest.mark.parametrize("shards", [1, 8])
def test_ids_that_several_users_have(valkey_url: str, prefix: str, shards: int) -> None:
    """By an id alone the one row is found that has it; of several users nobody's is touched."""
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix, shards=shards) as db:
        store: Any = db._rules.store
        users = ("", "ann", "ann!", "an", None, "\x01")
        rows = [db.upsert_memory(MemoryRow({"of": str(u)}, "same", u)) for u in users]
        own = [db.upsert_memory(MemoryRow({}, f"own {n}", u)) for n, u in enumerate(users)]
        near = [db.upsert_memory(MemoryRow({}, id, "ann")) for id in ("sam", "same!", "same\x01")]
        found = run(store.find(Kind.MEMORY, ["same", "none", "own 0", "own 4", "sam"]))
        ids = [record.id for record in found]
        assert sorted(ids) == ["own 0", "own 4", "sam", "same", "same"]
        for call in (db.read_memory, db.delete_memory):
            with pytest.raises(AmbiguousIdError):
                call("same")
        assert db.read_memories_by_id(["own 1", "none", "same!"]) == [own[1], None, near[1]]
        for user in users[2:]:
            assert run(store.delete(Kind.MEMORY, user, "same", None)) is True
        with pytest.raises(AmbiguousIdError):
            db.read_memory("same")
        assert db.delete_memory("same", user_id="ann") is True
        assert db.read_memory("same") == rows[0]
        assert db.delete_memory("same") is True
        assert db.read_memory("same") is None
        db.drop_table()


def test_an_id_of_very_many_users(valkey: RedisServer, prefix: str) -> None:
    """An id that thousands of users have costs its writers and readers no more than another."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memories(MemoryRow({}, "profile", f"user {n}") for n in range(5000))
        with pytest.raises(AmbiguousIdError):
            db.read_memory("profile")
        client.config_resetstat()
        db.upsert_memory(MemoryRow({}, "profile", "another"))
        with pytest.raises(AmbiguousIdError):
            db.read_memory("profile")
        stats: Any = client.info("commandstats")
        assert sum(stat["calls"] for stat in stats.values()) < 40
        db.drop_table()


# --- a store that is dropped and made again


@pytest.mark.parametrize("numbers", [(1, 1), (1, 6), (6, 1), (6, 6)], ids=str)
def test_a_store_that_was_made_again(
    valkey: RedisServer, prefix: str, numbers: tuple[int, int]
) -> None:
    """Who used a store that was dropped, and made again with another number of shards, sees and
    writes the new one."""
    for call in READS:
        with (
            RedisMemoryDb(prefix, port=valkey.port, shards=numbers[0]) as first,
            RedisMemoryDb(prefix, port=valkey.port) as user,
            RedisMemoryDb(prefix, port=valkey.port, shards=numbers[1]) as second,
            valkey.client() as client,
        ):
            first.upsert_memories(MemoryRow({}, name, name) for name in USERS)
            assert len(user.read_memories()) == 20
            user.drop_table()
            assert user.read_memories() == []
            first.upsert_memory(MemoryRow({}, "x", "x"))
            assert user.count_memories() == 1
            first.drop_table()
            rows = second.upsert_memories(MemoryRow({"new": 1}, n, n) for n in reversed(USERS))
            assert READS[call](user) == READS[call](second)
            written = user.upsert_memory(MemoryRow({}, "mine", USERS[3]))
            assert second.read_memories(sort="asc") == [*rows, written]
            assert dangling_entries(client, prefix) == []
            second.drop_table()
            assert all_keys(client, prefix) == set()


READS: dict[str, Any] = {
    "get": lambda db: [db.read_memory(name, user_id=name) for name in USERS],
    "by id": lambda db: [db.read_memory(name) for name in USERS],
    "many by id": lambda db: db.read_memories_by_id(USERS, user_id=USERS[4]),
    "user": lambda db: db.read_memories(USERS[5]),
    "prefix": lambda db: db.read_memories(user_prefix="user 1"),
    "all": lambda db: db.read_memories(limit=7),
    "count": lambda db: (db.count_memories(), db.count_memories(USERS[6])),
    "users": lambda db: db.list_users(),
    "mark": lambda db: [run(db._rules.store.mark(Kind.MEMORY, name)) for name in USERS],
    "delete": lambda db: db.delete_memory("none", user_id="ann"),
}


def test_a_store_that_lost_its_first_shard(valkey: RedisServer, prefix: str) -> None:
    """When the keys of the first shard are lost, what is in the others is still there, and the next
    write makes the store whole."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client, shards=4) as db:
        rows = db.upsert_memories(MemoryRow({}, user, user) for user in USERS)
        kept = [row for row in rows if shard_of(client, prefix, row.user_id)]
        client.delete(*client.keys(f"buddy-memory/{{{prefix}/0}}*"))
        with RedisMemoryDb(prefix, client=client, shards=4) as other:
            assert other.read_memories(sort="asc") == kept
            assert other.table_exists() is True
            new = [other.upsert_memory(MemoryRow({}, f"new {user}", user)) for user in USERS]
        assert db.read_memories(sort="asc") == kept + new
        assert dangling_entries(client, prefix) == []
        db.drop_table()


def test_a_late_writer_of_a_store_with_another_number(valkey: RedisServer, prefix: str) -> None:
    """A shard that a late writer left of a dropped store holds nothing in one with more shards."""
    with valkey.client() as client:
        with RedisMemoryDb(prefix, client=client, shards=2) as db:
            db.upsert_memories(MemoryRow({}, user, user) for user in USERS)
            client.delete(*client.keys(f"buddy-memory/{{{prefix}/0}}*"))
            client.rename(f"buddy-memory/{{{prefix}/1}}/meta", "kept")
        with RedisMemoryDb(prefix, client=client, shards=5) as db:
            db.create()
            client.rename("kept", f"buddy-memory/{{{prefix}/1}}/meta")
            row = next(user for user in USERS if shard_of(client, prefix, user) == 1)
            stored = db.upsert_memory(MemoryRow({}, "a", row))
            assert db.read_memories() == [stored]
            assert dangling_entries(client, prefix) == []
            db.drop_table()


def test_creators_at_once(valkey: RedisServer, prefix: str) -> None:
    """Of many who make the store at once, with different numbers, one has its way."""
    dbs = [RedisMemoryDb(prefix, port=valkey.port, shards=n % 2 + 3) for n in range(8)]

    def write(n: int) -> int:
        try:
            dbs[n].upsert_memories(MemoryRow({}, f"{n} {user}", user) for user in USERS)
        except SchemaError:
            return 0
        return 20

    written = at_once(8, write)
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        assert db.count_memories() == sum(written) == 80
        assert dangling_entries(client, prefix) == []
        db.drop_table()
    for db in dbs:
        db.close()


def test_a_drop_that_was_cut_off(valkey: RedisServer, prefix: str) -> None:
    """A drop that ended half-way is finished by the next one, whoever knows the number of shards or
    not, and by whoever makes the store again."""
    for again in (lambda db: db.drop_table(), lambda db: db.create()):
        with valkey.client() as client, RedisMemoryDb(prefix, client=client, shards=6) as db:
            db.upsert_memories(MemoryRow({}, user, user) for user in USERS)
            layout: Any = layout_of(client, prefix)
            store: Any = db._rules.store
            begin = store._schema.keys.call("drop", None, 0, layout.generation, b"-", 6)
            run(store._transport.one(begin))
            with RedisMemoryDb(prefix, client=client) as other:
                assert other.table_exists() is False
                assert other.read_memories() == db.read_memories() == []
                again(other)
                assert other.read_memories() == []
                assert {key.partition("}")[0] for key in all_keys(client, prefix)} <= {"/0"}
                other.drop_table()
            assert all_keys(client, prefix) == set()


# --- erasing beside writers


ERASERS: dict[str, Any] = {
    "clear": lambda db: db.clear(),
    "drop": lambda db: db.drop_table(),
    "delete user": lambda db: db.delete_user("user 0"),
    "delete prefix": lambda db: run(
        db._rules.store.delete_all(Kind.MEMORY, Scope.of_prefix("user 1"))
    ),
}


@pytest.mark.parametrize("place", ["valkey, 1", "valkey, 4", "cluster, 16"])
@pytest.mark.parametrize("name", ERASERS)
def test_erasing_beside_writers(
    request: pytest.FixtureRequest, prefix: str, place: str, name: str
) -> None:
    """What erases many rows ends beside writers, leaves no row without its entries and no entry
    without its row, and keeps what was written after it."""
    fixture, _, number = place.partition(", ")
    server = request.getfixturevalue(fixture)
    dbs = [RedisMemoryDb.from_url(server.url, prefix=prefix, shards=int(number)) for _ in range(4)]
    dbs[0].upsert_memories(MemoryRow({}, f"{n}", USERS[n % 20]) for n in range(3000))

    def work(n: int) -> None:
        for turn in range(40):
            if n == 0:
                ERASERS[name](dbs[0])
            else:
                dbs[n].upsert_memory(MemoryRow({}, f"{n} {turn % 7}", USERS[turn % 3]))
                dbs[n].upsert_memories(
                    MemoryRow({}, f"{n} {m}", USERS[m % 13]) for m in range(turn % 3 + 1)
                )
                dbs[n].delete_memory(f"{n} {turn % 5}", user_id=USERS[turn % 3])

    at_once(4, work)
    with server.client() as client:
        last = dbs[1].upsert_memory(MemoryRow({}, "last", "user 0"))
        assert dangling_entries(client, prefix) == []
        assert last in dbs[0].read_memories("user 0")
        assert_sound(dbs[2], USERS)
        ERASERS[name](dbs[0])
        assert last not in dbs[2].read_memories("user 0") or name == "delete prefix"
        dbs[0].drop_table()
        assert client.keys(f"buddy-memory/{{{prefix}*") == []
    for db in dbs:
        db.close()


def test_a_user_of_very_many_rows(valkey: RedisServer, prefix: str) -> None:
    """A user's rows are deleted by scripts of five hundred rows; those of others stay."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(2600))
        other = db.upsert_memory(MemoryRow({}, "1", "ann!"))
        client.config_resetstat()
        assert db.delete_user("ann") == {"memories": 2600, "summaries": 0}
        stats: Any = client.info("commandstats")
        assert 6 <= stats["cmdstat_evalsha"]["calls"] <= 8
        assert db.read_memories() == [other]
        assert dangling_entries(client, prefix) == []
        db.drop_table()


def test_only_what_was_there_is_deleted(valkey: RedisServer, prefix: str) -> None:
    """Rows written after a deletion of all rows of a user has begun do not keep it from ending."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(3))
        store: Any = db._rules.store
        layout = layout_of(client, prefix)
        begun = store._shards.call(layout, "delete_range", Kind.MEMORY, 0, b"[ann\0", b"(ann\1", "")
        count, last, low = run(store._transport.one(begun))
        assert (count, low) == (3, b"")
        newer = db.upsert_memory(MemoryRow({}, "newer", "ann"))
        again = store._shards.call(
            layout, "delete_range", Kind.MEMORY, 0, b"[ann\0", b"(ann\1", last
        )
        assert run(store._transport.one(again))[0] == 0
        assert db.read_memories() == [newer]
        db.drop_table()


# --- marks


def test_marks(valkey: RedisServer, prefix: str) -> None:
    """A mark differs whenever the user's rows do, is the same while they are, and is that of an
    empty user as soon as there are none."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client, shards=3) as db:
        store: Any = db._rules.store
        seen: list[str] = []

        def mark() -> str:
            return str(run(store.mark(Kind.MEMORY, "ann")))

        assert mark() == "0:0"
        for change in (
            lambda: db.upsert_memory(MemoryRow({"n": 1}, "a", "ann")),
            lambda: db.upsert_memory(MemoryRow({"n": 1}, "a", "ann")),
            lambda: db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(5)),
            lambda: db.delete_memory("3", user_id="ann"),
            lambda: db.upsert_memory(MemoryRow({}, "3", "ann")),
            lambda: db.delete_memories(["1", "2"], user_id="ann"),
        ):
            change()
            seen.append(mark())
            db.upsert_memory(MemoryRow({}, "a", "bob"))
            db.delete_memory("none", user_id="ann")
            db.read_memories()
            assert mark() == seen[-1]
        assert len({*seen}) == len(seen)
        assert db.delete_user("ann")["memories"] == 4
        assert mark() == "0:0"
        db.clear()
        db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        assert mark() not in seen
        db.drop_table()


def test_generations(valkey: RedisServer, prefix: str) -> None:
    """A generation stays as long as the store, also over clear(); the next store has another."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client, shards=2) as db:
        store: Any = db._rules.store
        assert run(store.generation(Kind.MEMORY)) == ""
        found = []
        for _ in range(2):
            db.upsert_memory(MemoryRow({}, "a", "ann"))
            found.append(run(store.generation(Kind.MEMORY)))
            db.clear()
            assert run(store.generation(Kind.SUMMARY)) == found[-1]
            db.drop_table()
        assert len({*found}) == 2


# --- bursts


@pytest.mark.parametrize("place", ["valkey", "cluster"])
def test_a_burst_of_threads(request: pytest.FixtureRequest, prefix: str, place: str) -> None:
    """Three hundred threads at once are all served, over few connections."""
    server = request.getfixturevalue(place)
    with RedisMemoryDb.from_url(server.url, prefix=prefix) as db:
        rows = at_once(300, lambda n: db.upsert_memory(MemoryRow({"n": n}, f"{n}", USERS[n % 20])))
        assert [row.version for row in rows] == [1] * 300
        found = at_once(300, lambda n: db.read_memory(f"{n}", user_id=USERS[n % 20]))
        assert found == rows
        db.drop_table()


@pytest.mark.parametrize("place", ["valkey", "cluster"])
def test_a_burst_of_tasks(request: pytest.FixtureRequest, prefix: str, place: str) -> None:
    """So are three hundred tasks, with small rows and with large ones."""
    server = request.getfixturevalue(place)

    async def main() -> None:
        async with AsyncRedisMemoryDb.from_url(server.url, prefix=prefix) as db:
            for size in (1, 20_000):
                rows = [MemoryRow({"text": "x" * size}, f"{n}", USERS[n % 20]) for n in range(300)]
                await asyncio.gather(*[db.upsert_memory(row) for row in rows])
                reads = [db.read_memory(f"{n}", user_id=USERS[n % 20]) for n in range(300)]
                assert all(row is not None for row in await asyncio.gather(*reads))
            await db.drop_table()

    asyncio.run(main())


@pytest.mark.parametrize("shared", [False, True], ids=["ours", "a caller's"])
def test_a_burst_over_two_connections(valkey: RedisServer, prefix: str, shared: bool) -> None:
    """Threads wait for connections where the pool has but two, also when others use the pool."""
    with redis.Redis(port=valkey.port, max_connections=2) as client:
        options: dict[str, Any] = {"db_url": f"{valkey.url}?max_connections=2"}
        if shared:
            options = {"client": client}
        dbs = [RedisMemoryDb(prefix, **options) for _ in range(2)]
        at_once(60, lambda n: dbs[n % 2].upsert_memory(MemoryRow({}, f"{n}", "ann")))
        assert dbs[0].count_memories() == 60
        dbs[0].drop_table()
        for db in dbs:
            db.close()


def test_a_burst_gives_up_after_the_timeout(valkey: RedisServer, prefix: str) -> None:
    """Who waits for a connection longer than the timeout gets UnavailableError."""
    with redis.Redis(port=valkey.port, max_connections=1) as client:
        held = client.connection_pool.get_connection()
        with RedisMemoryDb(prefix, client=client, timeout=0.05) as db:
            with pytest.raises(UnavailableError):
                db.ping()
            client.connection_pool.release(held)
            db.ping()
