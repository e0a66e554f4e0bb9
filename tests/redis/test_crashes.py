"""A client that dies between any two commands leaves nothing half-done."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from buddy.memory.errors import ConflictError
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.redis.stored import assert_sound, dangling_entries
from tests.redis.wires import Killed, split_commands, wired
from tests.servers.redis import RedisServer

SHARDS = pytest.mark.parametrize("shards", [1, 4])
EXPIRE = pytest.mark.parametrize("expire", [None, 1000], ids=["lasting", "expiring"])


def dying(url: str, prefix: str, **options: Any) -> Iterator[Callable[[Any], bool]]:
    """Yield a function that runs an operation in a client that dies before its first command, then
    one that dies before its second, and so on; it tells whether the operation came to its end."""
    for commands in count():
        left = [commands]

        def cut(data: bytes, left: list[int] = left) -> bytes:
            parts = split_commands(data)[: left[0]]
            left[0] -= len(parts)
            return b"".join(parts)

        def attempt(operation: Any, cut: Any = cut) -> bool:
            with wired(url, prefix, cut, **options) as db:
                try:
                    operation(db)
                except Killed:
                    return False
                return True

        yield attempt


ROWS = [("new", "ann"), ("old", "ann"), ("b", "bob"), ("other", "bob")]

OPERATIONS: dict[str, Callable[[RedisMemoryDb], Any]] = {
    "insert": lambda db: db.upsert_memory(MemoryRow({"n": 1}, "new", "ann")),
    "insert, expected": lambda db: db.upsert_memory(MemoryRow({}, "new", "ann"), if_version=0),
    "update": lambda db: db.upsert_memory(MemoryRow({"n": 2}, "old", "ann")),
    "bulk": lambda db: db.upsert_memories(MemoryRow({}, id, user) for id, user in ROWS),
    "delete": lambda db: db.delete_memory("old"),
    "delete of a user": lambda db: db.delete_memory("old", user_id="ann"),
    "delete many": lambda db: db.delete_memories(["old", "other"]),
    "delete user": lambda db: db.delete_user("ann"),
    "clear": lambda db: db.clear(),
    "drop": lambda db: db.drop_table(),
}


@SHARDS
@EXPIRE
@pytest.mark.parametrize("name", OPERATIONS)
def test_death_between_any_two_commands(
    valkey: RedisServer, prefix: str, name: str, expire: int | None, shards: int
) -> None:
    """After each possible death all views agree, no entry is without its row, and anybody can go
    on."""
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=expire, shards=shards) as db,
    ):
        for attempt in dying(valkey.url, prefix, expire=expire):
            db.clear()
            db.upsert_memory(MemoryRow({"n": 1}, "old", "ann"))
            db.upsert_memory(MemoryRow({"n": 1}, "other", "bob"))
            ended = attempt(OPERATIONS[name])
            ids = assert_sound(db)
            if db.table_exists():  # Otherwise what is left of it is of no store.
                assert dangling_entries(client, prefix) == []
            if "new" not in ids:
                assert db.upsert_memory(MemoryRow({}, "new", "bob"), if_version=0).version == 1
            if "old" not in ids:
                assert db.upsert_memory(MemoryRow({}, "old", "bob"), if_version=0).version == 1
            assert {"new", "old"} <= set(assert_sound(db))
            OPERATIONS["delete many"](db)
            assert not {"old", "other"} & set(assert_sound(db))
            assert dangling_entries(client, prefix) == []
            if ended:
                break
        db.drop_table()


@SHARDS
def test_death_while_a_store_is_made(valkey: RedisServer, prefix: str, shards: int) -> None:
    """Whoever comes after a client that died while it made a store finds a sound one."""
    with valkey.client() as client:
        for attempt in dying(valkey.url, prefix, shards=shards):
            ended = attempt(
                lambda db: db.upsert_memories(MemoryRow({}, id, user) for id, user in ROWS)
            )
            with RedisMemoryDb(prefix, client=client, shards=shards) as db:
                for n in range(8):
                    db.upsert_memory(MemoryRow({}, f"{n}", ("ann", "bob")[n % 2]))
                assert_sound(db)
                assert dangling_entries(client, prefix) == []
                db.drop_table()
            assert client.keys(f"buddy-memory/{{{prefix}*") == []
            if ended:
                break


INTRUDERS: dict[str, Callable[[RedisMemoryDb], Any]] = {
    "the same user": lambda db: db.upsert_memory(MemoryRow({"n": 7}, "new", "ann")),
    "another user": lambda db: db.upsert_memory(MemoryRow({"n": 7}, "new", "bob")),
    "deletion": lambda db: db.delete_memory("new", user_id="ann"),
    "deletion of the old": lambda db: db.delete_memory("old", user_id="ann"),
    "deletion of all": lambda db: db.clear(),
    "drop": lambda db: db.drop_table(),
    "listing": lambda db: (db.read_memories(), db.count_memories()),
}


@SHARDS
@EXPIRE
@pytest.mark.parametrize("intruder", INTRUDERS)
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "drop"])
def test_others_between_any_two_steps(
    valkey: RedisServer, prefix: str, name: str, intruder: str, expire: int | None, shards: int
) -> None:
    """Whatever others do before any step of an operation, it ends, and all views agree."""
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=expire, shards=shards) as db,
    ):
        for step in range(5):
            db.clear()
            db.upsert_memory(MemoryRow({"n": 1}, "old", "ann"))
            db.upsert_memory(MemoryRow({"n": 1}, "other", "bob"))
            steps = count()

            def intrude(data: bytes, steps: Iterator[int] = steps, step: int = step) -> bytes:
                if next(steps) == step:
                    INTRUDERS[intruder](db)
                return data

            with wired(valkey.url, prefix, intrude, expire=expire, shards=shards) as slow:
                with suppress(ConflictError, LookupError):
                    OPERATIONS[name](slow)
                assert_sound(db)
                assert slow.upsert_memory(MemoryRow({}, "own", "ann")).version == 1
            assert_sound(db)
            assert dangling_entries(client, prefix) == []
        db.drop_table()


WRITER = """
import sys
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
db = RedisMemoryDb.from_url(sys.argv[1], prefix=sys.argv[2])
for n in range(10**9):
    user = "ann" if n % 2 else "bob"
    db.upsert_memory(MemoryRow({"n": n}, str(n), user))
    print(n, flush=True)
    if n % 3 == 0:
        db.delete_memory(str(n), user_id=user)
