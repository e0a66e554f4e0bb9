"""The class of version 1."""

from buddy.memory.db.stored import StoredMemoryDb
from buddy_memory_lmdb.constructor import LmdbConstructor

__all__ = ["LmdbMemoryDb"]


class LmdbMemoryDb(LmdbConstructor, StoredMemoryDb):
    """Version 1 on LMDB; the arguments are those of LmdbConstructor."""
