"""Work that many tasks of an event loop ask for at once, and that is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class SingleFlight:
    """Work by key. One object serves any number of event loops, each with work of its own."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[Any]] = {}

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what ``work`` returns; tasks that ask for ``key`` meanwhile get the same."""
        here = asyncio.get_running_loop(), key
        task = self._under_way.get(here)
        if task is None:
            task = self._under_way[here] = asyncio.ensure_future(work())
            task.add_done_callback(lambda _: self._under_way.pop(here))
        # A caller who is cancelled takes no other one along.
        result: T = await asyncio.shield(task)
        return result
