"""Session summaries of a synchronous database: as memories, where the id is the session id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from buddy.memory.rows import StoredSummaryRow, SummaryLike
from buddy.memory.storage.expiry import Ttl
from buddy.memory.storage.iteration import PAGE_SIZE, Page, iterate_rows
from buddy.memory.storage.record import Kind
from buddy.memory.storage.row_operations import RowOperations
from buddy.memory.storage.self_description import no_summaries
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.users import Nobody


class SummaryMethods:
    """What a database does with summaries. With the eight abstract methods alone: nothing."""

    @property
    def _operations(self) -> RowOperations:
        """What answers all but the abstract methods: by default, these eight themselves."""
        # Few databases have no Store.
        from buddy.memory.storage.eight_methods import Awaiting, EightMethodOperations

        return EightMethodOperations(Awaiting(self))

    def upsert_summary(
        self, summary: SummaryLike, *, if_version: int | None = None, ttl: Ttl = None
    ) -> StoredSummaryRow:
        """As ``upsert_memory``."""
        raise no_summaries(self)

    def upsert_summaries(
        self, summaries: Iterable[SummaryLike], *, ttl: Ttl = None
    ) -> list[StoredSummaryRow]:
        """As ``upsert_memories``."""
        return run(self._operations.upsert_many(Kind.SUMMARY, summaries, ttl))

    def touch_summaries(
        self, session_ids: Iterable[str], *, user_id: str | Nobody, ttl: Ttl
    ) -> int:
        """As ``touch_memories``."""
        return run(self._operations.touch(Kind.SUMMARY, session_ids, user_id, ttl))

    def read_summary(
        self, session_id: str, *, user_id: str | Nobody | None = None
    ) -> StoredSummaryRow | None:
        """As ``read_memory``."""
        row: StoredSummaryRow | None = run(self._operations.get(Kind.SUMMARY, session_id, user_id))
        return row

    def read_summaries_by_id(
        self, session_ids: Iterable[str], *, user_id: str | Nobody | None = None
    ) -> list[StoredSummaryRow | None]:
        """As ``read_memories_by_id``."""
        return run(self._operations.get_many(Kind.SUMMARY, session_ids, user_id))

    def read_summaries(
        self,
        user_id: str | Nobody | None = None,
        limit: int | None = None,
        sort: str | None = None,
        *,
        user_prefix: str | None = None,
    ) -> list[StoredSummaryRow]:
        """As ``read_memories``."""
        return run(self._operations.read(Kind.SUMMARY, user_id, user_prefix, limit, sort))

    def iter_summaries(
        self,
        user_id: str | Nobody | None = None,
        sort: str | None = None,
        page_size: int = PAGE_SIZE,
        *,
        user_prefix: str | None = None,
    ) -> Iterator[StoredSummaryRow]:
        """As ``iter_memories``."""
        return iterate_rows(self._operations, Kind.SUMMARY, user_id, user_prefix, sort, page_size)

    def page_summaries(
        self,
        user_id: str | Nobody | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        sort: str | None = None,
        user_prefix: str | None = None,
    ) -> Page[StoredSummaryRow]:
        """As ``page_memories``."""
        return Page(
            *run(self._operations.page(Kind.SUMMARY, user_id, user_prefix, limit, after, sort))
        )

    def count_summaries(
        self, user_id: str | Nobody | None = None, *, user_prefix: str | None = None
    ) -> int:
        """As ``count_memories``."""
        return run(self._operations.count(Kind.SUMMARY, user_id, user_prefix))

    def delete_summary(
        self,
        session_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool:
        """Delete one summary; True when there was one."""
        raise no_summaries(self)

    def delete_summaries(
        self, session_ids: Iterable[str], *, user_id: str | Nobody | None = None
    ) -> int:
        """As ``delete_memories``."""
        return run(self._operations.delete_many(Kind.SUMMARY, session_ids, user_id))
