"""Version 2 in the memory of this process."""

from buddy.memory.storage.inmemory_url import InMemoryConstructor
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb

__all__ = ["AsyncInMemoryDb", "InMemoryDb"]


class InMemoryDb(InMemoryConstructor, StoreBackedMemoryDb):
    """Version 2 in memory; the arguments are those of InMemoryConstructor."""


class AsyncInMemoryDb(InMemoryConstructor, AsyncStoreBackedMemoryDb):
    """InMemoryDb for asyncio; no call ever waits."""
