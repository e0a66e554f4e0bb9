"""The classes of version 2."""

from __future__ import annotations

from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from buddy_memory_newname.constructor import NewnameConstructor

__all__ = ["AsyncNewnameMemoryDb", "NewnameMemoryDb"]


class NewnameMemoryDb(NewnameConstructor, StoreBackedMemoryDb):
    """Version 2; the arguments are those of NewnameConstructor."""


class AsyncNewnameMemoryDb(ThreadedMemoryDb):
    """NewnameMemoryDb for asyncio, each call in a thread.

    With an asynchronous driver, derive from AsyncStoreBackedMemoryDb and await in the Store.
    """

    def __init__(
        self,
        table_name: str = "memory",
        db_url: str | None = None,
        *,
        expire: float | None = None,
    ) -> None:
        super().__init__(NewnameMemoryDb(table_name, db_url, expire=expire))
