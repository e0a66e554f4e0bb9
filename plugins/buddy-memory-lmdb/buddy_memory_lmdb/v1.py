"""The class of version 1."""

from buddy.memory.db.store_backed import StoreBackedMemoryDb
from buddy_memory_lmdb.constructor import LmdbConstructor

__all__ = ["LmdbMemoryDb"]


class LmdbMemoryDb(LmdbConstructor, StoreBackedMemoryDb):
    """Version 1 on LMDB; the arguments are those of LmdbConstructor."""
