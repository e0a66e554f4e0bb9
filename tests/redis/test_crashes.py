"""A client that dies between any two commands leaves nothing visible, and the next call repairs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple

import pytest

from buddy.memory.errors import ConflictError, OwnerMismatchError
from buddy.memory.testing.expect import at_once
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.redis.wires import Killed, assume_one_server, split_commands, wired
from tests.servers.redis import RedisServer


def assert_sound(db: RedisMemoryDb, users: tuple[str, ...] = ("ann", "bob")) -> list[str]:
    """See that all views agree, also in the order, and return the ids that there are."""
    rows = db.read_memories(sort="asc")
    ids = [str(row.id) for row in rows]
    assert db.count_memories() == len(ids) == len(set(ids))
    of_users = [row for user in users for row in db.read_memories(user, sort="asc")]
    assert of_users == [row for user in users for row in rows if row.user_id == user]
    assert sum(db.count_memories(user) for user in users) == len(of_users) == len(ids)
    for row in of_users:
        assert db.read_memory(str(row.id)) == row
    return ids


class Way(NamedTuple):
    """Where a store is, and whether a client writes there in one step from the start."""

    url: str
    one_step: bool


@pytest.fixture(params=["one step", "two steps beside one", "two steps"])
def way(request: pytest.FixtureRequest) -> Way:
    """A server of which the client knows, or does not know yet, that it is a single one; there
    the others write in one step. And a proxy, where all write in two."""
    url = "proxy_url" if request.param == "two steps" else "valkey_url"
    return Way(request.getfixturevalue(url), request.param == "one step")


def dying(way: Way, prefix: str, **options: Any) -> Iterator[Callable[[Any], bool]]:
    """Yield a function that runs an operation in a client that dies before its first command, then
    one that dies before its second, and so on; it tells whether the operation came to its end."""
    for commands in count():
        left = [commands]

        def cut(data: bytes, left: list[int] = left) -> bytes:
            parts = split_commands(data)[: left[0]]
            left[0] -= len(parts)
            return b"".join(parts)

        def attempt(operation: Any, cut: Any = cut) -> bool:
            with wired(way.url, prefix, cut, one_step=way.one_step, **options) as db:
                try:
                    operation(db)
                except Killed:
                    return False
                return True

        yield attempt


def refused(db: RedisMemoryDb) -> None:
    with pytest.raises(OwnerMismatchError):
        db.upsert_memory(MemoryRow({}, "other", "ann"))


OPERATIONS: dict[str, Callable[[RedisMemoryDb], Any]] = {
    "insert": lambda db: db.upsert_memory(MemoryRow({"n": 1}, "new", "ann")),
    "insert, expected": lambda db: db.upsert_memory(MemoryRow({}, "new", "ann"), if_version=0),
    "update": lambda db: db.upsert_memory(MemoryRow({"n": 2}, "old", "ann")),
    "bulk": lambda db: db.upsert_memories(MemoryRow({}, id, "ann") for id in ("new", "old", "b")),
    "delete": lambda db: db.delete_memory("old"),
    "delete of a user": lambda db: db.delete_memory("old", user_id="ann"),
    "delete many": lambda db: db.delete_memories(["old", "other"]),
    "delete user": lambda db: db.delete_user("ann"),
    "refused": refused,
}


@pytest.mark.parametrize("expire", [None, 1000], ids=["lasting", "expiring"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_death_between_any_two_commands(
    way: Way, prefix: str, name: str, expire: int | None
) -> None:
    """After each possible death all views agree, and the id can be written by anybody."""
    with RedisMemoryDb.from_url(way.url, prefix=prefix, expire=expire) as db:
        for attempt in dying(way, prefix, expire=expire):
            db.clear()
            db.upsert_memory(MemoryRow({"n": 1}, "old", "ann"))
            db.upsert_memory(MemoryRow({"n": 1}, "other", "bob"))
            ended = attempt(OPERATIONS[name])
            ids = assert_sound(db)
            if "new" not in ids:
                assert db.upsert_memory(MemoryRow({}, "new", "bob"), if_version=0).version == 1
            if "old" not in ids:
                assert db.upsert_memory(MemoryRow({}, "old", "bob"), if_version=0).version == 1
            assert {"new", "old"} <= set(assert_sound(db))
            OPERATIONS["delete many"](db)
            assert not {"old", "other"} & set(assert_sound(db))
            if ended:
                break
        db.drop_table()


def test_an_insert_is_repaired_by_repeating_it(way: Way, prefix: str) -> None:
    """Whoever repeats an insert that was cut off before its end gets a first version."""
    with RedisMemoryDb.from_url(way.url, prefix=prefix) as db:
        for attempt in dying(way, prefix):
            if attempt(lambda db: db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))):
                break
            row = db.upsert_memory(MemoryRow({"n": 2}, "a", "ann"), if_version=0)
            assert row.version == 1
            assert db.read_memories() == db.read_memories("ann") == [row]
            db.clear()
        db.drop_table()


def test_an_insert_that_is_repeated_later(way: Way, prefix: str) -> None:
    """What was cut off stands, once it is repeated, behind what was written meanwhile, in all
    views."""
    with RedisMemoryDb.from_url(way.url, prefix=prefix) as db:
        for attempt in dying(way, prefix):
            if attempt(lambda db: db.upsert_memory(MemoryRow({}, "a", "ann"))):
                break
            was_stored = bool(db.count_memories())
            for id in ("b", "a"):
                db.upsert_memory(MemoryRow({}, id, "ann"))
            assert assert_sound(db) == (["a", "b"] if was_stored else ["b", "a"])
            db.clear()
        db.drop_table()


def test_a_bulk_write_that_meets_what_others_left(way: Way, prefix: str) -> None:
    """Rows whose ids were another user's until a moment ago keep their places in a bulk write."""
    with (
        RedisMemoryDb.from_url(way.url, prefix=prefix) as other,
        RedisMemoryDb.from_url(way.url, prefix=prefix) as db,
    ):
        for id in ("b", "d"):
            other.upsert_memory(MemoryRow({}, id, "bob"))
            other.delete_memory(id)
        db.upsert_memories(MemoryRow({}, id, "ann") for id in "abcde")
        assert assert_sound(db) == list("abcde")
        db.drop_table()


