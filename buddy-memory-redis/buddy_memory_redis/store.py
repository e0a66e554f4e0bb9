"""Redis and Valkey as a Store. The layout is in ``schema`` and ``scripts/lib.lua``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import (
    Corrupt,
    Key,
    Kind,
    Reach,
    Record,
    Scope,
    Write,
    new_stamp,
)
from buddy.memory.storage.store import Ended, Store
from buddy.memory.storage.users import decode_user, encode_user, prefix_range
from buddy_memory_redis import server_info, upgrade
from buddy_memory_redis.bulk import BulkWrite
from buddy_memory_redis.encoding import (
    Put,
    dump,
    dump_body,
    dump_ttl,
    dump_user,
    field,
    load,
    put_options,
    written,
)
from buddy_memory_redis.pages import read_page, read_stamps, user_range
from buddy_memory_redis.reading import find, read_many, read_text
from buddy_memory_redis.repair import repair_indexes
from buddy_memory_redis.schema import Layout, Schema
from buddy_memory_redis.shards import ROWS, Shards, by_shard, portions
from buddy_memory_redis.transport import Command, Transport


class RedisStore(Store):
    """Rows in shards: everything of one user is in one, and one script does each operation."""

    sums_stamps = True
    sweep_step = 500  # A script lets nobody else work.

    def __init__(self, transport: Transport, prefix: str, shards: int | None) -> None:
        self._transport, self._prefix = transport, prefix
        self._has_ends = False  # As far as this object has seen.
        self._schema = Schema(transport, prefix, shards)
        self._shards = Shards(transport, self._schema)
        self._floor = 0
        self._warned = False

    # --- the place

    async def create(self) -> None:
        self._shards.forget()
        await repair_indexes(self._shards, await self._shards.made())
        if not self._warned:
            self._warned = True
            await server_info.warn_about_losses(self._transport, self._prefix)

    async def exists(self) -> bool:
        return await self._schema.look() is not None

    async def drop(self) -> None:
        self._shards.forget()
        await self._schema.drop()

    async def ping(self) -> None:
        await self.exists()

    async def close(self) -> None:
        await self._transport.close()

    async def generation(self, kind: Kind) -> str:
        layout = await self._schema.look()
        return "" if layout is None else layout.generation.decode()

    async def server_info(self) -> dict[str, str]:
        layout = await self._schema.look()
        shards = "none yet" if layout is None else str(layout.shards)
        return {**await server_info.ask(self._transport, self._prefix), "shards": shards}

    def durability_warnings(self, info: Mapping[str, str]) -> list[str]:
        return server_info.durability_warnings(info)

    async def legacy_records(self) -> AsyncIterator[list[Record | Corrupt]]:
        async for page in upgrade.legacy_rows(self._transport, self._prefix):
            yield [old.row for old in page]

    async def upgrade(self) -> None:
        await self.ping()
        await upgrade.upgrade(self, self._transport, self._prefix)

    async def delete_legacy(self, user_id: str | None) -> int:
        return await upgrade.delete_legacy(self._transport, self._prefix, user_id)

    # --- writing

    async def put(self, write: Write) -> Record:
        put, record = dump(write), write.record
        self._has_ends = self._has_ends or write.has_end
        arguments = partial(self._put_arguments, put)
        reply = await self._shards.write("put", record.kind, dump_user(record.user_id), arguments)
        if reply.startswith(b"conflict"):
            raise _conflict(record.id, write.if_version or 0, reply)
        stored = written(put, reply)
        self._floor = max(self._floor, stored.position)
        return stored

    def _put_arguments(self, put: Put, layout: Layout, shard: int) -> Sequence[Any]:
        where = (layout.shards, shard, self._floor)
        return (*put_options(put.write), *where, *put.arguments())

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        if any(w.if_version is not None or w.now != writes[0].now for w in writes):
            return await super().put_many(writes)
        bulk = BulkWrite(self._shards, writes[0].record.kind, self._floor)
        records = await bulk.apply(writes)
        self._floor = max(self._floor, *(record.position for record in records))
        return records

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        self._has_ends = self._has_ends or any(write.has_end for write in writes)
        bulk = BulkWrite(self._shards, writes[0].record.kind, self._floor, new_only=True)
        records = await bulk.apply(writes)
        self._floor = max([self._floor, *(record.position for record in records)])
        return [record.key for record in records]

    async def rewrite(
        self,
        kind: Kind,
        user_id: str | None,
        id: str,
        if_stamp: int,
        *,
        payload: dict[str, Any],
        vector: bytes | None,
    ) -> bool:
        user, size = dump_user(user_id), "-" if vector is None else len(vector)
        body = dump_body(payload, vector)
        arguments = (user, id, if_stamp, new_stamp(), size, body)
        reply: int | None = await self._shards.run("rewrite", kind, user, *arguments)
        return reply == 1

    # --- the end of rows

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        user, count = dump_user(user_id), 0
        self._has_ends = True
        for some in portions(ids, ROWS):
            pairs = [part for id in some for part in (id, new_stamp())]
            reply = await self._shards.run("touch", kind, user, user, dump_ttl(ttl), *pairs)
            count += reply or 0
        return count

    async def sweep(self, kind: Kind, limit: int) -> int:
        removed = 0
        # A script holds up the server for as long as it runs.
        for some in [ROWS] * (limit // ROWS) + [limit % ROWS] * (limit % ROWS > 0):
            replies = await self._shards.on_all("sweep", kind, ((some,),))
            removed += sum(replies)
            if not any(reply == some for reply in replies):
                break
        return removed

    async def ended(self, kind: Kind) -> Ended:
        replies = await self._shards.on_all("ended", kind)
        first = min((float(since) for _, since in replies if since), default=None)
        since = None if first is None else datetime.fromtimestamp(first / 1000, timezone.utc)
        return Ended(sum(count for count, _ in replies), since)

    # --- reading

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        text = await self._text(kind, user_id, id)
        return None if text is None else load(kind, user_id, id, text)

    async def has(self, kind: Kind, user_id: str | None, id: str) -> bool:
        return await self._text(kind, user_id, id) is not None

    def _text(self, kind: Kind, user_id: str | None, id: str) -> Awaitable[bytes | None]:
        return read_text(self._shards, kind, user_id, id, expiring=self._has_ends)

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        places = [(None, field(*key)) for key in keys]

        async def operation(layout: Layout) -> list[Record | Corrupt | None]:
            return await read_many(self._shards, layout, kind, places)

        return await self._shards.read(operation, [None] * len(keys))

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        return await find(self._shards, kind, ids)

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        return await read_page(self._shards, kind, scope, newest_first, after, limit)

    async def count(self, kind: Kind, scope: Scope) -> int:
        if scope.reach is Reach.EVERYBODY:
            return sum(reply[0] for reply in await self._shards.on_all("count", kind))
        low, high = user_range(scope)

        def first(reply: Any) -> tuple[Any, ...]:
            return (low, high, reply[1] if reply else low)

        replies = await self._shards.walk(
            "count", kind, _user_of(scope), first, lambda reply: not reply[1]
        )
        return sum(reply[0] for reply in replies)

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        low, high = prefix_range(prefix)
        begin = f"[{low}"
        if after is not None and encode_user(after) >= low:
            begin = f"[{encode_user(after)}\1"
        end, count = "+" if high is None else f"({high}", limit or ROWS

        def arguments(reply: Any) -> tuple[Any, ...]:
            return (reply[0] if reply else begin, end, count)

        def is_at_end(reply: Any) -> bool:
            return not reply[0] or len(reply) - 1 == limit

        replies = await self._shards.walk("users", kind, None, arguments, is_at_end)
        found = sorted(decode_user(name.decode()) or "" for reply in replies for name in reply[1:])
        return found[:limit]

    async def mark(self, kind: Kind, user_id: str | None) -> str:
        user = dump_user(user_id)
        reply = await self._shards.run("mark", kind, user, user)
        return "0:0" if reply is None else str(reply.decode())

    def next_mark(self, mark: str, old: int | None, new: int | None) -> str | None:
        has_ended_rows = mark.count(":") > 1
        return None if has_ended_rows else super().next_mark(mark, old, new)

    async def stamps(self, kind: Kind, user_id: str | None) -> list[tuple[str, int | None]]:
        return await read_stamps(self._shards, kind, user_id)

    # --- deleting

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        user, expected = dump_user(user_id), "" if if_version is None else if_version
        reply = await self._shards.run("delete", kind, user, expected, user, id)
        if reply is None and if_version:
            raise ConflictError(id, if_version, 0)
        if isinstance(reply, bytes):
            raise _conflict(id, if_version or 0, reply)
        return bool(reply)

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        users = [dump_user(key.user_id) for key in keys]

        async def operation(layout: Layout) -> int:
            calls: list[Command] = []
            for shard, numbers in by_shard(layout, users):
                pairs = [name for n in numbers for name in (users[n], keys[n].id)]
                calls.append(self._shards.call(layout, "delete", kind, shard, "", *pairs))
            return sum(reply or 0 for reply in await self._shards.all(layout, calls))

        return await self._shards.read(operation, 0)

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        if scope.reach is Reach.EVERYBODY:
            return sum(await self._shards.on_all("clear", kind))
        low, high = user_range(scope)

        def arguments(reply: Any) -> tuple[Any, ...]:
            return (reply[2], high, reply[1]) if reply else (low, high, "")

        replies = await self._shards.walk(
            "delete_range", kind, _user_of(scope), arguments, lambda reply: not reply[2]
        )
        return sum(reply[0] for reply in replies)


def _conflict(id: str, expected: int, reply: bytes) -> ConflictError:
    return ConflictError(id, expected, int(reply.split()[1]))


def _user_of(scope: Scope) -> bytes | None:
    """Return the user of a scope, whose shard alone is concerned; None: all shards are."""
    return dump_user(scope.name) if scope.reach is Reach.USER else None
