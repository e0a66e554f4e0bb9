"""The v2 contracts, synchronous and asynchronous."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING

from buddy.memory.filters import Where
from buddy.memory.rows import RowLike, StoredMemoryRow
from buddy.memory.search.request import SearchResult, parse
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.iteration import PAGE_SIZE, Page, iterate_rows_async
from buddy.memory.storage.memory_methods import MemoryContract
from buddy.memory.storage.record import Kind
from buddy.memory.storage.self_description import describe
from buddy.memory.storage.users import Nobody
from buddy.memory.v2.db.async_lifecycle import AsyncDatabaseLifecycle
from buddy.memory.v2.db.async_summaries import AsyncSummaryMethods

if TYPE_CHECKING:
    from buddy.memory.receipt import Receipt

__all__ = ["AsyncMemoryDb", "MemoryDb"]


class MemoryDb(MemoryContract[StoredMemoryRow]):
    """Version 2: rows are ``buddy.memory.v2.db.schema.MemoryRow``. See MemoryContract."""

    @abstractmethod
    def delete_memory(
        self,
        memory_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool | None:
        """Delete one row. Backends of this project tell whether there was one.

        Raises ConflictError when ``if_version`` is not the stored version (0: no row), and
        AmbiguousIdError.
        """


class AsyncMemoryDb(AsyncSummaryMethods, AsyncDatabaseLifecycle):
    """The methods of MemoryDb, awaited; what each promises stands there."""

    keeps_ends: bool = False

    # --- memories

    @abstractmethod
    async def memory_exists(self, memory: RowLike) -> bool: ...

    @abstractmethod
    async def read_memories(
        self,
        user_id: str | Nobody | None = None,
        limit: int | None = None,
        sort: str | None = None,
        *,
        user_prefix: str | None = None,
    ) -> list[StoredMemoryRow]: ...

    @abstractmethod
    async def upsert_memory(
        self, memory: RowLike, *, if_version: int | None = None, ttl: Ttl = None
    ) -> StoredMemoryRow: ...

    @abstractmethod
    async def delete_memory(
        self,
        memory_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool | None: ...

    async def upsert_memories(
        self, memories: Iterable[RowLike], *, ttl: Ttl = None
    ) -> list[StoredMemoryRow]:
        return await self._operations.upsert_many(Kind.MEMORY, memories, ttl)

    async def touch_memories(self, ids: Iterable[str], *, user_id: str | Nobody, ttl: Ttl) -> int:
        return await self._operations.touch(Kind.MEMORY, ids, user_id, ttl)

    async def sweep(self, progress: Callable[[int], object] | None = None) -> int:
        """As MemoryDb.sweep."""
        total = 0
        async for removed in self._operations.sweep():
            total += removed
            if progress is not None:
                progress(total)
        return total

    async def read_memory(
        self, id: str, *, user_id: str | Nobody | None = None
    ) -> StoredMemoryRow | None:
        row: StoredMemoryRow | None = await self._operations.get(Kind.MEMORY, id, user_id)
        return row

    async def read_memories_by_id(
        self, ids: Iterable[str], *, user_id: str | Nobody | None = None
    ) -> list[StoredMemoryRow | None]:
        return await self._operations.get_many(Kind.MEMORY, ids, user_id)

    def iter_memories(
        self,
        user_id: str | Nobody | None = None,
        sort: str | None = None,
        page_size: int = PAGE_SIZE,
        *,
        user_prefix: str | None = None,
        where: Where | None = None,
    ) -> AsyncIterator[StoredMemoryRow]:
        return iterate_rows_async(
            self._operations, Kind.MEMORY, user_id, user_prefix, sort, page_size, where
        )

    async def page_memories(
        self,
        user_id: str | Nobody | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        sort: str | None = None,
        user_prefix: str | None = None,
        where: Where | None = None,
    ) -> Page[StoredMemoryRow]:
        found = self._operations.page(Kind.MEMORY, user_id, user_prefix, limit, after, sort, where)
        return Page(*await found)

    async def count_memories(
        self,
        user_id: str | Nobody | None = None,
        *,
        user_prefix: str | None = None,
        where: Where | None = None,
    ) -> int:
        return await self._operations.count(Kind.MEMORY, user_id, user_prefix, where)

    async def search_memories(
        self,
        query: str | None = None,
        *,
        user_id: str | Nobody,
        where: Where | None = None,
        limit: int = 10,
        offset: int = 0,
        method: str = "keyword",
        threshold: float | None = None,
        neighbours: int = 0,
    ) -> list[SearchResult[StoredMemoryRow]]:
        """As MemoryDb.search_memories."""
        request = parse(query, where, limit, offset, method, threshold, neighbours)
        return await self._operations.search(user_id, request)

    async def delete_memories(
        self, ids: Iterable[str], *, user_id: str | Nobody | None = None
    ) -> int:
        return await self._operations.delete_many(Kind.MEMORY, ids, user_id)

    # --- users

    async def list_users(
        self, *, prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> list[str]:
        return await self._operations.list_users(prefix, after, limit)

    async def delete_user(self, user_id: str | Nobody) -> dict[str, int]:
        return await self._operations.delete_user(user_id)

    async def delete_users(self, *, user_prefix: str) -> dict[str, int]:
        return await self._operations.delete_users(user_prefix)

    async def forget_user(self, user_id: str | Nobody) -> Receipt:
        return await self._operations.forget_user(user_id, describe(self))

    async def change_mark(self, user_id: str | Nobody) -> str | None:
        return await self._operations.change_mark(user_id)
