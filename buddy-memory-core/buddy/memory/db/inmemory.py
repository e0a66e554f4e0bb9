"""Version 1 in the memory of this process."""

from buddy.memory.db.store_backed import StoreBackedMemoryDb
from buddy.memory.storage.inmemory_url import InMemoryConstructor

__all__ = ["InMemoryDb"]


class InMemoryDb(InMemoryConstructor, StoreBackedMemoryDb):
    """Version 1 in memory; the arguments are those of InMemoryConstructor."""
