"""Version 1 in the memory of this process."""

from buddy.memory.db.stored import StoredMemoryDb
from buddy.memory.storage.inmemory_url import InMemoryConstructor

__all__ = ["InMemoryDb"]


class InMemoryDb(InMemoryConstructor, StoredMemoryDb):
    """Version 1 in memory; the arguments are those of InMemoryConstructor."""
