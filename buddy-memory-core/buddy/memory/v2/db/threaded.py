"""An AsyncMemoryDb over any synchronous v2 MemoryDb: each call runs in a thread.

For backends whose library blocks by nature (SQLite) and for plugins that have no async class.
The event loop is never blocked; cancelling an await does not undo a write under way.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from buddy.memory.storage.iteration import PAGE_SIZE
from buddy.memory.storage.threads import in_thread
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb


def _in_thread(name: str) -> Callable[..., Any]:
    async def method(self: ThreadedMemoryDb, *args: Any, **kwargs: Any) -> Any:
        return await in_thread(partial(getattr(self.sync_db, name), *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"As MemoryDb.{name}."
    return method


def _in_pages(name: str) -> Callable[..., Any]:
    def method(self: ThreadedMemoryDb, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        rows = getattr(self.sync_db, name)(*args, **kwargs)
        page_size = kwargs.get("page_size", args[2] if len(args) > 2 else PAGE_SIZE)
        return _each(rows, page_size)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"As MemoryDb.{name}."
    return method


async def _each(rows: Any, page_size: int) -> AsyncIterator[Any]:
    """Yield the rows, one hop into a thread per page."""
    from itertools import islice

    while batch := await in_thread(lambda: list(islice(rows, page_size))):
        for row in batch:
            yield row


class ThreadedMemoryDb(AsyncMemoryDb):
    """The asynchronous side of ``sync_db``; both may be used at once and see the same rows."""

    def __init__(self, sync_db: MemoryDb) -> None:
        self.sync_db = sync_db

    @property
    def keeps_ends(self) -> bool:  # type: ignore[override]
        """As MemoryDb.keeps_ends."""
        return self.sync_db.keeps_ends

    # The abstract ones have to be named; the others are those of the contract.
    create = _in_thread("create")
    table_exists = _in_thread("table_exists")
    drop_table = _in_thread("drop_table")
    clear = _in_thread("clear")
    memory_exists = _in_thread("memory_exists")
    read_memories = _in_thread("read_memories")
    upsert_memory = _in_thread("upsert_memory")
    delete_memory = _in_thread("delete_memory")

    def to_dict(self) -> dict[str, Any]:
        return {**self.sync_db.to_dict(), "name": type(self).__name__}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sync_db!r})"


def _delegate_the_rest() -> None:
    for name in dir(AsyncMemoryDb):
        if name.startswith("_") or name in vars(ThreadedMemoryDb) or name == "from_url":
            continue
        method = getattr(AsyncMemoryDb, name)
        delegate = _in_thread if inspect.iscoroutinefunction(method) else _in_pages
        setattr(ThreadedMemoryDb, name, delegate(name))


_delegate_the_rest()
