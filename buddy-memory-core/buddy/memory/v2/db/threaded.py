"""An AsyncMemoryDb over any synchronous v2 MemoryDb: each call runs in a thread.

For backends whose library blocks by nature (SQLite) and for plugins that have no async class.
The event loop is never blocked; cancelling an await does not undo a write under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from buddy.memory.storage.checks import check_pages
from buddy.memory.storage.contract import PAGE_SIZE
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow


def _in_thread(name: str) -> Callable[..., Any]:
    async def method(self: ThreadedMemoryDb, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(getattr(self.sync_db, name), *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"As MemoryDb.{name}."
    return method


class ThreadedMemoryDb(AsyncMemoryDb):
    """The asynchronous side of ``sync_db``; both may be used at once and see the same rows."""

    def __init__(self, sync_db: MemoryDb) -> None:
        self.sync_db = sync_db

    create = _in_thread("create")
    table_exists = _in_thread("table_exists")
    drop_table = _in_thread("drop_table")
    clear = _in_thread("clear")
    upgrade = _in_thread("upgrade")
    ping = _in_thread("ping")
    close = _in_thread("close")

    memory_exists = _in_thread("memory_exists")
    read_memory = _in_thread("read_memory")
    read_memories = _in_thread("read_memories")
    count_memories = _in_thread("count_memories")
    upsert_memory = _in_thread("upsert_memory")
    upsert_memories = _in_thread("upsert_memories")
    delete_memory = _in_thread("delete_memory")
    delete_memories = _in_thread("delete_memories")
    delete_user = _in_thread("delete_user")

    read_summary = _in_thread("read_summary")
    read_summaries = _in_thread("read_summaries")
    count_summaries = _in_thread("count_summaries")
    upsert_summary = _in_thread("upsert_summary")
    upsert_summaries = _in_thread("upsert_summaries")
    delete_summary = _in_thread("delete_summary")
    delete_summaries = _in_thread("delete_summaries")

    def iter_memories(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[MemoryRow]:
        check_pages(user_id, sort, page_size)
        return _each(partial(self.sync_db.iter_memories, user_id, sort, page_size), page_size)

    def iter_summaries(
        self, user_id: str | None = None, sort: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[SummaryRow]:
        check_pages(user_id, sort, page_size)
        return _each(partial(self.sync_db.iter_summaries, user_id, sort, page_size), page_size)

    def to_dict(self) -> dict[str, Any]:
        return {**self.sync_db.to_dict(), "name": type(self).__name__}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sync_db!r})"


async def _each(start: Callable[[], Any], page_size: int) -> AsyncIterator[Any]:
    """Yield from the iterator that ``start`` makes, one hop into a thread per page."""
    from itertools import islice

    rows = await asyncio.to_thread(start)
    while batch := await asyncio.to_thread(lambda: list(islice(rows, page_size))):
        for row in batch:
            yield row
