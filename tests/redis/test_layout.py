"""What is really stored: a change of these keys and texts is a change of the format."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from buddy.memory.storage.record import Kind
from buddy.memory.testing.expect import clock
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_redis import keys, owners
from tests.servers.redis import RedisServer

NOW = datetime(2026, 5, 4, 3, 2, 1, 987654, timezone.utc)


def all_keys(client: Any, prefix: str) -> set[str]:
    """Return the keys of a test's stores, by what stands behind the test's own prefix."""
    start = f"buddy-memory/{{{prefix}"
    found = (key.decode() for key in client.keys("*"))
    return {key[len(start) :] for key in found if key.startswith(start)}


def test_the_keys(valkey: RedisServer, prefix: str) -> None:
    """One directory for the store, one shelf for each user, and no key with a colon."""
    with valkey.client() as client, RedisMemoryDb(f"{prefix}:x", client=client) as db:
        for user in ("ann", "Zoë/{1}", None, ""):
            db.upsert_memory(MemoryRow({"n": 1}, f"of {user}", user))
        db.upsert_summary(SummaryRow({"n": 1}, "s", "ann"))
        shelves = ("/=ann", "/=Zo%C3%AB%2F%7B1%7D", "/-", "/=")
        assert all_keys(client, prefix) == {
            "%3Ax}/meta",
            *(f"%3Ax}}/memory/{name}" for name in ("owners", "index")),
            *(f"%3Ax}}/summary/{name}" for name in ("owners", "index")),
            *(f"%3Ax{user}}}/memory/{name}" for user in shelves for name in ("rows", "index")),
            *(f"%3Ax/=ann}}/summary/{name}" for name in ("rows", "index")),
        }
        db.drop_table()
        assert all_keys(client, prefix) == set()


def test_a_stored_row(valkey: RedisServer, prefix: str) -> None:
    """A row is a line with version, position and times, and then its payload as plain JSON."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db, clock(NOW):
        db.upsert_memory(MemoryRow({"text": "tëa", "n": 1.5}, "a", "ann"))
        db.upsert_memory(MemoryRow({"text": "tëa", "n": 2}, "a", "ann"))
        key = f"buddy-memory/{{{prefix}/=ann}}/memory/rows"
        head, payload = client.hget(key, "a").decode().split("\n")
        version, position, created, updated = head.split()
        assert payload == '{"text":"tëa","n":2}'
        assert (version, created, updated) == ("2", "1777863721.987654", "1777863721.987655")
        assert client.zscore(key.replace("rows", "index"), "a") == int(position)
        assert client.zscore(f"buddy-memory/{{{prefix}}}/memory/index", "a") == int(position)
        db.drop_table()


def test_a_stored_row_that_expires(valkey: RedisServer, prefix: str) -> None:
    """The first line of a row that expires ends with its deadline, however it is written."""
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=1000) as short,
        RedisMemoryDb(prefix, client=client) as db,
    ):
        shelf = f"buddy-memory/{{{prefix}/=ann}}/memory"

        def deadlines() -> tuple[list[str], str | None]:
            head, _ = client.hget(f"{shelf}/rows", "a").decode().split("\n")
            stored = client.zscore(f"{shelf}/deadlines", "a")
            return head.split()[4:], stored and f"{stored:.0f}"

        for n, store in enumerate((short, short, db, db, short)):
            assert store.upsert_memory(MemoryRow({"n": n}, "a", "ann")).version == n + 1
            found, stored = deadlines()
            assert found == ([stored] if store is short else [])
            assert short.read_memory("a") == db.read_memory("a", user_id="ann")
        db.drop_table()


@pytest.mark.parametrize("year", [1, 1969, 2290, 2900, 9998])
def test_times_of_any_year(valkey_url: str, prefix: str, year: int) -> None:
    """Times before 1970 and beyond the exact range of a double are kept, and move on."""
    time = datetime(year, 12, 31, 23, 59, 59, 999999, timezone.utc)
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix) as db:
        row = db.upsert_memory(MemoryRow({"n": 1}, "a", None, time, time))
        assert (row.created_at, row.last_updated) == (time, time)
        assert db.read_memory("a") == row
        again = db.upsert_memory(MemoryRow({"n": 2}, "a", None))
        assert again.created_at == time
        assert again.last_updated is not None
        assert again.last_updated > time
        if year > 2026:
            assert again.last_updated == datetime(year + 1, 1, 1, tzinfo=timezone.utc)
        db.drop_table()


@pytest.mark.parametrize("other", ["{}:b", "{}*", "{}b", "?{}", "{}/=ann", "{}}}", "*"])
def test_a_prefix_has_a_boundary(valkey_url: str, prefix: str, other: str) -> None:
    """A store never sees, counts or clears one whose prefix begins with, or matches, its own."""
    theirs = prefix[1:] if other == "?{}" else other.format(prefix)
    mine = f"?{theirs}" if other == "?{}" else prefix
    names = (mine, f"{prefix}*" if theirs == "*" else theirs)
    a, b = (RedisMemoryDb.from_url(valkey_url, prefix=name) for name in names)
    with a, b:
        for first, second in ((a, b), (b, a)):
            for db in (a, b):
                db.upsert_memory(MemoryRow({"of": db.to_dict()["prefix"]}, "1", "ann"))
            assert first.count_memories() == 1
            first.clear()
            assert [row.memory for row in second.read_memories()] == [
                {"of": second.to_dict()["prefix"]}
            ]
            first.drop_table()
            assert second.read_memory("1") is not None
            second.drop_table()


def test_what_is_kept_at_hand_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the owners that were seen nor the names of keys grow with the store."""
    for module in (keys, owners):
        monkeypatch.setattr(module, "REMEMBERED", 3)
    names, seen = keys.Keys("p"), owners.Owners()
    for n in range(10):
        names.shelf(Kind.MEMORY, f"{n}")
        seen.keep(Kind.MEMORY, f"{n}", "ann")
    assert len(names._shelves) <= 3
    assert len(seen._seen) <= 3
    assert seen.get(Kind.MEMORY, "9") == ("ann",)
