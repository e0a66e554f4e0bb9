"""MongoDB, version 2: see the distribution buddy-memory-mongo."""

from buddy.memory.facade import not_installed

try:
    from buddy_memory_mongo.v2 import AsyncMongoMemoryDb, MongoMemoryDb
except ModuleNotFoundError as error:
    raise not_installed("buddy-memory-mongo", error) from error

__all__ = ["AsyncMongoMemoryDb", "MongoMemoryDb"]
