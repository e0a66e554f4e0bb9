"""The class of version 1."""

from buddy.memory.db.stored import StoredMemoryDb
from buddy_memory_newname.constructor import NewnameConstructor

__all__ = ["NewnameMemoryDb"]


class NewnameMemoryDb(NewnameConstructor, StoredMemoryDb):
    """Version 1; the arguments are those of NewnameConstructor."""
