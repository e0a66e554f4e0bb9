"""R14 beyond the kit: what expires goes with everything that led to it, and is counted nowhere."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from time import monotonic, sleep
from typing import Any

import pytest

from buddy.memory.errors import ConfigError
from buddy.memory.storage.record import EVERYBODY, Kind
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from tests.redis.stored import all_keys, dangling_entries
from tests.servers.redis import RedisServer


def wait_until_expired(client: Any, key: str, ids: list[str]) -> None:
    """Return when the server's time is past the deadlines of these rows."""
    last = max(client.zmscore(key, ids))
    while True:
        seconds, micros = client.time()
        left = last / 1000 - (seconds + micros / 1e6)
        if left < 0:
            return
        sleep(left + 0.001)


def test_nothing_stays_behind(valkey: RedisServer, prefix: str) -> None:
    """When all rows have expired, no key of the store is left but what it says of itself."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client, expire=1) as db:
        db.upsert_memories(MemoryRow({"n": n}, f"{n}", f"user {n % 3}") for n in range(10))
        db.upsert_summary(SummaryRow({"n": 1}, "s", "ann"))
        db.delete_memory("3")
        assert len(all_keys(client, prefix)) == 15
        end = monotonic() + 10
        while all_keys(client, prefix) != {"/0}/meta"}:
            assert monotonic() < end
            sleep(0.05)
        db.drop_table()


def test_listings_and_counts_leave_out_what_expired(valkey: RedisServer, prefix: str) -> None:
    """Beside rows that last, those that expired are neither listed nor counted, and are removed."""
    root = f"buddy-memory/{{{prefix}/0}}/memory"
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=1) as short,
        RedisMemoryDb(prefix, client=client) as db,
    ):
        store: Any = db._rules.store
        gone = [MemoryRow({"n": n}, f"short {n}", ("ann", "gone")[n % 2]) for n in range(300)]
        short.upsert_memories(gone)
        rows = db.upsert_memories(MemoryRow({"n": n}, f"long {n}", "ann") for n in range(3))
        assert (db.count_memories(), db.count_memories("ann")) == (303, 153)
        assert db.list_users() == ["ann", "gone"]
        mark = run(store.mark(Kind.MEMORY, "ann"))
        wait_until_expired(client, f"{root}/deadlines", ["ann\0short 298", "gone\0short 299"])
        assert db.count_memories() == db.count_memories("ann") == 3
        assert db.count_memories("gone") == db.count_memories(user_prefix="g") == 0
        assert db.count_memories(user_prefix="") == 3
        assert db.list_users() == short.list_users() == ["ann"]
        assert run(store.mark(Kind.MEMORY, "ann")) != mark
        for user in (None, "ann"):
            for reader in (db, short):
                assert reader.read_memory("short 8", user_id=user) is None
        for reader in (db, short):
            assert reader.memory_exists(MemoryRow({}, "short 8", "ann")) is False
            assert reader.read_memories_by_id(["short 8", "long 1"], user_id="ann") == [
                None,
                rows[1],
            ]
        assert db.read_memories("ann", 2, "asc") == db.read_memories(None, 2, "asc") == rows[:2]
        assert db.read_memories(limit=2, user_prefix="a") == rows[:0:-1]
        assert db.read_memories("gone") == db.read_memories(user_prefix="g") == []
        assert list(db.iter_memories("ann", page_size=2)) == rows[::-1]
        assert client.hlen(f"{root}/rows") == 303  # Reads leave them; writes remove some.
        assert dangling_entries(client, prefix) == []
        assert short.delete_memory("short 8", user_id="ann") is False
        assert client.hlen(f"{root}/rows") == 303 - 21
        again = short.upsert_memory(MemoryRow({}, "short 298", "ann"))
        assert (again.version, db.read_memories("ann", 1)) == (1, [again])
        for _ in range(15):
            db.upsert_memory(MemoryRow({}, "x", "bob"))
        assert client.hlen(f"{root}/rows") == 5
        assert dangling_entries(client, prefix) == []
        assert db.delete_user("ann") == {"memories": 4, "summaries": 0}
        db.drop_table()


def test_what_expired_is_deleted_and_not_counted(valkey: RedisServer, prefix: str) -> None:
    """Deletions take expired rows along and count the living ones."""
    root = f"buddy-memory/{{{prefix}/0}}/memory"
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=1) as short,
        RedisMemoryDb(prefix, client=client) as db,
    ):
        for erase in (
            lambda: db.delete_user("ann")["memories"],
            lambda: run(db._rules.store.delete_all(Kind.MEMORY, EVERYBODY)),
            lambda: db.delete_memories([f"{n}" for n in range(100)], user_id="ann"),
        ):
            short.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(90))
            db.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(90, 100))
            wait_until_expired(client, f"{root}/deadlines", ["ann\x0089"])
            assert erase() == 10
            assert client.exists(f"{root}/rows", f"{root}/marks", f"{root}/ends") == 0
        db.drop_table()


def test_the_end_of_a_row_is_told(valkey_url: str, prefix: str) -> None:
    """What a write returns and a read finds has the moment at which the row ends."""
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix, expire=1000) as db:
        store: Any = db._rules.store
        before = datetime.now(timezone.utc) + timedelta(seconds=999)
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        db.upsert_memories(MemoryRow({}, id, "ann") for id in "abc")
        for id in "abc":
            record = run(store.get(Kind.MEMORY, "ann", id))
            assert before < record.expires_at < before + timedelta(seconds=60)
        db.drop_table()


def test_very_many_expired_rows(valkey: RedisServer, prefix: str) -> None:
    """Counting a user, or reading a page, beside very many expired rows removes none of them, and
    no script looks at more than a few thousand."""
    root = f"buddy-memory/{{{prefix}/0}}/memory"
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=1) as short,
        RedisMemoryDb(prefix, client=client) as db,
    ):
        rows = db.upsert_memories(MemoryRow({}, f"long {n}", "ann") for n in range(2))
        short.upsert_memories(MemoryRow({}, f"{n}", "ann") for n in range(9000))
        wait_until_expired(client, f"{root}/deadlines", ["ann\x008999"])
        client.config_resetstat()
        assert db.count_memories("ann") == 2
        stats: Any = client.info("commandstats")
        assert sum(stat["calls"] for stat in stats.values()) < 15
        assert db.read_memories("ann", 1) == db.read_memories(limit=1) == rows[1:]
        assert client.hlen(f"{root}/rows") == 9002
        db.drop_table()


def test_a_write_decides_how_long_a_row_lives(valkey: RedisServer, prefix: str) -> None:
    """A write with an expiry renews it, and one without makes the row last, with what leads to
    it."""
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=100) as short,
        RedisMemoryDb(prefix, client=client) as db,
    ):

        def passing() -> set[bool]:
            keys = sorted(all_keys(client, prefix) - {"/0}/meta"})
            return {client.pttl(f"buddy-memory/{{{prefix}{key}") > 0 for key in keys}

        short.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        assert passing() == {True}
        assert db.read_memory("a", user_id="ann") is not None
        db.upsert_memory(MemoryRow({"n": 2}, "a", "ann"))
        assert passing() == {False}
        assert not {k for k in all_keys(client, prefix) if k.endswith(("deadlines", "ends"))}
        short.upsert_memory(MemoryRow({"n": 3}, "a", "ann"))
        assert passing() == {True}
        assert short.read_memories() == db.read_memories("ann")
        for user in ("ann", "ann", "bob"):
            db.upsert_memory(MemoryRow({"n": 4}, "lasting", user))
            assert passing() == {False}
            assert db.delete_memory("lasting", user_id=user) is True
            assert passing() == {True}
        assert dangling_entries(client, prefix) == []
        db.drop_table()


@pytest.mark.parametrize("expire", [0, -1, "7", True, 10**12])
def test_a_wrong_expiry(expire: Any) -> None:
    """An expiry that is no number of seconds is refused by the constructor."""
    with pytest.raises(ConfigError, match="expire"):
        RedisMemoryDb(expire=expire)
