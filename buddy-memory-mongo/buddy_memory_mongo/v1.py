"""The class of version 1."""

from buddy.memory.db.store_backed import StoreBackedMemoryDb
from buddy_memory_mongo.constructor import MongoConstructor

__all__ = ["MongoMemoryDb"]


class MongoMemoryDb(MongoConstructor, StoreBackedMemoryDb):
    """Version 1 on MongoDB; the arguments are those of MongoConstructor."""