"""


@pytest.mark.parametrize("place", ["valkey", "cluster"])
def test_kill_9(request: pytest.FixtureRequest, prefix: str, place: str) -> None:
    """A writer that is killed leaves every row that was acknowledged, and all views agree."""
    server = request.getfixturevalue(place)
    with server.client() as client, RedisMemoryDb.from_url(server.url, prefix=prefix) as db:
        for lines in (1, 20, 50):
            with subprocess.Popen(
                [sys.executable, "-c", WRITER, server.url, prefix],
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
            assert dangling_entries(client, prefix) == []
            db.clear()
        db.drop_table()


def test_rows_that_lost_their_index(valkey: RedisServer, prefix: str) -> None:
    """Listings pass over index entries without a row; a row that an index lost is still read by its
    id, and can be written and deleted."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        rows = db.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(5))
        root = f"buddy-memory/{{{prefix}/0}}/memory/"
        client.zadd(f"{root}order", {"ann\0ghost": 2**52})
        client.zadd(f"{root}users", {f"ann\0{2**52:016}\0ghost": 0})
        assert db.read_memories("ann", limit=2) == db.read_memories(limit=2) == rows[:2:-1]
        assert db.read_memories(user_prefix="a", limit=2) == rows[:2:-1]
        client.delete(f"{root}order", f"{root}users", f"{root}ids")
        assert db.read_memory("1", user_id="ann") == rows[1]
        assert db.upsert_memory(MemoryRow({}, "1", "ann")).version == 2
        assert db.delete_memory("1", user_id="ann") is True
        db.clear()
        db.drop_table()
