"""R14 beyond the kit: what expires goes with everything that led to it, and is counted nowhere."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

import pytest

from buddy.memory.errors import ConfigError
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from tests.redis.test_layout import all_keys
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
    """When all rows have expired, no key of the store is left but its mark."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client, expire=1) as db:
        db.upsert_memories(MemoryRow({"n": n}, f"{n}", f"user {n % 3}") for n in range(10))
        db.upsert_summary(SummaryRow({"n": 1}, "s", "ann"))
        db.delete_memory("3")
        assert len(all_keys(client, prefix)) > 9
        end = monotonic() + 10
        while all_keys(client, prefix) != {"}/meta"}:
            assert monotonic() < end
            sleep(0.05)
        db.drop_table()


def test_listings_and_counts_leave_out_what_expired(valkey: RedisServer, prefix: str) -> None:
    """Beside rows that last, those that expired are neither listed nor counted, and are removed."""
    shelf = f"buddy-memory/{{{prefix}/=ann}}/memory"
    directory = f"buddy-memory/{{{prefix}}}/memory"
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=1) as short,
        RedisMemoryDb(prefix, client=client) as db,
    ):
        short.upsert_memories(MemoryRow({"n": n}, f"short {n}", "ann") for n in range(300))
        rows = db.upsert_memories(MemoryRow({"n": n}, f"long {n}", "ann") for n in range(3))
        assert db.count_memories() == db.count_memories("ann") == 303
        wait_until_expired(client, f"{shelf}/deadlines", ["short 299"])
        assert db.count_memories() == db.count_memories("ann") == 3
        for user in (None, "ann"):
            for reader in (db, short):
                assert reader.read_memory("short 7", user_id=user) is None
                assert reader.memory_exists(MemoryRow({}, "short 7", user)) is False
        assert short.delete_memory("short 8") is db.delete_memory("short 8", user_id="ann") is False
        assert db.read_memories("ann", 2, "asc") == db.read_memories(None, 2, "asc") == rows[:2]
        assert [row.id for row in db.iter_memories("ann", page_size=2)] == [
            "long 2",
            "long 1",
            "long 0",
        ]
        assert db.delete_memory("short 1") is False
        assert client.hlen(f"{shelf}/rows") == client.zcard(f"{shelf}/index") == 3
        assert client.zcard(f"{directory}/index") == 3
        assert db.delete_user("ann") == {"memories": 3, "summaries": 0}
        db.drop_table()


def test_a_write_decides_how_long_a_row_lives(valkey: RedisServer, prefix: str) -> None:
    """A write with an expiry renews it, and one without makes the row last, with its claims."""
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=100) as short,
        RedisMemoryDb(prefix, client=client) as db,
    ):
        short.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        keys = sorted(all_keys(client, prefix) - {"}/meta"})
        names = [f"buddy-memory/{{{prefix}{key}" for key in keys]
        assert all(0 < client.pttl(name) <= 100_000 for name in names)
        assert db.read_memory("a") is not None
        db.upsert_memory(MemoryRow({"n": 2}, "a", "ann"))
        left = {key for key in all_keys(client, prefix) if not key.endswith("fence")}
        assert not [key for key in left if key.endswith("deadlines")]
        assert {client.pttl(f"buddy-memory/{{{prefix}{key}") for key in left} == {-1}
        short.upsert_memory(MemoryRow({"n": 3}, "a", "ann"))
        keys = sorted(all_keys(client, prefix) - {"}/meta"})
        assert {client.pttl(f"buddy-memory/{{{prefix}{key}") > 0 for key in keys} == {True}
        assert short.read_memories() == db.read_memories("ann")
        for user in ("ann", "ann", "bob"):
            db.upsert_memory(MemoryRow({"n": 4}, "lasting", user))
            left = {key for key in all_keys(client, prefix) if not key.endswith("fence")}
            gone = {key for key in left if client.pttl(f"buddy-memory/{{{prefix}{key}") > 0}
            assert gone == (set() if user == "ann" else {key for key in left if "/=ann" in key})
            assert db.delete_memory("lasting") is True
            assert {client.pttl(f"buddy-memory/{{{prefix}{key}") > 0 for key in keys} == {True}
        db.drop_table()


@pytest.mark.parametrize("expire", [0, -1, 1.5, "7", True, 10**12])
def test_a_wrong_expiry(expire: Any) -> None:
    """An expiry that is no number of seconds is refused by the constructor."""
    with pytest.raises(ConfigError, match="expire"):
        RedisMemoryDb(expire=expire)
