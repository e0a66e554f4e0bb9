"""Version 2 of the API on a Store, synchronous and asynchronous."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

from buddy.memory.storage.contract import PAGE_SIZE
from buddy.memory.storage.run import run
from buddy.memory.storage.settings import Settings
from buddy.memory.storage.shapes import SUMMARY, V2_MEMORY, Shape
from buddy.memory.storage.stored import StoredContract
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow

AnyRow = TypeVar("AnyRow")


class StoredMemoryDb(StoredContract[MemoryRow], MemoryDb):
    """A v2 MemoryDb for any Store; a backend's class only builds its Store."""

    _shape = V2_MEMORY

    def delete_memory(
        self, memory_id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        return run(self._policy.delete(V2_MEMORY.kind, memory_id, user_id, if_version))


class AsyncStoredMemoryDb(Settings, AsyncMemoryDb):
    """An AsyncMemoryDb for any Store whose driver is asynchronous."""

    # --- the store as a whole

    async def create(self) -> None:
        await self._policy.store.create()

    async def table_exists(self) -> bool:
        return await self._policy.store.exists()

    async def drop_table(self) -> None:
        await self._policy.store.drop()

    async def clear(self) -> bool:
        return await self._policy.clear()

    async def upgrade(self) -> None:
        await self._policy.store.upgrade()

    async def ping(self) -> None:
        await self._policy.store.ping()

    async def close(self) -> None:
        await self._policy.close()

    # --- memories

    async def memory_exists(self, memory: MemoryRow) -> bool:
        draft = V2_MEMORY.draft(memory)
        return await self._policy.has(draft.kind, draft.id, draft.user_id)

    async def read_memories(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[MemoryRow]:
        return await self._read(V2_MEMORY, user_id, limit, sort)

    async def upsert_memory(self, memory: MemoryRow, *, if_version: int | None = None) -> MemoryRow:
        return await self._upsert(V2_MEMORY, memory, if_version)

    async def upsert_memories(self, memories: Iterable[MemoryRow]) -> list[MemoryRow]:
        return await self._upsert_many(V2_MEMORY, memories)

    async def read_memory(self, id: str, *, user_id: str | None = None) -> MemoryRow | None:
        return await self._read_one(V2_MEMORY, id, user_id)

    def iter_memories(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[MemoryRow]:
        return self._iterate(V2_MEMORY, user_id, sort, page_size)

    async def count_memories(self, user_id: str | None = None) -> int:
        return await self._policy.count(V2_MEMORY.kind, user_id)

    async def delete_memory(
        self, memory_id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        return await self._policy.delete(V2_MEMORY.kind, memory_id, user_id, if_version)

    async def delete_memories(self, ids: Iterable[str], *, user_id: str | None = None) -> int:
        return await self._policy.delete_many(V2_MEMORY.kind, ids, user_id)

    async def delete_user(self, user_id: str) -> dict[str, int]:
        return await self._policy.delete_user(user_id)

    # --- session summaries

    async def upsert_summary(
        self, summary: SummaryRow, *, if_version: int | None = None
    ) -> SummaryRow:
        return await self._upsert(SUMMARY, summary, if_version)

    async def upsert_summaries(self, summaries: Iterable[SummaryRow]) -> list[SummaryRow]:
        return await self._upsert_many(SUMMARY, summaries)

    async def read_summary(
        self, session_id: str, *, user_id: str | None = None
    ) -> SummaryRow | None:
        return await self._read_one(SUMMARY, session_id, user_id)

    async def read_summaries(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[SummaryRow]:
        return await self._read(SUMMARY, user_id, limit, sort)

    def iter_summaries(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[SummaryRow]:
        return self._iterate(SUMMARY, user_id, sort, page_size)

    async def count_summaries(self, user_id: str | None = None) -> int:
        return await self._policy.count(SUMMARY.kind, user_id)

    async def delete_summary(
        self, session_id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        return await self._policy.delete(SUMMARY.kind, session_id, user_id, if_version)

    async def delete_summaries(
        self, session_ids: Iterable[str], *, user_id: str | None = None
    ) -> int:
        return await self._policy.delete_many(SUMMARY.kind, session_ids, user_id)

    # --- one implementation for both kinds

    async def _upsert(self, shape: Shape[AnyRow], row: AnyRow, if_version: int | None) -> AnyRow:
        return shape.row(await self._policy.put(shape.draft(row), if_version))

    async def _upsert_many(self, shape: Shape[AnyRow], rows: Iterable[AnyRow]) -> list[AnyRow]:
        return [shape.row(r) for r in await self._policy.put_many(map(shape.draft, rows))]

    async def _read_one(self, shape: Shape[AnyRow], id: Any, user_id: str | None) -> AnyRow | None:
        record = await self._policy.get(shape.kind, id, user_id)
        return None if record is None else shape.row(record)

    async def _read(
        self, shape: Shape[AnyRow], user_id: str | None, limit: int | None, sort: str | None
    ) -> list[AnyRow]:
        return [shape.row(r) for r in await self._policy.read(shape.kind, user_id, limit, sort)]

    def _iterate(
        self, shape: Shape[AnyRow], user_id: str | None, sort: str | None, page_size: int
    ) -> AsyncIterator[AnyRow]:
        # Checked here and not in the generator, so that a wrong argument raises at the call.
        self._policy.check_pages(user_id, sort, page_size)

        async def rows() -> AsyncIterator[AnyRow]:
            after: Any = None
            while True:
                page = self._policy.page(shape.kind, user_id, sort, page_size, after)
                records, after = await page
                for record in records:
                    yield shape.row(record)
                if after is None:
                    return

        return rows()
