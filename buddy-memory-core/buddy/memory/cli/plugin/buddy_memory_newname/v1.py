"""The class of version 1."""

from buddy.memory.db.store_backed import StoreBackedMemoryDb
from buddy_memory_newname.constructor import NewnameConstructor

__all__ = ["NewnameMemoryDb"]


class NewnameMemoryDb(NewnameConstructor, StoreBackedMemoryDb):
    """Version 1; the arguments are those of NewnameConstructor."""
