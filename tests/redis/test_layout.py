"""What is really stored: a change of these keys and texts is a change of the format."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

import pytest

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import Key, Kind, Record, Write
from buddy.memory.storage.sync_runner import run
from buddy.memory.testing.assertions import clock
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_redis.transport import value_of
from tests.redis.stored import all_keys, dangling_entries, keys_of
from tests.servers.redis import RedisServer

NOW = datetime(2026, 5, 4, 3, 2, 1, 987654, timezone.utc)
END = NOW.replace(year=2126)


def test_the_keys(valkey: RedisServer, prefix: str) -> None:
    """A store has the same few keys for any number of users, and none of them holds a colon."""
    with valkey.client() as client, RedisMemoryDb(f"{prefix}:x", client=client) as db:
        for user in ("ann", "Zoë/{1}", None, ""):
            db.upsert_memory(MemoryRow({"n": 1}, "a", user))
        db.upsert_summary(SummaryRow({"n": 1}, "s", "ann"))
        assert all_keys(client, prefix) == {
            "%3Ax/0}/meta",
            *(f"%3Ax/0}}/memory/{name}" for name in ("rows", "order", "users", "ids", "marks")),
            *(f"%3Ax/0}}/summary/{name}" for name in ("rows", "order", "users", "ids", "marks")),
        }
        db.drop_table()
        assert all_keys(client, prefix) == set()


def test_what_leads_to_a_row(valkey: RedisServer, prefix: str) -> None:
    """A row is named by user NUL id; users are encoded; nobody and the empty user differ."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        rows = [db.upsert_memory(MemoryRow({}, "a", user)) for user in (None, "", "ann", "\x01b")]
        keys = keys_of(client, prefix, Kind.MEMORY, "ann")
        users = (b"", b"\x01", b"ann", b"\x01\x01b")
        assert set(client.hkeys(keys["rows"])) == {user + b"\0a" for user in users}
        assert client.zrange(keys["ids"], 0, -1) == sorted(b"a\0" + user for user in users)
        places: Any = client.zrange(keys["order"], 0, -1, withscores=True)
        assert [field for field, _ in places] == [user + b"\0a" for user in users]
        assert client.zrange(keys["users"], 0, -1) == sorted(
            b"%b\0%016d\0a" % (field.partition(b"\0")[0], place) for field, place in places
        )
        assert set(client.hkeys(keys["marks"])) == set(users)
        assert [db.read_memory("a", user_id=user) for user in ("", "ann", "\x01b")] == rows[1:]
        meta: Any = client.hgetall(keys["rows"].replace(b"memory/rows", b"meta"))
        assert set(meta) == {b"generation", b"shards", b"last"}
        assert (meta[b"shards"], int(meta[b"last"])) == (b"1", places[-1][1])
        assert dangling_entries(client, prefix) == []
        db.drop_table()


