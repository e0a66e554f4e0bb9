"""The classes of version 2."""

from buddy.memory.v2.db.stored import AsyncStoredMemoryDb, StoredMemoryDb
from buddy_memory_mongo.constructor import AsyncMongoConstructor, MongoConstructor

__all__ = ["AsyncMongoMemoryDb", "MongoMemoryDb"]


class MongoMemoryDb(MongoConstructor, StoredMemoryDb):
    """Version 2 on MongoDB; the arguments are those of MongoConstructor."""


class AsyncMongoMemoryDb(AsyncMongoConstructor, AsyncStoredMemoryDb):
    """Version 2 on MongoDB for asyncio; the arguments are those of AsyncMongoConstructor."""
