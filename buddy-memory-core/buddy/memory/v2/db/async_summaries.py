"""Session summaries of an asynchronous database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from buddy.memory.rows import StoredSummaryRow, SummaryLike
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.iteration import PAGE_SIZE, Page, iterate_rows_async
from buddy.memory.storage.record import Kind
from buddy.memory.storage.row_operations import RowOperations
from buddy.memory.storage.self_description import no_summaries
from buddy.memory.storage.users import Nobody


class AsyncSummaryMethods:
    """The methods of SummaryMethods, awaited; what each promises stands there."""

    @property
    def _operations(self) -> RowOperations:
        """What answers all but the abstract methods: by default, these eight themselves."""
        # Few databases have no Store.
        from buddy.memory.storage.eight_methods import EightMethodOperations

        return EightMethodOperations(self)

    async def upsert_summary(
        self, summary: SummaryLike, *, if_version: int | None = None, ttl: Ttl = None
    ) -> StoredSummaryRow:
        raise no_summaries(self)

    async def upsert_summaries(
        self, summaries: Iterable[SummaryLike], *, ttl: Ttl = None
    ) -> list[StoredSummaryRow]:
        return await self._operations.upsert_many(Kind.SUMMARY, summaries, ttl)

    async def touch_summaries(
        self, session_ids: Iterable[str], *, user_id: str | Nobody, ttl: Ttl
    ) -> int:
        return await self._operations.touch(Kind.SUMMARY, session_ids, user_id, ttl)

    async def read_summary(
        self, session_id: str, *, user_id: str | Nobody | None = None
    ) -> StoredSummaryRow | None:
        found = self._operations.get(Kind.SUMMARY, session_id, user_id)
        row: StoredSummaryRow | None = await found
        return row

    async def read_summaries_by_id(
        self, session_ids: Iterable[str], *, user_id: str | Nobody | None = None
    ) -> list[StoredSummaryRow | None]:
        return await self._operations.get_many(Kind.SUMMARY, session_ids, user_id)

    async def read_summaries(
        self,
        user_id: str | Nobody | None = None,
        limit: int | None = None,
        sort: str | None = None,
        *,
        user_prefix: str | None = None,
    ) -> list[StoredSummaryRow]:
        return await self._operations.read(Kind.SUMMARY, user_id, user_prefix, limit, sort)

    def iter_summaries(
        self,
        user_id: str | Nobody | None = None,
        sort: str | None = None,
        page_size: int = PAGE_SIZE,
        *,
        user_prefix: str | None = None,
    ) -> AsyncIterator[StoredSummaryRow]:
        return iterate_rows_async(
            self._operations, Kind.SUMMARY, user_id, user_prefix, sort, page_size
        )

    async def page_summaries(
        self,
        user_id: str | Nobody | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        sort: str | None = None,
        user_prefix: str | None = None,
    ) -> Page[StoredSummaryRow]:
        found = self._operations.page(Kind.SUMMARY, user_id, user_prefix, limit, after, sort)
        return Page(*await found)

    async def count_summaries(
        self, user_id: str | Nobody | None = None, *, user_prefix: str | None = None
    ) -> int:
        return await self._operations.count(Kind.SUMMARY, user_id, user_prefix)

    async def delete_summary(
        self,
        session_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool:
        raise no_summaries(self)

    async def delete_summaries(
        self, session_ids: Iterable[str], *, user_id: str | Nobody | None = None
    ) -> int:
        return await self._operations.delete_many(Kind.SUMMARY, session_ids, user_id)
