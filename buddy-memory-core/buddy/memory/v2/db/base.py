"""The v2 contracts, synchronous and asynchronous."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from buddy.memory.storage import defaults
from buddy.memory.storage.checks import check_pages
from buddy.memory.storage.contract import PAGE_SIZE, MemoryContract
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["AsyncMemoryDb", "MemoryDb"]


class MemoryDb(MemoryContract[MemoryRow]):
    """Version 2: rows are ``buddy.memory.v2.db.schema.MemoryRow``. See MemoryContract."""

    @abstractmethod
    def delete_memory(self, memory_id: str) -> bool | None:
        """Delete one row. Backends of this project tell whether there was one, and also take
        ``user_id`` (another user's row does not exist) and ``if_version``."""


class AsyncMemoryDb(ABC):
    """The methods of MemoryDb, awaited; what each promises stands there."""

    # --- the store as a whole

    @abstractmethod
    async def create(self) -> None: ...

    @abstractmethod
    async def table_exists(self) -> bool: ...

    @abstractmethod
    async def drop_table(self) -> None: ...

    @abstractmethod
    async def clear(self) -> bool: ...

    async def upgrade(self) -> None:
        """As MemoryDb.upgrade."""
        return  # Nothing to do unless a backend says otherwise.

    async def ping(self) -> None:
        await self.table_exists()

    async def close(self) -> None:
        """As MemoryDb.close."""
        return  # Nothing was opened unless a backend says otherwise.

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """As MemoryDb.from_url; not awaited, since it does no I/O."""
        from buddy.memory.options import build

        return build(cls, url, options)

    def to_dict(self) -> dict[str, Any]:
        """As MemoryDb.to_dict."""
        return {"name": type(self).__name__}

    # --- memories

    @abstractmethod
    async def memory_exists(self, memory: MemoryRow) -> bool: ...

    @abstractmethod
    async def read_memories(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[MemoryRow]: ...

    @abstractmethod
    async def upsert_memory(self, memory: MemoryRow) -> MemoryRow: ...

    @abstractmethod
    async def delete_memory(self, memory_id: str) -> bool | None: ...

    async def upsert_memories(self, memories: Iterable[MemoryRow]) -> list[MemoryRow]:
        return await defaults.upsert_memories(self, memories)

    async def read_memory(self, id: str, *, user_id: str | None = None) -> MemoryRow | None:
        row: MemoryRow | None = await defaults.read_memory(self, id, user_id)
        return row

    async def iter_memories(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[MemoryRow]:
        check_pages(user_id, sort, page_size)
        for row in await self.read_memories(user_id=user_id, sort=sort):
            yield row

    async def count_memories(self, user_id: str | None = None) -> int:
        return await defaults.count_memories(self, user_id)

    async def delete_memories(self, ids: Iterable[str], *, user_id: str | None = None) -> int:
        return await defaults.delete_memories(self, ids, user_id)

    async def delete_user(self, user_id: str) -> dict[str, int]:
        return await defaults.delete_user(self, user_id)

    # --- session summaries

    async def upsert_summary(
        self, summary: SummaryRow, *, if_version: int | None = None
    ) -> SummaryRow:
        raise defaults.no_summaries(self)

    async def upsert_summaries(self, summaries: Iterable[SummaryRow]) -> list[SummaryRow]:
        raise defaults.no_summaries(self)

    async def read_summary(
        self, session_id: str, *, user_id: str | None = None
    ) -> SummaryRow | None:
        raise defaults.no_summaries(self)

    async def read_summaries(
        self, user_id: str | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[SummaryRow]:
        raise defaults.no_summaries(self)

    def iter_summaries(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[SummaryRow]:
        raise defaults.no_summaries(self)

    async def count_summaries(self, user_id: str | None = None) -> int:
        raise defaults.no_summaries(self)

    async def delete_summary(
        self, session_id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        raise defaults.no_summaries(self)

    async def delete_summaries(
        self, session_ids: Iterable[str], *, user_id: str | None = None
    ) -> int:
        raise defaults.no_summaries(self)
