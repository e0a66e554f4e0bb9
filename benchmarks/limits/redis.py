"""The limit for Redis: redis-py by hand, a string for each row and a sorted set for each listing.

A script counts the version and keeps both listings, in one round trip; that is
possible on one server, and not on a cluster.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import redis
import redis.asyncio

from benchmarks.sides import PAGE, Row, chunks

PUT = """
local old = redis.call('GET', KEYS[1])
local version, created, order = 1, ARGV[2], nil
if old then
  local head = cjson.decode(string.sub(old, 1, string.find(old, '\\n', 1, true) - 1))
  version, created, order = head.version + 1, head.created_at, head.order
else
  order = redis.call('INCR', KEYS[4])
end
local head = cjson.encode({user_id = ARGV[3], version = version, created_at = created,
                           updated_at = ARGV[2], order = order})
redis.call('SET', KEYS[1], head .. '\\n' .. ARGV[4])
redis.call('ZADD', KEYS[2], 'NX', order, ARGV[1])
redis.call('ZADD', KEYS[3], 'NX', order, ARGV[5])
return head
"""
DELETE = """
local old = redis.call('GET', KEYS[1])
if not old then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[2])
return redis.call('DEL', KEYS[1])
"""


class Limit:
    """Keys below one prefix."""

    name = "by hand"
    store = "limit"
    asynchronous = False
    library: Any = redis

    def __init__(self, where: str, name: str) -> None:
        self.url, self.prefix = where, name

    def open(self) -> None:
        self.client = self.library.Redis.from_url(self.url)
        self.put_script = self.client.register_script(PUT)
        self.delete_script = self.client.register_script(DELETE)

    def create(self) -> Any:
        return self.client.ping()

    def row(self, id: str, user: str) -> str:
        return f"{self.prefix}:row:{user}:{id}"

    def listing(self, user: str | None) -> str:
        return f"{self.prefix}:all" if user is None else f"{self.prefix}:of:{user}"

    def written(self, id: str, user: str, memory: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(timezone.utc).isoformat()
        row = self.row(id, user)
        keys = [row, self.listing(user), self.listing(None), f"{self.prefix}:order"]
        return {"keys": keys, "args": [id, now, user, json.dumps(memory), row]}

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return load_head(self.put_script(**self.written(id, user, memory)))

    def put_many(self, rows: list[Row]) -> None:
        for some in chunks(rows, 1000):
            with self.client.pipeline(transaction=False) as pipeline:
                for row in some:
                    self.put_script(**self.written(*row), client=pipeline)
                pipeline.execute()

    def exists(self, id: str, user: str) -> Any:
        return self.client.exists(self.row(id, user))

    def get(self, id: str, user: str) -> Any:
        return load(self.client.get(self.row(id, user)))

    def newest(self, user: str, limit: int) -> list[Any]:
        return self.some(user, 0, limit)

    def some(self, user: str | None, first: int, limit: int) -> list[Any]:
        ids = self.client.zrevrange(self.listing(user), first, first + limit - 1)
        texts = self.client.mget(self.rows(user, ids)) if ids else []
        return [load(text) for text in texts]

    def rows(self, user: str | None, ids: list[bytes]) -> list[Any]:
        return [*ids] if user is None else [self.row(id.decode(), user) for id in ids]

    def page(self, user: str | None) -> int:
        found = 0
        while rows := self.some(user, found, PAGE):
            found += len(rows)
        return found

    def delete(self, id: str, user: str) -> Any:
        row = self.row(id, user)
        keys = [row, self.listing(user), self.listing(None)]
        return self.delete_script(keys=keys, args=[id, row])

    def close(self) -> Any:
        return self.client.close()


class LimitAsync(Limit):
    """The same commands, awaited."""

    name = "by hand, async"
    asynchronous = True
    library = redis.asyncio

    async def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return load_head(await self.put_script(**self.written(id, user, memory)))

    async def put_many(self, rows: list[Row]) -> None:  # type: ignore[override]
        for some in chunks(rows, 1000):
            async with self.client.pipeline(transaction=False) as pipeline:
                for row in some:
                    await self.put_script(**self.written(*row), client=pipeline)
                await pipeline.execute()

    async def get(self, id: str, user: str) -> Any:
        return load(await self.client.get(self.row(id, user)))

    async def newest(self, user: str, limit: int) -> list[Any]:  # type: ignore[override]
        return await self.some(user, 0, limit)

    async def some(self, user: str | None, first: int, limit: int) -> list[Any]:  # type: ignore[override]
        ids = await self.client.zrevrange(self.listing(user), first, first + limit - 1)
        texts = await self.client.mget(self.rows(user, ids)) if ids else []
        return [load(text) for text in texts]

    async def page(self, user: str | None) -> int:  # type: ignore[override]
        found = 0
        while rows := await self.some(user, found, PAGE):
            found += len(rows)
        return found

    def close(self) -> Any:
        return self.client.aclose()


def load(text: bytes | None) -> Any:
    if text is None:
        return None
    head, _, body = text.partition(b"\n")
    return {**load_head(head), "memory": json.loads(body)}


def load_head(head: bytes) -> dict[str, Any]:
    row = json.loads(head)
    for name in ("created_at", "updated_at"):
        row[name] = datetime.fromisoformat(row[name])
    return row  # type: ignore[no-any-return]


SIDES = [Limit, LimitAsync]
