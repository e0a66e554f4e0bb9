"""Redis and Valkey, version 2: see the distribution buddy-memory-redis."""

from buddy.memory.facade import not_installed

try:
    from buddy_memory_redis.v2 import AsyncRedisMemoryDb, RedisMemoryDb
except ModuleNotFoundError as error:
    raise not_installed("buddy-memory-redis", error) from error

__all__ = ["AsyncRedisMemoryDb", "RedisMemoryDb"]
