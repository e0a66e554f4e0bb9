"""The classes of version 2."""

from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from buddy_memory_mongo.constructor import AsyncMongoConstructor, MongoConstructor

__all__ = ["AsyncMongoMemoryDb", "MongoMemoryDb"]


class MongoMemoryDb(MongoConstructor, StoreBackedMemoryDb):
    """Version 2 on MongoDB; the arguments are those of MongoConstructor."""


class AsyncMongoMemoryDb(AsyncMongoConstructor, AsyncStoreBackedMemoryDb):
    """Version 2 on MongoDB for asyncio; the arguments are those of AsyncMongoConstructor."""
