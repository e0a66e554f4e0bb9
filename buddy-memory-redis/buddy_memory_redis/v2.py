"""The classes of version 2."""

from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from buddy_memory_redis.constructor import RedisConstructor

__all__ = ["AsyncRedisMemoryDb", "RedisMemoryDb"]


class RedisMemoryDb(RedisConstructor, StoreBackedMemoryDb):
    """Version 2 on Redis or Valkey; the arguments are those of RedisConstructor."""


class AsyncRedisMemoryDb(RedisConstructor, AsyncStoreBackedMemoryDb):
    """RedisMemoryDb for asyncio; ``client`` is one of ``redis.asyncio``."""

    _asynchronous = True
