"""MongoDB, version 1: see the distribution buddy-memory-mongo."""

from buddy.memory.facade import not_installed

try:
    from buddy_memory_mongo.v1 import MongoMemoryDb
except ModuleNotFoundError as error:
    raise not_installed("buddy-memory-mongo", error) from error

__all__ = ["MongoMemoryDb"]
