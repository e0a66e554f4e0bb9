"""The class of version 1."""

from buddy.memory.db.stored import StoredMemoryDb
from buddy_memory_mongo.constructor import MongoConstructor

__all__ = ["MongoMemoryDb"]


class MongoMemoryDb(MongoConstructor, StoredMemoryDb):
    """Version 1 on MongoDB; the arguments are those of MongoConstructor."""
