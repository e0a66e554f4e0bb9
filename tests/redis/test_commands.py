"""Which commands go to the server: few, cheap, and each within one hash slot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from buddy.memory.storage.record import EVERYBODY, Kind
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from tests.redis.wires import Batches, slots_of, wired
from tests.servers.redis import RedisServer

USERS = ("ann", "bob", None, "", "a}b{c", "{}", "ü:*")

CORE = {"EVAL", "EVALSHA", "HGET", "HMGET", "EXISTS", "CONFIG"}


@pytest.fixture(params=["1 shard", "1 shard, expiring", "9 shards", "proxy, 9 shards, expiring"])
def seen(request: pytest.FixtureRequest, prefix: str) -> Iterator[tuple[RedisMemoryDb, Batches]]:
    batches = Batches()
    url = request.getfixturevalue("proxy_url" if "proxy" in request.param else "valkey_url")
    expire = 1000 if "expiring" in request.param else None
    shards = 9 if "9" in request.param else 1
    with wired(url, prefix, batches.seen, expire=expire, shards=shards) as db:
        db.upsert_memories(MemoryRow({"n": n}, f"warm {n}", user) for n, user in enumerate(USERS))
        for call in calls(db).values():  # So that the server knows all scripts.
            call()
        batches.clear()
        yield db, batches
        db.drop_table()


def calls(db: RedisMemoryDb) -> dict[str, Callable[[], Any]]:
    """Return every operation on single rows and listings, by name, in an order that makes sense."""
    return {
        "insert": lambda: db.upsert_memory(MemoryRow({"n": 1}, "a", "ann")),
        "update": lambda: db.upsert_memory(MemoryRow({"n": 2}, "a", "ann")),
        "get": lambda: db.read_memory("a"),
        "get of a user": lambda: db.read_memory("a", user_id="ann"),
        "get many": lambda: db.read_memories_by_id(["a", "none", "warm 1"]),
        "get many of a user": lambda: db.read_memories_by_id(["a", "none"], user_id="ann"),
        "exists": lambda: db.memory_exists(MemoryRow({}, "a", "ann")),
        "list": lambda: db.read_memories("ann", limit=20),
        "list all": lambda: db.read_memories(limit=5),
        "count": lambda: db.count_memories("ann"),
        "count a prefix": lambda: db.count_memories(user_prefix="a"),
        "count all": lambda: db.count_memories(),
        "users": lambda: run(db._rules.store.users(Kind.MEMORY, prefix="a", after=None, limit=5)),
        "mark": lambda: run(db._rules.store.mark(Kind.MEMORY, "ann")),
        "delete": lambda: db.delete_memory("a", user_id="ann"),
        "delete many": lambda: db.delete_memories(["a", "b"], user_id="ann"),
        "delete none": lambda: db.delete_memory("none", user_id="ann"),
        "get none": lambda: db.read_memory("none", user_id="ann"),
        "clear": lambda: run(db._rules.store.delete_all(Kind.SUMMARY, EVERYBODY)),
    }


def test_one_round_trip(seen: tuple[RedisMemoryDb, Batches]) -> None:
    """Every operation on rows is one round trip, however many shards there are."""
    db, batches = seen
    trips = {}
    for name, call in calls(db).items():
        batches.clear()
        call()
        trips[name] = len(batches)
    assert set(trips.values()) == {1}, trips


def test_two_round_trips(seen: tuple[RedisMemoryDb, Batches]) -> None:
    """A deletion by an id alone, and a page of a prefix, are two."""
    db, batches = seen
    db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
    for call in (
        lambda: db.read_memories(user_prefix="a", limit=5),
        lambda: db.delete_memory("a"),
    ):
        call()  # So that the server knows all scripts.
        db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        batches.clear()
        call()
        assert len(batches) == 2


def test_the_first_calls(valkey_url: str, prefix: str) -> None:
    """An object that finds a store looks at it once; one that makes it needs two or four more."""
    for shards in (1, 6):
        for _ in range(2):  # Once so that the server knows all scripts.
            batches, trips = Batches(), []
            with wired(valkey_url, prefix, batches.seen, shards=shards) as db:
                for call in (
                    lambda db=db: db.read_memories(),
                    lambda db=db: db.upsert_memory(MemoryRow({}, "first", "ann")),
                    lambda db=db: db.upsert_memory(MemoryRow({}, "second", "bob")),
                    lambda db=db: db.upsert_memories(
                        MemoryRow({}, f"{n}", f"{n % 9}") for n in range(900)
                    ),
                ):
                    batches.clear()
                    call()
                    trips.append(len(batches))
                with wired(valkey_url, prefix, batches.seen) as other:
                    batches.clear()
                    other.read_memories("ann")
                    trips.append(len(batches))
                db.drop_table()
        assert trips == ([1, 3, 1, 1, 2] if shards == 1 else [1, 5, 1, 2, 2])


def test_every_command_stays_in_one_slot(seen: tuple[RedisMemoryDb, Batches]) -> None:
    """Whatever the user ids, each command names keys of one slot, and core commands only."""
    db, batches = seen
    rows = [MemoryRow({"n": n}, f"{n}", USERS[n % len(USERS)]) for n in range(1300)]
    db.create()
    db.upsert_memories(rows)
    db.upsert_summaries([SummaryRow({"n": n}, f"{n}", user) for n, user in enumerate(USERS)])
    for call in calls(db).values():
        call()
    db.read_memories(user_prefix="a")
    assert db.delete_user("a}b{c") == {"memories": 187, "summaries": 0}
    assert db.delete_memories([str(n) for n in range(700)]) == 600
    db.read_summaries()
    db.clear()
    db.drop_table()
    commands = [command for batch in batches for command in batch]
    assert {command[0].decode() for command in commands} <= CORE
    assert max(len(slots_of(command)) for command in commands) == 1
    assert max(len(batch) for batch in batches) <= 100


def test_reads_do_not_look_at_foreign_keys(prefix: str, valkey: RedisServer) -> None:
    """A read beside 20,000 foreign keys, also under the prefix, takes the same few commands."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(50))
        client.mset({f"{prefix}:{n}": "foreign" for n in range(20_000)})
        db.read_memories("ann")
        client.config_resetstat()
        assert len(db.read_memories("ann", limit=20)) == len(db.read_memories(limit=20)) == 20
        assert (db.count_memories("ann"), db.count_memories()) == (50, 50)
        stats: Any = client.info("commandstats")
        assert not {"cmdstat_scan", "cmdstat_keys", "cmdstat_randomkey"} & set(stats)
        assert sum(stat["calls"] for stat in stats.values()) < 60
        db.clear()
        db.drop_table()
        assert client.exists(f"{prefix}:7") == 1
        client.delete(*(f"{prefix}:{n}" for n in range(20_000)))


def test_scopes_cost_what_they_hold(prefix: str, valkey: RedisServer) -> None:
    """A page, a count and a list of the users of a prefix take the same commands however many rows
    others have."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:

        def cost() -> list[int]:
            found = []
            for call in (
                lambda: db.read_memories(user_prefix="few", limit=5),
                lambda: db.read_memories(user_prefix="few"),
                lambda: db.count_memories(user_prefix="few"),
                lambda: db.list_users(prefix="few"),
                lambda: db.list_users(after="few 1", limit=2),
            ):
                client.config_resetstat()
                call()
                stats: Any = client.info("commandstats")
                found.append(sum(stat["calls"] for stat in stats.values()))
            return found

        db.upsert_memories(MemoryRow({"n": n}, f"{n}", f"few {n % 3}") for n in range(30))
        db.upsert_memory(MemoryRow({}, "0", "g"))
        cost()
        before = cost()
        db.upsert_memories(MemoryRow({"n": n}, f"{n}", f"many {n % 7}") for n in range(9000))
        assert cost() == before
        assert max(before) < 40
        db.drop_table()
