"""Version 2 of the API on a Store, synchronous and asynchronous."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buddy.memory.rows import RowLike, StoredMemoryRow, StoredSummaryRow, SummaryLike
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.record import Kind
from buddy.memory.storage.row_mapping import SUMMARY, V2_MEMORY, RowMapping
from buddy.memory.storage.sync_database import StoreBackedContract
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.users import Nobody
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb

MAPPINGS: Mapping[Kind, RowMapping[Any]] = {Kind.MEMORY: V2_MEMORY, Kind.SUMMARY: SUMMARY}


class StoreBackedMemoryDb(StoreBackedContract[StoredMemoryRow], MemoryDb):
    """A v2 MemoryDb for any Store; a backend's class only builds its Store."""

    _mappings = MAPPINGS

    def delete_memory(
        self,
        memory_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool:
        return run(self._operations.delete(Kind.MEMORY, memory_id, user_id, if_version))


class AsyncStoreBackedMemoryDb(StoreBackedDatabase, AsyncMemoryDb):
    """An AsyncMemoryDb for any Store whose driver is asynchronous."""

    _mappings = MAPPINGS
    _awaited = True

    async def create(self) -> None:
        await self._rules.store.create()

    async def table_exists(self) -> bool:
        return await self._rules.store.exists()

    async def drop_table(self) -> None:
        await self._rules.store.drop()

    async def clear(self) -> bool:
        return await self._rules.clear()

    async def upgrade(self) -> None:
        await self._rules.store.upgrade()

    async def ping(self) -> None:
        await self._rules.store.ping()

    async def close(self) -> None:
        await self._rules.close()

    async def memory_exists(self, memory: RowLike) -> bool:
        return await self._operations.exists(Kind.MEMORY, memory)

    async def read_memories(
        self,
        user_id: str | Nobody | None = None,
        limit: int | None = None,
        sort: str | None = None,
        *,
        user_prefix: str | None = None,
    ) -> list[StoredMemoryRow]:
        return await self._operations.read(Kind.MEMORY, user_id, user_prefix, limit, sort)

    async def upsert_memory(
        self, memory: RowLike, *, if_version: int | None = None, ttl: Ttl = None
    ) -> StoredMemoryRow:
        row: StoredMemoryRow = await self._operations.upsert(Kind.MEMORY, memory, if_version, ttl)
        return row

    async def delete_memory(
        self,
        memory_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool:
        return await self._operations.delete(Kind.MEMORY, memory_id, user_id, if_version)

    async def upsert_summary(
        self, summary: SummaryLike, *, if_version: int | None = None, ttl: Ttl = None
    ) -> StoredSummaryRow:
        written = self._operations.upsert(Kind.SUMMARY, summary, if_version, ttl)
        row: StoredSummaryRow = await written
        return row

    async def delete_summary(
        self,
        session_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool:
        return await self._operations.delete(Kind.SUMMARY, session_id, user_id, if_version)
