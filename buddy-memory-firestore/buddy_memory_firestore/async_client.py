"""The asynchronous client: one for each event loop."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine, Hashable, Sequence
from functools import cache
from typing import Any, TypeVar

from google.cloud import firestore

from buddy.memory.storage.client_cache import PerLoop
from buddy.memory.storage.single_flight import SingleFlight
from buddy_memory_firestore.client import MAX_AT_ONCE, Connection

T = TypeVar("T")


class AsyncConnection(Connection):
    """Through ``firestore.AsyncClient``, one for each event loop."""

    def __init__(self, project: str | None, database: str, given: Any, timeout: float) -> None:
        super().__init__(project, database, given, timeout)
        self._clients = PerLoop[Any](self._open, self._close_client, lambda client: None)
        self._single_flight = SingleFlight()

    def _open(self) -> Any:
        _spare_forked_children()
        return self._make(firestore.AsyncClient)

    async def _close_client(self, client: Any) -> None:
        if self._is_ours(client):
            await client._firestore_api.transport.close()

    async def client(self) -> Any:
        if self._needs_credentials():
            await asyncio.to_thread(self._find_credentials)
        return self._clients.get()

    async def _send(self, method: Any, stream: bool, options: dict[str, Any]) -> Any:
        answer = method(**options)
        return [part async for part in await answer] if stream else await answer

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        results: list[T] = []
        for start in range(0, len(calls), MAX_AT_ONCE):
            tasks = [asyncio.ensure_future(call()) for call in calls[start : start + MAX_AT_ONCE]]
            try:
                results += await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return results

    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self._single_flight.run(key, work)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self._clients.close()


@cache
def _spare_forked_children() -> None:
    """Leave nothing of gRPC's to a forked child's garbage collector.

    What asyncio used of it waits there for a thread that the child does not have: the child would
    hang or crash.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=gc.collect)