INTRUDERS: dict[str, Callable[[RedisMemoryDb], Any]] = {
    "the same user": lambda db: db.upsert_memory(MemoryRow({"n": 7}, "new", "ann")),
    "a settled update": lambda db: db.upsert_memories([MemoryRow({"n": 7}, "old", "ann")]),
    "another user": lambda db: db.upsert_memory(MemoryRow({"n": 7}, "new", "bob")),
    "deletion": lambda db: db.delete_memory("new"),
    "deletion of the old": lambda db: db.delete_memory("old"),
    "theft of the old": lambda db: (
        db.delete_memory("old"),
        db.upsert_memory(MemoryRow({"n": 7}, "old", "bob")),
    ),
    "deletion of all": lambda db: db.clear(),
    "listing": lambda db: (db.read_memories(), db.count_memories()),
}


@pytest.mark.parametrize("expire", [None, 1000], ids=["lasting", "expiring"])
@pytest.mark.parametrize("intruder", INTRUDERS)
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "refused"])
def test_others_between_any_two_steps(
    way: Way, prefix: str, name: str, intruder: str, expire: int | None
) -> None:
    """Whatever others do before any step of an operation, it ends or is refused, and all views
    agree."""
    with RedisMemoryDb.from_url(way.url, prefix=prefix, expire=expire) as db:
        for step in range(4):
            db.clear()
            db.upsert_memory(MemoryRow({"n": 1}, "old", "ann"))
            db.upsert_memory(MemoryRow({"n": 1}, "other", "bob"))
            steps = count()

            def intrude(data: bytes, steps: Iterator[int] = steps, step: int = step) -> bytes:
                if next(steps) == step:
                    with suppress(OwnerMismatchError):
                        INTRUDERS[intruder](db)
                return data

            with wired(way.url, prefix, intrude, one_step=way.one_step, expire=expire) as slow:
                with suppress(OwnerMismatchError, ConflictError):
                    OPERATIONS[name](slow)
                assert_sound(db)
                assert slow.upsert_memory(MemoryRow({}, "own", "ann")).version == 1
            assert_sound(db)
        db.drop_table()


WRITER = """
import sys
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
db = RedisMemoryDb.from_url(sys.argv[1], prefix=sys.argv[2])
for n in range(10**9):
    db.upsert_memory(MemoryRow({"n": n}, str(n), "ann" if n % 2 else "bob"))
    print(n, flush=True)
    if n % 3 == 0:
        db.delete_memory(str(n))
"""


