"""Rows by user and id, and by id alone."""

from __future__ import annotations

from collections.abc import Sequence

from buddy.memory.storage.record import Corrupt, Kind, Record
from buddy_memory_redis.encoding import dump_user, expires, field, load, load_field
from buddy_memory_redis.schema import Layout
from buddy_memory_redis.shards import ROWS, Shards, by_shard

AT_ONCE = 20
"""Scripts in one pipeline that reads rows, at most."""


async def read_text(
    shards: Shards, kind: Kind, user_id: str | None, id: str, *, expiring: bool
) -> bytes | None:
    """Return the stored text of a row, or None.

    Two plain commands in one round trip are cheaper than a script. Of a row that expires only the
    server knows whether it did: with ``expiring`` the script is called at once.
    """
    user, name = dump_user(user_id), field(user_id, id)
    while not expiring:
        layout = await shards.known()
        if layout is None:
            return None
        commands = shards.schema.keys.lookup(kind, layout.shard_of(user), name)
        text: bytes | None
        text, generation = await shards.transport.all(commands)
        if text is None and generation != layout.generation and await shards.is_changed(layout):
            continue
        if text is None or not expires(text):
            return text
        expiring = True
    found = await shards.run("read", kind, user, name)
    return found[0] if found else None


async def find(shards: Shards, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
    """Return the rows with these ids, whoever's they are; two of each id at most."""
    parts = [ids[start : start + ROWS] for start in range(0, len(ids), ROWS)]
    found: dict[str, list[Record | Corrupt]] = {}
    for reply in await shards.on_all("find", kind, parts):
        for i in range(0, len(reply), 2):
            user_id, id = load_field(reply[i])
            rows = found.setdefault(id, [])
            if len(rows) < 2:  # Two of each shard came.
                rows.append(load(kind, user_id, id, reply[i + 1]))
    return [row for rows in found.values() for row in rows]


async def read_many(
    shards: Shards, layout: Layout, kind: Kind, places: Sequence[tuple[int | None, bytes]]
) -> list[Record | Corrupt | None]:
    """Return the rows with these positions and fields, None where there is none, in this order."""
    found: list[Record | Corrupt | None] = [None] * len(places)
    groups = by_shard(layout, [name.partition(b"\0")[0] for _, name in places])
    for start in range(0, len(groups), AT_ONCE):
        some = groups[start : start + AT_ONCE]
        calls = [
            shards.call(layout, "read", kind, shard, *[places[i][1] for i in numbers])
            for shard, numbers in some
        ]
        replies = await shards.all(layout, calls)
        for (_, numbers), texts in zip(some, replies, strict=True):
            for i, text in zip(numbers, texts or (), strict=False):
                if text is not None:
                    found[i] = load(kind, *load_field(places[i][1]), text, places[i][0])
    return found
