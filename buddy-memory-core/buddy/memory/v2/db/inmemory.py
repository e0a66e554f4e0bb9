"""Version 2 in the memory of this process."""

from buddy.memory.storage.inmemory_url import InMemoryConstructor
from buddy.memory.v2.db.stored import AsyncStoredMemoryDb, StoredMemoryDb

__all__ = ["AsyncInMemoryDb", "InMemoryDb"]


class InMemoryDb(InMemoryConstructor, StoredMemoryDb):
    """Version 2 in memory; the arguments are those of InMemoryConstructor."""


class AsyncInMemoryDb(InMemoryConstructor, AsyncStoredMemoryDb):
    """InMemoryDb for asyncio; no call ever waits."""