def test_kill_9(valkey_url: str, prefix: str) -> None:
    """A writer that is killed leaves every row that was acknowledged, and all views agree."""
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix) as db:
        for lines in (1, 20, 50):
            with subprocess.Popen(
                [sys.executable, "-c", WRITER, valkey_url, prefix],
                stdout=subprocess.PIPE,
                text=True,
            ) as writer:
                assert writer.stdout is not None
                for _ in range(lines):
                    last = int(writer.stdout.readline())
                writer.send_signal(signal.SIGKILL)
                seen = [last, *map(int, writer.stdout.read().split())]
            ids = set(assert_sound(db))
            assert {str(n) for n in range(seen[-1]) if n % 3} <= ids
            db.clear()
        db.drop_table()


def test_two_users_who_want_the_same_ids(valkey_url: str, prefix: str) -> None:
    """Of many users who insert the same ids at once, and delete them, one at a time owns each."""
    dbs = [RedisMemoryDb.from_url(valkey_url, prefix=prefix) for _ in range(4)]

    def work(n: int) -> int:
        stored = 0
        for m in range(60):
            try:
                dbs[n].upsert_memory(MemoryRow({"n": n}, f"{m % 3}", f"user {n}"))
                stored += 1
                dbs[n].delete_memory(f"{m % 3}", user_id=f"user {n}")
            except OwnerMismatchError:
                continue
        dbs[n].upsert_memories(MemoryRow({}, f"own {n} {m}", f"user {n}") for m in range(5))
        return stored

    assert sum(at_once(4, work)) > 0
    ids = assert_sound(dbs[0], tuple(f"user {n}" for n in range(4)))
    assert {f"own {n} {m}" for n in range(4) for m in range(5)} <= set(ids)
    dbs[0].drop_table()
    for db in dbs:
        db.close()


@pytest.mark.parametrize("steps", ["one step", "two steps"])
def test_a_refused_bulk_leaves_no_claims(
    request: pytest.FixtureRequest, prefix: str, steps: str
) -> None:
    """What a bulk write claimed before it was refused is free again."""
    server = request.getfixturevalue("valkey" if steps == "one step" else "cluster")
    with server.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memory(MemoryRow({}, "theirs", "bob"))
        with pytest.raises(OwnerMismatchError):
            db.upsert_memories(MemoryRow({}, id, "ann") for id in ("a", "b", "theirs", "c"))
        assert client.hkeys(f"buddy-memory/{{{prefix}}}/memory/owners") == [b"theirs"]
        db.drop_table()


def test_leftovers_are_healed(valkey: RedisServer, prefix: str) -> None:
    """A listing passes over index entries without a row, here and in the directory, and removes
    them; a row that the directory lost goes with its user."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        rows = db.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(5))
        shelf = f"buddy-memory/{{{prefix}/=ann}}/memory/"
        directory = f"buddy-memory/{{{prefix}}}/memory/"
        client.zadd(f"{shelf}index", {"ghost": 2**52})
        client.zadd(f"{directory}index", {"ghost": 2**52})
        client.hset(f"{directory}owners", "claimed", "1 =ann")
        client.zadd(f"{directory}index", {"claimed": 1})
        assert db.read_memories("ann", limit=2) == db.read_memories(limit=2) == rows[:2:-1]
        assert db.read_memories(sort="asc") == rows
        assert client.zscore(f"{shelf}index", "ghost") is None
        assert client.zscore(f"{directory}index", "ghost") is None
        assert client.hget(f"{directory}owners", "claimed") is None
        assert db.count_memories() == 5
        client.delete(f"{directory}owners", f"{directory}index")
        assume_one_server(db)
        assert db.delete_memory("1", user_id="ann") is False
        assert len(db.read_memories("ann")) == 5
        with RedisMemoryDb(prefix, client=client) as other:
            assume_one_server(other)
            assert other.upsert_memory(MemoryRow({"n": 9}, "2", "ann")).version == 2
        assert [row.id for row in db.read_memories()] == ["2"]
        assert db.delete_user("ann") == {"memories": 5, "summaries": 0}
        assert client.exists(f"{shelf}rows") == 0
        db.drop_table()
