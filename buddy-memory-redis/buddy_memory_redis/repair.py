"""The indexes of a store built anew from its rows, where one was evicted or deleted by hand."""

from __future__ import annotations

from buddy.memory.storage.record import Kind
from buddy_memory_redis.schema import Layout
from buddy_memory_redis.shards import ROWS, Shards
from buddy_memory_redis.transport import Command


async def repair_indexes(shards: Shards, layout: Layout) -> None:
    """Make the indexes complete. Until then, listings raise SchemaError; writers may go on."""
    for kind in Kind:
        for shard in range(layout.shards):
            call = shards.call(layout, "indexed", kind, shard, "begin")
            (complete,) = await shards.transport.all([call])
            if complete == 0:
                await _index(shards, layout, kind, shard)


async def _index(shards: Shards, layout: Layout, kind: Kind, shard: int) -> None:
    rows = shards.schema.keys.of(kind, shard)[0]
    cursor = b"0"
    while True:
        scan = Command(("HSCAN", rows), (cursor, "COUNT", ROWS))
        (reply,) = await shards.transport.all([scan])
        cursor, found = reply
        fields = found[::2] if isinstance(found, list) else list(found)
        for start in range(0, len(fields), ROWS):
            some = fields[start : start + ROWS]
            await shards.transport.one(shards.call(layout, "index", kind, shard, *some))
        if int(cursor) == 0:
            return