def test_a_stored_row(valkey: RedisServer, prefix: str) -> None:
    """A row is a line with version, position, times and stamp, and its payload as plain JSON."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db, clock(NOW):
        db.upsert_memory(MemoryRow({"text": "tëa", "n": 1.5}, "a", "ann"))
        db.upsert_memory(MemoryRow({"text": "tëa", "n": 2}, "a", "ann"))
        keys = keys_of(client, prefix, Kind.MEMORY, "ann")
        head, payload = client.hget(keys["rows"], "ann\0a").decode().split("\n")
        version, position, created, updated, stamp, expires, vector = head.split()
        assert payload == '{"text":"tëa","n":2}'
        assert (version, created, updated) == ("2", "1777863721.987654", "1777863721.987655")
        assert (expires, vector) == ("-", "-")
        assert client.zscore(keys["order"], "ann\0a") == int(position)
        assert client.hget(keys["marks"], "ann") == stamp.encode()
        db.drop_table()


def test_a_vector_and_an_end(valkey: RedisServer, prefix: str) -> None:
    """A vector stands between head and payload, with its size in the head; an end in the head."""
    vectors = (None, b"", b"\x00\n 1 -\xff")
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        store: Any = db._rules.store
        for n, vector in enumerate(vectors):
            record = Record(Kind.MEMORY, "ann", f"{n}", {"n": n}, NOW, NOW, 1, END, vector)
            stored = run(store.put(Write(record, NOW)))
            assert run(store.get(Kind.MEMORY, "ann", f"{n}")) == stored
            assert (stored.vector, stored.expires_at) == (vector, END)
        text = client.hget(keys_of(client, prefix, Kind.MEMORY, "ann")["rows"], "ann\x002")
        assert text.endswith(b' 4933537321.987654 7\n\x00\n 1 -\xff{"n":2}')
        found = run(store.get_many(Kind.MEMORY, [Key("ann", f"{n}") for n in range(3)]))
        assert tuple(record.vector for record in found) == vectors
        db.drop_table()


def test_a_stored_row_that_expires(valkey: RedisServer, prefix: str) -> None:
    """The head of a row that expires holds its deadline, however it is written."""
    with (
        valkey.client() as client,
        RedisMemoryDb(prefix, client=client, expire=1000) as short,
        RedisMemoryDb(prefix, client=client) as db,
    ):
        for n, store in enumerate((short, short, db, db, short)):
            row = store.upsert_memory(MemoryRow({"n": n}, "a", "ann"))
            assert row.version == n + 1
            keys = keys_of(client, prefix, Kind.MEMORY, "ann")
            head, _ = client.hget(keys["rows"], "ann\0a").decode().split("\n")
            stored = client.zscore(keys["deadlines"], "ann\0a")
            assert head.split()[5] == (f"{stored / 1000:.6f}" if store is short else "-")
            ends: Any = client.zrange(keys["ends"], 0, -1)
            assert ends == ([b"ann\0%016d\0a" % stored] if store is short else [])
            assert short.read_memory("a", user_id="ann") == db.read_memory("a", user_id="ann")
        db.drop_table()


@pytest.mark.parametrize("shards", [None, 3])
@pytest.mark.parametrize("cls", [RedisMemoryDb, AsyncRedisMemoryDb], ids=["sync", "async"])
def test_the_layout_of_an_earlier_release(
    valkey: RedisServer, prefix: str, cls: Any, shards: int | None
) -> None:
    """A store in the layout of before is refused by every call, and nothing of it is touched."""
    with valkey.client() as client:
        earlier = {
            f"buddy-memory/{{{prefix}}}/meta": 7,
            f"buddy-memory/{{{prefix}/=ann}}/memory/rows": {"a": "1 7 1.000000 1.000000\n{}"},
        }
        for key, value in earlier.items():
            if isinstance(value, dict):
                client.hset(key, mapping=value)
            else:
                client.set(key, value)

        async def every_call() -> None:
            db = cls(prefix, db_url=valkey.url, shards=shards)
            for name, arguments in CALLS.items():
                with pytest.raises(SchemaError, match="layout of an earlier buddy-memory"):
                    await value_of(getattr(db, name)(*arguments))
            await value_of(db.close())

        asyncio.run(every_call())
        assert {f"buddy-memory/{{{prefix}{key}" for key in all_keys(client, prefix)} == {*earlier}
        client.delete(*earlier)


CALLS: dict[str, tuple[Any, ...]] = {
    "create": (),
    "table_exists": (),
    "ping": (),
    "upgrade": (),
    "upsert_memory": (MemoryRow({}, "a", "ann"),),
    "upsert_memories": ([MemoryRow({}, "a", "ann")],),
    "memory_exists": (MemoryRow({}, "a", "ann"),),
    "read_memories": ("ann",),
    "read_memory": ("a",),
    "read_memories_by_id": (["a"],),
    "count_memories": (),
    "list_users": (),
    "delete_memory": ("a",),
    "delete_memories": (["a"],),
    "delete_user": ("ann",),
    "clear": (),
    "drop_table": (),
}


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


@pytest.mark.parametrize("other", ["{}:b", "{}*", "{}b", "?{}", "{}/0", "{}}}", "*"])
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
            assert second.read_memory("1", user_id="ann") is not None
            second.drop_table()
