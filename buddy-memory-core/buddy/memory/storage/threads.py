"""Work in threads, also while the interpreter ends: no thread can be started any more then, and
what somebody wants to store last runs where it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return what ``work`` returns; it runs in a thread of the event loop, in this context."""
    run = copy_context().run
    try:
        future = asyncio.get_running_loop().run_in_executor(None, run, work)
    except RuntimeError as error:
        if not is_at_exit(error):
            raise
        return work()
    return await future


def is_at_exit(error: RuntimeError) -> bool:
    """Tell whether a thread could not be started because the interpreter ends."""
    return "interpreter shutdown" in str(error)
