"""The classes of version 2."""

from __future__ import annotations

import os

from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from buddy_memory_lmdb.client import MAP_SIZE
from buddy_memory_lmdb.constructor import LmdbConstructor, OpenedByUrl

__all__ = ["AsyncLmdbMemoryDb", "LmdbMemoryDb"]


class LmdbMemoryDb(LmdbConstructor, StoreBackedMemoryDb):
    """Version 2 on LMDB; the arguments are those of LmdbConstructor."""


class AsyncLmdbMemoryDb(OpenedByUrl, ThreadedMemoryDb):
    """LmdbMemoryDb for asyncio. LMDB itself blocks, so each call runs in a thread."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        table_name: str = "memory",
        map_size: int = MAP_SIZE,
        *,
        expire: float | None = None,
    ) -> None:
        super().__init__(LmdbMemoryDb(path, table_name, map_size, expire=expire))
