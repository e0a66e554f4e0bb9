"""Work in threads, also while the interpreter ends: no thread can be started any more then, and
what somebody wants to store last runs where it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")

SETTLING_SECONDS = 1.0
"""How long a call that is cancelled waits for its work to end: who goes on then knows, nearly
always, whether it was done. A file that another process holds keeps nobody longer than that."""


async def in_thread(work: Callable[[], T]) -> T:
    """Return what ``work`` returns; it runs in a thread of the event loop, in this context."""
    context, has_begun = copy_context(), False

    def begin() -> T:
        nonlocal has_begun
        has_begun = True
        return context.run(work)

    try:
        future = asyncio.get_running_loop().run_in_executor(None, begin)
    except RuntimeError as error:
        if not is_at_exit(error):
            raise
        return work()
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(_nothing_to_tell)
        if has_begun:
            await asyncio.wait([future], timeout=SETTLING_SECONDS)
        future.cancel()
        raise


def _nothing_to_tell(future: asyncio.Future[T]) -> None:
    """Look at the error of work whose caller was cancelled, which asyncio would complain of."""
    if not future.cancelled():
        future.exception()


def is_at_exit(error: RuntimeError) -> bool:
    """Tell whether a thread could not be started because the interpreter ends."""
    return "interpreter shutdown" in str(error)
