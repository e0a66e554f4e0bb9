"""What a store has in Redis, looked at with a client of the test's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from buddy.memory.storage.record import Kind
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy_memory_redis.encoding import dump_user
from buddy_memory_redis.schema import Keys, Layout

NAMES = ("rows", "order", "users", "ids", "deadlines", "ends", "marks")


def layout_of(client: Any, prefix: str) -> Layout:
    """Return what a store says of itself."""
    generation, shards = client.hmget(Keys(prefix).meta(0), "generation", "shards")
    return Layout(int(shards), generation)


def shard_of(client: Any, prefix: str, user_id: str | None) -> int:
    """Return the number of the shard of a user."""
    return layout_of(client, prefix).shard_of(dump_user(user_id))


def keys_of(client: Any, prefix: str, kind: Kind, user_id: str | None) -> dict[str, bytes]:
    """Return the keys of the shard of a user, by name."""
    keys = Keys(prefix).of(kind, shard_of(client, prefix, user_id))
    return dict(zip(NAMES, keys, strict=True))


def rows_of(client: Any, prefix: str, kind: Kind, user_id: str | None) -> bytes:
    """Return the key of the rows of a user."""
    return keys_of(client, prefix, kind, user_id)["rows"]


def all_keys(client: Any, prefix: str) -> set[str]:
    """Return the keys of a test's stores, by what stands behind the test's own prefix."""
    start = f"buddy-memory/{{{prefix}"
    found = (key.decode() for key in client.keys("*"))
    return {key[len(start) :] for key in found if key.startswith(start)}


def assert_sound(db: RedisMemoryDb, users: tuple[str, ...] = ("ann", "bob")) -> list[str]:
    """See that all views agree, also in the order, and return the ids that there are."""
    rows = db.read_memories(sort="asc")
    keys = [(row.user_id, row.id) for row in rows]
    assert db.count_memories() == len(keys) == len(set(keys))
    of_users = [row for user in users for row in db.read_memories(user, sort="asc")]
    assert of_users == [row for user in users for row in rows if row.user_id == user]
    assert sum(db.count_memories(user) for user in users) == len(of_users) == len(keys)
    assert set(db.list_users()) == {row.user_id for row in rows}
    for row in of_users:
        assert db.read_memory(str(row.id), user_id=row.user_id) == row
    return [str(row.id) for row in rows]


def dangling_entries(client: Any, prefix: str) -> list[str]:
    """Return what is wrong in a store: rows without their entries in an index, and the reverse."""
    shards = layout_of(client, prefix).shards
    return [
        wrong
        for shard in range(shards)
        for kind in Kind
        for wrong in _dangling(client, Keys(prefix).of(kind, shard), shards, shard)
    ]


def _dangling(client: Any, keys: tuple[bytes, ...], shards: int, shard: int) -> Iterator[str]:
    rows, order, users, ids, deadlines, ends, marks = keys
    texts = client.hgetall(rows)
    places = dict(client.zrange(order, 0, -1, withscores=True))
    limits = dict(client.zrange(deadlines, 0, -1, withscores=True))
    sums: dict[bytes, int] = defaultdict(int)
    by_user, by_id, by_end = set(), set(), set()
    for field, text in texts.items():
        user, id = field.split(b"\0")
        head = text.partition(b"\n")[0].split(b" ")
        sums[user] += int(head[4])
        by_id.add(id + b"\0" + user)
        if field not in places or places[field] != int(head[1]):
            yield f"{field!r} is at {head[1]!r}, and in the order at {places.get(field)}"
        if int(head[1]) % shards != shard:
            yield f"the position of {field!r} is that of another shard"
        by_user.add(user + b"\0%016d\0" % int(head[1]) + id)
        if field in limits:
            by_end.add(user + b"\0%016d\0" % int(limits[field]) + id)
    for name, key, wanted in (
        ("order", order, set(texts)),
        ("users", users, by_user),
        ("ids", ids, by_id),
        ("ends", ends, by_end),
    ):
        if set(client.zrange(key, 0, -1)) != wanted:
            yield f"{name}: {set(client.zrange(key, 0, -1)) ^ wanted}"
    if set(limits) - set(texts):
        yield f"deadlines: {set(limits) - set(texts)}"
    if {user: int(found) for user, found in client.hgetall(marks).items()} != sums:
        yield f"marks: {client.hgetall(marks)}, not {dict(sums)}"
