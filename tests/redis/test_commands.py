"""Which commands go to the server: few, cheap, and each within one hash slot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from tests.redis.wires import Batches, assume_one_server, slots_of, wired
from tests.servers.redis import RedisServer

USERS = ("ann", "bob", None, "", "a}b{c", "{}", "ü:*")

CORE = {
    *("EVAL", "EVALSHA", "HGET", "ZSCORE", "ZRANGE", "SET", "EXISTS", "UNLINK", "CONFIG"),
}


@pytest.fixture(params=["one server", "one server, expiring", "proxy", "proxy, expiring"])
def seen(request: pytest.FixtureRequest, prefix: str) -> Iterator[tuple[RedisMemoryDb, Batches]]:
    batches = Batches()
    url = request.getfixturevalue("proxy_url" if "proxy" in request.param else "valkey_url")
    expire = 1000 if "expiring" in request.param else None
    with wired(url, prefix, batches.seen, expire=expire) as db:
        for number, user in enumerate(USERS):
            db.upsert_memory(MemoryRow({"n": number}, f"warm {number}", user))
            db.delete_memory(f"warm {number}")
        db.read_memories()
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
        "exists": lambda: db.memory_exists(MemoryRow({}, "a", "ann")),
        "list": lambda: db.read_memories("ann", limit=20),
        "list all": lambda: db.read_memories(limit=20),
        "count": lambda: db.count_memories("ann"),
        "count all": lambda: db.count_memories(),
        "delete": lambda: db.delete_memory("a"),
        "delete none": lambda: db.delete_memory("none"),
        "get none": lambda: db.read_memory("none"),
    }


def test_two_round_trips_at_most(
    seen: tuple[RedisMemoryDb, Batches], request: pytest.FixtureRequest
) -> None:
    """No operation waits for the server more than twice; reads of one user, and by an id that was
    seen, once, an update of a lasting row, too; and any write where there is one server."""
    db, batches = seen
    for call in calls(db).values():  # So that the server knows all scripts.
        call()
    trips = {}
    for name, call in calls(db).items():
        batches.clear()
        call()
        trips[name] = len(batches)
    assert max(trips.values()) == 2, trips
    once = {"get", "get of a user", "exists", "list", "count", "delete none", "get none"}
    if "expiring" not in request.node.name:
        once.add("update")
    if "proxy" not in request.node.name:
        once |= {"insert", "update", "delete", "count all"}
    assert {name for name, number in trips.items() if number == 1} == once


@pytest.mark.parametrize("expire", [None, 1000], ids=["lasting", "expiring"])
def test_an_id_that_was_not_seen(valkey_url: str, prefix: str, expire: int | None) -> None:
    """Reading or deleting a row by an id alone takes two round trips when it was not seen before,
    and a read three, a deletion two, when it is another user's by now; a row of a user is read in
    one."""
    batches = Batches()
    with (
        RedisMemoryDb.from_url(valkey_url, prefix=prefix, expire=expire) as other,
        wired(valkey_url, prefix, batches.seen, expire=expire) as db,
    ):

        def trips(call: Callable[[], Any]) -> int:
            batches.clear()
            call()
            return len(batches)

        assume_one_server(db)
        for a, b, c in ("abc", "def"):  # Once so that the server knows all scripts.
            other.upsert_memories(MemoryRow({"n": 1}, id, "ann") for id in (a, b, c))
            found = [
                trips(lambda a=a: db.read_memory(a)),
                trips(lambda a=a: db.memory_exists(MemoryRow({}, a))),
                trips(lambda b=b: db.delete_memory(b)),
                trips(lambda c=c: db.delete_memory(c, user_id="ann")),
            ]
            other.delete_memory(a)
            other.upsert_memory(MemoryRow({"n": 2}, a, "bob"))
            found.append(trips(lambda a=a: db.memory_exists(MemoryRow({}, a))))
            other.delete_memory(a)
            other.upsert_memory(MemoryRow({"n": 3}, a, "ann"))
            found.append(trips(lambda a=a: db.delete_memory(a)))
        assert found == [2, 1, 2, 1, 3, 2]
        db.drop_table()


def test_an_id_without_a_row(valkey: RedisServer, prefix: str) -> None:
    """Where the directory names the user whom one asked already, nobody is asked again."""
    batches = Batches()
    with valkey.client() as client, wired(valkey.url, prefix, batches.seen) as db:
        db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        client.hdel(f"buddy-memory/{{{prefix}/=ann}}/memory/rows", "a")
        batches.clear()
        assert db.read_memory("a") is None
        assert len(batches) == 2
        db.drop_table()


def test_ids_after_a_bulk_deletion(seen: tuple[RedisMemoryDb, Batches]) -> None:
    """Of ids that a bulk deletion took, the directory is asked at once; others are still known."""
    db, batches = seen
    for id in ("a", "b"):
        db.upsert_memory(MemoryRow({"n": 1}, id, "ann"))
    db.read_memory("b")
    db.delete_memories(["a"])
    for id in ("a", "b"):
        batches.clear()
        db.read_memory(id)
        assert len(batches) == 1


@pytest.mark.parametrize("way", ["valkey_url", "proxy_url"])
def test_the_first_inserts(way: str, prefix: str, request: pytest.FixtureRequest) -> None:
    """The first insert of an object takes two round trips, whatever the server turns out to be; the
    next takes one, and a bulk write two, where it is a single one."""
    url, batches = request.getfixturevalue(way), Batches()
    for _ in range(2):  # Once so that the server knows all scripts.
        with wired(url, prefix, batches.seen) as db:
            trips = []
            for write in (
                lambda: db.upsert_memory(MemoryRow({}, "first", "ann")),
                lambda: db.upsert_memory(MemoryRow({}, "second", "bob")),
                lambda: db.upsert_memories(MemoryRow({}, f"{n}", f"{n % 9}") for n in range(900)),
            ):
                batches.clear()
                write()
                trips.append(len(batches))
            db.drop_table()
    assert trips == ([2, 1, 2] if way == "valkey_url" else [2, 2, 5])


def test_every_command_stays_in_one_slot(
    seen: tuple[RedisMemoryDb, Batches], request: pytest.FixtureRequest
) -> None:
    """Whatever the user ids, each command names keys of one slot, or of a user's and the
    directory's on a single server, and core commands only."""
    db, batches = seen
    rows = [MemoryRow({"n": n}, f"{n}", USERS[n % len(USERS)]) for n in range(1300)]
    db.create()
    db.upsert_memories(rows)
    db.upsert_summaries([SummaryRow({"n": n}, f"{n}", user) for n, user in enumerate(USERS)])
    for call in calls(db).values():
        call()
    assert db.delete_user("a}b{c") == {"memories": 186, "summaries": 1}
    assert db.delete_memories([str(n) for n in range(700)]) == 600
    db.read_summaries()
    db.drop_table()
    commands = [command for batch in batches for command in batch]
    assert {command[0].decode() for command in commands} <= CORE
    slots = 1 if "proxy" in request.node.name else 2
    assert max(len(slots_of(command)) for command in commands) == slots
    assert max(len(batch) for batch in batches) <= 100


def test_all_of_one_user_is_in_one_slot(seen: tuple[RedisMemoryDb, Batches]) -> None:
    """The rows, indexes and deadlines of one user, memories and summaries, share a slot."""
    db, batches = seen
    db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
    db.upsert_summary(SummaryRow({"n": 1}, "s", "ann"))
    batches.clear()
    db.read_memories("ann")
    db.read_summaries("ann")
    db.count_memories("ann")
    db.read_memory("a", user_id="ann")
    slots = [slots_of(command) for batch in batches for command in batch]
    assert len(set.union(*slots)) == 1


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
